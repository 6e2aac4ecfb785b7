//! Connectivity checks (RFC 8445 §7): sending them, and handling those of the peer.
//!
//! A check often arrives before the peer's description. We know the password it needs (our own), so we
//! answer at once, and pair its source when the peer's credentials are known.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::message::Message;

use crate::agent::Agent;
use crate::candidate::{Candidate, CandidateKind, can_reach, priority};
use crate::checklist::{Added, Wanted};
use crate::config::MAX_REMOTE_CANDIDATES;
use crate::credentials::Keyed;
use crate::lifecycle::Lifecycle;
use crate::message::{Answer, CheckAttributes, Request, authenticate, unknown_attribute, username};
use crate::nominate::Phase;
use crate::outgoing::{Check, EarlyCheck, Generation, Outgoing, push_bounded};
use crate::pair::{PairId, State, Transaction};
use crate::path::is_or_may_be;
use crate::{Component, Error, Path, Role, Transmit};

impl Agent {
    /// §7.3: authenticates a request, queues the response and updates the checklist.
    pub(crate) fn handle_request(&mut self, now: Instant, arrived: Path, message: &Message<'_>) -> Result<(), Error> {
        let path = arrived.canonical();
        let (to, from) = username(message)?;
        let generation = self.generation_of(&to, &from, &path).ok_or(Error::UnknownUsername)?;
        let key = &self.keyed(generation, path.component).ok_or(Error::UnknownUsername)?.key;
        let algorithm = authenticate(message, key)?;
        let local = self.base_of(&path).ok_or(Error::UnknownLocalAddress)?;
        self.counters.requests += 1;
        self.last_heard = Some(now);
        self.heard_along(now, &path);

        let attributes = CheckAttributes::of(message);
        let answer = self.answer_to(message, &attributes, generation, &path);
        let id = message.transaction_id().into();
        push_bounded(&mut self.outgoing, Outgoing::Answer { path: arrived, id, answer, algorithm, generation });
        match answer {
            Answer::UnknownAttribute(kind) => return Err(Error::UnknownAttribute(kind)),
            Answer::Success(_) if generation != Generation::Old => {
                let CheckAttributes { priority, use_candidate, nomination, role } = attributes;
                let tie_breaker = role.map(|(_, tie_breaker)| tie_breaker);
                let Path { component, remote, .. } = path;
                let restarts = self.restarts - u32::from(generation == Generation::Previous);
                let check =
                    Check { component, local, remote, priority, use_candidate, tie_breaker, nomination, restarts };
                self.receive(now, from, check);
            }
            Answer::Success(_) | Answer::RoleConflict => {}
        }
        Ok(())
    }

    fn answer_to(
        &mut self,
        message: &Message<'_>,
        attributes: &CheckAttributes,
        generation: Generation,
        path: &Path,
    ) -> Answer {
        if let Some(kind) = unknown_attribute(message) {
            return Answer::UnknownAttribute(kind);
        }
        let conflict = match generation {
            Generation::Current => self.detect_role_conflict(attributes.role),
            Generation::Old | Generation::Previous => None, // a conflict is settled by checks of the current generation only
        };
        conflict.unwrap_or(Answer::Success(path.remote))
    }

    fn receive(&mut self, now: Instant, from: String, check: Check) {
        let checking = matches!(self.lifecycle, Lifecycle::Checking { .. });
        if checking && self.is_of_remote(&from) {
            self.trigger(now, check);
        } else {
            self.hold(from, check);
        }
    }

    fn is_of_remote(&self, ufrag: &str) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.credentials.ufrag == ufrag)
    }

    fn hold(&mut self, from: String, check: Check) {
        let same = |held: &&mut EarlyCheck| {
            let held = &held.check;
            (held.component, held.local, held.remote) == (check.component, check.local, check.remote)
        };
        if let Some(held) = self.early.iter_mut().find(same) {
            let use_candidate = check.use_candidate || (held.from == from && held.check.use_candidate);
            *held = EarlyCheck { from, check: Check { use_candidate, ..check } };
        } else if self.make_room_for(&from) {
            self.counters.early += 1;
            self.early.push(EarlyCheck { from, check });
        } else {
            self.counters.over_limit += 1;
        }
    }

    /// Whether an authenticated check arrived on `path` that waits for the peer's credentials. The sender knows ours. A DTLS
    /// handshake may begin there, whose keys wait for the peer's description.
    pub fn has_early_check(&self, path: &Path) -> bool {
        let path = path.canonical();
        let Some(local) = self.base_of(&path) else { return false };
        let is_it =
            |check: &Check| (check.component, check.local, check.remote) == (path.component, local, path.remote);
        self.early.iter().any(|held| is_it(&held.check))
    }

    /// Whether an authenticated check for `component` waits for the peer's credentials.
    pub fn has_any_early_check(&self, component: Component) -> bool {
        self.early.iter().any(|held| held.check.component == component)
    }

    /// Returns whether there is room for another early check. Forgets the oldest one of somebody else, whose description may never
    /// come.
    fn make_room_for(&mut self, from: &str) -> bool {
        if self.early.len() < MAX_EARLY_CHECKS {
            return true;
        }
        let oldest = self.early.iter().position(|held| held.from != from);
        oldest.map(|at| self.early.remove(at)).is_some()
    }

    /// Pairs the sources of early checks once the peer's credentials are known, which our own checks need.
    pub(crate) fn replay_early_checks(&mut self, now: Instant) {
        let Some(remote) = &self.remote else { return };
        let ufrag = &remote.credentials.ufrag;
        let (ready, others) = std::mem::take(&mut self.early).into_iter().partition(|held| held.from == *ufrag);
        self.early = others;
        let ready: Vec<EarlyCheck> = ready;
        ready.into_iter().for_each(|held| self.trigger(now, held.check));
    }

    /// §7.3.1.4: a check from the peer triggers a check of ours on the same pair.
    fn trigger(&mut self, now: Instant, check: Check) {
        self.remote_tie_breaker = check.tie_breaker.or(self.remote_tie_breaker);
        let Some(id) = self.pair_of(check) else {
            self.counters.over_limit += 1;
            return;
        };
        self.heard_on(now, id);
        let is_newest = self.is_newest_nomination(check.nomination);
        let (pause, rto, role) = (self.config.pacing, self.rto(), self.role);
        let Some(pair) = self.checklist.get_mut(id) else { return };
        pair.checked_by_peer = true;
        pair.addressed = Some(check.restarts);
        let nominated = (check.use_candidate || is_newest) && role == Role::Controlled; // §7.3.1.5
        if is_newest {
            pair.nomination = self.nomination;
        }
        pair.nominated_by_peer |= nominated;
        if let Some(transaction) = &mut pair.transaction {
            transaction.hurry(now, pause, rto);
        }
        match pair.state {
            State::Succeeded if nominated => self.accept_nomination(now, id),
            State::Succeeded | State::InProgress => {}
            State::Waiting | State::Frozen | State::Failed => {
                pair.state = State::Waiting;
                self.checklist.trigger(id);
            }
        }
    }

    /// Checks an address that media of the peer came from (see `follow.rs`).
    pub(crate) fn probe_pair(&mut self, now: Instant, source: Check) {
        if let Lifecycle::Checking { .. } = self.lifecycle
            && let Some(id) = self.pair_of(source)
        {
            self.check(now, id);
        }
    }

    /// The pair on which a check arrived; adds it to the checklist if it is new (§7.3.1.4).
    fn pair_of(&mut self, check: Check) -> Option<PairId> {
        self.learn_peer_reflexive(check)?;
        let of = |candidate: &&Candidate| candidate.component == check.component;
        let local = self.locals.iter().filter(of).find(|local| local.base() == check.local)?;
        let remote = self.remotes.iter().filter(of).find(|remote| remote.addr == check.remote)?;
        match self.checklist.add(local, remote, self.role, Wanted::ByPeer) {
            Added::New(id) | Added::Redundant(id) => Some(id),
            Added::Unpairable | Added::OverLimit => None,
        }
    }

    /// §7.3.1.3: learns the source of a check as a peer-reflexive candidate unless it is already known. `None` when
    /// there is no room.
    fn learn_peer_reflexive(&mut self, check: Check) -> Option<()> {
        let Check { component, remote: addr, .. } = check;
        if self.remotes.iter().any(|remote| (remote.component, remote.addr) == (component, addr)) {
            return Some(());
        }
        if self.remotes.len() >= MAX_REMOTE_CANDIDATES {
            self.forget_peer_reflexive()?;
        }
        let kind = CandidateKind::PeerReflexive;
        self.counters.learned(kind);
        // Differs from every signalled foundation: '~' is not an ice-char.
        let foundation = format!("~{}", self.counters.peer_reflexive);
        let priority = check.priority.unwrap_or_else(|| priority(kind, 0, component));
        self.remotes.push(Candidate { foundation, component, priority, addr, kind, related: None });
        Some(())
    }

    /// Removes an unused peer-reflexive candidate to make room: a peer behind a NAT that changes often stays reachable.
    fn forget_peer_reflexive(&mut self) -> Option<()> {
        let in_use = |candidate: &Candidate| {
            self.checklist
                .of(candidate.component)
                .any(|pair| pair.remote == candidate.addr && pair.state != State::Failed)
        };
        let at =
            self.remotes.iter().position(|remote| remote.kind == CandidateKind::PeerReflexive && !in_use(remote))?;
        let gone = self.remotes.remove(at);
        self.checklist.retain(|pair| (pair.component, pair.remote) != (gone.component, gone.addr));
        Some(())
    }

    /// §7.2.4: starts a check of the pair. Returns `false` if the pair needs no check (any more).
    pub(crate) fn check(&mut self, now: Instant, id: PairId) -> bool {
        let (rto, role) = (self.rto(), (self.role, self.tie_breaker));
        let transaction_id = self.random.transaction_id();
        let Some(component) = self.checklist.get(id).map(|pair| pair.component) else { return false };
        let nominate = self.is_to_be_nominated(component, id);
        let Some(pair) = self.checklist.get_mut(id) else { return false };
        let wanted = match pair.state {
            State::Succeeded => nominate && pair.transaction.is_none(),
            State::InProgress => false,
            State::Waiting | State::Frozen | State::Failed => true,
        };
        if wanted {
            pair.checked = Some(now);
            pair.transaction = Some(Transaction::begin(transaction_id, role, nominate, rto, now));
            if pair.state != State::Succeeded {
                pair.state = State::InProgress;
            }
            push_bounded(&mut self.outgoing, Outgoing::Check(id));
        }
        wanted
    }

    /// §14.3: retransmits unanswered requests; a pair fails when its transaction has timed out.
    pub(crate) fn retransmit(&mut self, now: Instant) {
        let rto = self.rto();
        let mut given_up = Vec::new();
        for pair in self.checklist.iter_mut() {
            let Some(transaction) = pair.transaction.as_mut().filter(|transaction| transaction.due() <= now) else {
                continue;
            };
            if transaction.retransmit(now, rto) {
                push_bounded(&mut self.outgoing, Outgoing::Check(pair.id));
            } else {
                given_up.push(pair.id);
            }
        }
        given_up.into_iter().for_each(|id| self.fail(id));
    }

    /// §14.3: the initial RTO, which grows with the number of checks to be sent.
    fn rto(&self) -> Duration {
        self.config.rto.max(self.config.pacing * self.checklist.active() as u32)
    }

    pub(crate) fn write(&mut self, outgoing: &Outgoing, buf: &mut [u8]) -> Option<Transmit> {
        match *outgoing {
            Outgoing::Answer { path, id, answer, algorithm, generation } => {
                let key = &self.keyed(generation, path.component)?.key;
                let len = answer.write(buf, id, (key, algorithm))?;
                Some(Transmit { path, len, is_response: true })
            }
            Outgoing::Check(pair) => {
                let pair = self.checklist.get(pair)?;
                let Transaction { id, role, tie_breaker, use_candidate, .. } = pair.transaction?;
                let (path, priority, ours) = (pair.path(), pair.reflexive_priority, pair.addressed);
                let len = self.write_request(buf, id, (priority, ours), (role, tie_breaker), use_candidate)?;
                Some(Transmit { path, len, is_response: false })
            }
            Outgoing::Consent { component, id } => {
                let Phase::Selected(selected) = &self.phases[component] else { return None };
                let (path, priority) = (selected.path, selected.reflexive_priority);
                let ours = self.checklist.get(selected.pair).and_then(|pair| pair.addressed);
                let len = self.write_request(buf, id, (priority, ours), (self.role, self.tie_breaker), false)?;
                Some(Transmit { path, len, is_response: false })
            }
        }
    }

    fn write_request(
        &mut self,
        buf: &mut [u8],
        id: u128,
        (priority, addressed): (u32, Option<u32>),
        role: (Role, u64),
        nominate: bool,
    ) -> Option<usize> {
        let remote = self.remote.as_ref()?;
        let request = Request {
            transaction_id: id,
            local_ufrag: &self.known_as(addressed).credentials.ufrag,
            remote_ufrag: &remote.credentials.ufrag,
            priority,
            role: role.0,
            tie_breaker: role.1,
            use_candidate: nominate,
        };
        let len = request.write(buf, &remote.key)?;
        self.counters.sent_requests += 1;
        Some(len)
    }

    /// Our credentials that the peer knows us by on a pair.
    pub(crate) fn known_as(&self, addressed: Option<u32>) -> &Keyed {
        let is_previous = addressed.is_some_and(|restarts| restarts + 1 == self.restarts);
        self.previous.as_ref().filter(|_| is_previous).unwrap_or(&self.local)
    }

    fn generation_of(&self, ufrag: &str, from: &str, path: &Path) -> Option<Generation> {
        if ufrag == self.local.credentials.ufrag {
            return Some(Generation::Current);
        }
        if self.previous.as_ref().is_some_and(|own| own.credentials.ufrag == ufrag) && self.is_of_remote(from) {
            return Some(Generation::Previous);
        }
        let old = self.old_paths[path.component].as_ref()?;
        let own = old.path;
        let still_used = ufrag == old.local.credentials.ufrag && path.joins(own.component, own.local, own.remote);
        still_used.then_some(Generation::Old)
    }

    fn keyed(&self, generation: Generation, component: Component) -> Option<&Keyed> {
        match generation {
            Generation::Current => Some(&self.local),
            Generation::Previous => self.previous.as_ref(),
            Generation::Old => self.old_paths[component].as_ref().map(|old| &old.local),
        }
    }

    /// The base on which a datagram arrived. If the path has a wildcard address, the base of the pair it fits, or else
    /// that of the most preferred candidate.
    pub(crate) fn base_of(&self, path: &Path) -> Option<SocketAddr> {
        let known = self.checklist.find_path(path).map(|pair| pair.local);
        let fits = |base: &SocketAddr| is_or_may_be(path.local, *base) && can_reach(*base, path.remote);
        let mine = self.locals.iter().filter(|local| local.component == path.component);
        known.or_else(|| mine.map(Candidate::base).find(fits))
    }
}

/// The most early checks that are kept until the peer's credentials are known.
const MAX_EARLY_CHECKS: usize = 16;

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
