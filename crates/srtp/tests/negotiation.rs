//! Negotiations of two sides with each other's `a=crypto` lines (RFC 4568 §5.1, §7.1).

use media_srtp::sdes::{Keys, Negotiation, Refusal, Tag};
use media_srtp::{MAX_TRAILER_LEN, MasterKey, Policy, Session, Streams, Suite};

#[test]
fn an_offer_and_its_answer_key_both_directions_of_rtp_and_rtcp() {
    for suite in Suite::ALL {
        let (mut caller, mut callee) = (Negotiation::new(), Negotiation::new());
        caller.offer(&[suite], fill(1));
        let at_callee = hear(&mut callee, &line(&caller), 2).expect("an offer").expect("keys");
        let at_caller = hear(&mut caller, &line(&callee), 3).expect("an answer").expect("keys");
        assert_media_flows(&at_caller, &at_callee);
        assert_media_flows(&at_callee, &at_caller);
    }
}

#[test]
fn rfc_4568_5_1_2_the_first_acceptable_line_of_an_offer_is_answered() {
    let offer = [
        "1 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm",
        "2 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31|1:1",
        "3 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31 UNENCRYPTED_SRTCP",
        "4 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^31 WSH=128 FEC_ORDER=FEC_SRTP",
        "5 AES_CM_128_HMAC_SHA1_80 inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2",
    ];
    let mut ours = Negotiation::new();
    let heard: Vec<_> = offer[..3].iter().map(|line| hear(&mut ours, line, 1).expect_err("not acceptable")).collect();
    let refusals = [
        Refusal::UnknownSuite("F8_128_HMAC_SHA1_80".to_owned()),
        Refusal::KeyIdentifier,
        Refusal::UnsupportedParam("UNENCRYPTED_SRTCP"),
    ];
    assert_eq!(heard, refusals);
    assert_eq!(ours.lines().count(), 0);
    hear(&mut ours, offer[3], 1).expect("acceptable").expect("keys");
    assert_eq!(line(&ours), format!("4 AES_CM_128_HMAC_SHA1_32 inline:{}", "AQEB".repeat(10)));
}

#[test]
fn an_answer_repeats_the_draft_name_that_was_offered() {
    let mut ours = Negotiation::new();
    let offer = format!("9 AES_CM_256_HMAC_SHA1_80 inline:{}", "A".repeat(62));
    hear(&mut ours, &offer, 1).expect("acceptable").expect("keys");
    assert!(line(&ours).starts_with("9 AES_CM_256_HMAC_SHA1_80 inline:"));
}

#[test]
fn rfc_4568_5_1_3_an_answer_takes_a_line_that_was_offered() {
    let mut ours = Negotiation::new();
    ours.offer(&[Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80], fill(1));
    assert_eq!(ours.lines().count(), 2);
    let gcm = format!("AEAD_AES_256_GCM inline:{}", "A".repeat(59));
    let cm = format!("AES_CM_128_HMAC_SHA1_80 inline:{}", "A".repeat(40));
    let third = Tag::new(3).expect("a tag");
    assert_eq!(hear(&mut ours, &format!("3 {cm}"), 2).expect_err("no such line"), Refusal::NotOffered(third));
    let other = Refusal::OtherSuite {
        tag: Tag::new(2).expect("a tag"),
        offered: "AES_CM_128_HMAC_SHA1_80",
        answered: "AEAD_AES_256_GCM",
    };
    assert_eq!(hear(&mut ours, &format!("2 {gcm}"), 2).expect_err("another suite"), other);
    let offered = ours.lines().nth(1).expect("a second line");
    let keys = hear(&mut ours, &format!("2 {cm}"), 2).expect("offered").expect("keys");
    assert_eq!(keys.suite, Suite::AesCm128HmacSha1_80);
    assert_eq!((keys.local.as_bytes(), keys.remote.as_bytes()), (&[1; 30][..], &[0; 30][..]));
    assert_eq!(ours.lines().collect::<Vec<_>>(), [offered]);
}

#[test]
fn rfc_4568_7_1_4_a_repeated_key_is_no_change() {
    let (mut caller, mut callee) = (Negotiation::new(), Negotiation::new());
    caller.offer(&[Suite::AesCm128HmacSha1_80], fill(1));
    hear(&mut callee, &line(&caller), 2).expect("an offer").expect("keys");
    hear(&mut caller, &line(&callee), 3).expect("an answer").expect("keys");
    let agreed = (line(&caller), line(&callee));
    // Our hold, a session timer, and the peer's hold.
    caller.offer(&[Suite::AesCm128HmacSha1_80], fill(4));
    assert!(hear(&mut callee, &agreed.0, 5).expect("a re-offer").is_none());
    assert!(hear(&mut caller, &agreed.1, 6).expect("its answer").is_none());
    assert_eq!((line(&caller), line(&callee)), agreed);
    // Each offer may use different tags.
    assert!(hear(&mut caller, &agreed.1.replacen('1', "5", 1), 7).expect("a re-offer").is_none());
    assert_eq!(line(&caller), agreed.0.replacen('1', "5", 1));
}

#[test]
fn rfc_4568_7_1_4_a_changed_key_is_a_rekey_and_ours_stays() {
    let mut ours = Negotiation::new();
    let offer = |key: char| format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", key.to_string().repeat(40));
    hear(&mut ours, &offer('A'), 1).expect("an offer").expect("keys");
    let before = line(&ours);
    hear(&mut ours, &offer('B'), 2).expect("a re-offer").expect("keys");
    assert_eq!(line(&ours), before);
    assert!(hear(&mut ours, &offer('B'), 3).expect("the same").is_none());
    let gcm = format!("1 AEAD_AES_128_GCM inline:{}", "A".repeat(38));
    hear(&mut ours, &gcm, 4).expect("another suite").expect("keys");
    assert_eq!(line(&ours), format!("1 AEAD_AES_128_GCM inline:{}BAQEBA==", "BAQE".repeat(8)));
}

#[test]
fn rfc_4568_7_1_4_keys_remain_when_a_new_offer_comes_to_nothing() {
    let mut ours = Negotiation::new();
    let offer = |key: char| format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", key.to_string().repeat(40));
    hear(&mut ours, &offer('A'), 1).expect("an offer").expect("keys");
    drop(ours.consider(&offer('B'), fill(2)).expect("acceptable"));
    assert!(hear(&mut ours, &offer('A'), 3).expect("as before").is_none());
}

#[test]
fn rfc_4568_7_3_another_branch_of_a_forked_call_may_take_another_line() {
    let mut ours = Negotiation::new();
    ours.offer(&[Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm], fill(1));
    let offered: Vec<_> = ours.lines().collect();
    let (cm, gcm) = ("A".repeat(40), "A".repeat(38));
    let answer = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{cm}");
    hear(&mut ours, &answer, 2).expect("one branch").expect("keys");
    let answer = format!("2 AEAD_AES_128_GCM inline:{gcm}");
    hear(&mut ours, &answer, 3).expect("the other").expect("keys");
    assert_eq!(line(&ours), offered[1]);
    // A line that was agreed and replaced is not accepted again: its rollover counter is gone.
    let answer = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{cm}");
    hear(&mut ours, &answer, 4).expect("an offer").expect("keys");
    assert_ne!(line(&ours), offered[0]);
}

#[test]
fn keys_are_in_no_debug_output() {
    let mut ours = Negotiation::new();
    ours.offer(&[Suite::AesCm128HmacSha1_80], fill(b'k'));
    let answer = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", "a2tr".repeat(10));
    let accepted = ours.consider(&answer, fill(b'k')).expect("an answer");
    let shown = format!("{ours:?} {accepted:?} {:?}", accepted.keys());
    assert!(!["kkk", "a2tr", "107, 107"].iter().any(|secret| shown.contains(secret)), "{shown}");
}

/// Writes keys that consist of this byte.
fn fill(byte: u8) -> impl FnMut(&mut [u8]) {
    move |key| key.fill(byte)
}

fn hear(ours: &mut Negotiation, line: &str, random: u8) -> Result<Option<Keys>, Refusal> {
    let accepted = ours.consider(line, fill(random))?;
    let keys = accepted.keys();
    ours.conclude(accepted);
    Ok(keys)
}

/// Our only line.
fn line(ours: &Negotiation) -> String {
    let lines: Vec<_> = ours.lines().collect();
    assert_eq!(lines.len(), 1);
    lines.concat()
}

fn assert_media_flows(from: &Keys, to: &Keys) {
    let session = |streams, suite, key: &MasterKey| {
        let policy = Policy::new(streams, suite, key.as_bytes()).expect("a key of the suite's length");
        Session::new(&[policy]).expect("a session")
    };
    let mut sender = session(Streams::AnyOutbound, from.suite, &from.local);
    let mut receiver = session(Streams::AnyInbound, to.suite, &to.remote);
    let mut packet = [0x80; 32 + MAX_TRAILER_LEN];
    let len = sender.protect_rtp(&mut packet, 32).expect("protected");
    assert_eq!(receiver.unprotect_rtp(&mut packet[..len]), Ok(32));
    let len = sender.protect_rtcp(&mut packet, 32).expect("protected");
    assert_eq!(receiver.unprotect_rtcp(&mut packet[..len]), Ok(32));
}
