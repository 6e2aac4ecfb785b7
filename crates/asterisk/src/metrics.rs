//! Metrics of all our modules on one page: `res_rtp_asterisk` serves it, and each of the others exports one function that writes
//! its own families.
//!
//! The caller keeps the other file mapped by a handle of its own, and the other module waits for its callers when it is unloaded
//! ([`wait_for_callers`]), as for [`crate::signalling`].

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::slice;

use exposition::{Format, Page};

use crate::callers::{Callers, LAST_STEPS};
use crate::fence::fence;
use crate::signalling::Mapped;

/// The exported function: the format (0 is text, 1 OpenMetrics), the name of this node, a function that takes the families as
/// UTF-8 and its first argument. Returns 0, or -1 if the module is not running.
pub type Write = unsafe extern "C" fn(c_int, *const c_char, Take, *mut c_void) -> c_int;

/// Takes some families: an argument of the caller's, octets and their number.
pub type Take = unsafe extern "C" fn(*mut c_void, *const u8, usize);

/// The name of the exported function.
pub const SYMBOL: &CStr = c"asterisk_webrtc_metrics";

/// The label of every sample that has the name of this node.
pub const NODE: &str = "node";

/// Returns the families of another module of ours, in a file called `module` beside the caller's; `None` if it is not loaded, not
/// ours, or not running.
pub fn of_module(module: &str, format: Format, node: &str) -> Option<String> {
    let node = CString::new(node).ok()?;
    let mapped = Mapped::beside_us(module)?;
    // SAFETY: no other module has a symbol of this name, and ours has this type.
    let write: Write = unsafe { mapped.function(SYMBOL) }?;
    let mut families = Vec::<u8>::new();
    // SAFETY: the function is mapped as long as `mapped`, and passes our vector to `take` before it returns.
    let answer =
        unsafe { write((format == Format::OpenMetrics).into(), node.as_ptr(), take, (&raw mut families).cast()) };
    String::from_utf8(families).ok().filter(|_| answer == 0)
}

unsafe extern "C" fn take(families: *mut c_void, octets: *const u8, len: usize) {
    // SAFETY: `of_module` passed its vector, which nobody else uses meanwhile, and the module lends the octets for the call.
    unsafe { (*families.cast::<Vec<u8>>()).extend_from_slice(slice::from_raw_parts(octets, len)) };
}

/// Answers a call of the exported function with the families that `write` writes; it returns `None` while the module is not running.
///
/// # Safety
/// The arguments are those of the exported function.
pub unsafe fn answer(
    format: c_int,
    node: *const c_char,
    take: Take,
    argument: *mut c_void,
    write: impl FnOnce(&mut Page) -> Option<()>,
) -> c_int {
    let _inside = CALLERS.enter();
    fence("metrics", -1, || {
        if node.is_null() {
            return -1;
        }
        // SAFETY: a string that our caller lends for the call.
        let node = unsafe { CStr::from_ptr(node) }.to_string_lossy();
        let format = if format == 1 { Format::OpenMetrics } else { Format::Text };
        let mut page = Page::new(format, &[(NODE, &node)]);
        if write(&mut page).is_none() {
            return -1;
        }
        let families = page.into_part();
        // SAFETY: our caller's function, with its argument; the octets live during the call.
        unsafe { take(argument, families.as_ptr(), families.len()) };
        0
    })
}

/// The threads that are inside [`answer`].
static CALLERS: Callers = Callers::new();

/// Waits until no thread is inside [`answer`]. For unloading, once the module is not running any more.
pub fn wait_for_callers() {
    CALLERS.wait(LAST_STEPS);
}
