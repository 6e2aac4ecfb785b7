//! The signatures of a handshake (RFC 5246 §7.4.3, §7.4.8), verified ahead of OpenSSL.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl::x509::X509;

/// Whether the key of the first certificate in the body of a Certificate message has made `signature` of `data`. The
/// signature is as of a `DigitallySigned` (RFC 5246 §4.7): algorithm, length, octets.
pub(crate) fn is_signed(certificate: &[u8], data: &[&[u8]], signature: &[u8]) -> bool {
    let (Some(leaf), Some((algorithm, signature))) = (leaf(certificate), split_signature(signature)) else {
        return false;
    };
    let Ok(key) = X509::from_der(leaf).and_then(|leaf| leaf.public_key()) else { return false };
    verify(&key, algorithm, &data.concat(), signature).unwrap_or(false)
}

/// Splits the body of a ServerKeyExchange into parameters and signature. `None` if the curve is not a named one (RFC 8422
/// §5.4).
pub(crate) fn split_key_exchange(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let [NAMED_CURVE, _, _, len, ..] = *body else { return None };
    body.split_at_checked(4 + usize::from(len))
}

/// Returns the first certificate of a Certificate message (RFC 5246 §7.4.2).
fn leaf(body: &[u8]) -> Option<&[u8]> {
    let [_, _, _, l2, l1, l0, ..] = *body else { return None };
    body.get(6..)?.get(..u32::from_be_bytes([0, l2, l1, l0]) as usize)
}

fn split_signature(bytes: &[u8]) -> Option<([u8; 2], &[u8])> {
    let (&[hash, algorithm, high, low], signature) = bytes.split_first_chunk::<4>()?;
    (signature.len() == usize::from(u16::from_be_bytes([high, low]))).then_some(([hash, algorithm], signature))
}

/// The algorithms are those of RFC 5246 §7.4.1.4.1, RFC 8422 §5.1.3 and RFC 8446 §4.2.3.
fn verify(key: &PKey<Public>, algorithm: [u8; 2], data: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
    match (algorithm, key.id()) {
        ([8, 4..=6], Id::RSA) | ([8, 9..=11], Id::RSA_PSS) => {
            let hash = hash((algorithm[1] - 4) % 5 + 4);
            let Some(hash) = hash else { return Ok(false) };
            let mut verifier = Verifier::new(hash, key)?;
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_mgf1_md(hash)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            verifier.verify_oneshot(signature, data)
        }
        ([8, 7], Id::ED25519) | ([8, 8], Id::ED448) => {
            Verifier::new_without_digest(key)?.verify_oneshot(signature, data)
        }
        ([of, 1], Id::RSA) | ([of, 3], Id::EC) => {
            let Some(hash) = hash(of) else { return Ok(false) };
            Verifier::new(hash, key)?.verify_oneshot(signature, data)
        }
        _ => Ok(false),
    }
}

/// The hash function by its number (RFC 5246 §7.4.1.4.1).
fn hash(number: u8) -> Option<MessageDigest> {
    Some(match number {
        2 => MessageDigest::sha1(),
        3 => MessageDigest::sha224(),
        4 => MessageDigest::sha256(),
        5 => MessageDigest::sha384(),
        6 => MessageDigest::sha512(),
        _ => return None,
    })
}

const NAMED_CURVE: u8 = 3;
