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
    fn DTLS_set_timer_cb(ssl: *mut ffi::SSL, callback: extern "C" fn(*mut ffi::SSL, c_uint) -> c_uint);
    /// What `DTLSv1_handle_timeout` does once OpenSSL's own clock allows it. It is not in OpenSSL's headers, but in the
    /// libssl.a that is built and linked with us; if a newer one lacks it, linking says so.
    fn dtls1_retransmit_buffered_messages(ssl: *mut ffi::SSL) -> c_int;
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

/// Keeps OpenSSL's own retransmission timer from going off: it would follow the wall clock.
pub(crate) fn disarm_timer(ssl: &mut SslRef) {
    extern "C" fn never(_: *mut ffi::SSL, _: c_uint) -> c_uint {
        // In microseconds, 71 minutes; a handshake is given up long before.
        c_uint::MAX
    }
    // SAFETY: a live DTLS object, and a function without state.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), never) }
}

/// A server asks for a cookie. Wraps `SSL_set_options`.
pub(crate) fn require_cookie(ssl: &SslRef) {
    // SAFETY: a live object, and no handshake is under way in it: its stream has not been used.
    unsafe { SSL_set_options(ssl.as_ptr(), SSL_OP_COOKIE_EXCHANGE) };
}

/// Whether a flight has been sent that the peer has not answered. Wraps `DTLSv1_get_timeout`, whose answer says whether
/// the timer runs; the time itself is of no use here.
pub(crate) fn is_flight_outstanding(ssl: &SslRef) -> bool {
    let mut remaining = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: a live DTLS object; this control writes one `timeval`.
    let answer = unsafe {
        ffi::SSL_ctrl(ssl.as_ptr(), DTLS_CTRL_GET_TIMEOUT, 0, ptr::from_mut(&mut remaining).cast::<c_void>())
    };
    answer == 1
}

/// Sends the last flight again, in records with numbers of their own (RFC 6347 §4.2.4).
pub(crate) fn retransmit(stream: &mut SslStream<Wire>) {
    // SAFETY: a live DTLS object, borrowed mutably, which in OpenSSL 3 is the connection itself. The function writes the
    // messages that the object keeps to its BIO, as OpenSSL's own timer would.
    let answer = unsafe { dtls1_retransmit_buffered_messages(stream.ssl().as_ptr()) };
    if answer <= 0 {
        log::debug!("retransmission failed: {}", ErrorStack::get());
    }
}

/// `openssl/ssl.h`.
const SSL_OP_COOKIE_EXCHANGE: u64 = 1 << 13;
const DTLS_CTRL_GET_TIMEOUT: c_int = 73;
