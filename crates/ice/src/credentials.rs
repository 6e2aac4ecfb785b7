//! The username fragment and password of one side (RFC 8445 §5.3), and the key derived from them.

use std::fmt;

use stun_types::message::{IntegrityAlgorithm, IntegrityKey, MessageIntegrityCredentials, ShortTermCredentials};

/// The username fragment and password of one side. They change with every restart (RFC 8445 §9).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters. It authenticates the peer's checks, so it must stay secret.
    pub password: String,
}

impl Credentials {
    /// Makes credentials from random bytes: 48 bits of username fragment and 144 bits of password, more than the 24
    /// and 128 that RFC 8445 §5.3 requires.
    ///
    /// `random` must come from a cryptographically secure generator.
    pub fn from_random(random: &[u8; 32]) -> Self {
        let character = |byte: &u8| char::from(ICE_CHARS[usize::from(byte & 0x3f)]);
        let (ufrag, password) = random.split_at(8);
        Self { ufrag: ufrag.iter().map(character).collect(), password: password.iter().map(character).collect() }
    }

    /// Whether both fit into STUN attributes: 1 to 256 bytes each. RFC 8839 §5.4 requires more; we tolerate less.
    pub(crate) fn are_usable(&self) -> bool {
        (1..=256).contains(&self.ufrag.len()) && (1..=256).contains(&self.password.len())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Credentials with the MESSAGE-INTEGRITY key derived from them (RFC 8489 §9.1.1).
#[derive(Clone)]
pub(crate) struct Keyed {
    pub credentials: Credentials,
    pub key: IntegrityKey,
}

impl From<Credentials> for Keyed {
    fn from(credentials: Credentials) -> Self {
        let short_term = ShortTermCredentials::new(credentials.password.clone());
        let key = MessageIntegrityCredentials::from(short_term).make_key(IntegrityAlgorithm::Sha1);
        Self { credentials, key }
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.credentials.fmt(f)
    }
}

/// The characters allowed in a username fragment or password (`ice-char`, RFC 8839 §5.4).
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_credentials_are_as_long_as_rfc8839_asks() {
        let credentials = Credentials::from_random(&std::array::from_fn(|i| (i * 31) as u8));
        assert!(credentials.ufrag.len() >= 4 && credentials.password.len() >= 22);
        assert!(credentials.password.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/'));
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials { ufrag: "evtj".into(), password: "VOkJxbRl1RmTxUk/WvJxBt".into() };
        assert!(!format!("{credentials:?}").contains("VOkJ"));
    }
}
