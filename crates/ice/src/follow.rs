//! Follows the peer's media to another path.
//!
//! A peer that moves sends its media along the new path at once, but tells us by a nomination only with its next check: in
//! a browser up to 2.5 s later. Media that is authenticated (SRTP) says the same earlier. So when the path in use has
//! gone silent and media arrives on another one,
//!
//! - a pair that has worked is selected, whoever controls, and nominated if we control and have nominated none;
//! - an address that no pair has, such as that of a NAT which forgot its binding, is checked, and selected once it
//!   answers;
//! - during a restart (RFC 8445 §9) ours takes a *detour*: along the pair that media comes from, until the peer nominates
//!   one. Before the peer's new credentials are known we cannot check, but it has sent checks under them to our old
//!   ones; they and the media authenticate its address, and the detour ends with the consent of the old path.
//!
//! A peer that is silent, on hold for example, cannot be followed. During a restart ours then uses the best pair that
//! has worked (RFC 8445 §12 allows any) when nothing comes along the old path any more.

use std::time::{Duration, Instant};

use crate::nominate::Phase;
use crate::outgoing::Check;
use crate::pair::{Pair, PairId, State};
use crate::{Agent, Component, Event, Path, Role};

/// The peer's traffic on the path in use, and the path taken in its place.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// Where media goes in place of the selected pair, or of the one selected before a restart.
    pub detour: Option<Path>,
    /// When media last came along the path in use. It counts as heard when the path comes into use.
    media: Option<Instant>,
    /// When an authenticated STUN message last came along it.
    stun: Option<Instant>,
    /// When an address that media came from was last checked.
    probed: Option<Instant>,
}

impl Following {
    /// Another path is in use.
    pub fn begin(&mut self, now: Instant, detour: Option<Path>) {
        *self = Self { detour, media: Some(now), stun: Some(now), probed: self.probed };
    }

    /// Whether the peer sends media along the path in use.
    pub fn has_media(&self, now: Instant, within: Duration) -> bool {
        self.media.is_some_and(|at| now < at + within)
    }

    fn silent_since(&self) -> Option<Instant> {
        self.media.max(self.stun)
    }
}

impl Agent {
    /// Notes that media of the peer arrived on `path`. Call it only for packets that are authenticated (SRTP); it may
    /// select another pair. Returns whether it left something to be sent or an event. Cheap enough for every packet.
    pub fn handle_media(&mut self, now: Instant, path: Path) -> bool {
        let path = path.canonical();
        let component = path.component;
        let used = self.selected(component);
        if used.is_some_and(|used| path.joins(component, used.local, used.remote)) {
            self.following[component].media = Some(now);
        } else if used.is_none() || !self.following[component].has_media(now, MOVED) {
            self.follow(now, path);
        }
        !self.outgoing.is_empty() || !self.events.is_empty()
    }

    fn follow(&mut self, now: Instant, path: Path) {
        let known = self.checklist.find_path(&path).map(|pair| (pair.id, pair.state));
        let is_restarting = self.old_paths[path.component].is_some();
        match known {
            Some((id, State::Succeeded)) if is_restarting => self.detour(now, id),
            Some((id, State::Succeeded)) if self.is_selected(path.component, id) => self.end_detour(now, path),
            Some((id, State::Succeeded)) => self.select_followed(now, id),
            _ if self.is_early(&path) => self.take_detour(now, path),
            Some((_, State::InProgress)) => {}
            _ => self.probe(now, path),
        }
        self.proceed(now);
    }

    fn is_selected(&self, component: Component, id: PairId) -> bool {
        matches!(&self.phases[component], Phase::Selected(selected) if selected.pair == id)
    }

    /// Returns to the selected pair: the peer has, because its restart came to nothing.
    fn end_detour(&mut self, now: Instant, path: Path) {
        let Path { component, .. } = path;
        if self.following[component].detour.is_some() {
            self.following[component].begin(now, None);
            self.events.push_back(Event::Selected { component, path });
        }
    }

    fn select_followed(&mut self, now: Instant, id: PairId) {
        let Some(component) = self.checklist.get(id).map(|pair| pair.component) else { return };
        // RFC 8445 §8.1.1: one pair is nominated, and no other after it.
        let was_nominated = matches!(&self.phases[component], Phase::Selected(selected) if !selected.owes_nomination);
        let owes_nomination = self.role == Role::Controlling && !was_nominated;
        self.select(now, id);
        if let Phase::Selected(selected) = &mut self.phases[component] {
            (selected.by_media, selected.owes_nomination) = (true, owes_nomination);
        }
    }

    /// Checks the address that media came from.
    fn probe(&mut self, now: Instant, path: Path) {
        let is_early = self.following[path.component].probed.is_some_and(|at| now < at + PROBES);
        let Some(local) = self.base_of(&path).filter(|_| !is_early) else { return };
        self.following[path.component].probed = Some(now);
        let restarts = self.restarts;
        let Path { component, remote, .. } = path;
        self.probe_pair(
            now,
            Check {
                component,
                local,
                remote,
                priority: None,
                use_candidate: false,
                nomination: None,
                tie_breaker: None,
                restarts,
            },
        );
    }

    /// Sends media along a pair that has worked, which is as good as consent (RFC 7675 §5.1).
    fn detour(&mut self, now: Instant, id: PairId) {
        let Some(path) = self.checklist.get(id).map(Pair::path) else { return };
        if let Some(old) = &mut self.old_paths[path.component] {
            old.expires = old.expires.max(now + self.config.consent_lifetime);
        }
        self.take_detour(now, path);
    }

    fn take_detour(&mut self, now: Instant, path: Path) {
        let component = path.component;
        if self.selected(component).is_none_or(|used| used == path) {
            return; // without consent for any path there is none for this one
        }
        self.following[component].begin(now, Some(path));
        log::debug!("ice: component {} follows the peer to {}", component.id(), path.remote);
        self.events.push_back(Event::Selected { component, path });
    }

    /// Whether the peer has sent a check on this path under credentials that we do not know yet.
    fn is_early(&self, path: &Path) -> bool {
        self.early.iter().any(|held| path.joins(held.check.component, held.check.local, held.check.remote))
    }

    /// Notes that an authenticated STUN message arrived on this path.
    pub(crate) fn heard_along(&mut self, now: Instant, path: &Path) {
        let used = self.selected(path.component);
        if used.is_some_and(|used| path.joins(used.component, used.local, used.remote)) {
            self.following[path.component].stun = Some(now);
        }
    }

    /// During a restart: leaves a path along which nothing comes any more for the best pair that has worked.
    pub(crate) fn leave_silent_paths(&mut self, now: Instant) {
        for component in self.components() {
            if self.leaves_at(component).is_some_and(|at| at <= now)
                && let Some(id) = self.refuge(component)
            {
                self.detour(now, id);
            }
        }
    }

    /// When [`Self::leave_silent_paths`] has something to do.
    pub(crate) fn leaving_due(&self) -> Option<Instant> {
        self.components().filter_map(|component| self.leaves_at(component)).min()
    }

    fn leaves_at(&self, component: Component) -> Option<Instant> {
        let is_restarting = self.old_paths[component].is_some() && self.role == Role::Controlled;
        self.refuge(component).filter(|_| is_restarting)?;
        self.following[component].silent_since().map(|since| since + SILENT)
    }

    /// The best pair that has worked, unless it is in use.
    fn refuge(&self, component: Component) -> Option<PairId> {
        let used = self.selected(component)?;
        let best = self.checklist.of(component).find(|pair| pair.state == State::Succeeded)?;
        (best.path() != used).then_some(best.id)
    }
}

/// Without media for this time on the path in use, media on another one means that the peer has moved. A peer sends along
/// one path at a time; this is for packets that overtake each other.
const MOVED: Duration = Duration::from_millis(100);
/// Without any traffic for this time, a path from before a restart is left.
const SILENT: Duration = Duration::from_millis(250);
/// The interval between two checks of addresses that media comes from. Whoever captures packets of the peer may send
/// them again from anywhere, and shall not make us send more than that.
const PROBES: Duration = Duration::from_millis(200);

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
