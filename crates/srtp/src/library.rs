//! libsrtp's one global state, counted.

use std::sync::{Mutex, PoisonError};

use libsrtp2_sys as sys;

use crate::error::{Error, check};
use crate::libcrypto;

/// How many [`Library`] values there are. libsrtp is initialised while it is not zero.
static USERS: Mutex<usize> = Mutex::new(0);

/// Keeps libsrtp initialised. Every [`Session`](crate::Session) holds one; a module holds another from load to unload, so
/// that the self tests that come with initialising run once and not with the first call after every quiet minute.
///
/// Unlike the C library, it may be initialised again after the last one went.
#[derive(Debug)]
pub struct Library(());

impl Library {
    /// Wraps `srtp_init`, which tests every cipher before it answers.
    pub fn open() -> Result<Self, Error> {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if *users == 0 {
            libcrypto::init();
            // SAFETY: the lock is held, so nobody else initialises or shuts down.
            check(unsafe { sys::srtp_init() }).inspect_err(|_| shut_down())?;
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
    // SAFETY: the caller holds the lock and has seen that no session is left. The status says nothing: the function frees
    // what there is and cannot fail half way.
    unsafe { sys::srtp_shutdown() };
}
