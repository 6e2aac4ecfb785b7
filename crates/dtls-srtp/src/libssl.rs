//! The few functions of OpenSSL that the `openssl` crate does not wrap.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use foreign_types_shared::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{SslRef, SslStream};
use openssl_sys as ffi;

use crate::wire::Wire;

unsafe extern "C" {
    fn OPENSSL_thread_stop();
    fn OPENSSL_cleanup();
    fn SSL_set_options(ssl: *mut ffi::SSL, options: u64) -> u64;
    fn SSL_free_buffers(ssl: *mut ffi::SSL) -> c_int;
    fn DTLS_set_timer_cb(ssl: *mut ffi::SSL, callback: extern "C" fn(*mut ffi::SSL, c_uint) -> c_uint);
    /// Sends the last flight again, as `DTLSv1_handle_timeout` does once OpenSSL's own clock allows it. The function is
    /// not in OpenSSL's headers, but in the libssl.a that is built and linked with us. If a newer one lacks it, linking
    /// fails.
    fn dtls1_retransmit_buffered_messages(ssl: *mut ffi::SSL) -> c_int;
}

/// Frees the memory that OpenSSL keeps for the calling thread. Wraps `OPENSSL_thread_stop`.
///
/// A thread of the host outlives the module that OpenSSL is linked into. Call this before a callback returns to such a
/// thread. The thread may use OpenSSL again afterwards.
pub fn thread_stop() {
    // SAFETY: OpenSSL frees only what it keeps for this thread, which is referred to only during a call to OpenSSL.
    unsafe { OPENSSL_thread_stop() }
}

/// Frees everything that OpenSSL keeps. Wraps `OPENSSL_cleanup`.
///
/// That includes OpenSSL's thread-specific key: once the module is unmapped, the key's destructor would be called in
/// memory that is gone.
///
/// # Safety
///
/// Nothing of OpenSSL may be used afterwards. Call it from the destructor of a module that is about to be unmapped.
pub unsafe fn cleanup() {
    // SAFETY: the caller promises that nothing of OpenSSL is used afterwards.
    unsafe { OPENSSL_cleanup() }
}

/// Keeps OpenSSL's own retransmission timer, which follows the wall clock, from expiring.
pub(crate) fn disarm_timer(ssl: &mut SslRef) {
    extern "C" fn never(_: *mut ffi::SSL, _: c_uint) -> c_uint {
        // 71 minutes in microseconds. A handshake is given up long before.
        c_uint::MAX
    }
    // SAFETY: the reference proves that the DTLS object is live, and the callback has no state.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), never) }
}

/// Frees the buffers for records, 16 KiB for each direction, unless they hold something. The next record allocates them again.
/// Wraps `SSL_free_buffers`: the mode `SSL_MODE_RELEASE_BUFFERS` does not concern DTLS.
pub(crate) fn free_buffers(ssl: &SslRef) {
    // SAFETY: the reference proves that the object is live, and no call that uses the buffers is under way.
    unsafe { SSL_free_buffers(ssl.as_ptr()) };
}

/// Makes a server expect a cookie. Wraps `SSL_set_options`.
pub(crate) fn require_cookie(ssl: &SslRef) {
    // SAFETY: the reference proves that the object is live. No handshake is under way: the stream has not been used.
    unsafe { SSL_set_options(ssl.as_ptr(), SSL_OP_COOKIE_EXCHANGE) };
}

/// Whether a flight has been sent that the peer has not answered. Wraps `DTLSv1_get_timeout`, which says whether the
/// timer runs; the time that it gives is not used.
pub(crate) fn is_flight_outstanding(ssl: &SslRef) -> bool {
    let mut remaining = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: the reference proves that the DTLS object is live, and this control writes one `timeval`.
    let answer = unsafe {
        ffi::SSL_ctrl(ssl.as_ptr(), DTLS_CTRL_GET_TIMEOUT, 0, ptr::from_mut(&mut remaining).cast::<c_void>())
    };
    answer == 1
}

/// Whether the peer's records are decrypted by now: its ChangeCipherSpec has been read. Before, OpenSSL buffers encrypted
/// records.
pub(crate) fn decrypts(ssl: &SslRef) -> bool {
    ssl.state_string_long() == READ_CHANGE_CIPHER_SPEC || ssl.is_init_finished()
}

/// Sends the last flight again, in records with numbers of their own (RFC 6347 §4.2.4).
pub(crate) fn retransmit(stream: &mut SslStream<Wire>) {
    // SAFETY: the stream is borrowed mutably, so its DTLS object is live and nobody else uses it. In OpenSSL 3 the
    // object is the connection itself. The function writes the messages that the object keeps to its BIO, as OpenSSL's
    // own timer would.
    let answer = unsafe { dtls1_retransmit_buffered_messages(stream.ssl().as_ptr()) };
    if answer <= 0 {
        log::debug!("retransmission failed: {}", ErrorStack::get());
    }
}

/// OpenSSL's name of the state between the peer's ChangeCipherSpec and its Finished, in both roles.
const READ_CHANGE_CIPHER_SPEC: &str = "SSLv3/TLS read change cipher spec";
/// From `openssl/ssl.h`.
const SSL_OP_COOKIE_EXCHANGE: u64 = 1 << 13;
const DTLS_CTRL_GET_TIMEOUT: c_int = 73;
