//! Known answers: compares libsrtp's packets with those computed here by the formulas of the RFCs, from the derived
//! keys that RFC 3711 §B.3 and RFC 6188 §7.2 print.

use media_srtp::{MAX_TRAILER_LEN, Policy, Session, Streams, Suite};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode, encrypt_aead};

const SSRC: u32 = 0xcafe_babe;

/// The master key and salt of RFC 3711 §B.3.
const MASTER: &str = "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6";
const CIPHER_KEY: &str = "c61e7a93744f39ee10734afe3ff7a087";
const CIPHER_SALT: &str = "30cbbc08863d8c85d49db34a9ae1";
const AUTH_KEY: &str = "cebe321f6ff7716b6fd4ab49af256a156d38baa4";

/// The master key and salt of RFC 6188 §7.2.
const MASTER_256: &str = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2";
const CIPHER_KEY_256: &str = "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4";
const CIPHER_SALT_256: &str = "fa31791685ca444a9e07c6c64e93";
const AUTH_KEY_256: &str = "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05";

#[test]
fn rfc_3711_b_3_derived_keys_protect_rtp() {
    for (suite, tag) in [(Suite::AesCm128HmacSha1_80, 10), (Suite::AesCm128HmacSha1_32, 4)] {
        let expected = by_the_book(CIPHER_KEY, CIPHER_SALT, AUTH_KEY, tag);
        assert_eq!(hex(&protect_rtp(suite, MASTER)), hex(&expected));
    }
}

#[test]
fn rfc_6188_7_2_derived_keys_protect_rtp() {
    for (suite, tag) in [(Suite::AesCm256HmacSha1_80, 10), (Suite::AesCm256HmacSha1_32, 4)] {
        let expected = by_the_book(CIPHER_KEY_256, CIPHER_SALT_256, AUTH_KEY_256, tag);
        assert_eq!(hex(&protect_rtp(suite, MASTER_256)), hex(&expected));
    }
}

#[test]
fn rfc_7714_8_1_protects_rtp() {
    let master = &MASTER[..56]; // 16 bytes of key and 12 of salt
    let (key, salt) = (derive(master, 0x00, 16), derive(master, 0x02, 12));
    let packet = plain_rtp();
    // RFC 7714 §8.1: two zero bytes, SSRC, rollover counter and sequence number, XORed with the salt.
    let mut iv = [0_u8; 12];
    iv[2..6].copy_from_slice(&SSRC.to_be_bytes());
    iv[10..].copy_from_slice(&packet[2..4]);
    iv.iter_mut().zip(&salt).for_each(|(byte, salt)| *byte ^= salt);
    let mut tag = [0; 16];
    let sealed = encrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), &packet[..12], &packet[12..], &mut tag);
    let expected = [&packet[..12], &sealed.expect("AES-GCM"), &tag].concat();
    assert_eq!(hex(&protect_rtp(Suite::AeadAes128Gcm, master)), hex(&expected));
}

#[test]
fn rtcp_keeps_its_80_bit_tag_when_rtp_has_32() {
    let plain = from_hex("81c8000bcafebabeabababababababababababababababab");
    // The key derivation is the same, so both suites send the same SRTCP.
    let expected = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798";
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32] {
        let mut session = sender(suite, MASTER);
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + MAX_TRAILER_LEN, 0);
        let len = session.protect_rtcp(&mut buffer, plain.len()).expect("protected");
        assert_eq!(hex(&buffer[..len]), expected);
    }
}

fn protect_rtp(suite: Suite, master: &str) -> Vec<u8> {
    let mut buffer = plain_rtp();
    let len = buffer.len();
    buffer.resize(len + MAX_TRAILER_LEN, 0);
    let len = sender(suite, master).protect_rtp(&mut buffer, len).expect("protected");
    buffer.truncate(len);
    buffer
}

fn sender(suite: Suite, master: &str) -> Session {
    let policy = Policy::new(Streams::Ssrc(SSRC), suite, &from_hex(master)).expect("a key of the suite's length");
    Session::new(&[policy]).expect("a session")
}

fn plain_rtp() -> Vec<u8> {
    from_hex("800f1234decafbadcafebabeabababababababababababababababab")
}

/// Protects an RTP packet by RFC 3711 §4.1.1 and §4.2.1, with a rollover counter of zero.
fn by_the_book(cipher_key: &str, salt: &str, auth_key: &str, tag_len: usize) -> Vec<u8> {
    let mut packet = plain_rtp();
    let mut iv = [0_u8; 16];
    iv[4..8].copy_from_slice(&SSRC.to_be_bytes());
    iv[12..14].copy_from_slice(&packet[2..4]);
    iv.iter_mut().zip(from_hex(salt)).for_each(|(byte, salt)| *byte ^= salt);
    let sealed = counter_mode(&from_hex(cipher_key), &iv, &packet[12..]);
    packet.splice(12.., sealed);
    let key = PKey::hmac(&from_hex(auth_key)).expect("an HMAC key");
    let mut signer = Signer::new(MessageDigest::sha1(), &key).expect("HMAC-SHA1");
    signer.update(&packet).expect("data");
    signer.update(&[0; 4]).expect("the rollover counter");
    packet.extend_from_slice(&signer.sign_to_vec().expect("a tag")[..tag_len]);
    packet
}

/// Derives a session key by RFC 3711 §4.3.1 for AES-128, with a key derivation rate of zero.
fn derive(master: &str, label: u8, len: usize) -> Vec<u8> {
    let master = from_hex(master);
    let mut iv = [0_u8; 16];
    iv[..master.len() - 16].copy_from_slice(&master[16..]);
    iv[7] ^= label;
    counter_mode(&master[..16], &iv, &vec![0; len])
}

fn counter_mode(key: &[u8], iv: &[u8], data: &[u8]) -> Vec<u8> {
    let cipher = if key.len() == 16 { Cipher::aes_128_ctr() } else { Cipher::aes_256_ctr() };
    let mut out = vec![0; data.len() + 16];
    let mut crypter = Crypter::new(cipher, Mode::Encrypt, key, Some(iv)).expect("AES in counter mode");
    let len = crypter.update(data, &mut out).expect("encrypted");
    out.truncate(len);
    out
}

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
