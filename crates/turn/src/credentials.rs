//! Long-term credentials (RFC 8489 §9.2), or ones made from a secret that is shared with the server
//! (draft-uberti-behave-turn-rest-00, coturn's `use-auth-secret`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// A username and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The USERNAME of our requests.
    pub username: String,
    /// The password, which is not sent.
    pub password: String,
}

impl Credentials {
    /// Makes credentials from a shared `secret`: the username is the time at which they expire and, if there is one, `user`; the
    /// password is that text's HMAC-SHA1. `now` counts from 1970.
    pub fn from_secret(secret: &str, user: &str, now: Duration) -> Self {
        let expiry = (now + LIFETIME).as_secs();
        let username = if user.is_empty() { expiry.to_string() } else { format!("{expiry}:{user}") };
        let password = hmac(secret, &username);
        Self { username, password }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

fn hmac(secret: &str, text: &str) -> String {
    let mut hmac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    hmac.update(text.as_bytes());
    STANDARD.encode(hmac.finalize().into_bytes())
}

/// Credentials from a secret last for a day, since the server also checks them when a call refreshes its allocation.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_secret_gives_the_password_that_coturn_computes() {
        // echo -n 1433895918:user | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(hmac("north", "1433895918:user"), "/gk4t5tUc08OpM3NjrVjHSFVNmY=");
    }

    #[test]
    fn the_username_says_when_it_expires() {
        let now = Duration::from_secs(1_000_000);
        assert_eq!(Credentials::from_secret("north", "", now).username, "1086400");
        assert_eq!(Credentials::from_secret("north", "pbx", now).username, "1086400:pbx");
        assert!(!format!("{:?}", Credentials::from_secret("north", "", now)).contains("password"));
    }
}
