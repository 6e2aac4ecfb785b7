//! Handshakes whose path to the peer changes.

use super::*;

#[test]
fn a_browser_that_goes_on_after_our_time_is_over_gets_keys_over_the_next_path() {
    let mut call = Call::new(true, SIGNALLED, PeerAddress::CheckedByIce);
    let start = Instant::now();
    let lost = datagrams_of(&mut call.client);
    lost.iter().for_each(|datagram| drop(call.receive(start, datagram)));
    assert!(call.sent() > 0, "it is lost as well");
    let late = start + Duration::from_secs(31);
    call.side.association.handle_timeout(late, call.peer);
    let event = call.side.association.poll_event(call.peer);
    assert_eq!(event, Some(AssociationEvent::Failed(Failure::TimedOut { alert: None })));
    assert_eq!(call.receive(late, &lost[0]), Admission::Refused, "nothing has changed yet");

    call.side.association.handle_new_path(late);
    assert_eq!(call.phase(), Phase::Idle);
    call.client = browser(&call.described);
    call.talk_from(late);
    assert!(matches!(call.events[..], [AssociationEvent::Connected(_)]));
}

#[test]
fn a_handshake_that_failed_for_another_reason_is_not_repeated_over_the_next_path() {
    let mut call = Call::new(false, SIGNALLED, PeerAddress::CheckedByIce);
    call.talk();
    call.side.association.handle_new_path(Instant::now());
    assert_eq!(call.phase(), Phase::Failed);
}
