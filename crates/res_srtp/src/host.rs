//! `a=crypto` in SDP (RFC 4568), which hosts since Asterisk 14 expect from an SRTP module in addition to the two
//! tables. Asterisk 11 handles it in chan_sip.

#[cfg(any(feature = "host-16", feature = "host-22"))]
pub use sdp_crypto::{Registration, in_use, register};

#[cfg(any(feature = "host-16", feature = "host-22"))]
#[path = "sdp_crypto.rs"]
mod sdp_crypto;

/// The registration for `a=crypto`; empty, because this host handles it itself.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub struct Registration;

/// Registers for `a=crypto`; does nothing, because this host handles it itself.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn register() -> Result<Registration, asterisk::Failed> {
    Ok(Registration)
}

/// The number of media sections that use our `a=crypto`; always 0, because this host handles it itself.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn in_use() -> usize {
    0
}
