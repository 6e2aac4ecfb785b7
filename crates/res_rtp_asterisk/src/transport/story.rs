//! Notes the events of a session in its timeline.

use std::net::SocketAddr;
use std::time::Instant;

use ::ice::{CandidateKind, Component, PairState, Path};
use ::story::event::{Candidate, Handshake};
use ::story::{Event, Timeline};
use dtls_srtp::{Failure, Profile};

use super::Transport;

/// The timeline of a session, and how far it has been written.
#[derive(Debug)]
pub struct Story {
    timeline: Timeline,
    own_candidates: usize,
    peer_candidates: usize,
    has_check: bool,
    has_wrong_password: bool,
    has_dtls: bool,
    is_checking: bool,
}

impl Story {
    /// Begins the timeline of a session whose socket for media has the address `local`.
    pub fn new(now: Instant, local: SocketAddr) -> Self {
        let mut timeline = Timeline::new(now);
        timeline.note(now, Event::Began, Some(local), None);
        Self {
            timeline,
            own_candidates: 0,
            peer_candidates: 0,
            has_check: false,
            has_wrong_password: false,
            has_dtls: false,
            is_checking: false,
        }
    }

    /// Returns the timeline.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Notes an event that has to do with no address.
    pub fn note_here(&mut self, now: Instant, event: Event) {
        self.timeline.note_here(now, event);
    }

    /// Notes an event that has to do with an address of the peer.
    pub fn note_peer(&mut self, now: Instant, event: Event, peer: SocketAddr) {
        self.timeline.note(now, event, None, Some(peer));
    }

    /// Notes the pair that a component selected.
    pub fn note_selected(&mut self, now: Instant, component: Component, path: &Path) {
        let event = Event::Selected(component.id());
        self.timeline.note(now, event, Some(path.local), Some(path.remote));
    }

    /// Notes the first DTLS record of the peer.
    pub fn note_dtls(&mut self, now: Instant, from: SocketAddr) {
        if !std::mem::replace(&mut self.has_dtls, true) {
            self.note_peer(now, Event::FirstDtls, from);
        }
    }
}

impl Transport {
    /// Returns the timeline of the session.
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// Returns the timeline of the session, to add to it.
    pub fn story_mut(&mut self) -> &mut Story {
        &mut self.story
    }

    /// Removes ICE, because the host does not want it in this session, and notes that.
    pub fn turn_ice_off(&mut self, now: Instant) {
        if self.ice.is_some() {
            self.story.note_here(now, Event::IceOff);
        }
        self.stop_ice();
    }

    /// Notes what has come about in ICE since the last call. Not called for media.
    pub(super) fn note_progress(&mut self, now: Instant) {
        let Self { ice: Some(ice), story, .. } = self else { return };
        let (agent, timeline) = (ice.agent(), &mut story.timeline);
        let ours = agent.local_candidates();
        for candidate in ours.get(story.own_candidates..).unwrap_or_default() {
            if candidate.component == Component::Rtp {
                timeline.note(now, Event::OurCandidate(kind(candidate.kind)), Some(candidate.addr), None);
            }
        }
        story.own_candidates = ours.len();
        let theirs = agent.remote_candidates();
        for candidate in theirs.get(story.peer_candidates..).unwrap_or_default() {
            if candidate.component == Component::Rtp {
                timeline.note(now, Event::PeerCandidate(kind(candidate.kind)), None, Some(candidate.addr));
            }
        }
        story.peer_candidates = theirs.len();
        let counters = agent.counters();
        for (is_so, flag, event) in [
            (ice.is_started(), &mut story.is_checking, Event::ChecksBegan),
            (counters.requests > 0, &mut story.has_check, Event::FirstCheck),
            (counters.bad_integrity > 0, &mut story.has_wrong_password, Event::WrongPassword),
        ] {
            if is_so && !std::mem::replace(flag, true) {
                timeline.note_here(now, event);
            }
        }
    }

    /// Notes which pairs of a component have failed.
    pub(super) fn note_failed_pairs(&mut self, now: Instant, component: Component) {
        let Self { ice: Some(ice), story, .. } = self else { return };
        let failed = ice
            .agent()
            .pairs()
            .filter(|(path, state)| path.component == component && matches!(state, PairState::Failed));
        for (path, _) in failed.take(MOST_PAIRS) {
            let event = Event::PairFailed(component.id());
            story.timeline.note(now, event, Some(path.local), Some(path.remote));
        }
        story.timeline.note_here(now, Event::ComponentFailed(component.id()));
    }
}

/// Most failed pairs that are noted for a component.
const MOST_PAIRS: usize = 12;

fn kind(kind: CandidateKind) -> Candidate {
    match kind {
        CandidateKind::Host => Candidate::Host,
        CandidateKind::ServerReflexive => Candidate::ServerReflexive,
        CandidateKind::PeerReflexive => Candidate::PeerReflexive,
        CandidateKind::Relayed => Candidate::Relayed,
    }
}

/// Converts the reason why a handshake failed.
pub fn handshake(failure: &Failure) -> Handshake {
    match failure {
        Failure::FingerprintMismatch { .. } => Handshake::Fingerprint,
        Failure::CertificateNotTrusted(_) => Handshake::NotTrusted,
        Failure::NoCertificate => Handshake::NoCertificate,
        Failure::NoProfile => Handshake::NoProfile,
        Failure::TimedOut { alert: Some(alert) } => Handshake::Alert(*alert),
        Failure::TimedOut { alert: None } => Handshake::TimedOut,
        _ => Handshake::Other,
    }
}

/// Returns the number of a profile (RFC 5764 §4.1.2, RFC 7714 §14.2).
pub fn profile(profile: Profile) -> u16 {
    match profile {
        Profile::Aes128CmSha1_80 => 0x0001,
        Profile::Aes128CmSha1_32 => 0x0002,
        Profile::AeadAes128Gcm => 0x0007,
        Profile::AeadAes256Gcm => 0x0008,
    }
}
