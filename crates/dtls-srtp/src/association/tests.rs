//! The end of a handshake, and the states of an association after it.

use std::time::Duration;

use super::*;
use crate::testing::{Side, context};
use crate::{HashFunction, MAX_DATAGRAM_LEN, Profile};

const SIGNALLED: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
const ELSEWHERE: ([u8; 4], u16) = ([192, 0, 2, 66], 4000);

/// Our side as the server and a client at an address, with a network between them that loses nothing.
struct Call {
    side: Side,
    client: Session,
    address: SocketAddr,
    peer: PeerAddress,
    events: Vec<AssociationEvent>,
}

impl Call {
    /// A client at `address` with another certificate than the peer's description names, unless it `is_peer`.
    fn new(is_peer: bool, address: ([u8; 4], u16), peer: PeerAddress) -> Self {
        let described = context(false);
        let client_context = if is_peer { described.clone() } else { context(false) };
        let mut side = Side::new(Setup::ActPass);
        side.set_setup(Setup::Active);
        side.set_fingerprint(HashFunction::Sha256, described.certificate().fingerprint(HashFunction::Sha256));
        let mut client = Session::new(&client_context, Role::Client).unwrap();
        client.start(Instant::now());
        Self { side, client, address: address.into(), peer, events: Vec::new() }
    }

    /// Exchanges datagrams until neither has one to send, and takes note of our events.
    fn talk(&mut self) {
        let path = Path { from: self.address, to: ([192, 0, 2, 100], 5000).into() };
        let (now, mut buffer) = (Instant::now(), [0; MAX_DATAGRAM_LEN]);
        let mut is_quiet = false;
        while !std::mem::replace(&mut is_quiet, true) {
            while let Some(len) = self.client.poll_transmit(&mut buffer) {
                is_quiet = false;
                let Side { endpoint, association } = &mut self.side;
                let admission = association.handle_datagram(now, endpoint, self.peer, path, &buffer[..len]);
                if let Admission::Answer(answer) = admission {
                    self.client.handle_datagram(now, &answer);
                }
            }
            while let Some(len) = self.side.association.poll_transmit(&mut buffer) {
                is_quiet = false;
                self.client.handle_datagram(now, &buffer[..len]);
            }
            while let Some(event) = self.side.association.poll_event(self.peer) {
                self.events.push(event);
            }
        }
    }

    fn phase(&self) -> Phase {
        self.side.association.phase()
    }

    fn progress(&self) -> &'static str {
        self.side.association.progress(&self.side.endpoint)
    }
}

fn signalled() -> PeerAddress {
    PeerAddress::Signalled(Some(SIGNALLED.into()))
}

#[test]
fn another_certificate_at_the_signalled_address_is_the_end_until_the_peer_offers_another_association() {
    for peer in [signalled(), PeerAddress::CheckedByIce] {
        let mut call = Call::new(false, SIGNALLED, peer);
        call.talk();
        assert!(matches!(call.events[..], [AssociationEvent::Failed(Failure::FingerprintMismatch { .. })]));
        assert_eq!((call.phase(), call.progress()), (Phase::Failed, "failed"));
        call.side.association.start_over();
        assert_eq!((call.phase(), call.progress()), (Phase::Idle, "waiting for the peer's ClientHello"));
    }
}

#[test]
fn another_certificate_at_an_unknown_address_is_as_if_nothing_had_begun() {
    let mut call = Call::new(false, ELSEWHERE, signalled());
    call.talk();
    assert!(matches!(call.events[..], [AssociationEvent::StrangerFailed(Failure::FingerprintMismatch { .. })]));
    assert_eq!((call.phase(), call.side.association.path()), (Phase::Idle, None));
}

#[test]
fn keys_outlive_the_association_that_the_peer_closes() {
    let mut call = Call::new(true, ELSEWHERE, PeerAddress::CheckedByIce);
    call.talk();
    assert!(
        matches!(&call.events[..], [AssociationEvent::Connected(keys)] if keys.profile == Profile::Aes128CmSha1_80)
    );
    assert_eq!((call.phase(), call.progress()), (Phase::Connected, "connected"));
    call.client.close();
    call.talk();
    assert_eq!(call.events.last(), Some(&AssociationEvent::Closed));
    assert_eq!((call.phase(), call.progress()), (Phase::Connected, "closed by the peer"));
    assert_eq!(call.side.association.poll_timeout(), None);
}

#[test]
fn an_association_whose_keys_cannot_be_used_has_failed() {
    let mut call = Call::new(true, SIGNALLED, signalled());
    call.talk();
    call.side.association.reject_keys();
    assert_eq!(call.phase(), Phase::Failed);
    call.client.close();
    call.talk();
    assert_eq!((call.events.len(), call.phase()), (1, Phase::Failed));
}

#[test]
fn a_peer_that_falls_silent_has_failed_after_the_lifetime_of_a_handshake() {
    let mut call = Call::new(true, SIGNALLED, signalled());
    call.side.set_setup(Setup::Passive);
    call.side.endpoint.activate();
    let start = Instant::now();
    call.side.begin_if_active(start);
    assert_eq!(call.progress(), "handshake under way");
    let Side { association, .. } = &mut call.side;
    let mut end = start;
    while let Some(due) = association.poll_timeout() {
        end = due;
        association.handle_timeout(due, call.peer);
        if let Some(event) = association.poll_event(call.peer) {
            call.events.push(event);
        }
    }
    assert_eq!(call.events, [AssociationEvent::Failed(Failure::TimedOut { alert: None })]);
    assert_eq!((call.phase(), end - start), (Phase::Failed, Duration::from_secs(30)));
}
