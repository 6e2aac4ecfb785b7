use super::*;
use crate::message::Answer;
use crate::testing::{Bench, OURS, THEIRS, addr, remote};

const BETTER: &str = "198.51.100.2:20000";

fn selected(bench: &Bench) -> Option<std::net::SocketAddr> {
    bench.agent.selected(Component::Rtp).map(|path| path.remote)
}

/// Adds a remote candidate for each address, with rising priority.
fn candidates(bench: &mut Bench, addrs: &[&str]) {
    for (n, text) in addrs.iter().enumerate() {
        let mut candidate = remote(Component::Rtp, text, 0x7e00_00ff + n as u32 * 256);
        candidate.foundation = n.to_string();
        bench.agent.add_remote_candidate(bench.now, candidate);
    }
}

#[test]
fn rfc8445_8_1_1_the_only_pair_is_nominated_at_once() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    bench.wait(50);
    let nomination = bench.sent();
    assert!(nomination[0].attributes.use_candidate);
    assert_ne!(nomination[0].id, sent[0].id);
    assert_eq!(bench.events(), []);
    bench.answer(&nomination[0]).unwrap();
    let path = Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) };
    assert_eq!(bench.events(), [Event::Selected { component: Component::Rtp, path }]);
}

#[test]
fn rfc8445_8_1_1_a_better_pair_is_waited_for_but_not_long() {
    let mut bench = Bench::new(Role::Controlling);
    candidates(&mut bench, &[THEIRS, BETTER]);
    bench.wait(60);
    let sent = bench.sent();
    let worse = sent.iter().find(|sent| sent.path.remote == addr(THEIRS)).unwrap();
    bench.answer(worse).unwrap();
    bench.wait(190);
    assert!(bench.sent().iter().all(|sent| !sent.attributes.use_candidate));
    bench.wait(20);
    let nomination = bench.sent();
    assert!(nomination[0].attributes.use_candidate);
    assert_eq!(nomination[0].path.remote, addr(THEIRS));
}

#[test]
fn rfc8445_8_1_1_a_nomination_that_is_refused_leads_to_the_next_pair() {
    let mut bench = Bench::new(Role::Controlling);
    candidates(&mut bench, &[THEIRS, BETTER]);
    bench.wait(60);
    for sent in bench.sent() {
        bench.answer(&sent).unwrap();
    }
    bench.wait(60);
    let nomination = bench.sent().into_iter().find(|sent| sent.attributes.use_candidate).unwrap();
    assert_eq!(nomination.path.remote, addr(BETTER));
    bench.answer_with(&nomination, Answer::UnknownAttribute(1)).unwrap();
    bench.wait(60);
    let nomination = bench.sent().into_iter().find(|sent| sent.attributes.use_candidate).unwrap();
    assert_eq!(nomination.path.remote, addr(THEIRS));
}

#[test]
fn rfc8445_7_3_1_5_a_nomination_counts_once_our_check_is_answered() {
    let mut bench = Bench::new(Role::Controlled);
    bench.check(THEIRS, true).unwrap();
    assert_eq!(selected(&bench), None);
    let sent = bench.sent();
    assert!(!sent[0].attributes.use_candidate);
    bench.answer(&sent[0]).unwrap();
    assert_eq!(selected(&bench), Some(addr(THEIRS)));
}

#[test]
fn rfc8445_7_3_1_5_a_nomination_of_a_working_pair_counts_at_once() {
    let mut bench = Bench::new(Role::Controlled);
    bench.check(THEIRS, false).unwrap();
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    assert_eq!(selected(&bench), None);
    bench.check(THEIRS, true).unwrap();
    assert_eq!(selected(&bench), Some(addr(THEIRS)));
}

#[test]
fn rfc5245_8_1_1_2_of_several_nominated_pairs_the_best_is_used() {
    let mut bench = Bench::new(Role::Controlled);
    candidates(&mut bench, &[THEIRS, BETTER]);
    bench.check(BETTER, true).unwrap();
    bench.check(THEIRS, true).unwrap();
    bench.wait(60);
    let sent = bench.sent();
    let of = |remote| *sent.iter().find(|sent| sent.path.remote == addr(remote)).unwrap();
    bench.answer(&of(THEIRS)).unwrap();
    assert_eq!(selected(&bench), Some(addr(THEIRS)));
    bench.answer(&of(BETTER)).unwrap();
    assert_eq!(selected(&bench), Some(addr(BETTER)));
    assert_eq!(bench.events().len(), 2);
    // Chrome repeats USE-CANDIDATE; that does not select the worse pair again.
    bench.check(THEIRS, true).unwrap();
    bench.check(BETTER, true).unwrap();
    assert_eq!(selected(&bench), Some(addr(BETTER)));
    assert_eq!(bench.events(), []);
}

#[test]
fn a_peer_that_moved_is_followed_once_the_old_pair_is_silent() {
    let mut bench = Bench::new(Role::Controlled);
    candidates(&mut bench, &[THEIRS, BETTER]);
    bench.check(THEIRS, false).unwrap();
    let sent = bench.sent();
    bench.answer(sent.last().unwrap()).unwrap();
    bench.select(BETTER); // takes most of a second
    bench.wait(2000);
    bench.check(THEIRS, true).unwrap();
    assert_eq!(selected(&bench), Some(addr(BETTER)));
    bench.wait(1000);
    bench.check(THEIRS, true).unwrap();
    assert_eq!(selected(&bench), Some(addr(THEIRS)));
}

#[test]
fn a_nomination_of_a_pair_that_came_up_later_counts_once_the_first_have_settled() {
    for (wait, expected) in [(1000, BETTER), (2000, THEIRS)] {
        let mut bench = Bench::new(Role::Controlled);
        candidates(&mut bench, &[BETTER]);
        bench.select(BETTER);
        bench.wait(wait);
        bench.check(THEIRS, true).unwrap();
        let sent = bench.sent();
        bench.answer(sent.last().unwrap()).unwrap();
        assert_eq!(selected(&bench), Some(addr(expected)), "after {wait} ms");
    }
}

#[test]
fn a_renomination_counts_whatever_the_priority() {
    let mut bench = Bench::new(Role::Controlled);
    candidates(&mut bench, &[THEIRS, BETTER]);
    for (remote, nomination, expected) in
        [(BETTER, 1, BETTER), (THEIRS, 2, THEIRS), (BETTER, 1, THEIRS), (THEIRS, 2, THEIRS), (BETTER, 3, BETTER)]
    {
        bench.nominate_anew(remote, nomination);
        bench.wait(50);
        bench.sent().iter().for_each(|sent| bench.answer(sent).unwrap());
        assert_eq!(selected(&bench), Some(addr(expected)), "{remote} {nomination}");
    }
}

#[test]
fn when_controlling_we_ignore_the_peers_nominations() {
    let mut bench = Bench::new(Role::Controlling);
    bench.check(THEIRS, true).unwrap();
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    assert_eq!(selected(&bench), None);
}

#[test]
fn rfc8445_7_3_1_1_conflicts_are_settled_by_the_tie_breaker() {
    use Role::{Controlled, Controlling};
    // our role, the peer's tie-breaker (ours is 0x8000), the expected response, our role afterwards
    for (role, tie_breaker, answer, then) in [
        (Controlling, 0x7fff, 487, Controlling),
        (Controlling, 0x8000, 487, Controlling),
        (Controlling, 0x8001, 200, Controlled),
        (Controlled, 0x7fff, 200, Controlling),
        (Controlled, 0x8000, 200, Controlling),
        (Controlled, 0x8001, 487, Controlled),
    ] {
        let mut bench = Bench::new(role);
        (bench.peer_role, bench.peer_tie_breaker) = (role, tie_breaker);
        bench.check(THEIRS, false).unwrap();
        assert_eq!(bench.answers()[0].1, answer, "{role:?} {tie_breaker:#x}");
        assert_eq!(bench.agent.role(), then, "{role:?} {tie_breaker:#x}");
        assert_eq!(bench.events().contains(&Event::RoleChanged(then)), role != then);
    }
}

#[test]
fn rfc8445_7_2_5_1_a_487_changes_the_role_and_repeats_the_check() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let sent = bench.sent();
    bench.answer_with(&sent[0], Answer::RoleConflict).unwrap();
    assert_eq!(bench.agent.role(), Role::Controlled);
    bench.wait(50);
    let again = bench.sent();
    assert!(matches!(again[0].attributes.role, Some((Role::Controlled, tie_breaker)) if tie_breaker != 0x8000));
    bench.answer(&again[0]).unwrap();
    bench.peer_role = Role::Controlling;
    bench.check(THEIRS, true).unwrap();
    assert_eq!(selected(&bench), Some(addr(THEIRS)));
}

#[test]
fn rfc8445_7_2_5_1_a_487_to_a_check_sent_before_the_role_change_changes_nothing() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let sent = bench.sent();
    bench.agent.set_role(Role::Controlled);
    bench.answer_with(&sent[0], Answer::RoleConflict).unwrap();
    assert_eq!(bench.agent.role(), Role::Controlled);
}

#[test]
fn a_lite_peer_makes_us_controlling_and_is_nominated_without_a_check_of_its_own() {
    let mut bench = Bench::idle(Role::Controlled);
    bench.agent.set_remote_lite(true);
    let credentials = bench.peer.credentials.clone();
    bench.agent.set_remote_credentials(bench.now, credentials);
    bench.add_remote(THEIRS);
    bench.agent.start(bench.now);
    for _ in 0..2 {
        for sent in bench.sent() {
            bench.answer(&sent).unwrap();
        }
        bench.wait(50);
    }
    assert_eq!(selected(&bench), Some(addr(THEIRS)));
}

#[test]
fn rfc8445_7_2_5_2_1_an_answer_from_elsewhere_does_not_count() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let sent = bench.sent();
    let bytes = bench.answer_bytes(&sent[0], Answer::Success(addr(OURS)));
    assert_eq!(bench.deliver(BETTER, &bytes), Err(crate::Error::Asymmetric));
    assert_eq!(bench.deliver(THEIRS, &bytes), Ok(()));
    assert_eq!(bench.deliver(THEIRS, &bytes), Err(crate::Error::UnknownTransaction));
}

#[test]
fn an_answer_made_with_another_password_does_not_count() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let sent = bench.sent();
    let right = std::mem::replace(&mut bench.peer, bench.agent.local.clone());
    for answer in [Answer::Success(addr(OURS)), Answer::RoleConflict, Answer::UnknownAttribute(1)] {
        assert_eq!(bench.answer_with(&sent[0], answer), Err(crate::Error::BadIntegrity));
    }
    assert_eq!(bench.agent.role(), Role::Controlling);
    bench.peer = right;
    assert_eq!(bench.answer(&sent[0]), Ok(()));
}

#[test]
fn rfc8445_7_2_5_3_1_behind_a_nat_the_pair_has_the_priority_of_the_address_that_the_peer_saw() {
    let mut bench = Bench::new(Role::Controlling);
    bench.add_remote(THEIRS);
    let sent = bench.sent();
    bench.answer_with(&sent[0], Answer::Success(addr("203.0.113.9:999"))).unwrap();
    let pair = bench.agent.checklist.iter().next().unwrap();
    assert_eq!((pair.state, pair.local_priority), (State::Succeeded, pair.reflexive_priority));
}
