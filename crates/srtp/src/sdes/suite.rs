//! Names of crypto-suites (RFC 4568 §6.2, RFC 6188, RFC 7714).

use super::refusal::Refusal;
use crate::policy::Suite;

/// A suite by a name that it has in SDP. AES-256 goes by two, and an answer repeats the one that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CryptoSuite {
    name: &'static str,
    suite: Suite,
}

impl CryptoSuite {
    /// By the name in IANA's registry.
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

    /// By the name in a line. Upper and lower case are the same, as in every literal of the grammar (RFC 2234 §2.3).
    pub fn from_name(name: &str) -> Result<Self, Refusal> {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_word || name.len() > MAX_NAME_LEN {
            return Err(Refusal::Suite);
        }
        let mut known = Suite::ALL.into_iter().map(Self::registered).chain(DRAFTED);
        known.find(|known| known.name.eq_ignore_ascii_case(name)).ok_or_else(|| Refusal::UnknownSuite(name.to_owned()))
    }

    /// As in SDP.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What it stands for.
    pub const fn suite(self) -> Suite {
        self.suite
    }
}

/// RFC 6188 while it was a draft. Linphone and Zoiper offer these.
const DRAFTED: [CryptoSuite; 2] = [
    CryptoSuite { name: "AES_CM_256_HMAC_SHA1_80", suite: Suite::AesCm256HmacSha1_80 },
    CryptoSuite { name: "AES_CM_256_HMAC_SHA1_32", suite: Suite::AesCm256HmacSha1_32 },
];

/// The longest registered name has 25. A key that stands in the wrong place is longer, and is not repeated in a log.
const MAX_NAME_LEN: usize = 32;
