//! DTLS-SRTP of a session: one association for each component, under what the two descriptions settle (RFC 5763, RFC 5764).

use std::sync::Arc;
use std::time::Instant;

use ::ice::{Component, PerComponent};
use asterisk::rtp::Hash;
use dtls_srtp::{
    Admission, Association, AssociationEvent, Associations, Certificate, Context, Endpoint, Fingerprint, Path,
    PeerAddress, Phase, Setup,
};

/// The DTLS side of a session that is configured for it.
pub struct Dtls {
    endpoint: Endpoint,
    /// Component 2 has one only where RTCP is not multiplexed.
    associations: PerComponent<Association>,
    /// The hash that our fingerprint is printed in.
    hash: Hash,
}

impl Dtls {
    /// Makes the state of a session whose peer is not known yet. `setup` is what our first description says.
    pub fn new(context: Arc<Context>, setup: Setup, hash: Hash) -> Self {
        Self { endpoint: Endpoint::new(context, setup), associations: PerComponent::default(), hash }
    }

    /// Returns the hash that our fingerprint is printed in.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Returns what our description says of the roles.
    pub fn setup(&self) -> Setup {
        self.endpoint.setup()
    }

    /// Returns our certificate.
    pub fn certificate(&self) -> &Certificate {
        self.endpoint.certificate()
    }

    /// Takes the role from the peer's description.
    pub fn set_setup(&mut self, theirs: Setup) {
        let associations = self.endpoint.set_setup(theirs);
        self.apply(associations);
    }

    /// Takes the fingerprint from the peer's description.
    pub fn set_fingerprint(&mut self, theirs: Fingerprint) {
        let associations = self.endpoint.set_fingerprint(theirs);
        self.apply(associations);
    }

    /// Lets handshakes begin.
    pub fn activate(&mut self) {
        self.endpoint.activate();
    }

    /// Forgets both associations. Keys stay in use until there are newer ones.
    pub fn start_over(&mut self) {
        self.associations.iter_mut().for_each(|(_, association)| association.start_over());
    }

    /// Notes that the keys of component 1's handshake are in force.
    pub fn set_keyed(&mut self) {
        self.endpoint.set_keyed();
    }

    /// Drops keys whose certificate the peer's description no longer names (RFC 8122 §6.2).
    pub fn drop_disowned_keys(&mut self) {
        self.endpoint.drop_disowned_keys();
    }

    /// Returns whether there are keys for media.
    pub fn is_keyed(&self) -> bool {
        self.endpoint.is_keyed()
    }

    /// Returns whether the keys are those of a certificate that the peer's description no longer names.
    pub fn is_disowned(&self) -> bool {
        self.endpoint.is_disowned()
    }

    /// Returns whether media's association is complete.
    pub fn is_connected(&self) -> bool {
        self.phase() == Phase::Connected
    }

    /// Returns the progress of media's association.
    pub fn phase(&self) -> Phase {
        self.associations[Component::Rtp].phase()
    }

    /// Says in words how far media's association is.
    pub fn progress(&self) -> &'static str {
        self.associations[Component::Rtp].progress(&self.endpoint)
    }

    /// Returns the addresses of the peer's last datagram that the association of that component took.
    pub fn path(&self, component: Component) -> Option<Path> {
        self.associations[component].path()
    }

    /// Begins the handshake of that component if that is our role and nothing is missing.
    pub fn begin_if_active(&mut self, now: Instant, component: Component) {
        self.associations[component].begin_if_active(now, &self.endpoint);
    }

    /// Hands a datagram to the association of that component.
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

    /// Lets time pass for both associations. Returns whether that was due.
    pub fn handle_timeout(&mut self, now: Instant, peers: PerComponent<PeerAddress>) -> bool {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return false;
        }
        for component in Component::ALL {
            self.associations[component].handle_timeout(now, peers[component]);
        }
        true
    }

    /// Returns when [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.associations.iter().filter_map(|(_, association)| association.poll_timeout()).min()
    }

    /// Writes the next datagram of that component; returns its length.
    pub fn poll_transmit(&mut self, component: Component, buffer: &mut [u8]) -> Option<usize> {
        self.associations[component].poll_transmit(buffer)
    }

    /// Returns the next fact about the association of that component. Datagrams have to be sent first.
    pub fn poll_event(&mut self, component: Component, peer: PeerAddress) -> Option<AssociationEvent> {
        self.associations[component].poll_event(peer)
    }

    /// Notes that the keys of that component's handshake cannot be used.
    pub fn reject_keys(&mut self, component: Component) {
        self.associations[component].reject_keys();
    }

    fn apply(&mut self, associations: Associations) {
        if associations == Associations::StartOver {
            self.start_over();
        }
    }
}
