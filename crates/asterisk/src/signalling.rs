//! Facts about a call that one of our modules reads in its signalling and the RTP engine wants to know.
//!
//! `res_http_websocket` sees a browser's candidates in INFO, and the end of its connection; the host passes on neither. The
//! engine's module exports one function for them, and a call is named by the engine's own ICE user fragment, which is
//! random and is in the description that the host printed.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::{Path, PathBuf};

use crate::module;

/// A kind of fact. The numbers are those of the C function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Fact {
    /// The peer has another candidate; the value is the attribute `candidate:…` (RFC 8839 §5.1).
    Candidate = 1,
    /// The peer has told all its candidates (RFC 8838 §13).
    EndOfCandidates = 2,
    /// The connection that carried the call's signalling is closed; the value says why.
    SignallingClosed = 3,
    /// The host asks the peer for a whole picture (RFC 5168), which WebRTC endpoints understand in RTCP alone.
    PictureWanted = 4,
    /// The G.719 of the call's audio is Opus (RFC 7587), which the host does not know.
    Opus = 5,
    /// A SIP message crossed the WebSocket. In place of the fragment comes who sent it: `client`, `host`, `module` for an answer of
    /// ours in the host's place, or `drain` for one that refuses a call because the host drains. The value is lines of `name value` about the connection, an empty line, and the message.
    Message = 16,
}

/// The exported function: the kind of fact, the engine's ICE user fragment and the value, both of them strings that are lent
/// for the call. It answers 0, or -1 if no call has the fragment.
pub type Receive = unsafe extern "C" fn(c_int, *const c_char, *const c_char) -> c_int;

/// The name of the exported function.
pub const SYMBOL: &CStr = c"asterisk_webrtc_signal";

/// The file of the module that exports it, beside the caller's.
const MODULE: &str = "res_rtp_asterisk.so";

impl Fact {
    /// The kind with this number.
    pub fn from_number(number: c_int) -> Option<Self> {
        [Self::Candidate, Self::EndOfCandidates, Self::SignallingClosed, Self::PictureWanted, Self::Opus, Self::Message]
            .into_iter()
            .find(|fact| *fact as c_int == number)
    }
}

/// Tells the engine a fact; `false` if our engine is not loaded or no call of it has this ICE user fragment. Takes locks of
/// the engine.
pub fn tell(fact: Fact, ufrag: &str, value: &str) -> bool {
    let (Ok(ufrag), Ok(value)) = (CString::new(ufrag), CString::new(value)) else { return false };
    let Some(engine) = Mapped::beside_us(MODULE) else { return false };
    // SAFETY: no other module has a symbol of this name, and ours has this type.
    let receive: Option<Receive> = unsafe { engine.function(SYMBOL) };
    // SAFETY: the function is mapped as long as `engine`, and the strings live during the call.
    receive.is_some_and(|receive| unsafe { receive(fact as c_int, ufrag.as_ptr(), value.as_ptr()) } == 0)
}

/// A module's file that the process has mapped, and that stays mapped for as long as this value.
pub(crate) struct Mapped(*mut libc::c_void);

impl Mapped {
    /// Finds the module's file beside the one that this code is in.
    pub(crate) fn beside_us(module: &str) -> Option<Self> {
        Self::find(&own_path()?.with_file_name(module))
    }

    /// Finds the file without loading it.
    fn find(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
        // SAFETY: a string. With RTLD_NOLOAD no code of the file runs.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
        // Not `then_some`, which would close a null handle.
        (!handle.is_null()).then(|| Self(handle))
    }

    /// A function that the file exports; `None` in a module that is not ours.
    ///
    /// # Safety
    /// `T` is the type of the function of this name.
    pub(crate) unsafe fn function<T: Copy>(&self, name: &CStr) -> Option<T> {
        const { assert!(size_of::<T>() == size_of::<*mut libc::c_void>(), "a function pointer") };
        // SAFETY: a handle of dlopen and a string.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        // SAFETY: it has the size of a pointer, as asserted above, and this type, as our caller guarantees.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the handle came from dlopen.
        unsafe { libc::dlclose(self.0) };
    }
}

/// The path of the file that this code is in: the module that was linked with it.
fn own_path() -> Option<PathBuf> {
    let own: fn(Fact, &str, &str) -> bool = tell;
    module::path_of(own as usize)
}
