//! Strangers and the peer at addresses that nobody vouches for.

use std::sync::Arc;

use super::*;
use crate::testing::{Side, context};
use crate::{Context, Event, HashFunction, MAX_DATAGRAM_LEN, Session, Setup};

const ALERT: [u8; 15] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];

/// An end that is not ours, at an address.
struct Other {
    context: Arc<Context>,
    session: Session,
    address: SocketAddr,
    got: usize,
    connected: bool,
}

impl Other {
    fn new(role: Role, last: u8) -> Self {
        let context = context(false);
        let session = Session::new(&context, role).unwrap();
        Self { context, session, address: ([192, 0, 2, last], 4000).into(), got: 0, connected: false }
    }

    fn path(&self) -> Path {
        Path { from: self.address, to: ([192, 0, 2, 100], 5000).into() }
    }

    fn take(&mut self, now: Instant, datagram: &[u8]) {
        self.got += 1;
        self.session.handle_datagram(now, datagram);
    }

    /// Exchanges datagrams with our side until neither has one to send. Datagrams of ours to another address are lost.
    fn talk(&mut self, now: Instant, side: &mut Side, signalled: Option<SocketAddr>) {
        self.session.start(now);
        loop {
            let said = drain(&mut self.session);
            for datagram in &said {
                if let Admission::Answer(answer) = side.admit(now, signalled, self.path(), datagram) {
                    self.take(now, &answer);
                }
            }
            let is_for_us = side.association.path().is_some_and(|path| path.from == self.address);
            let answers = drain_side(side);
            answers.iter().filter(|_| is_for_us).for_each(|datagram| self.take(now, datagram));
            while let Some(event) = self.session.poll_event() {
                self.connected |= matches!(event, Event::Connected(_));
            }
            if said.is_empty() && answers.is_empty() {
                break;
            }
        }
    }

    fn hello(&mut self, now: Instant) -> Vec<u8> {
        self.session.start(now);
        drain(&mut self.session).remove(0)
    }
}

fn drain(session: &mut Session) -> Vec<Vec<u8>> {
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    std::iter::from_fn(|| session.poll_transmit(&mut buffer).map(|len| buffer[..len].to_vec())).collect()
}

fn drain_side(side: &mut Side) -> Vec<Vec<u8>> {
    let mut buffer = [0; MAX_DATAGRAM_LEN];
    std::iter::from_fn(|| side.association.poll_transmit(&mut buffer).map(|len| buffer[..len].to_vec())).collect()
}

fn noise() -> Vec<u8> {
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32][..], &[0x5a; 32]].concat()
}

/// Our side once the peer's description has said `setup` and named its certificate.
fn told(setup: Setup, peer: &Other) -> Side {
    let mut side = Side::new(Setup::ActPass);
    side.set_setup(setup);
    side.set_fingerprint(HashFunction::Sha256, peer.context.certificate().fingerprint(HashFunction::Sha256));
    side.endpoint.activate();
    side
}

#[test]
fn a_strangers_datagram_does_not_keep_the_peer_out() {
    let now = Instant::now();
    for datagram in [Other::new(Role::Client, 66).hello(now), noise(), ALERT.to_vec()] {
        let (mut peer, stranger) = (Other::new(Role::Client, 1), Other::new(Role::Client, 66));
        let mut side = told(Setup::Active, &peer);
        match side.admit(now, None, stranger.path(), &datagram) {
            Admission::Answer(answer) => assert!(answer.len() < datagram.len()),
            admission => assert_eq!(admission, Admission::Refused),
        }
        assert!(!side.has_association());
        peer.talk(now, &mut side, Some(peer.address));
        assert!(peer.connected);
    }
}

#[test]
fn noise_and_alerts_begin_nothing_from_the_signalled_address_either() {
    let now = Instant::now();
    let mut peer = Other::new(Role::Client, 1);
    let mut side = told(Setup::Active, &peer);
    for datagram in [noise(), ALERT.to_vec()] {
        assert_eq!(side.admit(now, Some(peer.address), peer.path(), &datagram), Admission::Refused);
    }
    peer.talk(now, &mut side, Some(peer.address));
    assert!(peer.connected);
}

#[test]
fn a_peer_behind_a_nat_returns_the_cookie() {
    let now = Instant::now();
    let mut peer = Other::new(Role::Client, 1);
    let mut side = told(Setup::Active, &peer);
    peer.talk(now, &mut side, None);
    assert!(peer.connected);
}

#[test]
fn the_signalled_address_ends_a_handshake_that_a_stranger_began() {
    let now = Instant::now();
    let (mut peer, mut stranger) = (Other::new(Role::Client, 1), Other::new(Role::Client, 66));
    let mut side = told(Setup::Active, &peer);
    begin_and_fall_silent(&mut stranger, now, &mut side);
    peer.talk(now, &mut side, Some(peer.address));
    assert!(peer.connected);
}

#[test]
fn a_stranger_who_falls_silent_gives_way() {
    let now = Instant::now();
    let later = now + STALLED;
    for signalled in [None, Some(Other::new(Role::Client, 66).address)] {
        let (mut peer, mut stranger) = (Other::new(Role::Client, 1), Other::new(Role::Client, 66));
        let mut side = told(Setup::Active, &peer);
        begin_and_fall_silent(&mut stranger, now, &mut side);
        let hello = peer.hello(now);
        assert_eq!(side.admit(now, signalled, peer.path(), &hello), Admission::Refused);
        peer.session = Session::new(&peer.context, Role::Client).unwrap();
        peer.talk(later, &mut side, signalled);
        assert_eq!(peer.connected, signalled.is_none(), "whoever is signalled is waited for");
    }
}

#[test]
fn a_slow_phone_behind_a_nat_is_waited_for() {
    let now = Instant::now();
    let mut peer = Other::new(Role::Client, 1);
    let mut side = told(Setup::Active, &peer);
    begin_and_fall_silent(&mut peer, now, &mut side);
    let later = now + 3 * STALLED;
    side.association.forget_stalled(later, None);
    let hello = Other::new(Role::Client, 66).hello(later);
    let stranger = Other::new(Role::Client, 66);
    assert!(matches!(side.admit(later, None, stranger.path(), &hello), Admission::Answer(_)));
    peer.talk(later, &mut side, None);
    assert!(peer.connected);
}

#[test]
fn a_client_whom_a_stranger_led_astray_begins_again() {
    let now = Instant::now();
    let (peer, stranger) = (Other::new(Role::Server, 1), Other::new(Role::Server, 66));
    let mut side = told(Setup::Passive, &peer);
    side.begin_if_active(now);
    let hello = drain_side(&mut side).remove(0);
    let parsed = ClientHello::parse(&hello).unwrap();
    let request = stranger.context.hello_verify_request(&parsed, stranger.address).unwrap();
    let taken = now + SIGNALLED_ALONE;
    side.admit(taken, Some(peer.address), stranger.path(), &request);
    assert_eq!(side.association.path(), Some(stranger.path()));
    side.association.forget_stalled(taken, Some(peer.address));
    assert!(side.has_association());
    side.association.forget_stalled(taken + STALLED, Some(peer.address));
    assert!(!side.has_association());
}

/// Returns the cookie, so that the stranger has a handshake with us.
fn begin_and_fall_silent(stranger: &mut Other, now: Instant, side: &mut Side) {
    let first = stranger.hello(now);
    let Admission::Answer(request) = side.admit(now, None, stranger.path(), &first) else {
        panic!("a cookie comes first");
    };
    stranger.session.handle_datagram(now, &request);
    let second = drain(&mut stranger.session).remove(0);
    assert_eq!(side.admit(now, None, stranger.path(), &second), Admission::Taken);
    assert!(side.has_association());
}

#[test]
fn a_client_listens_to_the_signalled_address_first() {
    let now = Instant::now();
    let (mut peer, stranger) = (Other::new(Role::Server, 1), Other::new(Role::Server, 66));
    let mut side = told(Setup::Passive, &peer);
    side.begin_if_active(now);
    let hello = drain_side(&mut side).remove(0);
    for datagram in [hello.clone(), noise(), ALERT.to_vec()] {
        assert_eq!(side.admit(now, None, stranger.path(), &datagram), Admission::Refused);
        side.admit(now + SIGNALLED_ALONE, None, stranger.path(), &datagram);
        assert_eq!(side.association.path(), None, "and that is where it sends to");
    }
    peer.session.start(now);
    peer.take(now, &hello);
    peer.talk(now, &mut side, Some(peer.address));
    assert!(peer.connected);
    assert_eq!(side.association.path(), Some(peer.path()));
}

#[test]
fn a_server_that_answers_from_elsewhere_is_found() {
    let now = Instant::now();
    let mut peer = Other::new(Role::Server, 1);
    let mut side = told(Setup::Passive, &peer);
    side.begin_if_active(now);
    let hello = drain_side(&mut side).remove(0);
    peer.session.start(now);
    peer.take(now, &hello);
    peer.talk(now + SIGNALLED_ALONE, &mut side, None);
    assert!(peer.connected);
    assert_eq!(side.association.path(), Some(peer.path()));
}
