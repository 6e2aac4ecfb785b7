//! DTLS-SRTP as chan_sip drives it: a configuration, a role that the two descriptions settle
//! (RFC 5763 §5), and the fingerprint that the peer's description promises.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use asterisk::rtp::Setup;
use dtls_srtp::{HashFunction, Role};
use ice::Component;

use crate::transport::contexts::Configuration;

/// The DTLS side of a session.
pub struct Dtls {
    /// Certificate and context, shared by all calls of the same configuration.
    pub configuration: Arc<Configuration>,
    setup: Setup,
    remote_fingerprint: Option<(HashFunction, String)>,
    /// One association for each component; the second only where RTCP is not multiplexed.
    pub links: [Link; 2],
    /// The host wants handshakes to begin.
    pub activated: bool,
    /// There were keys for media; they stay in use until newer ones come, or are due and do not come.
    pub keyed: bool,
    /// What the peer's description said of the certificate that they were agreed with.
    keyed_with: Option<(HashFunction, String)>,
}

/// One association, or the lack of it.
#[derive(Default)]
pub struct Link {
    /// The handshake, and what follows it.
    pub session: Option<dtls_srtp::Session>,
    /// How far it is.
    pub phase: Phase,
    /// Where the peer's datagrams came from, for answers before ICE has selected. Without ICE, whom the handshake
    /// is with (see [`crate::transport::admission`]).
    pub from: Option<(SocketAddr, SocketAddr)>,
    /// When it began, or last went on.
    pub moved: Option<Instant>,
}

/// How far an association is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has happened.
    #[default]
    Idle,
    /// The handshake runs.
    Handshaking,
    /// There are keys.
    Connected,
    /// There will be none, until the peer offers another association.
    Failed,
}

impl Dtls {
    /// Nothing known of the peer.
    pub fn new(configuration: Arc<Configuration>, setup: Setup) -> Self {
        let links = Default::default();
        let (remote_fingerprint, keyed_with) = (None, None);
        Self { configuration, setup, remote_fingerprint, links, activated: false, keyed: false, keyed_with }
    }

    /// What our description says.
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// The peer's description says so. Whether our role changed while there was an association.
    pub fn set_setup(&mut self, told: Setup) {
        let ours = match told {
            Setup::Active => Setup::Passive,
            Setup::Passive => Setup::Active,
            // RFC 5763 §5 prefers that the answerer is active: it knows the fingerprint already.
            Setup::ActPass if self.setup == Setup::ActPass => Setup::Active,
            Setup::ActPass => self.setup,
            Setup::HoldConn => Setup::HoldConn,
        };
        let before = std::mem::replace(&mut self.setup, ours);
        if before != ours && self.has_association() && matches!(ours, Setup::Active | Setup::Passive) {
            self.start_over();
        }
    }

    /// The peer's certificate has this fingerprint. Another one than before is another association
    /// (RFC 8842 §4).
    pub fn set_fingerprint(&mut self, hash: HashFunction, fingerprint: &str) {
        let told = (hash, fingerprint.to_ascii_uppercase());
        let known = self.remote_fingerprint.as_ref();
        // A description may have one for each hash function: they name the same certificate. SHA-256
        // is kept, whatever their order.
        if known.is_some_and(|(known, _)| *known != hash) && hash == HashFunction::Sha1 {
            return;
        }
        let changed = known.is_some_and(|known| is_another(known, &told));
        self.remote_fingerprint = Some(told);
        if changed && self.has_association() {
            self.start_over();
        }
    }

    /// Forgets the association; the keys stay until there are newer ones.
    pub fn start_over(&mut self) {
        self.links = Default::default();
    }

    /// The same for one component.
    pub fn start_link_over(&mut self, component: Component) {
        *self.link(component) = Link::default();
    }

    /// A handshake gave keys for media.
    pub fn set_keyed(&mut self) {
        self.keyed = true;
        self.keyed_with.clone_from(&self.remote_fingerprint);
    }

    /// Whether the keys were agreed with somebody else than the peer's description speaks of by now.
    pub fn is_disowned(&self) -> bool {
        let promised = self.keyed_with.as_ref().zip(self.remote_fingerprint.as_ref());
        let changed = promised.is_some_and(|(then, now)| is_another(then, now));
        self.keyed && self.configuration.verify_fingerprint && changed
    }

    /// The association that was due did not come about. Keys that the peer's description still stands for
    /// stay in use; others must not (RFC 8122 §6.2).
    pub fn drop_disowned_keys(&mut self) {
        self.keyed &= !self.is_disowned();
    }

    /// Whether a handshake has begun.
    pub fn has_association(&self) -> bool {
        self.links.iter().any(|link| link.phase != Phase::Idle)
    }

    /// Whether media is keyed by an association that both sides know.
    pub fn is_connected(&self) -> bool {
        self.links[0].phase == Phase::Connected
    }

    /// The link of that component.
    pub fn link(&mut self, component: Component) -> &mut Link {
        &mut self.links[usize::from(component == Component::Rtcp)]
    }

    /// Begins the handshake as the client, if that is our role and nothing is missing.
    pub fn begin_if_active(&mut self, now: Instant, component: Component) {
        let ready = self.activated && self.setup == Setup::Active && self.is_peer_known();
        if ready && self.link(component).phase == Phase::Idle {
            self.begin(now, component, Begin::Client);
        }
    }

    /// A datagram came before we began: the peer is the client, if it may be.
    pub fn begin_if_passive(&mut self, now: Instant, component: Component) {
        if self.awaits_hello(component) {
            self.begin_as_server(now, component, Begin::Server);
        }
    }

    /// Whether the next that happens may be the peer's ClientHello.
    pub fn awaits_hello(&mut self, component: Component) -> bool {
        let may_serve = matches!(self.setup, Setup::ActPass | Setup::Passive) && self.is_peer_known();
        may_serve && self.link(component).phase == Phase::Idle
    }

    /// Begins for a client that has spoken, and maybe returned a cookie.
    pub fn begin_as_server(&mut self, now: Instant, component: Component, begin: Begin) {
        self.setup = Setup::Passive;
        self.begin(now, component, begin);
    }

    /// When the first of the associations wants time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.session.as_ref()?.poll_timeout()).min()
    }

    fn begin(&mut self, now: Instant, component: Component, begin: Begin) {
        let context = &self.configuration.context;
        let role = if begin == Begin::Client { Role::Client } else { Role::Server };
        let session = dtls_srtp::Session::new(context, role).map(|mut session| {
            if let Some((hash, fingerprint)) = &self.remote_fingerprint {
                // Was parsed when it was told.
                let _ = session.set_remote_fingerprint(*hash, fingerprint);
            }
            match begin {
                Begin::Client | Begin::Server => session.start(now),
                Begin::AfterCookie => session.start_after_cookie(now),
            }
            session
        });
        let link = self.link(component);
        link.phase = if session.is_ok() { Phase::Handshaking } else { Phase::Failed };
        link.session = session.ok();
        link.moved = Some(now);
    }

    /// The fingerprint has to be known before the handshake, if it is to be verified at all.
    fn is_peer_known(&self) -> bool {
        self.remote_fingerprint.is_some() || !self.configuration.verify_fingerprint
    }
}

/// How a handshake begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With our ClientHello.
    Client,
    /// With the peer's.
    Server,
    /// With the peer's second, which returns a cookie.
    AfterCookie,
}

/// The same hash of two certificates. Of two hashes nothing can be said.
fn is_another(one: &(HashFunction, String), other: &(HashFunction, String)) -> bool {
    one.0 == other.0 && one.1 != other.1
}

#[cfg(test)]
pub mod tests {
    use asterisk::rtp::{DtlsConfig, Hash};

    use super::*;
    use crate::transport::contexts::Contexts;

    const FINGERPRINT: &str =
        "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

    /// Our side, when nothing is known of the peer.
    pub fn side(setup: Setup) -> Dtls {
        let config = DtlsConfig {
            enabled: true,
            verify_fingerprint: true,
            verify_certificate: false,
            rekey_seconds: 0,
            setup,
            suite: 1,
            hash: Hash::Sha256,
            certificate: None,
            private_key: None,
            cipher: None,
            ca_file: None,
            ca_path: None,
        };
        Dtls::new(Contexts::new(Instant::now()).get(Instant::now(), &config).unwrap(), setup)
    }

    #[test]
    fn rfc5763_section_5_the_answerer_of_actpass_is_active_and_stays_it() {
        let mut dtls = side(Setup::ActPass);
        dtls.set_setup(Setup::ActPass);
        assert_eq!(dtls.setup(), Setup::Active);
        dtls.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        dtls.activated = true;
        dtls.begin_if_active(Instant::now(), Component::Rtp);
        assert_eq!(dtls.link(Component::Rtp).phase, Phase::Handshaking);
        // A re-INVITE: actpass again, the same fingerprint.
        dtls.set_setup(Setup::ActPass);
        dtls.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.to_ascii_lowercase());
        assert_eq!((dtls.setup(), dtls.link(Component::Rtp).phase), (Setup::Active, Phase::Handshaking));
    }

    #[test]
    fn rfc8842_section_4_another_fingerprint_is_another_association() {
        let mut dtls = side(Setup::ActPass);
        dtls.set_setup(Setup::Passive);
        dtls.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        dtls.activated = true;
        dtls.begin_if_active(Instant::now(), Component::Rtp);
        dtls.set_fingerprint(HashFunction::Sha1, "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33");
        assert!(dtls.has_association(), "the same certificate by another hash");
        dtls.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.replace("00", "01"));
        assert!(!dtls.has_association());
    }

    #[test]
    fn rfc8122_section_6_2_keys_of_another_certificate_end_with_the_handshake_that_should_replace_them() {
        let mut dtls = side(Setup::Passive);
        dtls.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        dtls.link(Component::Rtp).phase = Phase::Connected;
        dtls.set_keyed();
        dtls.drop_disowned_keys();
        assert!(dtls.keyed, "a handshake that failed for another reason takes nothing away");
        dtls.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.replace("00", "01"));
        assert!(dtls.keyed && dtls.is_disowned(), "media goes on until the handshake is over");
        dtls.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        assert!(!dtls.is_disowned(), "the offer was withdrawn");
        dtls.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.replace("00", "01"));
        dtls.drop_disowned_keys();
        assert!(!dtls.keyed && !dtls.is_disowned());
        dtls.set_keyed();
        assert!(!dtls.is_disowned());
    }

    #[test]
    fn nothing_begins_before_the_host_and_the_peer_have_spoken() {
        let now = Instant::now();
        let mut dtls = side(Setup::Active);
        dtls.set_setup(Setup::Passive);
        dtls.begin_if_active(now, Component::Rtp);
        dtls.activated = true;
        dtls.begin_if_active(now, Component::Rtp);
        assert!(!dtls.has_association());
        dtls.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        dtls.begin_if_active(now, Component::Rtp);
        assert!(dtls.has_association());
    }

    #[test]
    fn a_datagram_before_the_answer_settles_who_is_passive() {
        let mut dtls = side(Setup::ActPass);
        dtls.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        dtls.begin_if_passive(Instant::now(), Component::Rtp);
        assert_eq!(dtls.setup(), Setup::Passive);
        assert!(dtls.has_association());
    }
}
