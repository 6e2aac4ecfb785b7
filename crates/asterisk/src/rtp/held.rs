//! The data attached to an instance: our reference to its session, and the strings returned to C.

use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};

use super::Instance;
use crate::fence::{fence, fence_crypto};
use crate::{lock, log, sys};

pub(crate) struct Held<E> {
    pub(crate) session: Arc<E>,
    pub(crate) ufrag: Shown,
    pub(crate) password: Shown,
    pub(crate) fingerprint: Shown,
    #[allow(dead_code, reason = "not every host asks for it")]
    pub(crate) cname: Shown,
}

impl<E> Held<E> {
    /// Attaches the session to its instance. [`Held::take_down`] must be called once.
    pub(crate) fn hang_on(instance: Instance<'_>, session: Arc<E>) {
        let [ufrag, password, fingerprint, cname] = std::array::from_fn(|_| Shown::new());
        let held = Self { session, ufrag, password, fingerprint, cname };
        instance.set_data(Box::into_raw(Box::new(held)).cast());
    }

    /// # Safety
    /// The host is destroying the instance, so nobody uses its data any more.
    pub(crate) unsafe fn take_down(instance: Instance<'_>) -> Option<Box<Self>> {
        let held = instance.data().cast::<Self>();
        instance.set_data(ptr::null_mut());
        // SAFETY: `hang_on` made it from a box. The data is null now, so it cannot be taken a second time.
        (!held.is_null()).then(|| unsafe { Box::from_raw(held) })
    }
}

/// Runs `body` with the session of an instance, inside the fence for callbacks that may use OpenSSL. Returns `failed` on a panic, or
/// if there is no session.
///
/// # Safety
/// The host calls with an instance of this engine that lives during the call.
pub(crate) unsafe fn with<E, T: Copy>(
    callback: &'static str,
    failed: T,
    instance: *mut sys::ast_rtp_instance,
    body: impl FnOnce(&Held<E>, Instance<'_>) -> T,
) -> T {
    fence_crypto(callback, failed, || {
        // SAFETY: guaranteed by our caller.
        unsafe { of(failed, instance, body) }
    })
}

/// As [`with`], for the two callbacks that come for each packet. `body` frees what OpenSSL keeps for this thread, where it uses it.
///
/// # Safety
/// As for [`with`].
pub(crate) unsafe fn with_packet<E, T: Copy>(
    callback: &'static str,
    failed: T,
    instance: *mut sys::ast_rtp_instance,
    body: impl FnOnce(&Held<E>, Instance<'_>) -> T,
) -> T {
    fence(callback, failed, || {
        // SAFETY: guaranteed by our caller.
        unsafe { of(failed, instance, body) }
    })
}

/// # Safety
/// As for [`with`].
unsafe fn of<E, T: Copy>(
    failed: T,
    instance: *mut sys::ast_rtp_instance,
    body: impl FnOnce(&Held<E>, Instance<'_>) -> T,
) -> T {
    let Some(instance) = NonNull::new(instance) else { return failed };
    // SAFETY: the host keeps the instance during its call.
    let instance = unsafe { Instance::lend(instance) };
    // SAFETY: `hang_on` stored it, and `take_down` has not run: the host calls `destroy` last, and once.
    match unsafe { instance.data().cast::<Held<E>>().as_ref() } {
        Some(held) => body(held, instance),
        None => failed,
    }
}

/// The session of another instance than the one the call is about.
///
/// # Safety
/// The instance is one of this engine, and the host keeps it during the call.
pub(crate) unsafe fn session_of<E>(instance: Instance<'_>) -> Option<Arc<E>> {
    // SAFETY: as in `with`.
    unsafe { instance.data().cast::<Held<E>>().as_ref() }.map(|held| Arc::clone(&held.session))
}

/// A string returned to C. It lives until the next one is returned: chan_sip copies it at once.
pub(crate) struct Shown(Mutex<CString>);

impl Shown {
    fn new() -> Self {
        Self(Mutex::new(CString::default()))
    }

    /// Stores a string and returns its pointer for C; null for `None`.
    pub(crate) fn show(&self, text: Option<String>) -> *const c_char {
        let Some(text) = text else { return ptr::null() };
        let mut shown = lock(&self.0);
        // An unchanged string must keep its address: C may still be reading it.
        if shown.as_bytes() != text.as_bytes() {
            *shown = log::c_text(&text);
        }
        shown.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_string_returned_to_c_stays_until_it_changes() {
        let shown = Shown::new();
        let first = shown.show(Some("ufrag".to_owned()));
        // SAFETY: returned by `show`, and nothing else was since.
        assert_eq!(unsafe { CStr::from_ptr(first) }, c"ufrag");
        assert_eq!(shown.show(Some("ufrag".to_owned())), first);
        assert!(shown.show(None).is_null());
    }
}
