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
    is_quick(&key) && verify(&key, algorithm, &data.concat(), signature).unwrap_or(false)
}

/// Whether a signature of this key is verified in well below a millisecond. The key is that of anybody: one with an odd exponent or
/// with a curve of its own could take a hundred times as long.
fn is_quick(key: &PKey<Public>) -> bool {
    match key.id() {
        Id::RSA | Id::RSA_PSS => {
            key.rsa().is_ok_and(|rsa| rsa.n().num_bits() <= RSA_BITS_MAX && rsa.e().num_bits() <= EXPONENT_BITS_MAX)
        }
        Id::EC => key.ec_key().is_ok_and(|key| key.group().curve_name().is_some()),
        _ => true,
    }
}

/// Splits the body of a ServerKeyExchange into parameters and signature. The parameters are a point on a named curve (RFC 8422
/// §5.4), or those of Diffie-Hellman (RFC 5246 §7.4.3) with a prime of fewer than 6144 bits. `None` for others.
pub(crate) fn split_key_exchange(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match *body {
        [NAMED_CURVE, _, _, len, ..] => 4 + usize::from(len),
        [0..NAMED_CURVE, ..] => (0..3).try_fold(0, |at, _| {
            let &[high, low] = body.get(at..at + 2)? else { return None };
            Some(at + 2 + usize::from(u16::from_be_bytes([high, low])))
        })?,
        _ => return None,
    };
    body.split_at_checked(end)
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
const RSA_BITS_MAX: i32 = 8192;
/// The exponent is 65537 as a rule.
const EXPONENT_BITS_MAX: i32 = 33;

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;
    use openssl::sign::Signer;
    use openssl::x509::X509Builder;

    use super::*;

    /// The body of a Certificate message with one certificate.
    fn message(key: &PKey<Private>, digest: MessageDigest) -> Vec<u8> {
        let mut builder = X509Builder::new().unwrap();
        builder.set_pubkey(key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(key, digest).unwrap();
        let der = builder.build().to_der().unwrap();
        let len = |len: usize| (len as u32).to_be_bytes()[1..].to_vec();
        [len(der.len() + 3), len(der.len()), der].concat()
    }

    fn signed(mut signer: Signer<'_>, [hash, algorithm]: [u8; 2], data: &[u8]) -> Vec<u8> {
        let signature = signer.sign_oneshot_to_vec(data).unwrap();
        let [high, low] = (signature.len() as u16).to_be_bytes();
        [&[hash, algorithm, high, low], &signature[..]].concat()
    }

    fn is_right_and_nothing_else(certificate: &[u8], signature: &[u8], data: &[u8]) {
        let (one, other) = data.split_at(3);
        assert!(is_signed(certificate, &[one, other], signature), "{:?}", &signature[..2]);
        assert!(!is_signed(certificate, &[other, one], signature));
        for at in 0..signature.len() {
            let mut changed = signature.to_vec();
            changed[at] ^= 1;
            assert!(!is_signed(certificate, &[data], &changed), "octet {at}");
            assert!(!is_signed(certificate, &[data], &signature[..at]));
        }
    }

    #[test]
    fn rfc5246_section_7_4_1_4_1_signatures_of_every_kind_are_verified() {
        let data = b"ClientHello, ServerHello and so on";
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let certificate = message(&rsa, MessageDigest::sha256());
        for (number, digest) in [(2, MessageDigest::sha1()), (4, MessageDigest::sha256()), (6, MessageDigest::sha512())]
        {
            let signature = signed(Signer::new(digest, &rsa).unwrap(), [number, 1], data);
            is_right_and_nothing_else(&certificate, &signature, data);
        }
        for (number, digest) in [(4, MessageDigest::sha256()), (5, MessageDigest::sha384())] {
            let mut signer = Signer::new(digest, &rsa).unwrap();
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
            is_right_and_nothing_else(&certificate, &signed(signer, [8, number], data), data);
        }
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let ec = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let signature = signed(Signer::new(MessageDigest::sha256(), &ec).unwrap(), [4, 3], data);
        let certificate = message(&ec, MessageDigest::sha256());
        assert!(is_signed(&certificate, &[data], &signature));
        assert!(!is_signed(&certificate, &[b"another"], &signature));
        assert!(!is_signed(&message(&rsa, MessageDigest::sha256()), &[data], &signature), "another key");
        let ed = PKey::generate_ed25519().unwrap();
        let signature = signed(Signer::new_without_digest(&ed).unwrap(), [8, 7], data);
        is_right_and_nothing_else(&message(&ed, MessageDigest::null()), &signature, data);
    }

    #[test]
    fn rfc5246_section_7_4_3_parameters_end_where_the_signature_begins() {
        let diffie_hellman = [0, 1, 7, 0, 1, 2, 0, 2, 9, 9, 8, 7, 6];
        assert_eq!(split_key_exchange(&diffie_hellman), Some((&diffie_hellman[..10], &diffie_hellman[10..])));
        let curve = [3, 0, 23, 2, 9, 9, 8, 7];
        assert_eq!(split_key_exchange(&curve), Some((&curve[..6], &curve[6..])));
        for wrong in [&[][..], &[3, 0, 23], &[3, 0, 23, 9, 1], &[0, 1], &[0, 9, 1], &[0, 1, 7, 0, 1], &[4, 0, 0, 0]] {
            assert_eq!(split_key_exchange(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn keys_that_take_long_are_not_tried() {
        let key = Rsa::generate(2048).unwrap();
        let with_exponent = |e: &openssl::bn::BigNumRef| {
            let key = Rsa::from_public_components(key.n().to_owned().unwrap(), e.to_owned().unwrap()).unwrap();
            PKey::from_rsa(key).unwrap()
        };
        assert!(is_quick(&with_exponent(key.e())));
        assert!(!is_quick(&with_exponent(key.d())));
    }
}
