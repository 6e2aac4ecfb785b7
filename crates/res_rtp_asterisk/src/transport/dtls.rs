//! The DTLS-SRTP state of a session: one association per component, with the roles and fingerprints of the two session
//! descriptions (RFC 5763, RFC 5764).

use std::sync::Arc;
use std::time::Instant;

use ::ice::{Component, PerComponent};
use asterisk::rtp::Hash;
use dtls_srtp::{
    Admission, Association, AssociationEvent, Associations, Certificate, Context, Endpoint, Fingerprint, Path,
    PeerAddress, Phase, Setup,
};

/// The DTLS state of a session for which the host has configured DTLS.
pub struct Dtls {
    endpoint: Endpoint,
    /// One association per component. Component 2 is used only if RTCP is not multiplexed.
    associations: PerComponent<Association>,
    /// The hash function of the `a=fingerprint` that we send.
    hash: Hash,
}

impl Dtls {
    /// Creates the state of a session whose peer is not known yet. `setup` is the `a=setup` value of our first description, `hash`
    /// the hash function of our `a=fingerprint`.
    pub fn new(context: Arc<Context>, setup: Setup, hash: Hash) -> Self {
        Self { endpoint: Endpoint::new(context, setup), associations: PerComponent::default(), hash }
    }

    /// Returns the hash function of the `a=fingerprint` that we send.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Returns the `a=setup` value for our description (RFC 5763 §5).
    pub fn setup(&self) -> Setup {
        self.endpoint.setup()
    }

    /// Records that our next description is an offer.
    pub fn offer_again(&mut self) {
        self.endpoint.offer_again();
    }

    /// Returns our certificate.
    pub fn certificate(&self) -> &Certificate {
        self.endpoint.certificate()
    }

    /// Sets the `a=setup` value of the peer's description (RFC 5763 §5). A changed role starts both associations over.
    pub fn set_setup(&mut self, theirs: Setup) {
        let associations = self.endpoint.set_setup(theirs);
        self.apply(associations);
    }

    /// Takes in one `a=fingerprint` of the peer's description, which may have several.
    pub fn set_fingerprint(&mut self, theirs: Fingerprint) {
        self.endpoint.set_fingerprint(theirs);
        self.tell_associations();
    }

    /// Records that the peer's description has no more fingerprints. Other certificates than before start both associations over
    /// (RFC 8842 §4).
    pub fn end_description(&mut self, has_ice: bool) {
        let associations = self.endpoint.end_description();
        self.apply(associations);
        if !has_ice {
            let associations = self.endpoint.handle_peer_without_ice();
            self.apply(associations);
        }
        self.tell_associations();
    }

    /// Allows handshakes to begin.
    pub fn activate(&mut self) {
        self.endpoint.activate();
    }

    /// Discards both associations and waits for new handshakes. The SRTP keys stay in use until new ones are agreed.
    pub fn start_over(&mut self) {
        self.associations.iter_mut().for_each(|(_, association)| association.start_over());
    }

    /// Records that ICE has selected a pair. A handshake that has timed out may begin again, unless there are keys for media: then SRTP
    /// shows whether the peer has them.
    pub fn handle_new_path(&mut self, now: Instant, component: Component) {
        if component == Component::Rtcp || !self.is_keyed() {
            self.associations[component].handle_new_path(now);
        }
    }

    /// Records that the SRTP keys of component 1's handshake are installed.
    pub fn set_keyed(&mut self) {
        self.endpoint.set_keyed();
    }

    /// Drops keys whose certificate the peer's description no longer names (RFC 8122 §6.2).
    pub fn drop_disowned_keys(&mut self) {
        self.endpoint.drop_disowned_keys();
    }

    /// Returns whether SRTP keys for media are installed.
    pub fn is_keyed(&self) -> bool {
        self.endpoint.is_keyed()
    }

    /// Returns whether the SRTP keys belong to a certificate that the peer's description no longer names.
    pub fn is_disowned(&self) -> bool {
        self.endpoint.is_disowned()
    }

    /// Returns whether the handshake of component 1 is complete.
    pub fn is_connected(&self) -> bool {
        self.phase() == Phase::Connected
    }

    /// Returns the phase of component 1's association.
    pub fn phase(&self) -> Phase {
        self.associations[Component::Rtp].phase()
    }

    /// Describes the progress of component 1's handshake for the log and for `rtp show sessions`.
    pub fn progress(&self) -> &'static str {
        self.associations[Component::Rtp].progress(&self.endpoint)
    }

    /// Returns the version of DTLS that component 1's handshake agreed on.
    pub fn version(&self) -> Option<&'static str> {
        self.associations[Component::Rtp].version()
    }

    /// Returns source and destination of the last datagram that the association of `component` accepted.
    pub fn path(&self, component: Component) -> Option<Path> {
        self.associations[component].path()
    }

    /// Begins the handshake of `component` if we are the client and everything needed for it is known.
    pub fn begin_if_active(&mut self, now: Instant, component: Component) {
        self.associations[component].begin_if_active(now, &self.endpoint);
    }

    /// Passes a received datagram to the association of `component`.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        component: Component,
        peer: PeerAddress,
        path: Path,
        datagram: &[u8],
    ) -> Admission {
        self.associations[component].handle_datagram(now, &mut self.endpoint, peer, path, datagram)
    }

    /// Runs the retransmission timers of both associations. Returns whether one was due.
    pub fn handle_timeout(&mut self, now: Instant, peers: PerComponent<PeerAddress>) -> bool {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return false;
        }
        for component in Component::ALL {
            self.associations[component].handle_timeout(now, peers[component]);
        }
        true
    }

    /// Returns when [`Self::handle_timeout`] is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.associations.iter().filter_map(|(_, association)| association.poll_timeout()).min()
    }

    /// Writes the next datagram to send for `component` into `buffer`; returns its length.
    pub fn poll_transmit(&mut self, component: Component, buffer: &mut [u8]) -> Option<usize> {
        self.associations[component].poll_transmit(buffer)
    }

    /// Returns the next event of the association of `component`. The caller must send all datagrams first.
    pub fn poll_event(&mut self, component: Component, peer: PeerAddress) -> Option<AssociationEvent> {
        self.associations[component].poll_event(peer)
    }

    /// Records that the SRTP module refused the keys of `component`'s handshake.
    pub fn reject_keys(&mut self, component: Component) {
        self.associations[component].reject_keys();
    }

    fn tell_associations(&mut self) {
        let Self { endpoint, associations, .. } = self;
        associations.iter_mut().for_each(|(_, association)| association.handle_description(endpoint));
    }

    fn apply(&mut self, associations: Associations) {
        if associations == Associations::StartOver {
            self.start_over();
        }
    }
}
