//! The username fragment and password of one side (RFC 8445 §5.3), and the key they make.

use std::fmt;

use stun_types::message::{IntegrityAlgorithm, IntegrityKey, MessageIntegrityCredentials, ShortTermCredentials};

/// The username fragment and password of one side. They change with every restart (RFC 8445 §9).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters. Whoever knows it is the peer.
    pub password: String,
}

impl Credentials {
    /// 48 bits of username fragment and 144 of password, where RFC 8445 §5.3 asks for 24 and 128.
    ///
    /// The bytes come from a generator that nobody can predict.
    pub fn from_random(random: &[u8; 32]) -> Self {
        let character = |byte: &u8| char::from(ICE_CHARS[usize::from(byte & 0x3f)]);
        let (ufrag, password) = random.split_at(8);
        Self { ufrag: ufrag.iter().map(character).collect(), password: password.iter().map(character).collect() }
    }

    /// Whether STUN can carry them (RFC 8839 §5.4; shorter ones than allowed are tolerated).
    pub(crate) fn are_usable(&self) -> bool {
        (1..=256).contains(&self.ufrag.len()) && (1..=256).contains(&self.password.len())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Credentials and the MESSAGE-INTEGRITY key made of them (RFC 8489 §9.1.1).
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

/// `ice-char` of RFC 8839 §5.4.
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
