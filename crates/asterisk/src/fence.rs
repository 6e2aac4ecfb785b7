//! The fence between C and Rust: the only place that catches panics.
//!
//! A panic that reached C would end every call on the machine; caught here it ends one. The default panic hook prints
//! through `std::thread`, which would keep the module mapped (host threads keep its thread-local data). `install_hook`
//! replaces it by a silent hook that only remembers the place of the panic, for the line that [`fence`] then logs.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::{error, lock, thread};

/// Runs `body`, the callback that the host knows as `callback`; returns `failed` if it panics.
#[expect(clippy::disallowed_methods, reason = "this is the fence")]
pub fn fence<T>(callback: &str, failed: T, body: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        error!(
            "{callback} failed because of a bug in this module, only this call is affected; please report: {}",
            story(&*panic)
        );
        failed
    })
}

/// As [`fence`], for a callback that uses cryptography on a host thread. Afterwards it runs the function given to
/// [`set_after`], which frees what the library keeps for this thread.
pub fn fence_crypto<T>(callback: &str, failed: T, body: impl FnOnce() -> T) -> T {
    let answer = fence(callback, failed, body);
    let after = AFTER.load(Ordering::Acquire);
    if !after.is_null() {
        // SAFETY: `set_after` stored a `fn()` there, and nothing else does.
        let after: fn() = unsafe { mem::transmute::<*mut (), fn()>(after) };
        after();
    }
    answer
}

/// Sets the function that runs after every [`fence_crypto`]: `OPENSSL_thread_stop` if OpenSSL is linked in. Without
/// it, a host thread that outlives the module crashes when it ends.
pub fn set_after(after: fn()) {
    AFTER.store(after as *mut (), Ordering::Release);
}

static AFTER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Replaces the default panic hook by our silent one. `module!` calls it before `load`.
#[expect(clippy::disallowed_methods, reason = "this is the hook that `remove_hook` takes out again")]
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(remember));
}

/// Removes our panic hook. `module!` calls it after `unload`.
pub(crate) fn remove_hook() {
    drop(panic::take_hook());
}

/// The panics seen by the hook, by kernel thread id, until the fence of that thread takes them.
static SEEN: Mutex<Vec<(libc::pid_t, String)>> = Mutex::new(Vec::new());

fn remember(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let story = format!("{} (at {at})", message(info.payload()));
    let mut seen = lock(&SEEN);
    // Panics that no fence collects must not make the list grow without limit.
    seen.truncate(64);
    seen.push((thread::id(), story));
}

fn story(panic: &(dyn Any + Send)) -> String {
    let mut seen = lock(&SEEN);
    match seen.iter().rposition(|(thread, _)| *thread == thread::id()) {
        Some(found) => seen.swap_remove(found).1,
        None => message(panic).to_owned(),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a panic without a message",
    }
}
