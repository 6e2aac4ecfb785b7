//! Why there are no keys.

use crate::fingerprint::Fingerprint;

/// Why a handshake came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The certificate is not the one that the SDP named (RFC 5763 §5): somebody in the middle, or an SDP that somebody
    /// changed.
    #[error("the peer's certificate has fingerprint {received}, its SDP says {expected}")]
    FingerprintMismatch {
        /// From the SDP.
        expected: Fingerprint,
        /// Of the certificate.
        received: Fingerprint,
    },
    /// The chain of the certificate does not end at an authority that we trust.
    #[error("the peer's certificate is not trusted: {0}")]
    CertificateNotTrusted(String),
    /// The peer showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// No SRTP protection profile in common (RFC 5764 §4.1.2), or the peer offered none.
    #[error("no SRTP protection profile in common")]
    NoProfile,
    /// OpenSSL's reasons, for instance no cipher suite in common.
    #[error("handshake failed: {0}")]
    Handshake(String),
    /// The peer stopped answering. An alert that it sent in the clear could have been anybody's, and is only a hint.
    #[error("handshake timed out{}", hint(.alert))]
    TimedOut {
        /// The last fatal alert in the clear (RFC 5246 §7.2).
        alert: Option<u8>,
    },
}

fn hint(alert: &Option<u8>) -> String {
    alert.map_or_else(String::new, |alert| format!(", after alert {alert} ({})", alert_name(alert)))
}

/// RFC 5246 §7.2, those that a handshake meets.
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
