use super::*;
use crate::testing::{Bench, OURS, THEIRS, addr};

#[test]
fn a_stopped_agent_is_silent_for_good() {
    let mut bench = Bench::new(Role::Controlled);
    bench.select(THEIRS);
    bench.agent.stop();
    let bytes = bench.request("evtj", true);
    assert_eq!(bench.deliver(THEIRS, &bytes), Err(Error::Stopped));
    bench.agent.start(bench.now);
    bench.agent.restart(bench.now, Credentials::from_random(&[1; 32]));
    bench.add_remote("198.51.100.7:7");
    bench.wait(100_000);
    assert_eq!((bench.transmits().len(), bench.agent.poll_timeout()), (0, None));
    assert_eq!(bench.agent.selected(Component::Rtp), None);
}

#[test]
fn an_address_is_a_candidate_once() {
    let mut bench = Bench::idle(Role::Controlled);
    bench.agent.add_local_candidate(Component::Rtp, addr(OURS));
    assert_eq!(bench.agent.local_candidates().len(), 2);
    bench.add_remote(THEIRS);
    bench.add_remote(THEIRS);
    assert_eq!(bench.agent.remote_candidates().len(), 1);
}

#[test]
fn an_address_that_cannot_be_sent_to_is_no_remote_candidate() {
    let mut bench = Bench::new(Role::Controlled);
    for text in ["0.0.0.0:9", "198.51.100.1:0", "224.0.0.1:5004"] {
        bench.add_remote(text);
    }
    assert_eq!(bench.agent.remote_candidates(), []);
    assert_eq!(bench.agent.counters().unusable_candidates, 3);
}

#[test]
fn a_component_that_was_not_asked_for_does_not_exist() {
    let mut bench = Bench::with(Role::Controlled, |config| config.components = 1);
    assert_eq!(bench.agent.local_candidates().len(), 1);
    bench.agent.add_remote_candidate(bench.now, crate::testing::remote(Component::Rtcp, THEIRS, 1));
    assert_eq!(bench.agent.remote_candidates(), []);
    assert_eq!(bench.agent.selected(Component::Rtcp), None);
}

#[test]
fn a_candidate_that_comes_late_is_checked_at_once() {
    let mut bench = Bench::new(Role::Controlling);
    bench.wait(10_000);
    bench.add_remote(THEIRS);
    assert_eq!(bench.sent().len(), 1);
    bench.agent.add_gathered_candidate(Component::Rtp, CandidateKind::Relayed, addr("203.0.113.5:5"), None);
    bench.wait(50);
    assert_eq!(bench.sent()[0].path.local, addr("203.0.113.5:5"));
}

#[test]
fn equal_seeds_produce_equal_datagrams() {
    let transcript = || {
        let mut bench = Bench::new(Role::Controlling);
        bench.add_remote(THEIRS);
        bench.wait(20_000);
        bench.transmits()
    };
    assert_eq!(transcript(), transcript());
}

#[test]
fn a_later_offer_does_not_change_the_role_but_a_restart_may() {
    let mut bench = Bench::new(Role::Controlling);
    bench.select(THEIRS);
    bench.agent.set_role(Role::Controlled);
    assert_eq!(bench.agent.role(), Role::Controlling);
    bench.agent.restart(bench.now, Credentials::from_random(&[1; 32]));
    bench.agent.set_role(Role::Controlled);
    assert_eq!(bench.agent.role(), Role::Controlled);
}

#[test]
fn useless_candidates_leave_room_for_the_peers_actual_address() {
    let mut bench = Bench::new(Role::Controlled);
    for n in 0..200 {
        bench.add_remote(&format!("203.0.113.{n}:9"));
    }
    bench.check(THEIRS, true).unwrap();
    bench.wait(50);
    let sent = bench.sent().into_iter().find(|sent| sent.path.remote == addr(THEIRS)).unwrap();
    bench.answer(&sent).unwrap();
    assert!(bench.agent.selected(Component::Rtp).is_some());
}
