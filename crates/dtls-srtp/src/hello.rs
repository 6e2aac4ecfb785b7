//! The cookie exchange, by which a server makes sure that a client receives what is sent to its address (RFC 6347
//! §4.2.1).
//!
//! ```text
//!   ClientHello                   ----->
//!                                 <-----   HelloVerifyRequest (cookie)
//!   ClientHello (the same cookie) ----->
//!                                 <-----   ServerHello ..
//! ```
//!
//! The server keeps no state in between: the cookie is a MAC of the address and the client's random. The request is
//! shorter than any ClientHello, so that nobody can use the server to amplify datagrams with a forged source address.
//!
//! OpenSSL's `DTLSv1_listen` does this too, but refuses a ClientHello in fragments and reads the address from its BIO.

use std::net::{IpAddr, SocketAddr};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::{memcmp, rand};

use crate::record;

/// A plaintext ClientHello, or the first fragment of one (RFC 6347 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHello<'a> {
    random: &'a [u8; RANDOM_LEN],
    cookie: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads the ClientHello at the beginning of a datagram; `None` if there is none.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let body = record::client_hello(datagram)?;
        let (_version, rest) = body.split_first_chunk::<2>()?;
        let (random, rest) = rest.split_first_chunk()?;
        let (_session_id, rest) = split_vector(rest)?;
        let (cookie, _) = split_vector(rest)?;
        Some(Self { random, cookie })
    }

    /// The client's random, which tells one handshake from another.
    pub(crate) fn random(&self) -> &'a [u8] {
        self.random
    }

    /// Whether the client has answered a HelloVerifyRequest, ours or somebody else's.
    pub fn has_cookie(&self) -> bool {
        !self.cookie.is_empty()
    }
}

/// The key of the MAC that cookies are made with.
#[derive(Debug)]
pub(crate) struct Secret(PKey<Private>);

impl Secret {
    /// Creates a random key.
    pub(crate) fn new() -> Result<Self, ErrorStack> {
        let mut bytes = [0; 32];
        rand::rand_bytes(&mut bytes)?;
        Ok(Self(PKey::hmac(&bytes)?))
    }

    /// Whether the ClientHello has the cookie that this key makes for `from`.
    pub(crate) fn vouches(&self, hello: &ClientHello<'_>, from: SocketAddr) -> bool {
        let ours = self.cookie(hello, from);
        ours.is_ok_and(|ours| ours.len() == hello.cookie.len() && memcmp::eq(&ours, hello.cookie))
    }

    /// Returns the datagram that carries the cookie for `from`.
    pub(crate) fn hello_verify_request(
        &self,
        hello: &ClientHello<'_>,
        from: SocketAddr,
    ) -> Result<Vec<u8>, ErrorStack> {
        let cookie = self.cookie(hello, from)?;
        // RFC 6347 §4.2.1 wants the record's sequence number to be the ClientHello's, so that no number is used twice.
        // Ours is always 0 and the ServerHello's is 1. A client may drop a second request as a duplicate, which it is.
        let body = [&DTLS_1_0[..], &[COOKIE_LEN as u8], &cookie].concat();
        Ok(record::first_message(HELLO_VERIFY_REQUEST, DTLS_1_0, &body))
    }

    fn cookie(&self, hello: &ClientHello<'_>, from: SocketAddr) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0)?;
        match from.ip() {
            IpAddr::V4(ip) => signer.update(&ip.octets())?,
            IpAddr::V6(ip) => signer.update(&ip.octets())?,
        }
        signer.update(&from.port().to_be_bytes())?;
        signer.update(hello.random)?;
        let mut cookie = signer.sign_to_vec()?;
        cookie.truncate(COOKIE_LEN);
        Ok(cookie)
    }
}

/// Returns the shortest valid ClientHello without a cookie (RFC 5246 §7.4.1.2).
pub(crate) fn least_client_hello() -> Vec<u8> {
    let no_vectors = [0, 0];
    let one_cipher_and_no_compression = [0, 2, 0xc0, 0x2b, 1, 0];
    let body = [&DTLS_1_2[..], &[0; RANDOM_LEN], &no_vectors, &one_cipher_and_no_compression].concat();
    record::first_message(CLIENT_HELLO, DTLS_1_2, &body)
}

/// Splits off a vector of up to 255 bytes (RFC 5246 §4.3); returns it and the rest.
fn split_vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

/// The message type of a ClientHello (RFC 5246 §7.4).
pub(crate) const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
const RANDOM_LEN: usize = 32;
/// The length of a cookie in bytes: too long to guess, and short enough for DTLS 1.0, which allows 32.
const COOKIE_LEN: usize = 20;
/// The version in a HelloVerifyRequest, which is not negotiated yet (RFC 6347 §4.2.1).
const DTLS_1_0: [u8; 2] = [0xfe, 0xff];
const DTLS_1_2: [u8; 2] = [0xfe, 0xfd];

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);

    #[test]
    fn rfc6347_section_4_2_1_a_cookie_counts_for_its_address_and_its_hello() {
        let secret = Secret::new().unwrap();
        let from = SocketAddr::from(CLIENT);
        let first = least_client_hello();
        let hello = ClientHello::parse(&first).unwrap();
        assert!(!hello.has_cookie() && !secret.vouches(&hello, from));
        let cookie = secret.cookie(&hello, from).unwrap();
        let second = ClientHello { cookie: &cookie, ..hello };
        assert!(secret.vouches(&second, from));
        assert!(!secret.vouches(&second, (CLIENT.0, 4001).into()));
        assert!(!secret.vouches(&second, ([192, 0, 2, 2], 4000).into()));
        assert!(!secret.vouches(&ClientHello { random: &[1; 32], ..second }, from));
        assert!(!Secret::new().unwrap().vouches(&second, from));
    }

    #[test]
    fn the_request_is_shorter_than_any_hello() {
        let hello = least_client_hello();
        let request =
            Secret::new().unwrap().hello_verify_request(&ClientHello::parse(&hello).unwrap(), CLIENT.into()).unwrap();
        // A first fragment may end behind the cookie.
        let shortest = hello.len() - 6;
        assert!(request.len() < shortest, "{}", request.len());
    }

    #[test]
    fn what_is_no_hello_is_not_taken_for_one() {
        let hello = least_client_hello();
        for len in 0..hello.len() {
            assert_eq!(ClientHello::parse(&hello[..len]), None);
        }
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
        let noise = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32][..], &[0x5a; 32]].concat();
        assert_eq!((ClientHello::parse(&alert), ClientHello::parse(&noise)), (None, None));
    }
}
