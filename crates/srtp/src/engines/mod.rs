//! The algorithms that libsrtp calls: AES in counter mode, AES-GCM and HMAC-SHA1, in place of its own, which are on OpenSSL.
//!
//! OpenSSL allocates memory for each HMAC, and for each packet with GCM it leaves an error on the thread, which has to be
//! freed again before the thread goes back to the host. These use the processor's instructions, allocate nothing per packet
//! and keep nothing per thread.

mod abi;
mod cipher;
mod counter;
mod galois;
mod hmac;
mod vectors;

use crate::error::{Error, check};

/// Replaces libsrtp's algorithms by ours. libsrtp tests each with its own vectors and with ours. Wraps
/// `srtp_replace_cipher_type` and `srtp_replace_auth_type`.
pub(crate) fn install() -> Result<(), Error> {
    for kind in [&counter::AES_128, &counter::AES_256, &galois::AES_128, &galois::AES_256] {
        // SAFETY: the caller has initialised libsrtp, and no session uses it yet. `kind` is static.
        check(unsafe { abi::srtp_replace_cipher_type(kind, kind.id) })?;
    }
    // SAFETY: as above.
    check(unsafe { abi::srtp_replace_auth_type(&hmac::SHA1, hmac::SHA1.id) })
}

/// Overwrites and frees what `Box::into_raw` gave: it holds keys.
///
/// # Safety
/// `place` comes from `Box::into_raw`, and nobody uses it any more.
unsafe fn wipe<T>(place: *mut T) {
    // SAFETY: guaranteed by our caller. The box frees the memory without dropping its value again.
    unsafe {
        place.drop_in_place();
        let bytes = place.cast::<u8>();
        (0..size_of::<T>()).for_each(|at| bytes.add(at).write_volatile(0));
        drop(Box::from_raw(place.cast::<std::mem::MaybeUninit<T>>()));
    }
}
