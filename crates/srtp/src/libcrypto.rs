//! OpenSSL below libsrtp: randomness, and what it keeps for a thread and for the process.

use openssl_sys as ffi;

unsafe extern "C" {
    fn OPENSSL_thread_stop();
    fn OPENSSL_cleanup();
}

/// Fills `bytes` with randomness that is good for keys. Wraps `RAND_bytes`; `false` when there is none.
#[must_use]
pub fn random(bytes: &mut [u8]) -> bool {
    let Ok(len) = bytes.len().try_into() else { return false };
    ffi::init();
    // SAFETY: it writes `len` bytes, which `bytes` has.
    unsafe { ffi::RAND_bytes(bytes.as_mut_ptr(), len) == 1 }
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
