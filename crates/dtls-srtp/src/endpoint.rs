//! Our end of a DTLS-SRTP session: everything that the two session descriptions settle for its associations.
//!
//! A session has one [`Endpoint`] and an [`Association`](crate::Association) for each of its components. The endpoint
//! holds what the associations share: certificate and configuration, the roles, the fingerprint that the peer's
//! description promises, and whether media has keys. The caller holds the associations; where a description ends them,
//! the endpoint says so with [`Associations::StartOver`].

use std::sync::Arc;

use crate::certificate::Certificate;
use crate::context::Context;
use crate::fingerprint::{Fingerprint, Fingerprints};
use crate::role::Setup;

/// Roles, fingerprint and keys of one DTLS-SRTP session.
#[derive(Debug)]
pub struct Endpoint {
    context: Arc<Context>,
    setup: Setup,
    /// The role was ours to choose, and is that of the server for the sake of the SRTP profile.
    is_server_by_choice: bool,
    /// The fingerprints of the peer's latest description, as far as it has been taken in.
    remote_fingerprints: Fingerprints,
    description: Description,
    is_activated: bool,
    keying: Keying,
}

/// Tells the caller whether the associations of a session outlive a new description from the peer.
#[must_use = "the caller holds the associations, and has to start them over"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Associations {
    /// The associations go on.
    GoOn,
    /// The description asks for new associations: call [`Association::start_over`](crate::Association::start_over) on
    /// each. Media keeps its keys until the new handshake is over.
    StartOver,
}

/// Whether the peer's latest description has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Description {
    /// It has, or there was none.
    Complete,
    /// More fingerprints may follow.
    Incomplete {
        /// The fingerprints of the description before.
        before: Fingerprints,
    },
}

/// Whether media has keys, and from which peer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Keying {
    /// No handshake has given keys yet, or those that there were must not be used any more.
    Unkeyed,
    /// A handshake gave keys. They stay in use until newer ones replace them.
    Keyed {
        /// The fingerprints in the peer's description at the time of the handshake.
        with: Fingerprints,
    },
}

impl Endpoint {
    /// Creates the endpoint of a session of which no description of the peer is known. `setup` is the value that our
    /// own description offers.
    pub fn new(context: Arc<Context>, setup: Setup) -> Self {
        let (description, keying) = (Description::Complete, Keying::Unkeyed);
        let remote_fingerprints = Fingerprints::default();
        let (is_server_by_choice, is_activated) = (false, false);
        Self { context, setup, is_server_by_choice, remote_fingerprints, description, is_activated, keying }
    }

    /// Takes in the `a=setup` of the peer's description and settles our role (RFC 5763 §5). A changed role starts the
    /// associations over (RFC 8842 §4).
    pub fn set_setup(&mut self, theirs: Setup) -> Associations {
        let before = self.setup;
        let is_ours_to_choose = (before, theirs) == (Setup::ActPass, Setup::ActPass);
        // The server chooses the SRTP profile (RFC 5764 §4.1.1), and Chromium would choose AES-CM before AES-GCM.
        if is_ours_to_choose && self.context.has_choice_of_profiles() {
            (self.setup, self.is_server_by_choice) = (Setup::Passive, true);
        } else {
            self.setup = before.settle(theirs);
        }
        if before != self.setup && self.setup.is_settled() { Associations::StartOver } else { Associations::GoOn }
    }

    /// Notes that our next description is an offer. `holdconn` of the peer's last one does not outlast it (RFC 4145 §7.3): we offer
    /// an association anew.
    pub fn offer_again(&mut self) {
        if self.setup == Setup::HoldConn {
            self.setup = Setup::ActPass;
        }
    }

    /// Notes, behind the peer's description, that it does without ICE. Nobody else opens the NAT in front of us then, so we are the
    /// client if we may (RFC 5763 §5), and our ClientHello does.
    pub fn handle_peer_without_ice(&mut self) -> Associations {
        if !std::mem::take(&mut self.is_server_by_choice) || self.setup != Setup::Passive || self.is_keyed() {
            return Associations::GoOn;
        }
        self.setup = Setup::Active;
        Associations::StartOver
    }

    /// Takes in one `a=fingerprint` of the peer's description (RFC 8122 §5), which may have several. The first one takes
    /// the place of all those of the description before. Call [`Endpoint::end_description`] behind the last one, and
    /// [`Association::handle_description`](crate::Association::handle_description) after each.
    pub fn set_fingerprint(&mut self, theirs: Fingerprint) {
        if self.description == Description::Complete {
            let before = std::mem::take(&mut self.remote_fingerprints);
            self.description = Description::Incomplete { before };
        }
        self.remote_fingerprints.insert(theirs);
    }

    /// Notes that the peer's description has been taken in. Other certificates than before start the associations over
    /// (RFC 8842 §4). Later calls do nothing until the next description.
    pub fn end_description(&mut self) -> Associations {
        match std::mem::replace(&mut self.description, Description::Complete) {
            Description::Incomplete { before } if before.differ(&self.remote_fingerprints) => Associations::StartOver,
            _ => Associations::GoOn,
        }
    }

    /// Allows handshakes as the client to begin: the host has started the session.
    pub fn activate(&mut self) {
        self.is_activated = true;
    }

    /// Notes that the keys of a handshake protect media from now on. They count as agreed on with the peer whose
    /// fingerprints are known at this moment.
    pub fn set_keyed(&mut self) {
        self.keying = Keying::Keyed { with: self.remote_fingerprints.clone() };
    }

    /// Gives up the keys of media if they are disowned ([`Endpoint::is_disowned`]). To be called when the handshake
    /// that should have replaced them failed, or is overdue. Keys that the peer's description still stands for stay in
    /// use; others must not (RFC 8122 §6.2).
    pub fn drop_disowned_keys(&mut self) {
        if self.is_disowned() {
            self.keying = Keying::Unkeyed;
        }
    }

    /// Our role, as our description has it in `a=setup`.
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// Whether there are keys for media.
    pub fn is_keyed(&self) -> bool {
        self.keying != Keying::Unkeyed
    }

    /// Whether the keys of media were agreed on with another certificate than the one that the peer's description names
    /// by now. Media goes on with them until the handshake that replaces them is over. `false` where fingerprints are
    /// not verified.
    pub fn is_disowned(&self) -> bool {
        let Keying::Keyed { with: then } = &self.keying else { return false };
        let now = match &self.description {
            Description::Complete => &self.remote_fingerprints,
            Description::Incomplete { before } => before,
        };
        self.context.verify().fingerprint && then.differ(now)
    }

    /// Our certificate, whose fingerprint goes into our description.
    pub fn certificate(&self) -> &Certificate {
        self.context.certificate()
    }

    /// Notes that the peer has sent a ClientHello, which settles that we are the server.
    pub(crate) fn settle_as_server(&mut self) {
        self.setup = Setup::Passive;
    }

    /// Whether a handshake as the client may begin.
    pub(crate) fn may_connect(&self) -> bool {
        self.is_activated && self.setup == Setup::Active && self.is_peer_known()
    }

    /// Whether a handshake as the server may begin.
    pub(crate) fn may_accept(&self) -> bool {
        self.may_accept_early() && self.is_peer_known()
    }

    /// Whether a handshake as the server may begin before the peer's fingerprint is known, which its keys wait for.
    pub(crate) fn may_accept_early(&self) -> bool {
        matches!(self.setup, Setup::ActPass | Setup::Passive)
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn remote_fingerprints(&self) -> &Fingerprints {
        &self.remote_fingerprints
    }

    /// Whether more fingerprints may follow those that are known.
    pub(crate) fn is_description_complete(&self) -> bool {
        self.description == Description::Complete
    }

    /// Whether the peer can be recognised: by one fingerprint at least, or because none is verified.
    pub(crate) fn is_peer_known(&self) -> bool {
        !self.remote_fingerprints.is_empty() || !self.context.verify().fingerprint
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::association::Phase;
    use crate::fingerprint::HashFunction;
    use crate::keys::Profile;
    use crate::testing::Side;

    const FINGERPRINT: &str =
        "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

    #[test]
    fn rfc5763_section_5_the_answerer_of_actpass_is_active_and_stays_it() {
        let mut side = Side::new(Setup::ActPass);
        side.set_setup(Setup::ActPass);
        assert_eq!(side.endpoint.setup(), Setup::Active);
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        side.endpoint.activate();
        side.begin_if_active(Instant::now());
        assert_eq!(side.association.phase(), Phase::Handshaking);
        // A re-INVITE: actpass again, and the same fingerprint.
        side.set_setup(Setup::ActPass);
        side.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.to_ascii_lowercase());
        assert_eq!((side.endpoint.setup(), side.association.phase()), (Setup::Active, Phase::Handshaking));
    }

    #[test]
    fn with_several_srtp_profiles_the_answerer_of_actpass_is_the_server_that_chooses() {
        let context = crate::testing::context_with(vec![Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80]);
        let mut endpoint = Endpoint::new(context, Setup::ActPass);
        assert_eq!(endpoint.set_setup(Setup::ActPass), Associations::StartOver);
        assert_eq!(endpoint.setup(), Setup::Passive);
        // A re-INVITE.
        assert_eq!(endpoint.set_setup(Setup::ActPass), Associations::GoOn);
        assert_eq!(endpoint.setup(), Setup::Passive);
        // A peer without ICE waits for us.
        assert_eq!(endpoint.handle_peer_without_ice(), Associations::StartOver);
        assert_eq!(endpoint.setup(), Setup::Active);
        assert_eq!(endpoint.handle_peer_without_ice(), Associations::GoOn);
    }

    #[test]
    fn rfc8842_section_4_another_role_is_another_association() {
        let mut side = Side::new(Setup::ActPass);
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        assert!(side.set_setup(Setup::Passive));
        side.endpoint.activate();
        side.begin_if_active(Instant::now());
        assert!(!side.set_setup(Setup::Passive));
        assert!(!side.set_setup(Setup::HoldConn));
        assert!(side.has_association());
        assert!(side.set_setup(Setup::Active));
        assert_eq!((side.endpoint.setup(), side.association.phase()), (Setup::Passive, Phase::Idle));
    }

    #[test]
    fn rfc4145_section_7_3_holdconn_is_not_in_our_next_offer() {
        let mut side = Side::new(Setup::ActPass);
        side.set_setup(Setup::Active);
        side.endpoint.offer_again();
        assert_eq!(side.endpoint.setup(), Setup::Passive, "roles that are settled stay");
        side.set_setup(Setup::HoldConn);
        assert_eq!(side.endpoint.setup(), Setup::HoldConn, "in the answer");
        side.endpoint.offer_again();
        assert_eq!(side.endpoint.setup(), Setup::ActPass);
        assert!(side.set_setup(Setup::Active));
        assert_eq!(side.endpoint.setup(), Setup::Passive);
    }

    #[test]
    fn rfc8842_section_4_another_fingerprint_is_another_association() {
        let mut side = Side::new(Setup::ActPass);
        side.set_setup(Setup::Passive);
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        side.endpoint.activate();
        side.begin_if_active(Instant::now());
        side.set_fingerprint(HashFunction::Sha1, "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33");
        assert!(side.has_association(), "perhaps the same certificate by another hash");
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        assert!(side.has_association());
        side.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.replace("00", "01"));
        assert!(!side.has_association());
    }

    #[test]
    fn rfc8122_section_5_fingerprints_are_compared_when_the_description_has_ended() {
        let other = FINGERPRINT.replace("00", "01");
        let mut side = Side::new(Setup::ActPass);
        side.set_setup(Setup::Passive);
        side.add_fingerprint(HashFunction::Sha256, FINGERPRINT);
        side.set_fingerprint(HashFunction::Sha256, &other);
        side.endpoint.activate();
        side.begin_if_active(Instant::now());
        side.endpoint.set_keyed();
        side.add_fingerprint(HashFunction::Sha256, &other);
        assert!(!side.endpoint.is_disowned(), "the other one may follow");
        assert!(!side.set_fingerprint(HashFunction::Sha256, FINGERPRINT), "the same set in another order");
        assert!(!side.end_description(), "nothing new");
        assert!(side.set_fingerprint(HashFunction::Sha256, &other));
        assert!(side.endpoint.is_disowned());
    }

    #[test]
    fn rfc8122_section_6_2_keys_of_another_certificate_end_with_the_handshake_that_should_replace_them() {
        let mut side = Side::new(Setup::Passive);
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        side.endpoint.set_keyed();
        side.endpoint.drop_disowned_keys();
        assert!(side.endpoint.is_keyed(), "a handshake that failed for another reason takes nothing away");
        side.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.replace("00", "01"));
        assert!(side.endpoint.is_keyed() && side.endpoint.is_disowned(), "media goes on until the handshake is over");
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        assert!(!side.endpoint.is_disowned(), "the offer was withdrawn");
        side.set_fingerprint(HashFunction::Sha256, &FINGERPRINT.replace("00", "01"));
        side.endpoint.drop_disowned_keys();
        assert!(!side.endpoint.is_keyed() && !side.endpoint.is_disowned());
        side.endpoint.set_keyed();
        assert!(!side.endpoint.is_disowned());
    }

    #[test]
    fn nothing_begins_before_the_host_and_the_peer_have_spoken() {
        let now = Instant::now();
        let mut side = Side::new(Setup::Active);
        side.set_setup(Setup::Passive);
        side.begin_if_active(now);
        side.endpoint.activate();
        side.begin_if_active(now);
        assert!(!side.has_association());
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        side.begin_if_active(now);
        assert!(side.has_association());
    }

    #[test]
    fn a_datagram_before_the_answer_settles_who_is_passive() {
        let mut side = Side::new(Setup::ActPass);
        side.set_fingerprint(HashFunction::Sha256, FINGERPRINT);
        side.take_checked(Instant::now(), &crate::hello::least_client_hello());
        assert_eq!(side.endpoint.setup(), Setup::Passive);
        assert!(side.has_association());
    }
}
