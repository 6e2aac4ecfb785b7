//! OpenSSL below libsrtp: how it begins, and what it keeps for a thread and for the process.

use std::ffi::{c_int, c_void};

// Brings in the library itself.
use openssl_sys as _;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
    fn OPENSSL_thread_stop();
    fn OPENSSL_cleanup();
}

/// Initialises OpenSSL. Whoever does it first decides whether the end of the process cleans up; by then a module may be
/// unmapped, so [`cleanup`] is there for it.
pub(crate) fn init() {
    // SAFETY: may be called any number of times, on any thread; no settings are given.
    unsafe { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, std::ptr::null()) };
}

/// Gives back what OpenSSL keeps for the calling thread. Wraps `OPENSSL_thread_stop`.
///
/// For a thread that outlives the module that OpenSSL is linked into: to be called before a callback returns to it. The
/// thread may use OpenSSL again afterwards.
pub fn thread_stop() {
    // SAFETY: it touches only what OpenSSL keeps for this thread, which nobody refers to outside of a call to OpenSSL.
    unsafe { OPENSSL_thread_stop() }
}

/// Gives back everything that OpenSSL keeps, its thread-specific key included, whose destructor would be called in memory
/// that is gone. Wraps `OPENSSL_cleanup`.
///
/// # Safety
///
/// Nothing of OpenSSL may be used afterwards: for the destructor of a module that is about to be unmapped.
pub unsafe fn cleanup() {
    // SAFETY: the caller's promise.
    unsafe { OPENSSL_cleanup() }
}

/// `openssl/crypto.h`
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;
