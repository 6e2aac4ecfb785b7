//! The parts of a call's contexts that survive a change of keys.

use media_srtp::{Contexts, Error, MAX_TRAILER_LEN, Policy, Streams, Suite};

const OURS: u32 = 5;
const THEIRS: u32 = 6;

#[test]
fn a_long_call_is_heard_after_the_peer_changed_its_key() {
    let (mut we, mut peer) = pair();
    // Half an hour of packets, after which the rollover counter is 1.
    (65_530..=65_535).chain(0..3).for_each(|number| assert_heard(&mut we, &mut peer, number, OURS));
    // The peer has a new key. Its context for our packets is unchanged, as is our key.
    rekey(&mut we, 3, 1, OURS);
    rekey(&mut peer, 1, 3, THEIRS);
    assert_heard(&mut we, &mut peer, 3, OURS);
    assert_heard(&mut peer, &mut we, 1, THEIRS);
}

#[test]
fn rfc_3711_9_1_no_index_is_used_twice_with_one_key() {
    let (mut we, mut peer) = pair();
    let first = [protect_rtp(&mut we, 1, OURS).expect("protected"), protect_rtcp(&mut we, OURS).expect("protected")];
    rekey(&mut we, 3, 1, OURS);
    assert_eq!(protect_rtp(&mut we, 1, OURS), Err(Error::Replayed));
    let second = protect_rtcp(&mut we, OURS).expect("protected");
    assert_ne!(first[1], second);
    for mut packet in [first[1].clone(), second] {
        assert_eq!(peer.unprotect_rtcp(&mut packet), Ok(8));
    }
}

#[test]
fn a_new_key_begins_with_zero() {
    let (mut we, mut peer) = pair();
    (65_530..=65_535).chain(0..3).for_each(|number| assert_heard(&mut we, &mut peer, number, OURS));
    rekey(&mut we, 2, 4, OURS);
    rekey(&mut peer, 4, 2, THEIRS);
    assert_heard(&mut we, &mut peer, 3, OURS);
    let mut fresh = contexts(4, 9, 8);
    assert_heard(&mut we, &mut fresh, 4, OURS);
}

#[test]
fn a_policy_that_is_not_set_again_is_removed() {
    let (mut we, _) = pair();
    we.add_stream(policy(Streams::Ssrc(7), 1)).expect("a second source");
    protect_rtp(&mut we, 1, 7).expect("it has a policy");
    we.replace(policy(Streams::AnyInbound, 3)).expect("replaced");
    protect_rtp(&mut we, 1, OURS).expect("until somebody says what comes instead");
    we.add_stream(policy(Streams::Ssrc(OURS), 1)).expect("given again");
    assert_eq!(protect_rtp(&mut we, 2, 7), Err(Error::NoStream));
    protect_rtp(&mut we, 2, OURS).expect("goes on");
    we.replace(policy(Streams::Ssrc(7), 1)).expect("replaced");
    assert_eq!(protect_rtp(&mut we, 3, OURS), Err(Error::NoStream));
}

#[test]
fn a_source_goes_on_under_another_ssrc() {
    let (mut we, mut peer) = pair();
    we.change_source(OURS, OURS).expect("nothing to do");
    we.change_source(99, 100).expect("nothing to do");
    assert_heard(&mut we, &mut peer, 1, OURS);
    we.change_source(OURS, 7).expect("changed");
    assert_heard(&mut we, &mut peer, 2, 7);
    assert_eq!(protect_rtp(&mut we, 3, OURS), Err(Error::NoStream));
    assert_eq!(protect_rtp(&mut we, 3, 100), Err(Error::NoStream));
}

#[test]
fn a_second_wildcard_is_refused() {
    let (mut we, _) = pair();
    assert_eq!(we.add_stream(policy(Streams::AnyInbound, 3)), Err(Error::BadPolicy));
    assert_eq!(we.add_stream(policy(Streams::AnyOutbound, 3)), Err(Error::BadPolicy));
}

/// We send with key 1, the peer with key 2.
fn pair() -> (Contexts, Contexts) {
    (contexts(2, 1, OURS), contexts(1, 2, THEIRS))
}

fn contexts(inbound: u8, outbound: u8, ssrc: u32) -> Contexts {
    let mut contexts = Contexts::new(policy(Streams::AnyInbound, inbound)).expect("contexts");
    contexts.add_stream(policy(Streams::Ssrc(ssrc), outbound)).expect("a stream");
    contexts
}

/// Sets both keys as a host does, no matter which of them is new.
fn rekey(contexts: &mut Contexts, inbound: u8, outbound: u8, ssrc: u32) {
    contexts.replace(policy(Streams::AnyInbound, inbound)).expect("replaced");
    contexts.add_stream(policy(Streams::Ssrc(ssrc), outbound)).expect("a stream");
}

fn policy(streams: Streams, key: u8) -> Policy {
    Policy::new(streams, Suite::AesCm128HmacSha1_80, &[key; 30]).expect("30 bytes")
}

fn assert_heard(from: &mut Contexts, to: &mut Contexts, sequence_number: u16, ssrc: u32) {
    let mut packet = protect_rtp(from, sequence_number, ssrc).expect("protected");
    assert_eq!(to.unprotect_rtp(&mut packet), Ok(32));
}

fn protect_rtp(by: &mut Contexts, sequence_number: u16, ssrc: u32) -> Result<Vec<u8>, Error> {
    let mut packet = vec![0xd5; 32 + MAX_TRAILER_LEN];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    let len = by.protect_rtp(&mut packet, 32)?;
    packet.truncate(len);
    Ok(packet)
}

/// An empty receiver report.
fn protect_rtcp(by: &mut Contexts, ssrc: u32) -> Result<Vec<u8>, Error> {
    let mut packet = vec![0; 8 + MAX_TRAILER_LEN];
    packet[..4].copy_from_slice(&[0x80, 201, 0, 1]);
    packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
    let len = by.protect_rtcp(&mut packet, 8)?;
    packet.truncate(len);
    Ok(packet)
}
