//! Reasons why a handshake gives no keys.

use crate::fingerprint::Fingerprint;

/// Reasons why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The certificate is not the one that the SDP names (RFC 5763 §5). Somebody is in the middle, or has changed the
    /// SDP.
    #[error("the peer's certificate has fingerprint {received}, its SDP says {expected}")]
    FingerprintMismatch {
        /// The fingerprint in the SDP.
        expected: Fingerprint,
        /// The fingerprint of the certificate.
        received: Fingerprint,
    },
    /// The chain of the certificate does not end at an authority that we trust. Holds OpenSSL's reason.
    #[error("the peer's certificate is not trusted: {0}")]
    CertificateNotTrusted(String),
    /// The peer showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// No SRTP protection profile in common (RFC 5764 §4.1.2), or the peer offered none.
    #[error("no SRTP protection profile in common")]
    NoProfile,
    /// OpenSSL ended the handshake. Holds its reason, for instance that there is no cipher suite in common.
    #[error("handshake failed: {0}")]
    Handshake(String),
    /// The peer stopped answering. A plaintext alert could come from anybody, so it is only a hint at the cause.
    #[error("handshake timed out{}", hint(.alert))]
    TimedOut {
        /// The description of the last fatal plaintext alert (RFC 5246 §7.2).
        alert: Option<u8>,
    },
}

impl Failure {
    /// Whether a message that is not authenticated may be the cause: one that somebody else than the peer sent.
    pub(crate) fn may_be_forged(&self) -> bool {
        matches!(self, Self::Handshake(_) | Self::CertificateNotTrusted(_))
    }
}

fn hint(alert: &Option<u8>) -> String {
    alert.map_or_else(String::new, |alert| format!(", after alert {alert} ({})", alert_name(alert)))
}

/// Names the alerts that a handshake meets (RFC 5246 §7.2).
fn alert_name(alert: u8) -> &'static str {
    match alert {
        10 => "unexpected message",
        20 => "bad record MAC",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown CA",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        _ => "see RFC 5246 section 7.2",
    }
}
