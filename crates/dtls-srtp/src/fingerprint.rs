//! Certificate fingerprints as SDP has them (RFC 8122 §5).

use std::fmt;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::x509::X509Ref;

/// A hash function that the host can name. RFC 8122 §5 prefers SHA-256; SHA-1 is all that some hosts know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashFunction {
    /// `sha-1`
    Sha1,
    /// `sha-256`
    Sha256,
}

impl HashFunction {
    /// Its name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn digest(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha256 => MessageDigest::sha256(),
        }
    }
}

/// The hash of a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint {
    function: HashFunction,
    hash: Vec<u8>,
}

/// What is wrong with the text of a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Not pairs of hexadecimal digits with colons between them.
    #[error("not a fingerprint: {0:?}")]
    Syntax(String),
    /// Not the length of the hash function's result.
    #[error("{name} fingerprint of {len} bytes", name = .function.name())]
    Length {
        /// What it is said to be.
        function: HashFunction,
        /// What it is.
        len: usize,
    },
}

impl Fingerprint {
    /// Reads `AB:CD:...`, in upper or lower case.
    pub fn parse(function: HashFunction, text: &str) -> Result<Self, FingerprintError> {
        let hash = text
            .trim()
            .split(':')
            .map(|pair| match pair.as_bytes() {
                [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => u8::from_str_radix(pair, 16).ok(),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| FingerprintError::Syntax(text.chars().take(128).collect()))?;
        if hash.len() != function.len() {
            return Err(FingerprintError::Length { function, len: hash.len() });
        }
        Ok(Self { function, hash })
    }

    /// The fingerprint of a certificate.
    pub(crate) fn of(certificate: &X509Ref, function: HashFunction) -> Result<Self, ErrorStack> {
        Ok(Self { function, hash: certificate.digest(function.digest())?.to_vec() })
    }

    /// Which hash function made it.
    pub fn function(&self) -> HashFunction {
        self.function
    }

    /// Compares in a time that says nothing about where the two differ.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.function == other.function && self.hash.len() == other.hash.len() && memcmp::eq(&self.hash, &other.hash)
    }

    /// The bytes, as SDP has them.
    pub(crate) fn to_sdp(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.function.name(), self.to_sdp())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_in_either_case() {
        let text = (1..=32).map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        let upper = Fingerprint::parse(HashFunction::Sha256, &text).expect("32 bytes");
        let lower = Fingerprint::parse(HashFunction::Sha256, &text.to_lowercase()).expect("32 bytes");
        assert!(upper.matches(&lower));
        assert_eq!(upper.to_sdp(), text);
    }

    #[test]
    fn refuses_what_is_no_fingerprint() {
        for text in ["", ":", "0", "+1:02", "0g", "ü:01", "AB:CD:"] {
            assert!(matches!(Fingerprint::parse(HashFunction::Sha1, text), Err(FingerprintError::Syntax(_))), "{text}");
        }
        let short = Fingerprint::parse(HashFunction::Sha1, "AB:CD");
        assert_eq!(short, Err(FingerprintError::Length { function: HashFunction::Sha1, len: 2 }));
    }
}
