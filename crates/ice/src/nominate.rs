//! Nomination (RFC 8445 §8): selecting the pair that carries the media.
//!
//! When we are controlling, we nominate once (regular nomination): the best valid pair at once if no better one is
//! still being checked, otherwise after a short wait. When we are controlled, we follow the peer. RFC 5245 peers
//! and browsers nominate several pairs (aggressive nomination); then both sides use the one of highest priority
//! (RFC 5245 §8.1.1.2), unless that pair has gone silent and the peer nominates another.
//!
//! libwebrtc's renomination (draft-thatcher-ice-renomination) counts nominations in an attribute of its own: the pair
//! with the highest number is used, whatever its priority. It is sent to whoever signals `a=ice-options:renomination`.
//!
//! Each component has a state of its own:
//! ```text
//!  Running ──▶ Nominating (controlling only) ──▶ Selected ──▶ Failed (consent lost)
//!     │                                            ▲            │
//!     └──▶ Failed (nothing selected in time) ──────┴── a check ─┘
//! ```
//! A selected pair whose local candidate is lost leads back to `Running` (see `lost.rs`).

use std::time::{Duration, Instant};

use crate::consent::Consent;
use crate::lifecycle::Lifecycle;
use crate::pair::{Pair, PairId, State};
use crate::{Agent, Component, Event, Path, Role};

/// The state of a component.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Pairs are being checked; `first_valid` is when the first of them became valid.
    Running {
        first_valid: Option<Instant>,
    },
    /// We have sent, or are about to send, USE-CANDIDATE on this pair.
    Nominating(PairId),
    Selected(Selected),
    /// No pair was selected in time, or consent expired. A pair that becomes valid later leads back to `Running`.
    Failed,
}

impl Phase {
    pub const RUNNING: Self = Self::Running { first_valid: None };
}

/// The selected pair and its consent.
#[derive(Debug)]
pub(crate) struct Selected {
    pub pair: PairId,
    pub path: Path,
    pub since: Instant,
    /// The newest pair when this one was selected.
    newest: PairId,
    /// The peer's media led here (see `follow.rs`).
    pub by_media: bool,
    /// We are controlling and have nominated no pair yet.
    pub owes_nomination: bool,
    /// The peer's number of this nomination; 0 without.
    pub nomination: u32,
    pub reflexive_priority: u32,
    pub consent: Consent,
}

impl Agent {
    /// §8.1.1: nominates the best valid pair of each component when the wait for better ones is over.
    pub(crate) fn nominate(&mut self, now: Instant) {
        for component in self.components() {
            let Some((nominee, due)) = self.nominee(component) else { continue };
            if due.is_none_or(|due| due <= now) {
                self.phases[component] = Phase::Nominating(nominee);
                self.check(now, nominee);
            }
        }
        self.nominate_followed(now);
    }

    /// Nominates a pair that the peer's media has selected before we had nominated one. The peer may wait for that.
    fn nominate_followed(&mut self, now: Instant) {
        for component in self.components() {
            if let Phase::Selected(Selected { pair, owes_nomination: true, .. }) = self.phases[component]
                && !self.is_nominating(component)
            {
                self.check(now, pair);
            }
        }
    }

    /// Whether the answer to a nomination of ours is awaited.
    fn is_nominating(&self, component: Component) -> bool {
        let mut transactions = self.checklist.of(component).filter_map(|pair| pair.transaction.as_ref());
        transactions.any(|transaction| transaction.use_candidate)
    }

    /// Whether a check of this pair nominates it.
    pub(crate) fn is_to_be_nominated(&self, component: Component, id: PairId) -> bool {
        match &self.phases[component] {
            Phase::Nominating(nominee) => *nominee == id,
            Phase::Selected(selected) => selected.owes_nomination && selected.pair == id,
            Phase::Running { .. } | Phase::Failed => false,
        }
    }

    /// When [`Self::nominate`] next has something to do.
    pub(crate) fn nomination_due(&self) -> Option<Instant> {
        self.components().filter_map(|component| self.nominee(component)?.1).min()
    }

    /// The pair to nominate, and until when to wait for a better one (`None`: do not wait).
    fn nominee(&self, component: Component) -> Option<(PairId, Option<Instant>)> {
        let Phase::Running { first_valid } = self.phases[component] else { return None };
        if self.role == Role::Controlled {
            return None;
        }
        let best = self.checklist.of(component).find(|pair| pair.state == State::Succeeded)?;
        let hopeful = |pair: &Pair| pair.is_pending() && pair.priority > best.priority;
        let wait = self.checklist.of(component).any(hopeful);
        let due = first_valid.filter(|_| wait).map(|since| since + self.config.nomination_delay);
        Some((best.id, due))
    }

    /// Notes that a pair of this component is valid.
    pub(crate) fn has_valid_pair(&mut self, now: Instant, component: Component) {
        let phase = &mut self.phases[component];
        if matches!(phase, Phase::Failed | Phase::Running { first_valid: None }) {
            *phase = Phase::Running { first_valid: Some(now) };
        }
    }

    /// §7.2.5.3.4, §7.3.1.5: handles a nomination by the peer of a pair that is valid.
    pub(crate) fn accept_nomination(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checklist.get(id) else { return };
        let accept = match &self.phases[pair.component] {
            Phase::Selected(selected) if pair.nomination > 0 || selected.nomination > 0 => {
                pair.nomination >= selected.nomination
            }
            Phase::Selected(selected) => self.is_to_replace(now, selected, pair),
            _ => true,
        };
        if accept {
            self.select(now, id);
        }
    }

    fn is_to_replace(&self, now: Instant, selected: &Selected, pair: &Pair) -> bool {
        if selected.by_media && self.following[pair.component].has_media(now, SENDING) {
            return false;
        }
        let current = self.checklist.get(selected.pair);
        // A pair that came up later is not one of several that the peer nominated at the beginning.
        let is_later = pair.id > selected.newest && now >= selected.since + SETTLED;
        is_later
            || current.is_none_or(|current| pair.priority > current.priority)
            || selected.consent.is_silent_for(now, SILENCE)
    }

    /// Notes the NOMINATION attribute of a check on this pair. Returns whether it is the highest so far.
    pub(crate) fn is_newest_nomination(&mut self, nomination: Option<u32>) -> bool {
        let is_newest = nomination.is_some_and(|nomination| nomination > 0 && nomination >= self.nomination);
        self.nomination = nomination.filter(|_| is_newest).unwrap_or(self.nomination);
        is_newest
    }

    /// §8.1.2: selects the pair and removes pairs that no longer need to be checked.
    pub(crate) fn select(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checklist.get(id) else { return };
        let (component, path, reflexive_priority) = (pair.component, pair.path(), pair.reflexive_priority);
        let (nomination, newest) = (pair.nomination, self.checklist.newest());
        let phase = &mut self.phases[component];
        if let Phase::Selected(selected) = phase
            && selected.pair == id
        {
            selected.owes_nomination = false;
            return;
        }
        let consent = Consent::given(now, &self.config, &mut self.random);
        *phase = Phase::Selected(Selected {
            pair: id,
            path,
            since: now,
            newest,
            nomination,
            by_media: false,
            owes_nomination: false,
            reflexive_priority,
            consent,
        });
        self.following[component].begin(now, None);
        self.old_paths[component] = None;
        // Pairs that the peer nominated stay: one of them may still turn out to be better.
        self.checklist.retain(|pair| pair.component != component || pair.is_valid() || pair.nominated_by_peer);
        log::debug!("ice: component {} uses {} to {}", component.id(), path.local, path.remote);
        self.events.push_back(Event::Selected { component, path });
    }

    /// After a role change: forgets the nomination in progress.
    pub(crate) fn forget_nominations(&mut self) {
        for phase in self.phases.values_mut() {
            match phase {
                Phase::Nominating(_) => *phase = Phase::RUNNING,
                Phase::Selected(selected) => selected.owes_nomination = false,
                Phase::Running { .. } | Phase::Failed => {}
            }
        }
    }

    /// When components without a selected pair fail.
    pub(crate) fn failure_due(&self) -> Option<Instant> {
        match self.lifecycle {
            Lifecycle::Checking { fail_at, .. } => fail_at,
            Lifecycle::Idle | Lifecycle::Started | Lifecycle::Stopped => None,
        }
    }

    /// §8.1.2: fails each component that has no selected pair when the time is up.
    pub(crate) fn fail_late_components(&mut self, now: Instant) {
        let Lifecycle::Checking { fail_at, .. } = &mut self.lifecycle else { return };
        if fail_at.take_if(|fail_at| *fail_at <= now).is_none() {
            return;
        }
        for component in self.components() {
            let phase = &mut self.phases[component];
            if matches!(phase, Phase::Running { .. } | Phase::Nominating(_)) {
                *phase = Phase::Failed;
                self.checklist.retain(|pair| pair.component != component || pair.is_valid());
                self.events.push_back(Event::ComponentFailed { component });
            }
        }
    }
}

/// After this time without an authenticated message on the selected pair, any pair that the peer nominates replaces
/// it. Browsers check the pair they use every 2.5 s.
const SILENCE: Duration = Duration::from_secs(3);
/// A pair that the peer's media led to stays selected while media comes this often.
const SENDING: Duration = Duration::from_secs(1);
/// After this time a peer has nominated all pairs that it nominates at the beginning.
const SETTLED: Duration = Duration::from_secs(2);

#[cfg(test)]
#[path = "nominate_tests.rs"]
mod tests;
