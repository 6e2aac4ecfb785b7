//! Parsing and writing `a=crypto` lines (RFC 4568 §4, §6, §9).

use media_srtp::sdes::{
    CryptoAttribute, CryptoSuite, FecOrder, InlineKey, Lifetime, MasterKeyIdentifier, Refusal, SessionParam, Tag,
};
use media_srtp::{MasterKey, Suite};
use proptest::prelude::*;

/// The video line of the example in RFC 4568 §4.5.
const EXAMPLE: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32";

#[test]
fn rfc_4568_4_5_example() {
    let attribute = parse(EXAMPLE);
    assert_eq!(attribute.tag.to_string(), "1");
    assert_eq!(attribute.suite.suite(), Suite::AesCm128HmacSha1_80);
    let [key] = &attribute.keys[..] else { panic!("one key") };
    assert_eq!(key.master.as_bytes(), b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
    assert_eq!(key.lifetime, Some(Lifetime::PowerOfTwo(20)));
    assert_eq!(key.mki, MasterKeyIdentifier::new(1, 32));
    assert_eq!(attribute.to_sdp(), EXAMPLE);
    let audio = "1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32";
    assert_eq!(parse(audio).suite.suite(), Suite::AesCm128HmacSha1_32);
    assert_eq!(parse(audio).to_sdp(), audio);
}

#[test]
fn rfc_4568_6_1_the_identifier_may_come_without_a_lifetime() {
    let line = "1 AES_CM_128_HMAC_SHA1_80 inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2|1066:4";
    let key = &parse(line).keys[0];
    assert_eq!((key.lifetime, key.mki), (None, MasterKeyIdentifier::new(1066, 4)));
    assert_eq!(parse(line).to_sdp(), line);
}

#[test]
fn rfc_4568_7_1_5_example() {
    let line = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP";
    assert_eq!(parse(line).params, [SessionParam::FecOrder(FecOrder::FecSrtp)]);
    assert_eq!(parse(line).to_sdp(), line);
    let f8 = "2 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;\
              inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP";
    assert_eq!(CryptoAttribute::parse(f8), Err(Refusal::UnknownSuite("F8_128_HMAC_SHA1_80".to_owned())));
    let several = f8.replace("F8_128", "AES_CM_128");
    assert_eq!(parse(&several).keys.len(), 2);
    assert_eq!(parse(&several).to_sdp(), several);
}

#[test]
fn rfc_4568_9_1_white_space_case_and_padding_are_free() {
    let loose = " 0001\t aes_cm_128_hmac_sha1_80  INLINE:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32 \twsh=64 ";
    assert_eq!(parse(loose).to_sdp(), format!("{EXAMPLE} WSH=64"));
    let gcm = "1 AEAD_AES_128_GCM inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJ";
    for last in ["Q", "Q==", "R==", "f="] {
        assert_eq!(parse(&format!("{gcm}{last}")).to_sdp(), format!("{gcm}Q=="));
    }
}

#[test]
fn rfc_4568_6_3_session_parameters() {
    let params = "KDR=24 UNENCRYPTED_SRTP UNENCRYPTED_SRTCP UNAUTHENTICATED_SRTP FEC_ORDER=SRTP_FEC \
                  FEC_KEY=inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2|2^20|1:4 WSH=128";
    let line = format!("{EXAMPLE} {params}");
    assert_eq!(parse(&line).params.len(), 7);
    assert_eq!(parse(&line).to_sdp(), line);
    // §6.3.7: a parameter that starts with a dash may be ignored.
    assert_eq!(parse(&format!("{EXAMPLE} -X=inline:1 WSH=64")).params, [SessionParam::WindowSizeHint(64)]);
    for (param, refusal) in [
        ("KDR=0", Refusal::MalformedParam("KDR")),
        ("KDR=25", Refusal::MalformedParam("KDR")),
        ("WSH=63", Refusal::MalformedParam("WSH")),
        ("WSH=4294967296", Refusal::MalformedParam("WSH")),
        ("FEC_ORDER=FEC", Refusal::MalformedParam("FEC_ORDER")),
        ("FEC_KEY=inline:", Refusal::KeyLength { len: 0, expected: 40 }),
        ("UNENCRYPTED_SRTP=1", Refusal::UnknownParam),
        ("X", Refusal::UnknownParam),
    ] {
        assert_eq!(CryptoAttribute::parse(&format!("{EXAMPLE} {param}")), Err(refusal), "{param}");
    }
}

#[test]
fn rfc_6188_and_rfc_7714_suites_by_their_names() {
    for (name, characters, suite) in [
        ("AES_CM_128_HMAC_SHA1_80", 40, Suite::AesCm128HmacSha1_80),
        ("AES_CM_128_HMAC_SHA1_32", 40, Suite::AesCm128HmacSha1_32),
        ("AES_256_CM_HMAC_SHA1_80", 62, Suite::AesCm256HmacSha1_80),
        ("AES_256_CM_HMAC_SHA1_32", 62, Suite::AesCm256HmacSha1_32),
        ("AES_CM_256_HMAC_SHA1_80", 62, Suite::AesCm256HmacSha1_80),
        ("AES_CM_256_HMAC_SHA1_32", 62, Suite::AesCm256HmacSha1_32),
        ("AEAD_AES_128_GCM", 38, Suite::AeadAes128Gcm),
        ("AEAD_AES_256_GCM", 59, Suite::AeadAes256Gcm),
    ] {
        let attribute = parse(&format!("7 {name} inline:{}", "A".repeat(characters)));
        assert_eq!((attribute.suite.suite(), attribute.suite.name()), (suite, name));
        assert_eq!(attribute.keys[0].master.as_bytes().len(), suite.key_len() + suite.salt_len());
        let short = format!("7 {name} inline:{}", "A".repeat(characters - 1));
        let refusal = Refusal::KeyLength { len: characters - 1, expected: characters };
        assert_eq!(CryptoAttribute::parse(&short), Err(refusal));
    }
}

#[test]
fn a_line_that_breaks_the_grammar_is_refused_with_the_reason() {
    let key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    for (line, refusal) in [
        (String::new(), Refusal::Missing("tag")),
        ("1".to_owned(), Refusal::Missing("crypto-suite")),
        ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), Refusal::Missing("key")),
        (format!("-1 AES_CM_128_HMAC_SHA1_80 {key}"), Refusal::Tag),
        (format!("1000000000 AES_CM_128_HMAC_SHA1_80 {key}"), Refusal::Tag),
        (format!("1 AES-CM {key}"), Refusal::Suite),
        (format!("1 {key} {key}"), Refusal::Suite),
        (format!("1 {} {key}", "A".repeat(33)), Refusal::Suite),
        ("1 AES_CM_128_HMAC_SHA1_80 inline".to_owned(), Refusal::KeyMethod),
        ("1 AES_CM_128_HMAC_SHA1_80 uri:x".to_owned(), Refusal::KeyMethod),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key};"), Refusal::KeyMethod),
        (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", "*".repeat(40)), Refusal::KeyEncoding),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|"), Refusal::Lifetime),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|0"), Refusal::Lifetime),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|+1"), Refusal::Lifetime),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^49"), Refusal::Lifetime),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|281474976710657"), Refusal::Lifetime),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:4|2^20"), Refusal::Lifetime),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1"), Refusal::MalformedKeyIdentifier),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|0:1"), Refusal::MalformedKeyIdentifier),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:0"), Refusal::MalformedKeyIdentifier),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:129"), Refusal::MalformedKeyIdentifier),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|256:1"), Refusal::MalformedKeyIdentifier),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:4|1:4"), Refusal::MalformedKeyIdentifier),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key};{key}"), Refusal::AmbiguousKeys),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:4;{key}"), Refusal::AmbiguousKeys),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:4;{key}|1:4"), Refusal::AmbiguousKeys),
        (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:4;{key}|2:5"), Refusal::AmbiguousKeys),
        (format!("{EXAMPLE}{}", " WSH=64".repeat(150)), Refusal::TooLong(1133)),
    ] {
        assert_eq!(CryptoAttribute::parse(&line), Err(refusal), "{line}");
    }
}

#[test]
fn keys_are_in_no_debug_output_and_in_no_refusal() {
    let shown = format!("{:?}", parse(EXAMPLE));
    assert!(!["d0Rm", "wDfv", "119, 68"].iter().any(|secret| shown.contains(secret)), "{shown}");
    let refusal = CryptoAttribute::parse("1 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj x").expect_err("no suite");
    assert!(!format!("{refusal} {refusal:?}").contains("d0Rm"));
}

proptest! {
    #[test]
    fn a_line_is_read_as_it_was_written(attribute in attributes()) {
        prop_assert_eq!(CryptoAttribute::parse(&attribute.to_sdp()), Ok(attribute));
    }

    #[test]
    fn parsing_any_line_twice_gives_equal_results(line in "[ -~]{0,80}", cut in 0..EXAMPLE.len()) {
        media_srtp::fuzzing::crypto_lines(line.as_bytes());
        media_srtp::fuzzing::crypto_lines(format!("{}{line}", &EXAMPLE[..cut]).as_bytes());
    }
}

fn attributes() -> impl Strategy<Value = CryptoAttribute> {
    prop::sample::select(&Suite::ALL[..]).prop_flat_map(|suite| {
        let params = prop::collection::vec(params(suite), 0..3);
        (0..=Tag::MAX, keys(suite), params).prop_map(move |(tag, keys, params)| CryptoAttribute {
            tag: Tag::new(tag).expect("in range"),
            suite: CryptoSuite::registered(suite),
            keys,
            params,
        })
    })
}

/// One key with or without an identifier, or three keys with identifiers.
fn keys(suite: Suite) -> impl Strategy<Value = Vec<InlineKey>> {
    let one = (key(suite), prop::option::of((1..=u64::MAX, 8..=128_u8))).prop_map(|(key, mki)| {
        let mki = mki.map(|(value, len)| MasterKeyIdentifier::new(value, len).expect("it fits"));
        vec![InlineKey { mki, ..key }]
    });
    let three = (prop::collection::vec(key(suite), 3), 1..=128_u8).prop_map(|(keys, len)| {
        let told_apart = keys
            .into_iter()
            .zip(1..)
            .map(|(key, value)| InlineKey { mki: MasterKeyIdentifier::new(value, len), ..key });
        told_apart.collect()
    });
    prop_oneof![one, three]
}

fn key(suite: Suite) -> impl Strategy<Value = InlineKey> {
    let lifetime =
        prop_oneof![(0..=48_u8).prop_map(Lifetime::PowerOfTwo), (1..=1_u64 << 48).prop_map(Lifetime::Packets)];
    let master = prop::collection::vec(any::<u8>(), suite.master_len());
    (master, prop::option::of(lifetime)).prop_map(move |(master, lifetime)| InlineKey {
        master: MasterKey::new(suite, &master).expect("its length"),
        lifetime,
        mki: None,
    })
}

fn params(suite: Suite) -> impl Strategy<Value = SessionParam> {
    prop_oneof![
        (1..=24_u8).prop_map(SessionParam::KeyDerivationRate),
        Just(SessionParam::UnencryptedSrtp),
        Just(SessionParam::UnencryptedSrtcp),
        Just(SessionParam::UnauthenticatedSrtp),
        prop_oneof![Just(FecOrder::FecSrtp), Just(FecOrder::SrtpFec)].prop_map(SessionParam::FecOrder),
        keys(suite).prop_map(SessionParam::FecKey),
        (64..=u32::MAX).prop_map(SessionParam::WindowSizeHint),
    ]
}

fn parse(line: &str) -> CryptoAttribute {
    CryptoAttribute::parse(line).unwrap_or_else(|refusal| panic!("{line}: {refusal}"))
}
