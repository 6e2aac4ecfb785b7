//! Consent freshness (RFC 7675): we may send only as long as the peer keeps answering consent checks. These
//! checks also keep NAT bindings alive (RFC 8445 §11).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use stun_types::message::{Message, MessageClass};

use crate::config::Config;
use crate::credentials::Keyed;
use crate::message::{ROLE_CONFLICT, error_code};
use crate::nominate::Phase;
use crate::outgoing::{Outgoing, push_bounded};
use crate::pair::{PairId, State};
use crate::random::Random;
use crate::{Agent, Component, Error, Event, Path, Role};

/// The peer's consent to receive from us on the selected pair.
#[derive(Debug)]
pub(crate) struct Consent {
    expires: Instant,
    next: Instant,
    /// When an authenticated request or response was last received on the pair.
    heard: Instant,
    /// Pending consent checks, each with our role at the time. Each is a new transaction and is never retransmitted
    /// (§5.1).
    asked: VecDeque<(u128, Role)>,
}

impl Consent {
    /// Consent starts with the check that led to the selection.
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

/// The path selected before a restart. It stays in use until a new pair is selected (RFC 8445 §9) or its consent,
/// which is no longer renewed, expires.
#[derive(Debug)]
pub(crate) struct OldPath {
    pub path: Path,
    pub expires: Instant,
    /// Our credentials that the peer knows us by on this path: its consent checks use them until it has selected a new
    /// pair, too. They may be older than the generation of the path (see `restart.rs`).
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

    /// §5.1: sends due consent checks; ends the use of pairs whose consent has expired.
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
        self.phases[component] = Phase::Failed;
        self.fail(pair);
        if let Some(pair) = self.checklist.get_mut(pair) {
            (pair.checked_by_peer, pair.nominated_by_peer) = (false, false);
        }
        // An old success says little: a pair that is to take the place has to work now.
        self.checklist.check_again(component, |state| state == State::Succeeded);
        self.following[component].detour = None;
        self.events.push_back(Event::ConsentLost { component });
    }

    pub(crate) fn expire_old_paths(&mut self, now: Instant) {
        for (component, old_path) in self.old_paths.iter_mut() {
            if old_path.take_if(|old| old.expires <= now).is_some() {
                self.following[component].detour = None;
                self.events.push_back(Event::ConsentLost { component });
            }
        }
    }

    /// The component and role of the pending consent check with this transaction id.
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
            // A later offer confused the roles, so this check failed for its role alone: repeat it with the other role.
            consent.next = consent.next.min(now + ASK_AGAIN);
            self.role_was_refused(role);
        } // Any other error does not renew consent, and does not revoke it either.
        self.counters.responses += 1;
        Ok(())
    }

    /// Notes that an authenticated message was received on this pair.
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

/// The delay of the next consent check after a role change. A peer that never agrees must not keep us busy.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The most pending consent checks: as many as are sent within one consent lifetime.
const MAX_ASKED: usize = 8;

#[cfg(test)]
#[path = "consent_tests.rs"]
mod tests;
