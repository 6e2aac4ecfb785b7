//! The fence between C and Rust: the only place that knows about panics.
//!
//! A panic that reached C would end every call on the machine; here it costs one. The default panic hook prints through
//! `std::thread` and would pin the module in memory (a host thread keeps what it touched), so `install_hook` puts a
//! silent one in its place that only remembers where it happened, for the line that [`fence`] then logs.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::{error, lock, thread};

/// Runs `body`, a callback that the host calls `callback`; answers `failed` if it panics.
#[expect(clippy::disallowed_methods, reason = "this is the fence")]
pub fn fence<T>(callback: &str, failed: T, body: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        error!("{callback} failed inside the module, this one call suffers: {}", story(&*panic));
        failed
    })
}

/// As [`fence`], for a callback that uses cryptography on a thread of the host: afterwards what [`set_after`] was given
/// takes back whatever the library keeps for this thread.
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

/// What runs at the end of every [`fence_crypto`]: `OPENSSL_thread_stop`, where OpenSSL is linked in. Without it a thread
/// of the host that outlives the module crashes when it ends.
pub fn set_after(after: fn()) {
    AFTER.store(after as *mut (), Ordering::Release);
}

static AFTER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Puts our silent hook in place of the default one. Done by `module!` before `load`.
#[expect(clippy::disallowed_methods, reason = "this is the hook that `remove_hook` takes out again")]
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(remember));
}

/// Takes the hook out again. Done by `module!` after `unload`.
pub(crate) fn remove_hook() {
    drop(panic::take_hook());
}

/// What the hook saw, by kernel thread id, until that thread's fence takes it.
static SEEN: Mutex<Vec<(libc::pid_t, String)>> = Mutex::new(Vec::new());

fn remember(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let story = format!("{} (at {at})", message(info.payload()));
    let mut seen = lock(&SEEN);
    // A panic that no fence takes must not make the list grow.
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
