//! Consent freshness (RFC 7675): we may send only as long as the peer keeps answering. The checks that
//! ask for it also keep NAT bindings alive (RFC 8445 §11).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use stun_types::message::{Message, MessageClass};

use crate::agent::Config;
use crate::credentials::Keyed;
use crate::message::{ROLE_CONFLICT, error_code};
use crate::nominate::Phase;
use crate::pair::PairId;
use crate::random::Random;
use crate::request::{Outgoing, push_bounded};
use crate::{Agent, Component, Error, Event, Path, Role};

/// The peer's consent to our sending over the selected pair.
#[derive(Debug)]
pub(crate) struct Consent {
    expires: Instant,
    next: Instant,
    /// When something authenticated last came over the pair, request or response.
    heard: Instant,
    /// Transactions that may still be answered, and our role in each. Each check is a new one and is never
    /// repeated (§5.1).
    asked: VecDeque<(u128, Role)>,
}

impl Consent {
    /// The check that led to the selection was the first consent.
    pub fn given(now: Instant, config: &Config, random: &mut Random) -> Self {
        Self {
            expires: now + config.consent_lifetime,
            next: now + random.around(config.consent_interval),
            heard: now,
            asked: VecDeque::with_capacity(MAX_ASKED),
        }
    }

    pub fn expires(&self) -> Instant {
        self.expires
    }

    pub fn is_silent_for(&self, now: Instant, time: Duration) -> bool {
        now >= self.heard + time
    }

    fn ask(&mut self, now: Instant, id: u128, role: Role, interval: Duration) {
        if self.asked.len() >= MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back((id, role));
        self.next = now + interval;
    }
}

/// The selected path of before a restart: in use until its successor is found (RFC 8445 §9) or consent,
/// which is no longer asked for, runs out.
#[derive(Debug)]
pub(crate) struct OldPath {
    pub path: Path,
    pub expires: Instant,
    /// The peer asks for our consent with these until it has found the successor, too.
    pub local: Keyed,
}

impl Agent {
    pub(crate) fn consent_due(&self) -> Option<Instant> {
        let selected = self.phases.values().filter_map(|phase| match phase {
            Phase::Selected(selected) => Some(selected.consent.next.min(selected.consent.expires)),
            _ => None,
        });
        selected.min()
    }

    /// §5.1: asks again, or gives up.
    pub(crate) fn renew_consent(&mut self, now: Instant) {
        for component in Component::ALL {
            let Phase::Selected(selected) = &mut self.phases[component] else { continue };
            if selected.consent.expires <= now {
                let pair = selected.pair;
                self.lose_consent(component, pair);
            } else if selected.consent.next <= now {
                let id = self.random.transaction_id();
                selected.consent.ask(now, id, self.role, self.random.around(self.config.consent_interval));
                push_bounded(&mut self.outgoing, Outgoing::Consent { component, id });
            }
        }
    }

    fn lose_consent(&mut self, component: Component, pair: PairId) {
        self.fail(pair);
        if let Some(pair) = self.checklist.get_mut(pair) {
            (pair.checked_by_peer, pair.nominated_by_peer) = (false, false);
        }
        self.phases[component] = Phase::Failed;
        self.events.push_back(Event::ConsentLost { component });
    }

    pub(crate) fn expire_old_paths(&mut self, now: Instant) {
        for (component, old_path) in self.old_paths.iter_mut() {
            if old_path.take_if(|old| old.expires <= now).is_some() {
                self.events.push_back(Event::ConsentLost { component });
            }
        }
    }

    /// Which component's consent a transaction asked for, and in which role.
    pub(crate) fn consent_asked_by(&self, id: u128) -> Option<(Component, Role)> {
        self.phases.iter().find_map(|(component, phase)| {
            let Phase::Selected(selected) = phase else { return None };
            let (_, role) = selected.consent.asked.iter().find(|(asked, _)| *asked == id)?;
            Some((component, *role))
        })
    }

    pub(crate) fn consent_answered(
        &mut self,
        now: Instant,
        (component, role): (Component, Role),
        path: Path,
        message: &Message<'_>,
    ) -> Result<(), Error> {
        let Phase::Selected(selected) = &mut self.phases[component] else { return Ok(()) };
        let own = selected.path;
        if !path.joins(own.component, own.local, own.remote) {
            return Err(Error::Asymmetric);
        }
        let consent = &mut selected.consent;
        consent.heard = now;
        if message.class() == MessageClass::Success {
            consent.expires = now + self.config.consent_lifetime;
            consent.asked.clear();
        } else if error_code(message)? == ROLE_CONFLICT {
            // The roles were mixed up by a later offer: the question was wrong, so it is asked again.
            consent.next = consent.next.min(now + ASK_AGAIN);
            self.role_was_refused(role);
        } // Any other refusal is no consent, and no more than that: it ends by its time.
        self.counters.responses += 1;
        Ok(())
    }

    /// Something authenticated came over this pair.
    pub(crate) fn heard_on(&mut self, now: Instant, pair: PairId) {
        for phase in self.phases.values_mut() {
            if let Phase::Selected(selected) = phase
                && selected.pair == pair
            {
                selected.consent.heard = now;
            }
        }
    }
}

/// When the role has changed. Not at once, for a peer that never agrees would keep us busy.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Checks of one consent lifetime.
const MAX_ASKED: usize = 8;

#[cfg(test)]
#[path = "consent_tests.rs"]
mod tests;
