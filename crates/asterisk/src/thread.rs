//! Our own threads, created with `pthread_create`. `std::thread` would leave thread-local keys that point into the
//! module, and a host thread that called it would keep them after the module is unmapped.

use std::ffi::{CStr, CString, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::fence::fence;

/// A running thread. Dropping it waits until the thread ends, because its code may be unmapped afterwards.
#[derive(Debug)]
#[must_use = "dropped at once, it waits for the thread to end"]
pub struct JoinHandle(libc::pthread_t);

// SAFETY: a `pthread_t` may be joined from any thread, and `Drop` does it once.
unsafe impl Send for JoinHandle {}
// SAFETY: a shared reference gives access to nothing.
unsafe impl Sync for JoinHandle {}

impl JoinHandle {
    /// Waits until the thread ends.
    pub fn join(self) {
        drop(self);
    }
}

impl Drop for JoinHandle {
    fn drop(&mut self) {
        // SAFETY: `spawn` created it joinable and nobody else joins it.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
    }
}

/// Runs `body` on a new thread with the first 15 bytes of `name` as its name, a small stack and all signals blocked:
/// signals are the host's business. A panic in `body` is logged and ends the thread; to survive it, call
/// [`fence()`](crate::fence::fence) inside its loop.
pub fn spawn(name: &CStr, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle> {
    let start = Box::new(Start { name: name.to_owned(), body: Box::new(body) });
    let attributes = Attributes::new()?;
    let mut thread = MaybeUninit::uninit();
    let argument = Box::into_raw(start).cast::<c_void>();
    let blocked = AllSignalsBlocked::new();
    // SAFETY: `run` takes over `argument`, the attributes were initialised, and `thread` is written before it is read.
    let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), &raw const attributes.0, run, argument) };
    drop(blocked);
    if error != 0 {
        // SAFETY: no thread was created, so the box is still ours.
        drop(unsafe { Box::from_raw(argument.cast::<Start>()) });
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: `pthread_create` succeeded and wrote it.
    Ok(JoinHandle(unsafe { thread.assume_init() }))
}

/// The kernel's id of this thread.
pub fn id() -> libc::pid_t {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

struct Start {
    name: CString,
    body: Box<dyn FnOnce() + Send>,
}

extern "C" fn run(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made this box for us alone.
    let start = unsafe { Box::from_raw(argument.cast::<Start>()) };
    name_this_thread(&start.name);
    fence("a thread of the module", (), start.body);
    ptr::null_mut()
}

fn name_this_thread(name: &CStr) {
    let bytes = name.to_bytes();
    let mut short = [0; 16];
    let length = bytes.len().min(15);
    short[..length].copy_from_slice(&bytes[..length]);
    // SAFETY: `short` is NUL-terminated within its 16 bytes; the name is copied.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), short.as_ptr().cast()) };
}

/// The size of the stack: enough for a TLS handshake and a log line, a sixteenth of the default.
const STACK_BYTES: usize = 512 * 1024;

struct Attributes(libc::pthread_attr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialised here, used only if that succeeds.
        let error = unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: `pthread_attr_init` succeeded.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        // SAFETY: the attributes are initialised; if the system refuses the size, its default remains.
        unsafe { libc::pthread_attr_setstacksize(&raw mut attributes.0, STACK_BYTES) };
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once.
        unsafe { libc::pthread_attr_destroy(&raw mut self.0) };
    }
}

/// Blocks all signals while it lives, because a new thread inherits the mask of the thread that creates it.
struct AllSignalsBlocked(libc::sigset_t);

impl AllSignalsBlocked {
    fn new() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: `sigfillset` initialises the first, `pthread_sigmask` the second; neither can fail with
        // these arguments.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self(before.assume_init())
        }
    }
}

impl Drop for AllSignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the mask is the one this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn joining_waits_for_the_end() {
        let done = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&done);
        let thread = spawn(c"a name that is too long", move || theirs.store(true, Ordering::Release)).unwrap();
        thread.join();
        assert!(done.load(Ordering::Acquire));
    }
}
