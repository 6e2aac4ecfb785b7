//! What hosts from Asterisk 14 on want of an SRTP module beside the two tables: `a=crypto` in SDP (RFC 4568). Asterisk 11 has
//! it in chan_sip.

#[cfg(any(feature = "host-16", feature = "host-22"))]
pub use sdp_crypto::{Registration, in_use, register};

#[cfg(any(feature = "host-16", feature = "host-22"))]
#[path = "sdp_crypto.rs"]
mod sdp_crypto;

/// Nothing to take back.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub struct Registration;

/// Nothing to register.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn register() -> Result<Registration, asterisk::Failed> {
    Ok(Registration)
}

/// Nothing that the host could have of ours.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn in_use() -> usize {
    0
}
