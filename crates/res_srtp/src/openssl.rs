//! How the OpenSSL inside of this module begins; `media_srtp` has how it ends.

use std::ffi::{c_int, c_void};
use std::ptr;

// Brings in the library itself, which is linked into this module.
use openssl_sys as _;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
}

/// Before anything else uses it. Our destructor cleans up, not the end of the process: by then we may be unmapped.
pub fn start() {
    // SAFETY: may be called any number of times, on any thread; no settings are given.
    unsafe { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, ptr::null()) };
}

/// `<openssl/crypto.h>`
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;
