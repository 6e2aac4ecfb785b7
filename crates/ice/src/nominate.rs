//! Nomination (RFC 8445 §8): which of the working pairs carries the media.
//!
//! Controlling, we nominate once (regular nomination): the best pair at once if nothing better is still
//! being tried, otherwise after a short wait. Controlled, we follow the peer. RFC 5245 peers and browsers
//! nominate several pairs (aggressive nomination); then the highest priority wins on both sides (RFC
//! 5245 §8.1.1.2), unless the pair that won has gone silent and the peer moves on.
//!
//! Each component goes its own way:
//! ```text
//!  Running ──▶ Nominating (controlling only) ──▶ Selected ──▶ Failed (consent lost)
//!     │                                            ▲            │
//!     └──▶ Failed (nothing selected in time) ──────┴── a check ─┘
//! ```

use std::time::{Duration, Instant};

use crate::agent::Lifecycle;
use crate::consent::Consent;
use crate::pair::{Pair, PairId, State};
use crate::{Agent, Component, Event, Path, Role};

/// How far a component has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Pairs are being checked; `first_valid` is when the first of them worked.
    Running {
        first_valid: Option<Instant>,
    },
    /// We have sent, or are about to send, USE-CANDIDATE over this pair.
    Nominating(PairId),
    Selected(Selected),
    /// Nothing was selected in time, or consent was lost. A pair that works after all leads back to `Running`.
    Failed,
}

impl Phase {
    pub const RUNNING: Self = Self::Running { first_valid: None };
}

/// The pair in use, and the right to use it.
#[derive(Debug)]
pub(crate) struct Selected {
    pub pair: PairId,
    pub path: Path,
    pub reflexive_priority: u32,
    pub consent: Consent,
}

impl Agent {
    /// §8.1.1: nominates the best valid pair of each component, when it is time.
    pub(crate) fn nominate(&mut self, now: Instant) {
        for component in self.components() {
            let Some((nominee, due)) = self.nominee(component) else { continue };
            if due.is_none_or(|due| due <= now) {
                self.phases[component] = Phase::Nominating(nominee);
                self.check(now, nominee);
            }
        }
    }

    /// When [`Self::nominate`] has something to do.
    pub(crate) fn nomination_due(&self) -> Option<Instant> {
        self.components().filter_map(|component| self.nominee(component)?.1).min()
    }

    /// The pair to nominate, and until when to wait for a better one (`None`: not at all).
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

    /// A pair of this component works.
    pub(crate) fn has_valid_pair(&mut self, now: Instant, component: Component) {
        let phase = &mut self.phases[component];
        if matches!(phase, Phase::Failed | Phase::Running { first_valid: None }) {
            *phase = Phase::Running { first_valid: Some(now) };
        }
    }

    /// §7.2.5.3.4, §7.3.1.5: the peer nominated a pair, and it works.
    pub(crate) fn accept_nomination(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checklist.get(id) else { return };
        let accept = match &self.phases[pair.component] {
            Phase::Selected(selected) => {
                let current = self.checklist.get(selected.pair);
                current.is_none_or(|current| pair.priority > current.priority)
                    || selected.consent.is_silent_for(now, SILENCE)
            }
            _ => true,
        };
        if accept {
            self.select(now, id);
        }
    }

    /// §8.1.2: this pair it is. What has not been checked yet no longer needs to be.
    pub(crate) fn select(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checklist.get(id) else { return };
        let (component, path, reflexive_priority) = (pair.component, pair.path(), pair.reflexive_priority);
        let phase = &mut self.phases[component];
        if matches!(phase, Phase::Selected(selected) if selected.pair == id) {
            return;
        }
        let consent = Consent::given(now, &self.config, &mut self.random);
        *phase = Phase::Selected(Selected { pair: id, path, reflexive_priority, consent });
        self.old_paths[component] = None;
        self.remote_is_ahead = false; // the two sides' credentials belong together
        // What the peer nominated is kept: it may still turn out to be the better pair.
        self.checklist.retain(|pair| pair.component != component || pair.is_valid() || pair.nominated_by_peer);
        log::debug!("ice: component {} uses {} to {}", component.id(), path.local, path.remote);
        self.events.push_back(Event::Selected { component, path });
    }

    /// Our role changed: what we were nominating is for the peer to nominate, or the other way round.
    pub(crate) fn forget_nominations(&mut self) {
        for phase in self.phases.values_mut() {
            if matches!(phase, Phase::Nominating(_)) {
                *phase = Phase::RUNNING;
            }
        }
    }

    /// When components without a selected pair have failed.
    pub(crate) fn failure_due(&self) -> Option<Instant> {
        match self.lifecycle {
            Lifecycle::Checking { fail_at, .. } => fail_at,
            Lifecycle::Idle | Lifecycle::Started | Lifecycle::Stopped => None,
        }
    }

    /// §8.1.2: in the end a component without a selected pair has failed. Each for itself.
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

/// A selected pair over which nothing authenticated came for so long gives way to any pair that the peer
/// nominates. Browsers check the pair they use every 2.5 s.
const SILENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "nominate_tests.rs"]
mod tests;
