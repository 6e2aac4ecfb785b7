//! Collects the facts about a session for the verdict of its story.

use story::event::{Certificate, Handshake};
use story::verdict::{Dtls, Ice, Media};
use story::{Event, Timeline};

use std::time::Instant;

use super::State;
use crate::diagnosis::counters::Refused;
use crate::diagnosis::gone::ShownGone;
use crate::transport::Transport;

impl State {
    /// Returns the facts about the session, for its verdict.
    pub fn facts(&self, now: Instant) -> Media {
        let (shown, timeline) = (self.shown(now), self.transport.story().timeline());
        let count = |reason| shown.refused.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count);
        let remote = self.transport.remote();
        let last = self.source.statistics().remote().last;
        Media {
            ice_wanted: self.settings.ice,
            ice_off: timeline.has(|event| event == Event::IceOff),
            ice: self.transport.ice_facts(timeline),
            candidates: self.transport.offered_candidates().iter().map(|candidate| candidate.addr).collect(),
            peer_candidates: self.transport.peer_candidates(),
            dtls: shown.dtls.as_ref().map(|_| dtls_facts(timeline)),
            certificate: certificate(timeline),
            is_encrypted: shown.encrypted,
            keys_due: shown.keys_due,
            received: (shown.received.packets, shown.received.silence),
            sent: (shown.sent.packets, shown.sent.silence),
            refused_source: count(Refused::Source),
            refused_srtp: count(Refused::Srtp),
            refused_keys: count(Refused::NoKeys),
            refused_type: count(Refused::PayloadType),
            follows: remote.follows(),
            signalled: remote.latest(),
            heard_from: self.heard_from,
            is_stopped: shown.stopped,
            gone: shown.gone.filter(ShownGone::is_no_hangup).map(|gone| gone.to_string()),
            reported_loss: last.map(|block| f64::from(block.fraction_lost) / 256.0),
            ports: self.settings.ports,
        }
    }
}

impl Transport {
    fn ice_facts(&self, timeline: &Timeline) -> Option<Ice> {
        let shown = self.shown_ice()?;
        Some(Ice {
            is_active: shown.active,
            has_selected: shown.selected.is_some() || timeline.has(|event| event == Event::Selected(1)),
            requests: shown.requests,
            responses: shown.responses,
            wrong_password: shown.bad_integrity,
            has_failed: timeline.has(|event| event == Event::ComponentFailed(1)),
            unanswered_names: shown.unanswered_names,
        })
    }

    fn peer_candidates(&self) -> Vec<std::net::SocketAddr> {
        let ice = self.ice().map(|ice| ice.agent().remote_candidates());
        ice.unwrap_or_default().iter().map(|candidate| candidate.addr).collect()
    }
}

/// Returns the state of DTLS. A handshake that was completed after one that failed makes that good.
fn dtls_facts(timeline: &Timeline) -> Dtls {
    let mut facts = Dtls::default();
    for line in timeline.lines() {
        match line.event {
            Event::FirstDtls => facts.has_heard = true,
            Event::Keys(_) => (facts.is_connected, facts.failure) = (true, None),
            Event::HandshakeFailed(failure) => facts.failure = Some(worse(facts.failure, failure)),
            _ => {}
        }
    }
    facts
}

/// Returns the failure that tells more: the peer's timeout follows any other.
fn worse(before: Option<Handshake>, failure: Handshake) -> Handshake {
    before.filter(|_| failure == Handshake::TimedOut).unwrap_or(failure)
}

fn certificate(timeline: &Timeline) -> Option<Certificate> {
    timeline.lines().find_map(|line| match line.event {
        Event::Certificate(problem) => Some(problem),
        _ => None,
    })
}
