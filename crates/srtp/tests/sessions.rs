//! Round trips, replays, wildcards, and initialising the library again.

use media_srtp::{Error, Library, MAX_TRAILER_LEN, Policy, Session, Streams, Suite};
use proptest::prelude::*;

#[test]
fn a_replayed_packet_is_refused_and_the_session_goes_on() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        // Enough packets to increase the rollover counter, which a new session would not know.
        for number in (65_000..=65_535).chain(0..2_000) {
            let packet = protected(&mut sender, number, 7);
            receiver.unprotect_rtp(&mut packet.clone()).expect("first sight");
            assert_eq!(receiver.unprotect_rtp(&mut packet.clone()), Err(Error::Replayed));
        }
        let old = protected(&mut pair(suite).0, 65_000, 7);
        assert_eq!(receiver.unprotect_rtp(&mut old.clone()), Err(Error::TooOld));
        let next = protected(&mut sender, 2_000, 7);
        assert_eq!(receiver.unprotect_rtp(&mut next.clone()), Ok(32));
    }
}

#[test]
fn late_packets_within_the_window_are_taken() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let packets: Vec<_> = (0..1_000).map(|number| protected(&mut sender, number, 7)).collect();
    for packet in packets.iter().rev() {
        assert_eq!(receiver.unprotect_rtp(&mut packet.clone()), Ok(32));
    }
}

#[test]
fn a_wildcard_takes_every_source_and_forgets_the_oldest() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let first = protected(&mut sender, 1, 0);
    assert_eq!(receiver.unprotect_rtp(&mut first.clone()), Ok(32));
    for ssrc in 1..10_000 {
        assert_eq!(receiver.unprotect_rtp(&mut protected(&mut sender, 1, ssrc)), Ok(32));
    }
    // Its replay list was removed to make room for another source.
    assert_eq!(receiver.unprotect_rtp(&mut first.clone()), Ok(32));
    assert_eq!(receiver.unprotect_rtp(&mut protected(&mut sender, 2, 9_999)), Ok(32));
}

#[test]
fn a_stream_is_added_replaced_and_removed() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut session = Session::new(&[]).expect("a session");
    let policy = policy(Streams::Ssrc(5), suite);
    let mut buffer = plain(1, 5);
    assert_eq!(session.protect_rtp(&mut buffer, 32), Err(Error::NoStream));
    session.add_stream(&policy).expect("added");
    assert_eq!(session.protect_rtp(&mut buffer, 32), Ok(42));
    assert_eq!(session.protect_rtp(&mut plain(1, 5), 32), Err(Error::Replayed));
    session.add_stream(&policy).expect("replaced");
    assert_eq!(session.protect_rtp(&mut plain(1, 5), 32), Ok(42));
    session.remove_stream(5).expect("removed");
    assert_eq!(session.protect_rtp(&mut plain(2, 5), 32), Err(Error::NoStream));
    assert_eq!(session.remove_stream(5), Err(Error::NoStream));
}

#[test]
fn a_second_wildcard_is_refused() {
    let mut session = pair(Suite::AesCm128HmacSha1_80).1;
    assert_eq!(session.add_stream(&policy(Streams::AnyInbound, Suite::AesCm128HmacSha1_80)), Err(Error::BadPolicy));
}

#[test]
fn an_update_keeps_the_rollover_counter() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut sender, mut receiver) = pair(suite);
    for number in [65_534, 65_535, 0, 1] {
        receiver.unprotect_rtp(&mut protected(&mut sender, number, 7)).expect("in order");
    }
    let key = [0x33; 30];
    sender.update(&Policy::new(Streams::AnyOutbound, suite, &key).expect("30 bytes")).expect("updated");
    receiver.update(&Policy::new(Streams::AnyInbound, suite, &key).expect("30 bytes")).expect("updated");
    assert_eq!(receiver.unprotect_rtp(&mut protected(&mut sender, 2, 7)), Ok(32));
}

#[test]
fn errors_say_whose_fault_it_is() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut sender, mut receiver) = pair(suite);
    assert_eq!(
        Policy::new(Streams::AnyInbound, suite, &[0; 29]).err(),
        Some(Error::KeyLength { len: 29, expected: 30 })
    );
    let mut buffer = plain(1, 7);
    assert_eq!(sender.protect_rtp(&mut buffer[..40], 32), Err(Error::BufferTooSmall { needed: 32 + MAX_TRAILER_LEN }));
    let mut forged = protected(&mut sender, 1, 7);
    forged[20] ^= 1;
    assert_eq!(receiver.unprotect_rtp(&mut forged), Err(Error::Authentication));
    for suite in Suite::ALL {
        let (_, mut receiver) = pair(suite);
        for len in 0..=12 + suite.rtp_tag_len() {
            let error = receiver.unprotect_rtp(&mut plain(1, 7)[..len]).expect_err("shorter than its tag");
            assert!(error.is_peers_fault(), "{suite:?} {len} {error}");
            let error = receiver.unprotect_rtcp(&mut plain(1, 7)[..len]).expect_err("shorter than its tag");
            assert!(error.is_peers_fault(), "{suite:?} {len} {error}");
        }
    }
}

#[test]
fn the_library_comes_back_after_it_was_shut_down() {
    for _ in 0..3 {
        let library = Library::open().expect("initialised");
        let (mut sender, mut receiver) = pair(Suite::AeadAes256Gcm);
        drop(library);
        assert_eq!(receiver.unprotect_rtp(&mut protected(&mut sender, 1, 7)), Ok(32));
    }
}

#[test]
fn debug_output_keeps_the_key_out() {
    assert!(!format!("{:?}", policy(Streams::Ssrc(1), Suite::AesCm128HmacSha1_80)).contains("90"));
}

proptest! {
    #[test]
    fn unprotect_undoes_protect(
        suite in prop::sample::select(&Suite::ALL[..]),
        payload in prop::collection::vec(any::<u8>(), 0..1400),
        sequence_number: u16,
        ssrc: u32,
    ) {
        let (mut sender, mut receiver) = pair(suite);
        let plain = [&header(sequence_number, ssrc)[..], &payload].concat();
        let mut buffer = with_room(&plain);
        let len = sender.protect_rtp(&mut buffer, plain.len()).expect("protected");
        prop_assert_eq!(len, plain.len() + suite.rtp_tag_len());
        let len = receiver.unprotect_rtp(&mut buffer[..len]).expect("unprotected");
        prop_assert_eq!(&buffer[..len], &plain[..]);
    }

    #[test]
    fn unprotect_rtcp_undoes_protect_rtcp(
        suite in prop::sample::select(&Suite::ALL[..]),
        words in 0_usize..200,
        ssrc: u32,
    ) {
        let (mut sender, mut receiver) = pair(suite);
        let mut plain = vec![0x81, 201, 0, 0];
        plain.extend_from_slice(&ssrc.to_be_bytes());
        plain.resize(8 + 4 * words, 0x77);
        let mut buffer = with_room(&plain);
        let len = sender.protect_rtcp(&mut buffer, plain.len()).expect("protected");
        prop_assert_eq!(len, plain.len() + 4 + suite.rtcp_tag_len());
        prop_assert!(receiver.unprotect_rtcp(&mut buffer.clone()[..len - 1]).is_err());
        let len = receiver.unprotect_rtcp(&mut buffer[..len]).expect("unprotected");
        prop_assert_eq!(&buffer[..len], &plain[..]);
    }

    #[test]
    fn any_packet_without_the_key_is_refused(input in prop::collection::vec(any::<u8>(), 0..300)) {
        media_srtp::fuzzing::unprotect(&input);
    }

    #[test]
    fn strangers_bytes_are_refused_and_change_nothing(
        suite in prop::sample::select(&Suite::ALL[..]),
        mut garbage in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (mut sender, mut receiver) = pair(suite);
        receiver.unprotect_rtp(&mut protected(&mut sender, 1, 7)).expect("the first packet");
        prop_assert!(receiver.unprotect_rtp(&mut garbage).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut garbage).is_err());
        prop_assert_eq!(receiver.unprotect_rtp(&mut protected(&mut sender, 2, 7)), Ok(32));
    }
}

fn pair(suite: Suite) -> (Session, Session) {
    let session = |streams| Session::new(&[policy(streams, suite)]).expect("a session");
    (session(Streams::AnyOutbound), session(Streams::AnyInbound))
}

fn policy(streams: Streams, suite: Suite) -> Policy {
    let key: Vec<u8> = (0x90..).take(suite.master_len()).collect();
    Policy::new(streams, suite, &key).expect("a key of the suite's length")
}

fn protected(sender: &mut Session, sequence_number: u16, ssrc: u32) -> Vec<u8> {
    let mut buffer = plain(sequence_number, ssrc);
    let len = sender.protect_rtp(&mut buffer, 32).expect("protected");
    buffer.truncate(len);
    buffer
}

/// A packet of 32 bytes in a buffer with room for the trailer.
fn plain(sequence_number: u16, ssrc: u32) -> Vec<u8> {
    with_room(&[&header(sequence_number, ssrc)[..], &[0xd5; 20]].concat())
}

fn with_room(packet: &[u8]) -> Vec<u8> {
    [packet, &[0; MAX_TRAILER_LEN]].concat()
}

fn header(sequence_number: u16, ssrc: u32) -> [u8; 12] {
    let mut header = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    header[8..].copy_from_slice(&ssrc.to_be_bytes());
    header
}
