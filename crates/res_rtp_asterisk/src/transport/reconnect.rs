//! Notices a peer that makes a new connection in the same dialog and keeps its certificate: a page that opens its RTCPeerConnection
//! anew. Fingerprint and roles are as before, and only `a=tls-id` would tell (RFC 8842 §5.1), which browsers do not send. But the new
//! connection restarts ICE, has no keys, and waits for a handshake.
//!
//! - As the server we get a ClientHello over a pair that ICE has checked since the restart.
//! - As the client we have to begin. A restart of the same connection keeps the tie-breaker of ICE, or at least goes on with SRTP over
//!   the new pair. If there is neither, the connection is another one. A peer that has keys ignores our ClientHello, which belongs to
//!   an epoch that is over (RFC 6347 §4.1).
//!
//! The old keys stay in use until the new ones are there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::ice::{Component, Credentials};
use dtls_srtp::{ClientHello, Phase, Setup};

use super::Transport;
use super::ice::IceSide;
use super::sockets::Received;

/// The peer's connection that the keys were agreed with.
#[derive(Debug, Default)]
pub struct Reconnect {
    keyed: Option<Connection>,
    /// The pair's remote address and the time by which SRTP has to arrive from it.
    doubt: Option<(SocketAddr, Instant)>,
}

/// The signs of one connection of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Connection {
    credentials: Credentials,
    tie_breaker: Option<u64>,
}

impl Connection {
    fn of(ice: &IceSide) -> Option<Self> {
        let agent = ice.agent();
        Some(Self { credentials: agent.remote_credentials()?.clone(), tie_breaker: agent.remote_tie_breaker() })
    }
}

impl Reconnect {
    /// Records that SRTP from the peer has been authenticated.
    pub fn handle_authenticated(&mut self, from: SocketAddr) {
        if self.doubt.is_some_and(|(expected, _)| expected == from) {
            self.doubt = None;
        }
    }

    /// Returns when SRTP has to have arrived.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.doubt.map(|(_, until)| until)
    }

    fn has_restarted(&self, current: &Connection) -> bool {
        self.keyed.as_ref().is_some_and(|keyed| keyed.credentials != current.credentials)
    }

    fn may_be_another(&self, current: &Connection) -> bool {
        self.has_restarted(current) && self.keyed.as_ref().is_some_and(|keyed| keyed.tie_breaker != current.tie_breaker)
    }

    fn is_overdue(&mut self, now: Instant) -> bool {
        self.doubt.take_if(|(_, until)| *until <= now).is_some()
    }
}

impl Transport {
    /// Records that keys have been agreed with the peer's connection of this moment.
    pub(super) fn note_keyed_connection(&mut self) {
        self.reconnect = Reconnect { keyed: self.connection(), doubt: None };
    }

    /// Begins a new association if the datagram is the ClientHello of another connection than that with the keys. It has come over a
    /// checked pair.
    pub(super) fn admit_new_connection(&mut self, received: &Received, datagram: &[u8]) {
        let is_hello = || ClientHello::parse(datagram).is_some();
        if self.has_keys_as(Setup::Passive)
            && self.is_checked(Component::Rtp, received)
            && self.has_restarted()
            && is_hello()
        {
            self.start_dtls_over();
        }
    }

    /// Records that ICE has selected a pair for media. Where we are the client, SRTP over it shows that the peer has the keys.
    pub(super) fn doubt_connection(&mut self, now: Instant, remote: SocketAddr) {
        if self.reconnect.keyed.is_none() && self.dtls.as_ref().is_some_and(|dtls| dtls.is_keyed()) {
            // The handshake was over before the peer's description had come.
            self.note_keyed_connection();
        }
        let is_doubtful = self.has_keys_as(Setup::Active)
            && self.connection().is_some_and(|current| self.reconnect.may_be_another(&current));
        self.reconnect.doubt = is_doubtful.then_some((remote, now + SRTP_ARRIVES));
    }

    /// Begins a new association if the peer has not shown in time that it has the keys. Returns whether it has begun.
    pub(super) fn handle_doubt(&mut self, now: Instant) -> bool {
        let begins = self.reconnect.is_overdue(now);
        if begins {
            self.start_dtls_over();
        }
        begins
    }

    fn start_dtls_over(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.start_over();
        }
    }

    /// Returns whether there are keys, we have this role, and no handshake for new keys is under way. One that was may have failed.
    fn has_keys_as(&self, setup: Setup) -> bool {
        self.dtls.as_ref().is_some_and(|dtls| {
            dtls.is_keyed() && dtls.setup() == setup && matches!(dtls.phase(), Phase::Connected | Phase::Failed)
        })
    }

    fn has_restarted(&self) -> bool {
        self.connection().is_some_and(|current| self.reconnect.has_restarted(&current))
    }

    fn connection(&self) -> Option<Connection> {
        self.ice.as_deref().filter(|ice| ice.is_active()).and_then(Connection::of)
    }
}

/// Time for SRTP to arrive over a new pair. A packet of audio is sent every 20 ms.
const SRTP_ARRIVES: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use ::ice::{Event, Path};
    use dtls_srtp::{Fingerprint, HashFunction, PeerAddress};

    use super::*;
    use crate::transport::testing::with_session;

    /// We are the client, and the peer has not answered in time.
    fn time_out(transport: &mut Transport, now: Instant) {
        let fingerprint = vec!["AB"; 32].join(":");
        let dtls = transport.dtls_mut().unwrap();
        dtls.set_setup(Setup::Passive);
        dtls.set_fingerprint(Fingerprint::parse(HashFunction::Sha256, &fingerprint).unwrap());
        dtls.end_description(true);
        dtls.activate();
        dtls.begin_if_active(now, Component::Rtp);
        let peer = PeerAddress::CheckedByIce;
        dtls.handle_timeout(now + Duration::from_secs(31), ::ice::PerComponent::from_fn(|_| peer));
        while dtls.poll_event(Component::Rtp, peer).is_some() {}
        assert_eq!(dtls.phase(), Phase::Failed);
    }

    fn select(transport: &mut Transport, now: Instant) {
        let (local, remote) = (transport.socket(Component::Rtp).local(), "127.0.0.1:9".parse().unwrap());
        let path = Path { component: Component::Rtp, local, remote };
        transport.handle_ice_event(now, Event::Selected { component: Component::Rtp, path });
    }

    #[test]
    fn a_call_whose_handshake_timed_out_may_have_another_once_an_ice_restart_has_found_a_path() {
        with_session(|session| {
            session.with(|state| {
                let (transport, now) = (state.transport_mut(), Instant::now());
                time_out(transport, now);
                select(transport, now);
                assert_eq!(transport.dtls_mut().unwrap().phase(), Phase::Idle);
            });
        });
    }

    #[test]
    fn a_second_new_connection_of_the_peer_is_noticed_though_the_handshake_with_the_first_came_to_nothing() {
        with_session(|session| {
            session.with(|state| {
                let (transport, now) = (state.transport_mut(), Instant::now());
                time_out(transport, now);
                transport.dtls_mut().unwrap().set_keyed();
                transport.reconnect.keyed = Some(connection("first", 1));
                let ice = transport.ice_mut().unwrap();
                ice.set_authentication(Some("third"), Some("a-password-of-22-letters"));
                ice.start(now);
                select(transport, now);
                assert_eq!(transport.dtls_mut().unwrap().phase(), Phase::Failed, "SRTP may still come");
                assert_eq!(transport.reconnect.poll_timeout(), Some(now + SRTP_ARRIVES));
                assert!(transport.handle_doubt(now + SRTP_ARRIVES));
                assert_eq!(transport.dtls_mut().unwrap().phase(), Phase::Idle);
            });
        });
    }

    fn connection(ufrag: &str, tie_breaker: u64) -> Connection {
        let credentials = Credentials { ufrag: ufrag.into(), password: "a-password-of-22-letters".into() };
        Connection { credentials, tie_breaker: Some(tie_breaker) }
    }

    #[test]
    fn a_restart_is_another_connection_if_its_tie_breaker_is_another() {
        let reconnect = Reconnect { keyed: Some(connection("peer", 1)), doubt: None };
        assert!(!reconnect.has_restarted(&connection("peer", 2)), "a role conflict may change it");
        assert!(!reconnect.may_be_another(&connection("peer", 2)));
        assert!(reconnect.has_restarted(&connection("anew", 1)));
        assert!(!reconnect.may_be_another(&connection("anew", 1)), "the connection restarts");
        assert!(reconnect.may_be_another(&connection("anew", 2)));
        assert!(!Reconnect::default().has_restarted(&connection("peer", 1)), "there are no keys yet");
    }

    #[test]
    fn srtp_from_the_new_address_ends_the_doubt() {
        let (start, address) = (Instant::now(), |text: &str| text.parse().unwrap());
        let until = start + SRTP_ARRIVES;
        let doubtful = || Reconnect { keyed: None, doubt: Some((address("192.0.2.1:1"), until)) };
        let mut reconnect = doubtful();
        reconnect.handle_authenticated(address("192.0.2.2:2"));
        assert_eq!(reconnect.poll_timeout(), Some(until), "the old connection may still send");
        assert!(!reconnect.is_overdue(start) && reconnect.is_overdue(until) && !reconnect.is_overdue(until));
        let mut reconnect = doubtful();
        reconnect.handle_authenticated(address("192.0.2.1:1"));
        assert!(!reconnect.is_overdue(until));
    }
}
