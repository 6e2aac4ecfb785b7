//! libsrtp's global state, initialised while anybody uses it.

use std::sync::{Mutex, PoisonError};

use libsrtp2_sys as sys;

use crate::error::{Error, check};
use crate::{engines, libcrypto};

/// The number of [`Library`] values. libsrtp is initialised while it is not zero.
static USERS: Mutex<usize> = Mutex::new(0);

/// Keeps libsrtp initialised. Every [`Session`](crate::Session) holds one. A module holds another one from load to
/// unload: otherwise the self tests of the initialisation would run again for the first call after each idle time.
///
/// libsrtp may be initialised again after the last one was dropped.
#[derive(Debug)]
pub struct Library(());

impl Library {
    /// Initialises libsrtp unless it is already, with our ciphers. Wraps `srtp_init`, which tests every cipher.
    pub fn open() -> Result<Self, Error> {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if *users == 0 {
            libcrypto::init();
            // SAFETY: the lock is held, so nobody else initialises or shuts down.
            let initialised = check(unsafe { sys::srtp_init() }).and_then(|()| engines::install());
            initialised.inspect_err(|_| shut_down())?;
        }
        *users += 1;
        Ok(Self(()))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        *users -= 1;
        if *users == 0 {
            shut_down();
        }
    }
}

fn shut_down() {
    // SAFETY: the caller holds the lock and knows that no session is left. We ignore the status: the function frees
    // what exists and cannot fail half way.
    unsafe { sys::srtp_shutdown() };
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn the_version_that_is_linked_is_the_one_that_the_documentation_names() {
        // SAFETY: takes no arguments and returns a constant text.
        let version = unsafe { CStr::from_ptr(sys::srtp_get_version_string()) };
        assert_eq!(version, c"libsrtp2 2.3.0");
    }
}
