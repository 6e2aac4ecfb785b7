//! OpenSSL below libsrtp: its initialisation, and freeing what it keeps per thread and per process.

use std::ffi::{c_int, c_void};

// Links OpenSSL.
use openssl_sys as _;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
    fn OPENSSL_thread_stop();
    fn OPENSSL_cleanup();
}

/// Initialises OpenSSL without its exit handler. The first initialisation decides about that handler; at exit our
/// module may be unmapped already, so [`cleanup`] does its work.
pub(crate) fn init() {
    // SAFETY: may be called any number of times, on any thread; no settings are given.
    unsafe { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, std::ptr::null()) };
}

/// Frees what OpenSSL keeps for the calling thread. Wraps `OPENSSL_thread_stop`.
///
/// Call it before a callback returns to a host thread, which may outlive the module that contains OpenSSL. The thread
/// may use OpenSSL again afterwards.
pub fn thread_stop() {
    // SAFETY: it frees only this thread's data of OpenSSL, which nothing refers to outside of a call to OpenSSL.
    unsafe { OPENSSL_thread_stop() }
}

/// Frees everything that OpenSSL keeps, including its thread-specific key, whose destructor would be called at an
/// address that is unmapped by then. Wraps `OPENSSL_cleanup`.
///
/// # Safety
///
/// Nobody uses OpenSSL afterwards. Meant for the destructor of a module that is about to be unmapped.
pub unsafe fn cleanup() {
    // SAFETY: guaranteed by our caller.
    unsafe { OPENSSL_cleanup() }
}

/// The option of `OPENSSL_init_crypto` that installs no exit handler (`openssl/crypto.h`).
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;
