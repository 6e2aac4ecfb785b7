//! A local candidate that is lost while the session runs: the TURN server has dropped the allocation of a relayed one.
//!
//! RFC 8445 has no words for it. Nothing can be sent from its address any more, so its pairs are of no use. If one of them
//! was in use, the component looks for another: all pairs are formed and checked again, because those that worked at the
//! beginning may be old, and the peer's nominations count as before.

use std::net::SocketAddr;
use std::time::Instant;

use crate::lifecycle::Lifecycle;
use crate::nominate::Phase;
use crate::outgoing::Outgoing;
use crate::pair::State;
use crate::path::canonical;
use crate::{Agent, Candidate, Component, Event, Path, PerComponent};

impl Agent {
    /// Removes the candidates with the base `addr`, which is gone, and their pairs. Nothing is sent from it any more. Reports
    /// [`Event::PathLost`] if that was the path in use; the component fails if no other is found in time.
    pub fn remove_local_candidate(&mut self, now: Instant, addr: SocketAddr) {
        let addr = canonical(addr);
        let used = PerComponent::from_fn(|component| self.selected(component));
        self.locals.retain(|local| Candidate::base(local) != addr);
        self.early.retain(|held| held.check.local != addr);
        self.outgoing.retain(|outgoing| !matches!(outgoing, Outgoing::Answer { path, .. } if path.local == addr));
        for component in Component::ALL {
            self.leave(now, component, addr);
        }
        self.checklist.retain(|pair| pair.local != addr);
        self.form_pairs();
        for (component, before) in used.iter() {
            self.tell_of_loss(component, *before);
        }
        self.proceed(now);
    }

    /// Ends the use of paths that begin at `addr`.
    fn leave(&mut self, now: Instant, component: Component, addr: SocketAddr) {
        let is_lost = |path: &Path| path.local == addr;
        let old_path = &mut self.old_paths[component];
        let lost_old_path = old_path.take_if(|old| is_lost(&old.path)).is_some();
        let lost_selected = matches!(&self.phases[component], Phase::Selected(selected) if is_lost(&selected.path));
        let following = &mut self.following[component];
        // A detour stands in for the path that it was taken from, and ends with that one's consent.
        if lost_old_path || lost_selected || following.detour.as_ref().is_some_and(is_lost) {
            following.begin(now, None);
        }
        let lost_nominee = match &self.phases[component] {
            Phase::Nominating(nominee) => self.checklist.get(*nominee).is_some_and(|pair| pair.local == addr),
            _ => false,
        };
        if lost_selected || lost_nominee {
            self.phases[component] = Phase::RUNNING;
        }
        if lost_selected {
            self.check_again(now, component);
        }
    }

    /// Has all pairs of the component checked again, and lets it fail if none of them works.
    fn check_again(&mut self, now: Instant, component: Component) {
        self.checklist.check_again(component, |state| matches!(state, State::Succeeded | State::Failed));
        if let Lifecycle::Checking { fail_at, .. } = &mut self.lifecycle {
            *fail_at = Some(now + self.config.failure_timeout);
        }
    }

    fn tell_of_loss(&mut self, component: Component, before: Option<Path>) {
        match self.selected(component) {
            current if current == before => {}
            Some(path) => self.events.push_back(Event::Selected { component, path }),
            None => self.events.push_back(Event::PathLost { component }),
        }
    }
}

#[cfg(test)]
#[path = "lost_tests.rs"]
mod tests;
