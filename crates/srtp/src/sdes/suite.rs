//! Names of crypto-suites (RFC 4568 §6.2, RFC 6188, RFC 7714).

use super::refusal::Refusal;
use crate::policy::Suite;

/// A suite with one of its names in SDP. AES-256 has two names, and an answer repeats the offered one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CryptoSuite {
    name: &'static str,
    suite: Suite,
}

impl CryptoSuite {
    /// The suite with its name in IANA's registry.
    pub const fn registered(suite: Suite) -> Self {
        let name = match suite {
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        };
        Self { name, suite }
    }

    /// Finds a suite by its name in a line, regardless of case, as in every literal of the grammar (RFC 2234 §2.3).
    pub fn from_name(name: &str) -> Result<Self, Refusal> {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_word || name.len() > MAX_NAME_LEN {
            return Err(Refusal::Suite);
        }
        let mut known = Suite::ALL.into_iter().map(Self::registered).chain(DRAFTED);
        known.find(|known| known.name.eq_ignore_ascii_case(name)).ok_or_else(|| Refusal::UnknownSuite(name.to_owned()))
    }

    /// The name in SDP.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The suite that the name stands for.
    pub const fn suite(self) -> Suite {
        self.suite
    }
}

/// The names in the draft of RFC 6188, which Linphone and Zoiper offer.
const DRAFTED: [CryptoSuite; 2] = [
    CryptoSuite { name: "AES_CM_256_HMAC_SHA1_80", suite: Suite::AesCm256HmacSha1_80 },
    CryptoSuite { name: "AES_CM_256_HMAC_SHA1_32", suite: Suite::AesCm256HmacSha1_32 },
];

/// The greatest length of a name: registered ones have up to 25 characters. A key in the place of the name is longer
/// and is not repeated in a log.
const MAX_NAME_LEN: usize = 32;
