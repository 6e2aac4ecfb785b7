//! Certificate fingerprints, as `a=fingerprint` in SDP has them (RFC 8122 §5).

use std::fmt;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::x509::X509Ref;

/// The hash function of a fingerprint. RFC 8122 §5 prefers SHA-256; some hosts know SHA-1 only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashFunction {
    /// `sha-1`
    Sha1,
    /// `sha-256`
    Sha256,
}

impl HashFunction {
    /// The name of the hash function in SDP.
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

/// A hash of a certificate in DER form, with the function that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint {
    function: HashFunction,
    hash: Vec<u8>,
}

/// Reasons why a text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The text is not pairs of hexadecimal digits with colons between them. Holds its beginning.
    #[error("not a fingerprint: {0:?}")]
    Syntax(String),
    /// The text has not as many bytes as the hash function's result.
    #[error("{name} fingerprint of {len} bytes", name = .function.name())]
    Length {
        /// The hash function that the description names.
        function: HashFunction,
        /// The length of the fingerprint in bytes.
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

    /// Computes the fingerprint of a certificate.
    pub(crate) fn of(certificate: &X509Ref, function: HashFunction) -> Result<Self, ErrorStack> {
        Ok(Self { function, hash: certificate.digest(function.digest())?.to_vec() })
    }

    /// The hash function that made the fingerprint.
    pub fn function(&self) -> HashFunction {
        self.function
    }

    /// Compares in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.function == other.function && self.hash.len() == other.hash.len() && memcmp::eq(&self.hash, &other.hash)
    }

    /// Formats the hash as SDP has it: `AB:CD:...`.
    pub(crate) fn to_sdp(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// The fingerprints of one session description (RFC 8122 §5). There may be several by one hash function, for the
/// certificates that the peer may use, and several hash functions for one certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    /// Adds a fingerprint. Repetitions change nothing, and neither do fingerprints beyond [`MOST`].
    pub(crate) fn insert(&mut self, fingerprint: Fingerprint) {
        if self.0.len() < MOST && !self.0.contains(&fingerprint) {
            self.0.push(fingerprint);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the strongest hash function in use: only its fingerprints count (RFC 8122 §5).
    pub(crate) fn strongest(&self) -> Option<HashFunction> {
        self.0.iter().map(Fingerprint::function).max()
    }

    /// Returns the fingerprints by one hash function.
    pub(crate) fn by(&self, function: HashFunction) -> impl Iterator<Item = &Fingerprint> + Clone {
        self.0.iter().filter(move |fingerprint| fingerprint.function == function)
    }

    /// Whether two sets describe different certificates (RFC 8842 §4). They are compared by the strongest hash function
    /// that both use, in any order; sets without one in common do not say.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        let common = |function: &HashFunction| other.by(*function).next().is_some();
        let Some(function) = self.0.iter().map(Fingerprint::function).filter(common).max() else { return false };
        let lacks = |one: &Self, other: &Self| one.by(function).any(|fingerprint| !other.0.contains(fingerprint));
        lacks(self, other) || lacks(other, self)
    }
}

/// The most fingerprints of one description that are kept. Browsers have one.
const MOST: usize = 16;

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

    fn set(of: &[(HashFunction, u8)]) -> Fingerprints {
        let mut set = Fingerprints::default();
        for (function, byte) in of {
            set.insert(Fingerprint { function: *function, hash: vec![*byte; function.len()] });
        }
        set
    }

    #[test]
    fn rfc8842_section_4_sets_are_compared_without_order_by_the_strongest_common_hash() {
        use HashFunction::{Sha1, Sha256};
        let two = set(&[(Sha256, 1), (Sha256, 2)]);
        assert!(!two.differ(&set(&[(Sha256, 2), (Sha256, 1), (Sha256, 2)])));
        assert!(!two.differ(&set(&[(Sha1, 9), (Sha256, 2), (Sha256, 1)])));
        assert!(two.differ(&set(&[(Sha256, 1)])));
        assert!(set(&[(Sha256, 1)]).differ(&two));
        assert!(!two.differ(&set(&[(Sha1, 9)])), "nothing to compare");
        assert!(set(&[(Sha1, 8)]).differ(&set(&[(Sha1, 9), (Sha256, 1)])));
    }

    #[test]
    fn a_description_without_end_is_not_kept_whole() {
        let mut endless = Fingerprints::default();
        for byte in 0..=255 {
            endless.insert(Fingerprint { function: HashFunction::Sha1, hash: vec![byte; 20] });
        }
        assert_eq!(endless.0.len(), MOST);
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
