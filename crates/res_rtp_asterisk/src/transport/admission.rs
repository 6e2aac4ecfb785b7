//! Who takes part in a handshake where no pair that ICE checked says it: DTLS at the signalled address, and behind a
//! NAT (`nat=comedia`) at one that nobody knows before the peer's first datagram.
//!
//! Who the peer is, its fingerprint tells, at the end of the handshake. Until then a stranger must neither keep
//! the peer out nor have more sent to an address than came from there:
//!
//! - A server begins with a ClientHello and nothing else. At the signalled address it begins at once; at another
//!   when the client has returned a cookie (RFC 6347 §4.2.1). A ClientHello of the signalled address ends an
//!   unfinished handshake with another.
//! - A client speaks to the signalled address, and to another when that has brought the handshake further; for a
//!   second it listens to the signalled one alone.
//! - Once begun, only the address that the handshake is with is listened to. If that is not the signalled one and
//!   the handshake fails, it is as if it had not begun; while it stands still, a server takes another client that
//!   returns a cookie, and a client begins again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dtls_srtp::{ClientHello, Role};
use ice::Component;

use crate::transport::dtls::{Begin, Dtls, Link, Phase};

/// What the peer's description says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is the peer's.
    Signalled,
    /// Nothing.
    Unknown,
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// The association has taken it in.
    Taken,
    /// This goes back first, and nothing has changed.
    Answer(Vec<u8>),
    /// Nothing has changed.
    Refused,
}

impl Dtls {
    /// Takes in a datagram that came over a pair that ICE has checked.
    pub fn take(
        &mut self,
        now: Instant,
        component: Component,
        path: (SocketAddr, SocketAddr),
        datagram: &[u8],
    ) -> Admission {
        self.begin_if_passive(now, component);
        let link = self.link(component);
        let Some(session) = &mut link.session else { return Admission::Refused };
        link.from = Some(path);
        session.handle_datagram(now, datagram);
        Admission::Taken
    }

    /// Takes in a datagram that came from the first address to the second, without ICE.
    pub fn admit(
        &mut self,
        now: Instant,
        component: Component,
        signalled: Option<SocketAddr>,
        path: (SocketAddr, SocketAddr),
        datagram: &[u8],
    ) -> Admission {
        let origin = if signalled == Some(path.0) { Origin::Signalled } else { Origin::Unknown };
        let hello = ClientHello::parse(datagram);
        let awaits_hello = self.awaits_hello(component);
        let link = self.link(component);
        match hello {
            Some(hello) if awaits_hello || link.gives_way(now, signalled, path.0) => {
                let context = &self.configuration.context;
                let begin = match (hello.has_cookie(), origin) {
                    (true, _) if context.has_our_cookie(&hello, path.0) => Begin::AfterCookie,
                    (false, Origin::Signalled) => Begin::Server,
                    _ => {
                        return context
                            .hello_verify_request(&hello, path.0)
                            .map_or(Admission::Refused, Admission::Answer);
                    }
                };
                self.begin_as_server(now, component, begin);
                let link = self.link(component);
                link.from = Some(path);
                link.admit(now, origin, path, datagram)
            }
            Some(_) | None => link.admit(now, origin, path, datagram),
        }
    }

    /// Forgets what we began as the client and others than the signalled addresses took over and left: to begin again.
    pub fn forget_stalled(&mut self, now: Instant, signalled: [Option<SocketAddr>; 2]) {
        for (link, signalled) in self.links.iter_mut().zip(signalled) {
            if link.is_unfinished(Role::Client) && link.is_with_another(signalled) && link.stands_still(now) {
                *link = Link::default();
            }
        }
    }
}

impl Link {
    /// Whether it is known to be with another address than that.
    pub fn is_with_another(&self, address: Option<SocketAddr>) -> bool {
        self.from.is_some_and(|(from, _)| Some(from) != address)
    }

    /// Whether a ClientHello from that address takes the place of an unfinished handshake with another.
    fn gives_way(&self, now: Instant, signalled: Option<SocketAddr>, newcomer: SocketAddr) -> bool {
        let is_with_stranger = self.is_with_another(Some(newcomer)) && self.is_with_another(signalled);
        // A slow phone may stand still for long; it goes on if nobody else comes.
        self.is_unfinished(Role::Server) && is_with_stranger && (signalled == Some(newcomer) || self.stands_still(now))
    }

    fn is_unfinished(&self, role: Role) -> bool {
        self.phase == Phase::Handshaking && self.session.as_ref().is_some_and(|session| session.role() == role)
    }

    fn stands_still(&self, now: Instant) -> bool {
        self.moved.is_some_and(|moved| now.saturating_duration_since(moved) >= STALLED)
    }

    fn admit(&mut self, now: Instant, origin: Origin, path: (SocketAddr, SocketAddr), datagram: &[u8]) -> Admission {
        let listens = match self.from {
            Some((from, _)) => from == path.0,
            None => origin == Origin::Signalled || self.moved.is_some_and(|begun| now >= begun + SIGNALLED_ALONE),
        };
        let Some(session) = self.session.as_mut().filter(|_| listens) else { return Admission::Refused };
        let before = session.steps();
        session.handle_datagram(now, datagram);
        if session.steps() != before {
            (self.from, self.moved) = (Some(path), Some(now));
        }
        Admission::Taken
    }
}

/// Most peers have answered the first flight or one of its repetitions by then.
const STALLED: Duration = Duration::from_secs(3);

/// How long a client's first flights are for the signalled address alone to answer.
const SIGNALLED_ALONE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use asterisk::rtp::Setup;
    use dtls_srtp::{
        Certificate, Context, ContextConfig, Event, HashFunction, MAX_DATAGRAM_LEN, Profile, Session, Verify,
    };

    use super::*;
    use crate::transport::dtls::tests::side;

    const ALERT: [u8; 15] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    const RTP: Component = Component::Rtp;

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
            let context = Context::new(ContextConfig {
                certificate: Certificate::self_signed().unwrap(),
                verify: Verify { fingerprint: false, certificate: false },
                cipher_list: None,
                ca_file: None,
                ca_path: None,
                srtp_profiles: vec![Profile::Aes128CmSha1_80],
            })
            .unwrap();
            let session = Session::new(&context, role).unwrap();
            Self { context, session, address: ([192, 0, 2, last], 4000).into(), got: 0, connected: false }
        }

        fn path(&self) -> (SocketAddr, SocketAddr) {
            (self.address, ([192, 0, 2, 100], 5000).into())
        }

        fn take(&mut self, now: Instant, datagram: &[u8]) {
            self.got += 1;
            self.session.handle_datagram(now, datagram);
        }

        /// As long as one of both has something to say; what is not for it is lost.
        fn talk(&mut self, now: Instant, dtls: &mut Dtls, signalled: Option<SocketAddr>) {
            self.session.start(now);
            loop {
                let said = drain(&mut self.session);
                for datagram in &said {
                    if let Admission::Answer(answer) = dtls.admit(now, RTP, signalled, self.path(), datagram) {
                        self.take(now, &answer);
                    }
                }
                let link = dtls.link(RTP);
                let is_for_us = link.from.is_some_and(|(from, _)| from == self.address);
                let answers = link.session.as_mut().map(drain).unwrap_or_default();
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

    fn noise() -> Vec<u8> {
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32][..], &[0x5a; 32]].concat()
    }

    fn told(setup: Setup, peer: &Other) -> Dtls {
        let mut dtls = side(Setup::ActPass);
        dtls.set_setup(setup);
        dtls.set_fingerprint(HashFunction::Sha256, peer.context.certificate().fingerprint(HashFunction::Sha256));
        dtls.activated = true;
        dtls
    }

    #[test]
    fn a_strangers_datagram_does_not_keep_the_peer_out() {
        let now = Instant::now();
        for datagram in [Other::new(Role::Client, 66).hello(now), noise(), ALERT.to_vec()] {
            let (mut peer, stranger) = (Other::new(Role::Client, 1), Other::new(Role::Client, 66));
            let mut dtls = told(Setup::Active, &peer);
            match dtls.admit(now, RTP, None, stranger.path(), &datagram) {
                Admission::Answer(answer) => assert!(answer.len() < datagram.len()),
                admission => assert_eq!(admission, Admission::Refused),
            }
            assert!(!dtls.has_association());
            peer.talk(now, &mut dtls, Some(peer.address));
            assert!(peer.connected);
        }
    }

    #[test]
    fn noise_and_alerts_begin_nothing_from_the_signalled_address_either() {
        let now = Instant::now();
        let mut peer = Other::new(Role::Client, 1);
        let mut dtls = told(Setup::Active, &peer);
        for datagram in [noise(), ALERT.to_vec()] {
            assert_eq!(dtls.admit(now, RTP, Some(peer.address), peer.path(), &datagram), Admission::Refused);
        }
        peer.talk(now, &mut dtls, Some(peer.address));
        assert!(peer.connected);
    }

    #[test]
    fn a_peer_behind_a_nat_returns_the_cookie() {
        let now = Instant::now();
        let mut peer = Other::new(Role::Client, 1);
        let mut dtls = told(Setup::Active, &peer);
        peer.talk(now, &mut dtls, None);
        assert!(peer.connected);
    }

    #[test]
    fn the_signalled_address_ends_a_handshake_that_a_stranger_began() {
        let now = Instant::now();
        let (mut peer, mut stranger) = (Other::new(Role::Client, 1), Other::new(Role::Client, 66));
        let mut dtls = told(Setup::Active, &peer);
        begin_and_fall_silent(&mut stranger, now, &mut dtls);
        peer.talk(now, &mut dtls, Some(peer.address));
        assert!(peer.connected);
    }

    #[test]
    fn a_stranger_who_falls_silent_gives_way() {
        let now = Instant::now();
        let later = now + STALLED;
        for signalled in [None, Some(Other::new(Role::Client, 66).address)] {
            let (mut peer, mut stranger) = (Other::new(Role::Client, 1), Other::new(Role::Client, 66));
            let mut dtls = told(Setup::Active, &peer);
            begin_and_fall_silent(&mut stranger, now, &mut dtls);
            let hello = peer.hello(now);
            assert_eq!(dtls.admit(now, RTP, signalled, peer.path(), &hello), Admission::Refused);
            peer.session = Session::new(&peer.context, Role::Client).unwrap();
            peer.talk(later, &mut dtls, signalled);
            assert_eq!(peer.connected, signalled.is_none(), "whoever is signalled is waited for");
        }
    }

    #[test]
    fn a_slow_phone_behind_a_nat_is_waited_for() {
        let now = Instant::now();
        let mut peer = Other::new(Role::Client, 1);
        let mut dtls = told(Setup::Active, &peer);
        begin_and_fall_silent(&mut peer, now, &mut dtls);
        let later = now + 3 * STALLED;
        dtls.forget_stalled(later, [None, None]);
        let hello = Other::new(Role::Client, 66).hello(later);
        let stranger = Other::new(Role::Client, 66);
        assert!(matches!(dtls.admit(later, RTP, None, stranger.path(), &hello), Admission::Answer(_)));
        peer.talk(later, &mut dtls, None);
        assert!(peer.connected);
    }

    #[test]
    fn a_client_whom_a_stranger_led_astray_begins_again() {
        let now = Instant::now();
        let (peer, stranger) = (Other::new(Role::Server, 1), Other::new(Role::Server, 66));
        let mut dtls = told(Setup::Passive, &peer);
        dtls.begin_if_active(now, RTP);
        let hello = drain(dtls.link(RTP).session.as_mut().unwrap()).remove(0);
        let parsed = ClientHello::parse(&hello).unwrap();
        let request = stranger.context.hello_verify_request(&parsed, stranger.address).unwrap();
        let taken = now + SIGNALLED_ALONE;
        dtls.admit(taken, RTP, Some(peer.address), stranger.path(), &request);
        assert_eq!(dtls.link(RTP).from, Some(stranger.path()));
        dtls.forget_stalled(taken, [Some(peer.address), None]);
        assert!(dtls.has_association());
        dtls.forget_stalled(taken + STALLED, [Some(peer.address), None]);
        assert!(!dtls.has_association());
    }

    /// With the cookie, so that he has a handshake.
    fn begin_and_fall_silent(stranger: &mut Other, now: Instant, dtls: &mut Dtls) {
        let first = stranger.hello(now);
        let Admission::Answer(request) = dtls.admit(now, RTP, None, stranger.path(), &first) else {
            panic!("a cookie comes first");
        };
        stranger.session.handle_datagram(now, &request);
        let second = drain(&mut stranger.session).remove(0);
        assert_eq!(dtls.admit(now, RTP, None, stranger.path(), &second), Admission::Taken);
        assert!(dtls.has_association());
    }

    #[test]
    fn a_client_listens_to_the_signalled_address_first() {
        let now = Instant::now();
        let (mut peer, stranger) = (Other::new(Role::Server, 1), Other::new(Role::Server, 66));
        let mut dtls = told(Setup::Passive, &peer);
        dtls.begin_if_active(now, RTP);
        let hello = drain(dtls.link(RTP).session.as_mut().unwrap()).remove(0);
        for datagram in [hello.clone(), noise(), ALERT.to_vec()] {
            assert_eq!(dtls.admit(now, RTP, None, stranger.path(), &datagram), Admission::Refused);
            dtls.admit(now + SIGNALLED_ALONE, RTP, None, stranger.path(), &datagram);
            assert_eq!(dtls.link(RTP).from, None, "and that is where it sends to");
        }
        peer.session.start(now);
        peer.take(now, &hello);
        peer.talk(now, &mut dtls, Some(peer.address));
        assert!(peer.connected);
        assert_eq!(dtls.link(RTP).from, Some(peer.path()));
    }

    #[test]
    fn a_server_that_answers_from_elsewhere_is_found() {
        let now = Instant::now();
        let mut peer = Other::new(Role::Server, 1);
        let mut dtls = told(Setup::Passive, &peer);
        dtls.begin_if_active(now, RTP);
        let hello = drain(dtls.link(RTP).session.as_mut().unwrap()).remove(0);
        peer.session.start(now);
        peer.take(now, &hello);
        peer.talk(now + SIGNALLED_ALONE, &mut dtls, None);
        assert!(peer.connected);
        assert_eq!(dtls.link(RTP).from, Some(peer.path()));
    }
}
