//! Who says hello: a server's way to see that a client receives what is sent to its address (RFC 6347 §4.2.1).
//!
//! ```text
//!   ClientHello                   ----->
//!                                 <-----   HelloVerifyRequest (cookie)
//!   ClientHello (the same cookie) ----->
//!                                 <-----   ServerHello ..
//! ```
//!
//! Nothing is remembered in between: the cookie is a MAC of the address and the client's random. The request is
//! shorter than any ClientHello, so that it makes nothing larger that somebody sends under another's address.
//!
//! OpenSSL's `DTLSv1_listen` does the same, but refuses a ClientHello in fragments and wants the address by way of its BIO.

use std::net::{IpAddr, SocketAddr};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::{memcmp, rand};

use crate::record;

/// A ClientHello in the clear, or the first fragment of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHello<'a> {
    random: &'a [u8; RANDOM_LEN],
    cookie: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// The ClientHello that a datagram begins with.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let body = record::client_hello(datagram)?;
        let (_version, rest) = body.split_first_chunk::<2>()?;
        let (random, rest) = rest.split_first_chunk()?;
        let (_session_id, rest) = split_vector(rest)?;
        let (cookie, _) = split_vector(rest)?;
        Some(Self { random, cookie })
    }

    /// Whether it is an answer to somebody's HelloVerifyRequest.
    pub fn has_cookie(&self) -> bool {
        !self.cookie.is_empty()
    }
}

/// What cookies are made with.
#[derive(Debug)]
pub(crate) struct Secret(PKey<Private>);

impl Secret {
    pub(crate) fn new() -> Result<Self, ErrorStack> {
        let mut bytes = [0; 32];
        rand::rand_bytes(&mut bytes)?;
        Ok(Self(PKey::hmac(&bytes)?))
    }

    /// Whether the cookie is the one that went to that address.
    pub(crate) fn vouches(&self, hello: &ClientHello<'_>, from: SocketAddr) -> bool {
        let ours = self.cookie(hello, from);
        ours.is_ok_and(|ours| ours.len() == hello.cookie.len() && memcmp::eq(&ours, hello.cookie))
    }

    /// The datagram that asks for the cookie.
    pub(crate) fn hello_verify_request(
        &self,
        hello: &ClientHello<'_>,
        from: SocketAddr,
    ) -> Result<Vec<u8>, ErrorStack> {
        let cookie = self.cookie(hello, from)?;
        // The record's number should be the ClientHello's, so that none comes twice. It is 0 whatever that was: the
        // ServerHello has 1 then, and of two requests, which are the same, the client may drop the second.
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

/// A ClientHello without a cookie, and with no more than has to be in it (RFC 5246 §7.4.1.2).
pub(crate) fn least_client_hello() -> Vec<u8> {
    let no_vectors = [0, 0];
    let one_cipher_and_no_compression = [0, 2, 0xc0, 0x2b, 1, 0];
    let body = [&DTLS_1_2[..], &[0; RANDOM_LEN], &no_vectors, &one_cipher_and_no_compression].concat();
    record::first_message(CLIENT_HELLO, DTLS_1_2, &body)
}

/// A vector of up to 255 bytes (RFC 5246 §4.3), and what is behind it.
fn split_vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

/// RFC 5246 §7.4.
pub(crate) const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
const RANDOM_LEN: usize = 32;
/// More than anybody guesses, and within what DTLS 1.0 allows.
const COOKIE_LEN: usize = 20;
/// The version of a HelloVerifyRequest, whatever will be agreed on (RFC 6347 §4.2.1).
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
        // What is behind the cookie of a first fragment may be missing.
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
