//! Two of our agents with each other, over simulated networks of all kinds.

mod net;

use std::time::Duration;

use ice::{CandidateKind, Component, Event, Role};
use net::{Nat, Pair, connected, credentials, first_connected};

#[test]
fn two_hosts_connect_within_a_few_round_trips() {
    let pair = Pair::new(1).hosts().start().run_until(connected);
    assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp));
    assert!(pair.elapsed() < Duration::from_millis(400), "{:?}", pair.elapsed());
}

#[test]
fn the_first_component_is_up_before_the_second_is_checked() {
    let pair = Pair::new(1).hosts().start().run_until(first_connected);
    assert!(pair.elapsed() < Duration::from_millis(150), "{:?}", pair.elapsed());
}

#[test]
fn every_fifth_datagram_lost_delays_but_does_not_fail() {
    for seed in 0..50 {
        let pair = Pair::new(seed).loss(0.2).delay(5, 120).hosts().start().run_until(connected);
        assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp), "seed {seed}");
        assert!(pair.elapsed() < Duration::from_secs(10), "seed {seed}: {:?}", pair.elapsed());
    }
}

#[test]
fn several_addresses_of_which_one_works() {
    let pair = Pair::new(3).addresses(&["10.1.0.1", "10.1.0.2", "2001:db8::1"], &["10.2.0.1", "2001:db8::2"]);
    let pair = pair.start().run_until(connected);
    assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp));
    assert_eq!(pair.sides[0].selected(Component::Rtp).unwrap().local.ip().to_string(), "10.1.0.1");
}

#[test]
fn nats_are_passed_except_two_symmetric_ones() {
    use Nat::{AddressRestricted, FullCone, None, PortRestricted, Symmetric};
    for a in [None, FullCone, AddressRestricted, PortRestricted, Symmetric] {
        for b in [None, FullCone, AddressRestricted, PortRestricted, Symmetric] {
            let pair = Pair::new(4).nat(a, b).hosts().reflexive().start().run_until(connected);
            // Two symmetric NATs need TURN (RFC 8445).
            let hopeless = matches!((a, b), (Symmetric, PortRestricted | Symmetric) | (PortRestricted, Symmetric));
            assert_eq!(pair.agree(Component::Rtp), !hopeless, "{a:?} {b:?}");
            assert_eq!(pair.agree(Component::Rtcp), !hopeless, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_peer_behind_nat_that_signals_nothing_useful_reaches_us() {
    // The peer signals only mDNS names or addresses that the host cannot represent: no remote candidate at all.
    let mut pair = Pair::new(5).nat(Nat::None, Nat::PortRestricted).hosts();
    pair.signal(0, 1);
    pair.signal_credentials(1, 0);
    pair.begin();
    let pair = pair.run_until(connected);
    assert!(pair.agree(Component::Rtp));
    assert_eq!(pair.sides[0].agent.remote_candidates()[0].kind, CandidateKind::PeerReflexive);
}

#[test]
fn checks_that_overtake_the_description_are_answered_and_used() {
    let mut pair = Pair::new(6).hosts();
    pair.signal(0, 1);
    pair.begin();
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.sides[0].agent.counters().early, 2);
    assert!(pair.sides[0].agent.counters().requests >= 2);
    assert_eq!(pair.sides[0].selected(Component::Rtp), None);
    let answered = pair.now;
    pair.signal_credentials(1, 0);
    pair.run(first_connected);
    assert!(pair.agree(Component::Rtp));
    assert!(pair.now - answered < Duration::from_millis(100), "{:?}", pair.now - answered);
}

#[test]
fn a_call_that_rings_longer_than_the_failure_timeout_does_not_fail() {
    let mut pair = Pair::new(7).hosts();
    pair.sides[0].agent.start(pair.now);
    pair.pass(Duration::from_secs(55));
    pair.signal(0, 1);
    pair.signal(1, 0);
    pair.begin();
    assert!(pair.run(connected));
    assert!(pair.sides[0].events.iter().all(|event| matches!(event, Event::Selected { .. })));
}

#[test]
fn a_peer_that_multiplexes_leaves_component_2_and_only_that_fails() {
    let mut pair = Pair::new(8).hosts();
    pair.muted = Some(Component::Rtcp);
    pair.signal(0, 1);
    for candidate in pair.sides[1].agent.local_candidates().to_vec() {
        pair.sides[0].agent.add_remote_candidate(pair.now, candidate);
    }
    pair.signal_credentials(1, 0);
    pair.begin();
    assert!(pair.run(first_connected));
    assert!(pair.elapsed() < Duration::from_millis(200));
    pair.pass(Duration::from_secs(120));
    let a = &pair.sides[0];
    assert!(a.has(Event::ComponentFailed { component: Component::Rtcp }));
    assert!(!a.has(Event::ComponentFailed { component: Component::Rtp }));
    assert!(!a.has(Event::ConsentLost { component: Component::Rtp }));
    assert!(pair.agree(Component::Rtp));
}

#[test]
fn both_controlling_or_both_controlled_is_settled() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..20 {
            let pair = Pair::new(seed).loss(0.1).delay(5, 50).roles(role, role).hosts().start().run_until(connected);
            assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp), "{role:?} {seed}");
            assert_ne!(pair.sides[0].agent.role(), pair.sides[1].agent.role(), "{role:?} {seed}");
            let changed = pair.sides.iter().flat_map(|side| &side.events);
            assert!(changed.filter(|event| matches!(event, Event::RoleChanged(_))).count() >= 1);
        }
    }
}

#[test]
fn an_absent_peer_fails_in_bounded_time() {
    let mut pair = Pair::new(9).hosts().start();
    pair.cut = true;
    let failed = |pair: &Pair| pair.sides[0].has(Event::ComponentFailed { component: Component::Rtp });
    assert!(pair.run(failed));
    assert_eq!(pair.elapsed(), Duration::from_secs(35));
    assert!(pair.sent < 50, "{}", pair.sent);
}

#[test]
fn a_failed_session_is_revived_by_a_restart() {
    let mut pair = Pair::new(10).hosts().start();
    pair.cut = true;
    pair.pass(Duration::from_secs(50));
    pair.cut = false;
    restart(&mut pair);
    assert!(pair.run(connected));
    assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp));
}

#[test]
fn consent_keeps_a_quiet_call_for_two_hours() {
    let mut pair = Pair::new(11).loss(0.05).delay(5, 120).hosts().start().run_until(connected);
    pair.pass(Duration::from_secs(7200));
    assert!(connected(&pair));
    assert!(pair.sides.iter().all(|side| !side.has(Event::ConsentLost { component: Component::Rtp })));
}

#[test]
fn a_peer_that_is_gone_loses_our_consent_after_thirty_seconds() {
    let mut pair = Pair::new(12).hosts().start().run_until(connected);
    pair.cut = true;
    pair.pass(Duration::from_secs(23));
    assert!(connected(&pair));
    pair.pass(Duration::from_secs(8));
    for side in &pair.sides {
        assert!(side.has(Event::ConsentLost { component: Component::Rtp }));
        assert_eq!(side.selected(Component::Rtp), None);
    }
    let sent = pair.sent;
    pair.pass(Duration::from_secs(600));
    assert_eq!(pair.sent, sent);
}

#[test]
fn a_restart_keeps_the_old_path_until_the_new_one_is_there() {
    let mut pair = Pair::new(13).hosts().start().run_until(connected);
    let before = pair.sides[0].selected(Component::Rtp);
    pair.sides[0].events.clear();
    pair.sides[0].agent.restart(pair.now, credentials(1, 1));
    assert_eq!(pair.sides[0].selected(Component::Rtp), before);
    assert!(pair.sides[0].agent.is_valid_path(&before.unwrap()));
    // The peer has not heard of the restart yet; its consent checks are still answered.
    pair.pass(Duration::from_secs(20));
    assert!(connected(&pair));
    pair.signal(0, 1);
    pair.sides[1].agent.restart(pair.now, credentials(2, 1));
    for candidate in pair.sides[0].agent.local_candidates().to_vec() {
        pair.sides[1].agent.add_remote_candidate(pair.now, candidate);
    }
    pair.signal(1, 0);
    let selected =
        |pair: &Pair| pair.sides[0].events.iter().filter(|event| matches!(event, Event::Selected { .. })).count() == 2;
    assert!(pair.run(selected));
    pair.pass(Duration::from_secs(100));
    assert!(pair.agree(Component::Rtp) && pair.agree(Component::Rtcp));
}

#[test]
fn a_restart_that_the_peer_does_not_follow_ends_with_its_consent() {
    let mut pair = Pair::new(14).hosts().start().run_until(connected);
    pair.sides[0].agent.restart(pair.now, credentials(1, 1));
    pair.pass(Duration::from_secs(31));
    assert_eq!(pair.sides[0].selected(Component::Rtp), None);
    assert!(pair.sides[0].has(Event::ConsentLost { component: Component::Rtp }));
}

#[test]
fn repeating_a_description_is_no_restart() {
    let mut pair = Pair::new(15).hosts().start().run_until(connected);
    let events = pair.sides[0].events.len();
    pair.signal(0, 1);
    pair.signal(1, 0);
    pair.begin();
    pair.pass(Duration::from_secs(40));
    assert_eq!(pair.sides[0].events.len(), events);
    assert!(connected(&pair));
}

#[test]
fn candidates_may_trickle_in_on_both_sides() {
    let mut pair = Pair::new(16);
    pair.signal_credentials(0, 1);
    pair.signal_credentials(1, 0);
    pair.begin();
    pair.pass(Duration::from_secs(2));
    let mut pair = pair.hosts();
    pair.signal(0, 1);
    pair.pass(Duration::from_secs(1));
    pair.signal(1, 0);
    assert!(pair.run(connected));
    assert!(pair.agree(Component::Rtp));
}

/// RFC 8838 §11: a candidate that arrives while checks run is paired and checked at once.
#[test]
fn rfc8838_section_11_a_late_candidate_connects_within_a_few_round_trips() {
    let mut pair = Pair::new(18).hosts();
    pair.signal_credentials(0, 1);
    pair.signal_credentials(1, 0);
    pair.begin();
    pair.pass(Duration::from_secs(20));
    assert!(!first_connected(&pair));
    let arrives = pair.now;
    let late = pair.sides[1].agent.local_candidates()[0].clone();
    pair.sides[0].agent.add_remote_candidate(pair.now, late);
    assert!(pair.run(first_connected));
    assert!(pair.now - arrives < Duration::from_millis(300), "{:?}", pair.now - arrives);
}

/// RFC 8445 §8.1.2: once a pair is selected, its component forms no new ones.
#[test]
fn a_candidate_after_the_selection_changes_nothing() {
    let mut pair = Pair::new(19).hosts().start().run_until(connected);
    let selected = pair.sides[0].selected(Component::Rtp);
    let mut late = pair.sides[1].agent.local_candidates()[0].clone();
    (late.addr, late.priority) = ("10.2.0.9:10000".parse().unwrap(), u32::MAX);
    let pairs = pair.sides[0].agent.pairs().count();
    pair.sides[0].agent.add_remote_candidate(pair.now, late);
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.sides[0].selected(Component::Rtp), selected);
    assert_eq!(pair.sides[0].agent.pairs().count(), pairs);
}

/// RFC 8838 §11, after §9 of RFC 8445: candidates of the generation before are forgotten, new ones are paired.
#[test]
fn candidates_trickle_in_after_a_restart() {
    let mut pair = Pair::new(20).hosts().start().run_until(connected);
    pair.sides[0].agent.restart(pair.now, credentials(1, 1));
    pair.sides[1].agent.restart(pair.now, credentials(2, 1));
    pair.signal_credentials(0, 1);
    pair.signal_credentials(1, 0);
    pair.pass(Duration::from_secs(1));
    assert!(pair.sides.iter().all(|side| side.agent.remote_candidates().is_empty()));
    for side in &mut pair.sides {
        side.events.clear();
    }
    let late = pair.sides[1].agent.local_candidates()[0].clone();
    pair.sides[0].agent.add_remote_candidate(pair.now, late);
    let selects = |pair: &Pair| pair.sides[0].events.iter().any(|event| matches!(event, Event::Selected { .. }));
    assert!(pair.run(selects));
    assert!(pair.agree(Component::Rtp));
}

#[test]
fn one_component_is_enough_when_that_was_agreed() {
    let mut pair = Pair::new(17).single().hosts().start();
    assert!(pair.run(first_connected));
    pair.pass(Duration::from_secs(60));
    assert!(pair.sides.iter().all(|side| side.events.len() == 1));
}

/// Both sides restart, A first.
fn restart(pair: &mut Pair) {
    pair.sides[0].agent.restart(pair.now, credentials(1, 1));
    pair.signal(0, 1);
    pair.sides[1].agent.restart(pair.now, credentials(2, 1));
    pair.signal(1, 0);
}
