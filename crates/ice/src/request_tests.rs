use stun_types::message::IntegrityAlgorithm;

use super::*;

use crate::Event;
use crate::outgoing::MAX_OUTGOING;
use crate::testing::{Bench, OURS, THEIRS, addr};

#[test]
fn rfc8445_7_2_2_a_check_names_the_peer_first_and_carries_its_attributes() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let (path, bytes) = bench.transmits().remove(0);
    assert_eq!(path, Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) });
    let message = crate::message::parse(&bytes).unwrap();
    assert_eq!(username(&message).unwrap(), ("h6vY".into(), "evtj".into()));
    assert!(authenticate(&message, &bench.peer.key).is_ok());
    let CheckAttributes { priority, role, use_candidate, .. } = CheckAttributes::of(&message);
    assert_eq!(priority, Some(110 << 24 | 65535 << 8 | 255), "of a peer-reflexive candidate (§7.1.1)");
    assert_eq!(role, Some((Role::Controlling, 0x8000)));
    assert!(!use_candidate, "regular nomination begins without");
}

#[test]
fn rfc8445_14_2_the_first_check_goes_at_once_and_the_others_at_ta() {
    let mut bench = Bench::new(Role::Controlling);
    for n in 1..=4 {
        bench.agent.add_remote_candidate(
            bench.now,
            crate::Candidate {
                foundation: n.to_string(),
                ..crate::testing::remote(Component::Rtp, &format!("198.51.100.1:{n}"), 5 - n)
            },
        );
    }
    assert_eq!(bench.sent().len(), 1);
    bench.wait(49);
    assert_eq!(bench.sent().len(), 0);
    bench.wait(1);
    assert_eq!(bench.sent().len(), 1);
    bench.wait(100);
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|sent| sent.path.remote.port()).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn rfc8445_7_3_an_answer_leaves_by_the_way_the_check_came_in() {
    let mut bench = Bench::new(Role::Controlled);
    let arrived =
        Path { component: Component::Rtp, local: addr("0.0.0.0:10000"), remote: addr("[::ffff:198.51.100.1]:20000") };
    let bytes = bench.request("evtj", false);
    bench.agent.handle_stun(bench.now, arrived, &bytes).unwrap();
    let transmits = bench.transmits();
    assert_eq!(transmits[0].0, arrived);
    let answer = crate::message::parse(&transmits[0].1).unwrap();
    assert_eq!(crate::message::mapped_address(&answer).unwrap(), addr("198.51.100.1:20000"));
    // The triggered check leaves from the candidate that the request must have been sent to.
    assert_eq!(transmits[1].0, Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) });
}

#[test]
fn rfc8445_7_3_1_3_an_unknown_source_is_peer_reflexive() {
    let mut bench = Bench::new(Role::Controlled);
    bench.check(THEIRS, false).unwrap();
    let learned = &bench.agent.remote_candidates()[0];
    assert_eq!(
        (learned.addr, learned.kind, learned.priority),
        (addr(THEIRS), CandidateKind::PeerReflexive, 0x6e00_01ff)
    );
}

#[test]
fn a_candidate_signalled_after_it_was_learned_has_the_signalled_priority() {
    let mut bench = Bench::new(Role::Controlled);
    bench.check(THEIRS, false).unwrap();
    bench.add_remote(THEIRS);
    assert_eq!(bench.agent.remote_candidates().len(), 1);
    assert_eq!(bench.agent.remote_candidates()[0].priority, 0x7e00_00ff);
    assert_eq!(bench.agent.checklist.iter().next().unwrap().remote_priority, 0x7e00_00ff);
}

#[test]
fn rfc8445_7_3_1_4_a_check_triggers_ours_before_the_ordinary_ones() {
    let mut bench = Bench::new(Role::Controlled);
    bench.add_remote("198.51.100.9:9");
    bench.sent();
    bench.add_remote("198.51.100.8:8");
    bench.check(THEIRS, false).unwrap();
    bench.wait(50);
    assert_eq!(bench.sent()[0].path.remote, addr(THEIRS));
}

#[test]
fn rfc8445_7_3_1_4_a_failed_pair_is_tried_again_when_the_peer_checks_it() {
    let mut bench = Bench::new(Role::Controlled);
    bench.add_remote(THEIRS);
    let sent = bench.sent()[0];
    bench.answer_with(&sent, Answer::UnknownAttribute(1)).unwrap();
    bench.wait(5000);
    assert_eq!(bench.sent(), []);
    bench.check(THEIRS, false).unwrap();
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn strangers_change_nothing_and_get_no_answer() {
    let mut bench = Bench::new(Role::Controlled);
    let good = bench.request("evtj", true);
    let for_another = bench.request("xxxx", true);
    let mut forged = good.clone();
    let last = forged.len() - 9; // a byte of MESSAGE-INTEGRITY, which is why FINGERPRINT is left out
    forged[last] ^= 1;
    forged.truncate(forged.len() - 8);
    let len = forged.len() as u16 - 20;
    forged[2..4].copy_from_slice(&len.to_be_bytes());
    assert_eq!(bench.deliver(THEIRS, &for_another), Err(Error::UnknownUsername));
    assert_eq!(bench.deliver(THEIRS, &forged), Err(Error::BadIntegrity));
    assert_eq!(bench.deliver(THEIRS, &good[..40]), Err(Error::Malformed));
    assert_eq!(bench.deliver(THEIRS, b"not stun at all, whatever it may be"), Err(Error::Malformed));
    assert_eq!(
        bench.deliver(THEIRS, &[0x00, 0x03, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        Err(Error::NotBinding(3))
    );
    let elsewhere = Path { component: Component::Rtp, local: addr("203.0.113.7:10000"), remote: addr(THEIRS) };
    assert_eq!(bench.agent.handle_stun(bench.now, elsewhere, &good), Err(Error::UnknownLocalAddress));
    assert_eq!(bench.transmits().len(), 0);
    assert_eq!(bench.agent.remote_candidates(), []);
    assert_eq!(bench.agent.checklist.iter().count(), 0);
    let counters = bench.agent.counters();
    assert_eq!((counters.unknown_username, counters.bad_integrity, counters.malformed), (1, 1, 2));
    assert_eq!((counters.not_binding, counters.unknown_local_address, counters.requests), (1, 1, 0));
}

#[test]
fn an_indication_is_a_keepalive_and_means_nothing() {
    let mut bench = Bench::new(Role::Controlled);
    let mut indication = vec![0x00, 0x11, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42];
    indication.extend([9; 12]);
    assert_eq!(bench.deliver(THEIRS, &indication), Ok(()));
    assert!(!bench.agent.is_valid_path(&Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) }));
    assert_eq!(bench.transmits().len(), 0);
}

#[test]
fn rfc8489_6_3_1_an_unknown_attribute_that_must_be_understood_is_named() {
    let mut bench = Bench::new(Role::Controlled);
    let mut buf = [0; crate::MAX_DATAGRAM];
    let ours = Keyed::from(bench.agent.local_credentials().clone());
    let mut message = Message::builder(
        stun_types::message::MessageType::from_class_method(
            stun_types::message::MessageClass::Request,
            stun_types::message::BINDING,
        ),
        1.into(),
        stun_types::message::MessageWriteMutSlice::new(&mut buf),
    );
    use stun_types::attribute::RawAttribute;
    use stun_types::message::{MessageWrite, MessageWriteExt};
    message.add_attribute(&RawAttribute::new(0x0006.into(), b"evtj:h6vY")).unwrap();
    message.add_attribute(&RawAttribute::new(0x7abc.into(), b"")).unwrap();
    message.add_message_integrity_with_key(&ours.key, IntegrityAlgorithm::Sha1).unwrap();
    let len = message.finish();
    assert_eq!(bench.deliver(THEIRS, &buf[..len]), Err(Error::UnknownAttribute(0x7abc)));
    assert_eq!(bench.answers()[0].1, 420);
    assert_eq!(bench.agent.remote_candidates(), []);
}

#[test]
fn a_check_makes_a_path_valid_before_our_own_is_answered() {
    let mut bench = Bench::new(Role::Controlled);
    let path = Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) };
    assert!(!bench.agent.is_valid_path(&path));
    bench.check(THEIRS, false).unwrap();
    assert!(bench.agent.is_valid_path(&path));
    assert!(bench.agent.is_valid_path(&Path { local: addr("0.0.0.0:10000"), ..path }));
    assert!(!bench.agent.is_valid_path(&Path { remote: addr("198.51.100.1:20001"), ..path }));
    assert!(!bench.agent.is_valid_path(&Path { component: Component::Rtcp, ..path }));
    assert_eq!(bench.agent.selected(Component::Rtp), None);
}

#[test]
fn early_checks_are_answered_held_and_paired_later() {
    let mut bench = Bench::idle(Role::Controlled);
    bench.check(THEIRS, true).unwrap();
    bench.check(THEIRS, false).unwrap();
    assert_eq!(bench.answers().len(), 2);
    assert_eq!(bench.agent.counters().early, 1);
    bench.agent.start(bench.now);
    assert_eq!(bench.sent(), []);
    let credentials = bench.peer.credentials.clone();
    bench.agent.set_remote_credentials(bench.now, credentials);
    let sent = bench.sent();
    assert_eq!(sent[0].path.remote, addr(THEIRS));
    bench.answer(&sent[0]).unwrap();
    assert!(matches!(bench.events()[..], [Event::Selected { .. }]), "the nomination was early, too");
}

#[test]
fn an_early_check_of_another_than_the_peer_is_not_paired() {
    let mut bench = Bench::idle(Role::Controlled);
    bench.check(THEIRS, true).unwrap();
    bench.agent.start(bench.now);
    let fork = Credentials { ufrag: "fork".into(), ..bench.peer.credentials.clone() };
    bench.agent.set_remote_credentials(bench.now, fork);
    assert_eq!(bench.sent(), []);
}

#[test]
fn an_authenticated_peer_cannot_make_memory_grow() {
    for started in [false, true] {
        let mut bench = if started { Bench::new(Role::Controlled) } else { Bench::idle(Role::Controlled) };
        for n in 0..5000u32 {
            bench.check(&format!("198.51.{}.{}:{}", n % 251, n / 251 % 251, n % 60000 + 1), true).unwrap();
            bench.wait(7);
        }
        assert!(bench.agent.remotes.len() <= MAX_REMOTE_CANDIDATES);
        assert!(bench.agent.checklist.iter().count() <= crate::checklist::MAX_PAIRS);
        assert!(bench.agent.early.len() <= MAX_EARLY_CHECKS);
        assert!(bench.agent.outgoing.len() <= MAX_OUTGOING);
        assert!(bench.agent.counters().over_limit > 0);
    }
}

use crate::Credentials;
