use super::*;
use crate::message::Answer;
use crate::testing::{Bench, OURS, Sent, THEIRS, addr, remote};
use crate::{Credentials, Error};

const MOVED_TO: &str = "198.51.100.7:7";

fn path(theirs: &str) -> Path {
    Path { component: Component::Rtp, local: addr(OURS), remote: addr(theirs) }
}

fn fresh(name: &str) -> Credentials {
    Credentials { ufrag: format!("new{name}"), password: format!("a new password of {name:>20}") }
}

fn used(bench: &Bench) -> Option<std::net::SocketAddr> {
    bench.agent.selected(Component::Rtp).map(|path| path.remote)
}

/// The peer sends media from this address for so many milliseconds.
fn media(bench: &mut Bench, theirs: &str, milliseconds: u64) {
    for _ in 0..milliseconds / 20 {
        bench.agent.handle_media(bench.now, path(theirs));
        bench.wait(20);
    }
}

/// Checks a pair both ways without nominating it.
fn works(bench: &mut Bench, theirs: &str) {
    bench.check(theirs, false).unwrap();
    bench.wait(50);
    for sent in bench.sent() {
        bench.answer(&sent).unwrap();
    }
}

/// A controlled agent whose peer sends media along [`THEIRS`]; [`MOVED_TO`] has worked as well.
fn in_a_call() -> Bench {
    let mut bench = Bench::new(Role::Controlled);
    works(&mut bench, MOVED_TO);
    bench.select(THEIRS);
    media(&mut bench, THEIRS, 1000);
    bench
}

#[test]
fn media_on_another_working_pair_is_followed_at_once() {
    for role in [Role::Controlled, Role::Controlling] {
        let mut bench = Bench::new(role);
        works(&mut bench, MOVED_TO);
        bench.wait(300);
        bench.sent().iter().for_each(|sent| bench.answer(sent).unwrap());
        let (first, second) = if role == Role::Controlled { (THEIRS, MOVED_TO) } else { (MOVED_TO, THEIRS) };
        if role == Role::Controlled {
            bench.select(THEIRS);
        } else {
            works(&mut bench, THEIRS);
        }
        bench.events();
        media(&mut bench, first, 1000);
        media(&mut bench, second, 120);
        assert_eq!(used(&bench), Some(addr(second)), "{role:?}");
        assert_eq!(bench.events().len(), 1, "{role:?}");
    }
}

#[test]
fn packets_that_overtake_each_other_are_not_followed() {
    let mut bench = in_a_call();
    for _ in 0..50 {
        media(&mut bench, THEIRS, 20);
        bench.agent.handle_media(bench.now, path(MOVED_TO));
    }
    assert_eq!(used(&bench), Some(addr(THEIRS)));
    assert_eq!(bench.events(), []);
}

#[test]
fn while_media_comes_along_a_pair_a_better_one_is_not_nominated_again() {
    let mut bench = in_a_call();
    media(&mut bench, MOVED_TO, 200);
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
    bench.agent.checklist.iter_mut().for_each(|pair| pair.priority = u64::from(pair.remote == addr(THEIRS)));
    bench.check(THEIRS, true).unwrap();
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
    bench.wait(1000);
    bench.check(THEIRS, true).unwrap();
    assert_eq!(used(&bench), Some(addr(THEIRS)), "nothing contradicts the nomination any more");
}

#[test]
fn an_address_that_a_nat_changed_is_checked_and_followed() {
    let mut bench = in_a_call();
    let rebound = "203.0.113.5:4096";
    media(&mut bench, rebound, 140);
    let probes: Vec<_> = bench.sent().into_iter().filter(|sent| sent.path.remote == addr(rebound)).collect();
    assert_eq!(probes.len(), 1);
    assert_eq!(used(&bench), Some(addr(THEIRS)), "the address has not answered yet");
    bench.answer(&probes[0]).unwrap();
    media(&mut bench, rebound, 20);
    assert_eq!(used(&bench), Some(addr(rebound)));
}

#[test]
fn packets_sent_again_from_many_addresses_cause_few_checks() {
    let mut bench = in_a_call();
    bench.wait(200);
    bench.sent();
    for port in 1..1000 {
        bench.agent.handle_media(bench.now, path(&format!("203.0.113.5:{port}")));
        bench.wait(1);
    }
    let asked = bench.sent().into_iter().map(|sent| sent.id).collect::<std::collections::HashSet<_>>();
    assert!(asked.len() <= 6, "{} checks in a second", asked.len());
    assert_eq!(used(&bench), Some(addr(THEIRS)));
}

#[test]
fn media_finds_a_peer_again_whose_consent_was_lost() {
    let mut bench = in_a_call();
    bench.wait(31_000);
    assert_eq!(used(&bench), None);
    bench.sent();
    media(&mut bench, THEIRS, 20);
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    media(&mut bench, THEIRS, 20);
    assert_eq!(used(&bench), Some(addr(THEIRS)));
}

/// The peer restarts: its description is here, ours is on its way.
fn restarted(bench: &mut Bench) {
    bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
    bench.agent.restart(bench.now, fresh("ours"));
    bench.peer = fresh("theirs").into();
}

#[test]
fn before_its_new_credentials_are_known_a_peer_is_followed_to_where_its_checks_came_from() {
    let mut bench = in_a_call();
    let (old, before) = (bench.peer.clone(), "203.0.113.5:4096");
    bench.peer = fresh("theirs").into();
    let early = bench.request("evtj", true);
    bench.deliver(before, &early).unwrap();
    assert_eq!(bench.answers(), [(path(before), 200)]);
    media(&mut bench, before, 120);
    assert_eq!(used(&bench), Some(addr(before)));
    bench.wait(31_000);
    assert_eq!(used(&bench), None, "no longer than the old pair has consent");
    bench.peer = old;
}

#[test]
fn rfc8445_9_checks_to_our_old_credentials_are_used_until_our_answer_is_there() {
    let mut bench = in_a_call();
    let stranger = bench.request("evtj", true);
    bench.peer = fresh("theirs").into();
    let crossing = bench.request("evtj", true);
    restarted(&mut bench);
    bench.sent();
    bench.deliver(MOVED_TO, &crossing).unwrap();
    let sent = bench.sent();
    bench.answer(sent.last().unwrap()).unwrap();
    assert_eq!(bench.deliver("203.0.113.5:1", &stranger), Err(Error::UnknownUsername));
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
}

#[test]
fn rfc8445_12_during_a_restart_media_is_followed_before_the_nomination() {
    let mut bench = in_a_call();
    restarted(&mut bench);
    media(&mut bench, THEIRS, 200);
    let bytes = bench.request("newours", false);
    bench.deliver(MOVED_TO, &bytes).unwrap();
    let sent = bench.sent();
    bench.answer(sent.last().unwrap()).unwrap();
    assert_eq!(used(&bench), Some(addr(THEIRS)));
    media(&mut bench, MOVED_TO, 140);
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
    assert_eq!(bench.events().len(), 1);
    let bytes = bench.request("newours", true);
    bench.deliver(MOVED_TO, &bytes).unwrap();
    assert!(bench.agent.old_paths[Component::Rtp].is_none(), "the nomination ends the restart");
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
}

#[test]
fn during_a_restart_a_silent_path_is_left_for_one_that_works() {
    let mut bench = in_a_call();
    restarted(&mut bench);
    let bytes = bench.request("newours", false);
    bench.deliver(MOVED_TO, &bytes).unwrap();
    let sent = bench.sent();
    bench.answer(sent.last().unwrap()).unwrap();
    assert_eq!(used(&bench), Some(addr(THEIRS)));
    bench.wait(260);
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
    bench.wait(5000);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn without_a_restart_silence_moves_nothing() {
    let mut bench = in_a_call();
    bench.wait(20_000);
    assert_eq!(used(&bench), Some(addr(THEIRS)));
}

/// A controlling agent that has two working pairs and waits for a better one, when the peer's media comes along the worse.
fn led_before_nomination(bench: &mut Bench) {
    bench.agent.add_remote_candidate(bench.now, remote(Component::Rtp, "198.51.100.9:9", 0x7f00_00ff));
    bench.check(MOVED_TO, false).unwrap();
    bench.wait(50);
    bench.sent().iter().filter(|sent| sent.path.remote == addr(MOVED_TO)).for_each(|sent| bench.answer(sent).unwrap());
    assert_eq!((used(bench), nominations(bench)), (None, vec![]));
    bench.agent.handle_media(bench.now, path(MOVED_TO));
    assert_eq!(used(bench), Some(addr(MOVED_TO)));
}

fn nominations(bench: &mut Bench) -> Vec<Sent> {
    bench.sent().into_iter().filter(|sent| sent.attributes.use_candidate).collect()
}

#[test]
fn rfc8445_8_1_1_a_pair_that_media_led_to_is_nominated_once() {
    let mut bench = Bench::new(Role::Controlling);
    led_before_nomination(&mut bench);
    let sent = nominations(&mut bench);
    assert_eq!(sent.iter().map(|sent| sent.path.remote).collect::<Vec<_>>(), [addr(MOVED_TO)]);
    bench.answer(&sent[0]).unwrap();
    media(&mut bench, MOVED_TO, 5000);
    works(&mut bench, THEIRS);
    media(&mut bench, THEIRS, 200);
    assert_eq!(nominations(&mut bench), [], "not again, and no other pair");
}

#[test]
fn a_nomination_that_the_peer_refuses_is_not_repeated_without_end() {
    let mut bench = Bench::new(Role::Controlling);
    led_before_nomination(&mut bench);
    let sent = nominations(&mut bench);
    assert_eq!(sent.len(), 1);
    bench.answer_with(&sent[0], Answer::UnknownAttribute(0x7fff)).unwrap();
    media(&mut bench, MOVED_TO, 1000);
    assert_eq!(nominations(&mut bench), []);
    assert_eq!(used(&bench), Some(addr(MOVED_TO)));
}
