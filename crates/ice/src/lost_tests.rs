use super::*;
use crate::testing::{Bench, OURS, Sent, THEIRS, addr};
use crate::{CandidateKind, Credentials, Error, Role};

const RELAYED: &str = "203.0.113.5:50000";

/// An agent with a relayed candidate, which uses the pair from there to [`THEIRS`].
fn relayed(role: Role) -> Bench {
    let mut bench = Bench::single(role);
    bench.agent.add_gathered_candidate(Component::Rtp, CandidateKind::Relayed, addr(RELAYED), None);
    let bytes = bench.request("evtj", role == Role::Controlled);
    bench.agent.handle_stun(bench.now, path(RELAYED), &bytes).unwrap();
    for _ in 0..2 {
        let sent = bench.sent();
        answer(&mut bench, &sent, RELAYED);
        bench.wait(300);
    }
    assert_eq!(bench.agent.selected(Component::Rtp), Some(path(RELAYED)));
    bench.events();
    bench
}

fn path(local: &str) -> Path {
    Path { component: Component::Rtp, local: addr(local), remote: addr(THEIRS) }
}

/// The peer answers what comes from `local`. An answer to a repeated request is one too many.
fn answer(bench: &mut Bench, sent: &[Sent], local: &str) {
    for sent in sent.iter().filter(|sent| sent.path.local == addr(local)) {
        let _ = bench.answer(sent);
    }
}

#[test]
fn a_call_whose_relay_is_lost_goes_on_along_another_pair() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut bench = relayed(role);
        bench.agent.remove_local_candidate(bench.now, addr(RELAYED));
        assert_eq!(bench.events(), [Event::PathLost { component: Component::Rtp }]);
        assert_eq!(bench.agent.selected(Component::Rtp), None);
        assert!(!bench.agent.is_valid_path(&path(RELAYED)));
        if role == Role::Controlled {
            bench.check(THEIRS, true).unwrap();
        }
        for _ in 0..3 {
            bench.wait(300);
            let sent = bench.sent();
            assert!(sent.iter().all(|sent| sent.path.local == addr(OURS)), "nothing leaves from there any more");
            answer(&mut bench, &sent, OURS);
        }
        assert_eq!(bench.agent.selected(Component::Rtp), Some(path(OURS)), "{role:?}");
        let candidates = bench.agent.local_candidates();
        assert!(candidates.iter().all(|candidate| candidate.addr != addr(RELAYED)), "the next description lacks it");
    }
}

#[test]
fn a_pair_that_the_peer_nominated_before_is_used_again_when_the_relay_is_lost() {
    let mut bench = Bench::single(Role::Controlled);
    bench.agent.add_gathered_candidate(Component::Rtp, CandidateKind::Relayed, addr(RELAYED), None);
    bench.select(THEIRS);
    bench.wait(5000);
    bench.sent();
    let bytes = bench.request("evtj", true);
    bench.agent.handle_stun(bench.now, path(RELAYED), &bytes).unwrap();
    let sent = bench.sent();
    answer(&mut bench, &sent, RELAYED);
    assert_eq!(bench.agent.selected(Component::Rtp), Some(path(RELAYED)));
    bench.events();
    bench.agent.remove_local_candidate(bench.now, addr(RELAYED));
    bench.wait(50);
    let sent = bench.sent();
    answer(&mut bench, &sent, OURS);
    assert_eq!(bench.agent.selected(Component::Rtp), Some(path(OURS)));
}

#[test]
fn without_another_pair_the_component_fails_when_the_relay_is_lost() {
    let mut bench = relayed(Role::Controlled);
    bench.wait(20_000);
    bench.agent.remove_local_candidate(bench.now, addr(RELAYED));
    bench.wait(34_999);
    assert_eq!(bench.events(), [Event::PathLost { component: Component::Rtp }]);
    bench.wait(1);
    assert_eq!(bench.events(), [Event::ComponentFailed { component: Component::Rtp }]);
}

#[test]
fn a_relay_that_is_lost_during_a_restart_is_not_used_until_the_new_pair() {
    let mut bench = relayed(Role::Controlled);
    bench.agent.restart(bench.now, Credentials::from_random(&[1; 32]));
    assert_eq!(bench.agent.selected(Component::Rtp), Some(path(RELAYED)));
    let bytes = bench.request("evtj", false);
    bench.agent.handle_stun(bench.now, path(RELAYED), &bytes).unwrap_err();
    bench.agent.remove_local_candidate(bench.now, addr(RELAYED));
    assert_eq!(bench.agent.selected(Component::Rtp), None);
    assert_eq!(bench.events(), [Event::PathLost { component: Component::Rtp }]);
    assert_eq!(bench.agent.handle_stun(bench.now, path(RELAYED), &bytes), Err(Error::UnknownUsername));
}

#[test]
fn the_loss_of_a_candidate_that_is_not_in_use_changes_nothing_else() {
    let mut bench = Bench::single(Role::Controlled);
    bench.agent.add_gathered_candidate(Component::Rtp, CandidateKind::Relayed, addr(RELAYED), None);
    bench.select(THEIRS);
    for unused in [RELAYED, RELAYED, "203.0.113.6:9"] {
        bench.agent.remove_local_candidate(bench.now, addr(unused));
    }
    assert_eq!((bench.events(), bench.sent()), (vec![], vec![]));
    assert_eq!(bench.agent.selected(Component::Rtp), Some(path(OURS)));
    assert_eq!(bench.agent.local_candidates().len(), 1);
}
