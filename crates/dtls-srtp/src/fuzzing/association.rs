//! One association of ours without ICE, its peer, and a stranger at another address with another certificate.
#![allow(clippy::disallowed_types, reason = "a fuzzer is a process of its own")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::{
    Admission, Association, AssociationEvent, Associations, Context, Endpoint, Event, Fingerprint, HashFunction, Keys,
    MAX_DATAGRAM_LEN, Path, PeerAddress, Phase, Role, Session, Setup,
};

/// Runs a list of operations: a byte that says what happens, and one that says how. The first byte says which role is
/// ours and whether the peer's address is signalled.
///
/// Whatever the stranger does and the network loses: keys are reported for the peer's certificate only, they are the
/// peer's keys, nothing is amplified, and a peer that connects to its signalled address is not kept out.
pub fn association(operations: &[u8]) {
    let Some((mode, operations)) = operations.split_first() else { return };
    let ours = if mode & 1 == 0 { Role::Server } else { Role::Client };
    let mut call = Call::new(ours, mode & 2 == 0);
    let mut rest = operations;
    while let [operation, how, tail @ ..] = rest {
        rest = tail;
        match operation % 8 {
            0 => call.deliver_to_us(),
            1 => call.peer.take(call.now),
            2 if how & 1 == 0 => drop(call.peer.outbound.pop_front()),
            2 => drop(call.peer.inbound.pop_front()),
            3 => call.let_time_pass(*how),
            4 => call.offer_again(),
            5 => call.let_stranger_repeat(),
            6 => call.let_stranger_talk(),
            _ => {
                let (forged, tail) = tail.split_at(usize::from(*how).min(tail.len()));
                call.receive(call.stranger.address, forged);
                rest = tail;
            }
        }
        call.drive();
    }
    if ours == Role::Server && call.signalled.is_some() {
        call.finish();
    }
    if let (Some(ours), Some(theirs)) = (&call.keys, &call.peer.keys) {
        assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
    }
}

struct Call {
    ours: Role,
    now: Instant,
    start: Instant,
    endpoint: Endpoint,
    association: Association,
    signalled: Option<SocketAddr>,
    keys: Option<Keys>,
    peer: Other,
    stranger: Other,
}

/// An end that is not ours. It verifies nobody.
struct Other {
    address: SocketAddr,
    session: Session,
    keys: Option<Keys>,
    has_received: bool,
    inbound: VecDeque<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

impl Call {
    fn new(ours: Role, is_signalled: bool) -> Self {
        let [our_context, peer_context, stranger_context] = contexts();
        let (their_role, their_setup) = match ours {
            Role::Client => (Role::Server, Setup::Passive),
            Role::Server => (Role::Client, Setup::Active),
        };
        let mut endpoint = Endpoint::new(Arc::clone(our_context), Setup::ActPass);
        let _ = endpoint.set_setup(their_setup);
        endpoint.set_fingerprint(fingerprint(peer_context));
        let _ = endpoint.end_description();
        endpoint.activate();
        let now = Instant::now();
        let mut peer = Other::new(peer_context, their_role, 1);
        peer.session.start(now);
        let signalled = is_signalled.then_some(peer.address);
        let stranger = Other::new(stranger_context, their_role, 66);
        let association = Association::default();
        Self { ours, now, start: now, endpoint, association, signalled, keys: None, peer, stranger }
    }

    fn deliver_to_us(&mut self) {
        if let Some(datagram) = self.peer.outbound.pop_front() {
            self.receive(self.peer.address, &datagram);
        }
    }

    /// Up to 5 s at once. Most of what a handshake may last is left for the end.
    fn let_time_pass(&mut self, how: u8) {
        if self.now < self.start + Duration::from_secs(5) {
            self.now += Duration::from_millis(20 * u64::from(how));
        }
    }

    /// A later offer of the peer that changes nothing.
    fn offer_again(&mut self) {
        let fingerprint = fingerprint(&contexts()[1]);
        assert_eq!(self.endpoint.set_setup(Setup::ActPass), Associations::GoOn);
        self.endpoint.set_fingerprint(fingerprint);
        self.association.handle_description(&self.endpoint);
        assert_eq!(self.endpoint.end_description(), Associations::GoOn);
    }

    /// The stranger sends the peer's next datagram, which it has overheard.
    fn let_stranger_repeat(&mut self) {
        if let Some(datagram) = self.peer.outbound.front().cloned() {
            self.receive(self.stranger.address, &datagram);
        }
    }

    /// The stranger goes on with a handshake of its own: it takes in all that there is for it, and answers.
    fn let_stranger_talk(&mut self) {
        self.stranger.session.start(self.now);
        while !self.stranger.inbound.is_empty() {
            self.stranger.take(self.now);
        }
        self.stranger.drain(self.now);
        while let Some(datagram) = self.stranger.outbound.pop_front() {
            self.receive(self.stranger.address, &datagram);
        }
    }

    fn receive(&mut self, from: SocketAddr, datagram: &[u8]) {
        let path = Path { from, to: ([192, 0, 2, 100], 5000).into() };
        let peer = PeerAddress::Signalled(self.signalled);
        let before = self.association.phase();
        match self.association.handle_datagram(self.now, &mut self.endpoint, peer, path, datagram) {
            Admission::Taken => {}
            Admission::Answer(answer) => {
                assert!(answer.len() < datagram.len(), "nothing is amplified");
                assert_eq!(self.association.phase(), before);
                self.send(from, answer);
            }
            Admission::Refused => assert_eq!(self.association.phase(), before),
        }
    }

    fn drive(&mut self) {
        let peer = PeerAddress::Signalled(self.signalled);
        self.association.handle_timeout(self.now, peer);
        if self.signalled.is_some() {
            self.association.begin_if_active(self.now, &self.endpoint);
        }
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        while let Some(len) = self.association.poll_transmit(&mut buffer) {
            if let Some(to) = self.association.path().map(|path| path.from).or(self.signalled) {
                self.send(to, buffer[..len].to_vec());
            }
        }
        while let Some(event) = self.association.poll_event(peer) {
            self.handle_event(event);
        }
        self.peer.drain(self.now);
        self.stranger.drain(self.now);
    }

    fn handle_event(&mut self, event: AssociationEvent) {
        let (phase, path) = (self.association.phase(), self.association.path());
        match event {
            AssociationEvent::Connected(keys) => {
                assert_eq!((phase, path.map(|path| path.from)), (Phase::Connected, Some(self.peer.address)));
                assert!(self.keys.replace(keys).is_none(), "keys are reported once");
                self.endpoint.set_keyed();
                assert!(self.endpoint.is_keyed() && !self.endpoint.is_disowned());
            }
            AssociationEvent::Failed(_) => assert_eq!(phase, Phase::Failed),
            AssociationEvent::StrangerFailed(_) | AssociationEvent::Interrupted(_) => {
                assert_eq!((phase, path), (Phase::Idle, None));
            }
            AssociationEvent::Refused(_) | AssociationEvent::Closed => {}
        }
    }

    fn send(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        if to == self.peer.address {
            self.peer.inbound.push_back(datagram);
        } else {
            // A server's first datagram to an address that nobody vouches for is the request for a cookie.
            let is_short = datagram.len() < 64;
            assert!(self.ours == Role::Client || self.stranger.has_received || is_short, "sent to a victim");
            self.stranger.inbound.push_back(datagram);
        }
    }

    /// Lets the network deliver everything from now on. A peer at its signalled address connects.
    fn finish(&mut self) {
        let end = self.now + Duration::from_secs(15);
        while self.peer.keys.is_none() && self.now < end {
            self.drive();
            while !self.peer.outbound.is_empty() {
                self.deliver_to_us();
            }
            self.drive();
            while !self.peer.inbound.is_empty() {
                self.peer.take(self.now);
            }
            self.now += Duration::from_millis(50);
        }
        assert!(self.peer.keys.is_some() && self.keys.is_some(), "the peer was kept out");
    }
}

impl Other {
    fn new(context: &Arc<Context>, role: Role, last: u8) -> Self {
        let session = Session::new(context, role).expect("a session");
        let address = ([192, 0, 2, last], 4000).into();
        let (inbound, outbound) = Default::default();
        Self { address, session, keys: None, has_received: false, inbound, outbound }
    }

    fn take(&mut self, now: Instant) {
        if let Some(datagram) = self.inbound.pop_front() {
            self.has_received = true;
            self.session.handle_datagram(now, &datagram);
        }
    }

    fn drain(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        while let Some(len) = self.session.poll_transmit(&mut buffer) {
            self.outbound.push_back(buffer[..len].to_vec());
        }
        while let Some(event) = self.session.poll_event() {
            if let Event::Connected(keys) = event {
                self.keys = Some(keys);
            }
        }
    }
}

fn fingerprint(context: &Context) -> Fingerprint {
    let text = context.certificate().fingerprint(HashFunction::Sha256);
    Fingerprint::parse(HashFunction::Sha256, text).expect("our own text")
}

/// Returns contexts for us, for the peer and for the stranger; only ours verifies fingerprints.
fn contexts() -> &'static [Arc<Context>; 3] {
    static CONTEXTS: OnceLock<[Arc<Context>; 3]> = OnceLock::new();
    CONTEXTS.get_or_init(|| [true, false, false].map(super::new_context))
}
