use super::*;
use crate::message::CheckAttributes;
use crate::testing::{Bench, OURS, Sent, THEIRS, addr};
use crate::{Component, Error, Event, Path, Role};

fn fresh(name: &str) -> Credentials {
    Credentials { ufrag: format!("new{name}"), password: format!("a new password of {name:>20}") }
}

#[test]
fn rfc8445_9_either_side_may_be_first_to_change() {
    for local_first in [true, false] {
        let mut bench = Bench::new(Role::Controlled);
        bench.select(THEIRS);
        if local_first {
            bench.agent.restart(bench.now, fresh("ours"));
            bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
            bench.add_remote("198.51.100.7:7");
        } else {
            bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
            bench.add_remote("198.51.100.7:7");
            bench.agent.restart(bench.now, fresh("ours"));
        }
        bench.peer = fresh("theirs").into();
        assert_eq!(bench.agent.remote_credentials(), Some(&fresh("theirs")));
        assert_eq!(bench.agent.remote_candidates().len(), 1);
        assert_eq!(bench.agent.selected(Component::Rtp).unwrap().remote, addr(THEIRS), "until the new one is there");
        let bytes = bench.request("newours", true);
        bench.deliver("198.51.100.7:7", &bytes).unwrap();
        bench.wait(50);
        let sent = bench.sent();
        bench.answer(sent.last().unwrap()).unwrap();
        assert_eq!(bench.agent.selected(Component::Rtp).unwrap().remote, addr("198.51.100.7:7"));
    }
}

#[test]
fn consent_for_the_old_path_is_given_only_there_and_only_until_the_new_one_is_found() {
    let mut bench = Bench::new(Role::Controlled);
    bench.select(THEIRS);
    let old = bench.request("evtj", false);
    let path = Path { component: Component::Rtp, local: addr(OURS), remote: addr(THEIRS) };
    bench.agent.restart(bench.now, fresh("ours"));
    assert_eq!(bench.deliver(THEIRS, &old), Ok(()));
    assert_eq!(bench.answers(), [(path, 200)]);
    assert_eq!(bench.deliver("198.51.100.7:7", &old), Err(Error::UnknownUsername));
    assert_eq!(bench.agent.remote_candidates(), [], "the old generation is answered and teaches nothing");
    bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
    bench.peer = fresh("theirs").into();
    let bytes = bench.request("newours", true);
    bench.deliver(THEIRS, &bytes).unwrap();
    let sent = bench.sent();
    bench.answer(&sent[0]).unwrap();
    assert!(matches!(bench.events()[..], [Event::Selected { .. }]));
    assert_eq!(bench.deliver(THEIRS, &old), Err(Error::UnknownUsername));
}

#[test]
fn the_same_credentials_again_are_no_restart() {
    let mut bench = Bench::new(Role::Controlled);
    bench.select(THEIRS);
    let same = bench.peer.credentials.clone();
    bench.agent.set_remote_credentials(bench.now, same);
    bench.agent.start(bench.now);
    bench.wait(1000);
    assert_eq!((bench.sent(), bench.events()), (vec![], vec![]));
}

#[test]
fn credentials_that_stun_cannot_carry_are_not_taken() {
    let mut bench = Bench::idle(Role::Controlled);
    for (ufrag, password) in [(0, 24), (257, 24), (4, 0), (4, 257)] {
        let bad = Credentials { ufrag: "u".repeat(ufrag), password: "p".repeat(password) };
        bench.agent.set_remote_credentials(bench.now, bad);
        assert_eq!(bench.agent.remote_credentials(), None);
    }
}

/// Chromium's connection keeps the username fragments that it was made with.
#[test]
fn a_peer_that_goes_on_using_our_old_credentials_is_checked_and_selected_under_them() {
    for early in [true, false] {
        let mut bench = Bench::new(Role::Controlled);
        bench.select(THEIRS);
        let old = bench.agent.local.clone();
        bench.peer = fresh("theirs").into();
        let (stuck, moved) = (bench.request("evtj", true), "198.51.100.7:7");
        if early {
            bench.deliver(moved, &stuck).unwrap();
        }
        bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
        bench.agent.restart(bench.now, fresh("ours"));
        if !early {
            bench.deliver(moved, &stuck).unwrap();
        }
        let sent = bench.transmits().into_iter().rfind(|(path, _)| path.remote == addr(moved)).unwrap();
        let request = crate::message::parse(&sent.1).unwrap();
        let from = crate::message::username(&request).unwrap();
        assert_eq!(from, ("newtheirs".to_owned(), old.credentials.ufrag.clone()));
        let sent =
            Sent { path: sent.0, id: request.transaction_id().into(), attributes: CheckAttributes::of(&request) };
        bench.answer(&sent).unwrap();
        assert_eq!(bench.agent.selected(Component::Rtp).unwrap().remote, addr(moved));
        assert_eq!(bench.deliver(moved, &stuck), Ok(()), "also once it is selected");
    }
}

/// Its checks to our old credentials may select a pair while our answer is on its way.
#[test]
fn a_pair_that_is_selected_before_our_answer_leaves_the_signalled_candidates() {
    let mut bench = Bench::new(Role::Controlled);
    bench.select(THEIRS);
    bench.peer = fresh("theirs").into();
    let (early, moved) = (bench.request("evtj", true), "198.51.100.7:7");
    bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
    bench.add_remote(moved);
    bench.add_remote("198.51.100.7:8");
    bench.deliver(moved, &early).unwrap();
    let sent: Vec<_> = bench.sent().into_iter().filter(|sent| sent.path.remote == addr(moved)).collect();
    bench.answer(sent.last().unwrap()).unwrap();
    assert_eq!(bench.agent.selected(Component::Rtp).unwrap().remote, addr(moved));
    bench.agent.restart(bench.now, fresh("ours"));
    assert_eq!(bench.agent.remote_credentials(), Some(&fresh("theirs")));
    assert_eq!(bench.agent.remote_candidates().len(), 2);
    assert_eq!(bench.agent.selected(Component::Rtp).unwrap().remote, addr(moved));
}

#[test]
fn a_restart_after_credentials_that_changed_in_an_answer_is_one_of_our_own() {
    let mut bench = Bench::new(Role::Controlling);
    bench.select(THEIRS);
    bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
    bench.agent.keep_credentials();
    bench.agent.restart(bench.now, fresh("ours"));
    assert_eq!(bench.agent.remote_credentials(), None);
}

/// Chromium's connection goes on addressing the credentials from before the first restart.
#[test]
fn a_second_restart_leaves_a_peer_that_never_learned_our_first_new_credentials_answered_on_the_old_path() {
    let mut bench = Bench::new(Role::Controlled);
    bench.select(THEIRS);
    bench.peer = fresh("theirs").into();
    let (stuck, moved) = (bench.request("evtj", true), "198.51.100.7:7");
    bench.agent.set_remote_credentials(bench.now, fresh("theirs"));
    bench.agent.restart(bench.now, fresh("ours"));
    bench.deliver(moved, &stuck).unwrap();
    let sent: Vec<_> = bench.sent().into_iter().filter(|sent| sent.path.remote == addr(moved)).collect();
    bench.answer(sent.last().unwrap()).unwrap();
    assert_eq!(bench.agent.selected(Component::Rtp).unwrap().remote, addr(moved));
    bench.sent();

    let path = Path { component: Component::Rtp, local: addr(OURS), remote: addr(moved) };
    bench.agent.restart(bench.now, fresh("again"));
    assert_eq!(bench.deliver(moved, &stuck), Ok(()), "while the new offer is on its way");
    assert_eq!(bench.answers(), [(path, 200)]);
    bench.agent.set_remote_credentials(bench.now, fresh("others"));
    assert_eq!(bench.deliver(moved, &stuck), Ok(()), "until a new pair is selected");
    assert_eq!(bench.answers(), [(path, 200)]);
}
