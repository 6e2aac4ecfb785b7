use super::*;
use crate::Role;
use crate::message::Answer;
use crate::testing::{Bench, OURS, THEIRS, addr};

#[test]
fn rfc7675_5_1_consent_is_asked_for_every_four_to_six_seconds_in_new_transactions() {
    let mut bench = Bench::single(Role::Controlled);
    bench.select(THEIRS);
    let (mut ids, mut last) = (Vec::new(), bench.now);
    for _ in 0..1000 {
        bench.wait(100);
        for sent in bench.sent() {
            let pause = bench.now - last;
            assert!(ids.is_empty() || pause >= Duration::from_secs(4) - Duration::from_millis(100), "{pause:?}");
            assert!(pause <= Duration::from_secs(6) + Duration::from_millis(100), "{pause:?}");
            assert!(!ids.contains(&sent.id) && !sent.attributes.use_candidate);
            (last, _) = (bench.now, ids.push(sent.id));
            bench.answer(&sent).unwrap();
        }
    }
    assert!(ids.len() >= 16);
    assert!(bench.agent.selected(Component::Rtp).is_some());
}

#[test]
fn rfc7675_5_1_consent_ends_thirty_seconds_after_the_last_answer() {
    let mut bench = Bench::single(Role::Controlled);
    bench.select(THEIRS);
    bench.wait(10_000);
    let sent = bench.sent();
    bench.answer(sent.last().unwrap()).unwrap();
    bench.wait(29_999);
    assert_eq!(bench.events(), []);
    assert!(bench.agent.selected(Component::Rtp).is_some());
    bench.wait(1);
    assert_eq!(bench.events(), [Event::ConsentLost { component: Component::Rtp }]);
    assert_eq!(bench.agent.selected(Component::Rtp), None);
    assert!(!bench.agent.is_valid_path(&Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) }));
}

#[test]
fn a_late_answer_to_an_earlier_question_is_consent() {
    let mut bench = Bench::single(Role::Controlled);
    bench.select(THEIRS);
    bench.wait(20_000);
    let sent = bench.sent();
    assert!(sent.len() >= 3);
    bench.answer(&sent[0]).unwrap();
    bench.wait(25_000);
    assert_eq!(bench.events(), []);
}

#[test]
fn refusals_strangers_and_the_peers_own_checks_are_no_consent() {
    let mut bench = Bench::single(Role::Controlled);
    bench.select(THEIRS);
    for _ in 0..7 {
        bench.wait(4300);
        for sent in bench.sent() {
            let forged = {
                let right = std::mem::replace(&mut bench.peer, bench.agent.local.clone());
                let bytes = bench.answer_bytes(&sent, Answer::Success(addr(OURS)));
                bench.peer = right;
                bytes
            };
            assert_eq!(bench.deliver(THEIRS, &forged), Err(Error::BadIntegrity));
            bench.answer_with(&sent, Answer::UnknownAttribute(1)).unwrap();
        }
        bench.check(THEIRS, false).unwrap();
    }
    assert_eq!(bench.events(), [Event::ConsentLost { component: Component::Rtp }]);
}

#[test]
fn a_peer_that_comes_back_after_consent_was_lost_is_taken_back() {
    let mut bench = Bench::single(Role::Controlled);
    bench.select(THEIRS);
    bench.wait(40_000);
    bench.sent();
    bench.check(THEIRS, true).unwrap();
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    assert!(bench.agent.selected(Component::Rtp).is_some());
}

#[test]
fn a_role_conflict_found_out_by_a_consent_check_costs_no_consent() {
    let mut bench = Bench::single(Role::Controlled);
    bench.select(THEIRS);
    bench.wait(6000);
    let sent = bench.sent();
    bench.answer_with(&sent[0], Answer::RoleConflict).unwrap();
    assert_eq!(bench.agent.role(), Role::Controlling);
    assert_eq!(bench.answer_with(&sent[0], Answer::RoleConflict), Ok(()));
    assert_eq!(bench.agent.role(), Role::Controlling, "it was asked in the old role");
    bench.wait(1000);
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    bench.wait(29_000);
    assert!(bench.agent.selected(Component::Rtp).is_some());
}

#[test]
fn a_call_on_hold_goes_on_along_another_pair_that_works_when_the_selected_one_dies() {
    let mut bench = Bench::single(Role::Controlling);
    let (dead, other) = ("198.51.100.3:20000", "198.51.100.2:20000");
    bench.select(THEIRS);
    for pair in [dead, other] {
        bench.check(pair, false).unwrap();
        let sent = bench.sent();
        bench.answer(&sent[0]).unwrap();
    }
    bench.wait(40_000);
    assert_eq!(bench.events(), [Event::ConsentLost { component: Component::Rtp }]);
    assert_eq!(bench.agent.selected(Component::Rtp), None, "the peer's silence is no consent");
    bench.sent();

    bench.check(other, false).unwrap();
    for _ in 0..20 {
        bench.wait(50);
        for sent in bench.sent().iter().filter(|sent| sent.path.remote == addr(other)) {
            bench.answer(sent).unwrap();
        }
    }
    assert_eq!(bench.agent.selected(Component::Rtp).map(|path| path.remote), Some(addr(other)));
    assert!(matches!(bench.events()[..], [Event::Selected { .. }]));
}
