//! The agent's public interface, and the order in which it processes input.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use stun_types::message::MessageClass;

use crate::candidate::{self, Candidate, CandidateKind};
use crate::checklist::{Checklist, Wanted};
use crate::config::{Config, MAX_REMOTE_CANDIDATES};
use crate::consent::OldPath;
use crate::credentials::Keyed;
use crate::follow::Following;
use crate::lifecycle::Lifecycle;
use crate::message;
use crate::nominate::Phase;
use crate::outgoing::{EarlyCheck, Outgoing};
use crate::path::canonical;
use crate::random::Random;
use crate::timer::{Timer, Timers};
use crate::{Component, Counters, Credentials, Error, PairState, Path, PerComponent, Role, Transmit};

/// A change in the session's state, returned by [`Agent::poll_event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// From now on, send on this path. Repeated whenever another pair is selected.
    Selected {
        /// The component of the pair.
        component: Component,
        /// The path of the selected pair.
        path: Path,
    },
    /// No pair was selected in time. A restart or checks of the peer can make the component usable again.
    ComponentFailed {
        /// The failed component. Component 2 fails, harmlessly, with every peer that multiplexes RTCP.
        component: Component,
    },
    /// The peer has not answered for 30 s: nothing may be sent on the selected path any more (RFC 7675 §5.1).
    ConsentLost {
        /// The component of the path.
        component: Component,
    },
    /// Our address of the path in use is gone ([`Agent::remove_local_candidate`]): nothing may be sent until another pair
    /// is selected, or the component fails.
    PathLost {
        /// The component of the path.
        component: Component,
    },
    /// We resolved a role conflict by changing to this role (RFC 8445 §7.3.1.1).
    RoleChanged(Role),
}

/// One ICE session. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) local: Keyed,
    /// Our credentials before the last restart: the peer may go on using them (see `restart.rs`).
    pub(crate) previous: Option<Keyed>,
    /// The number of times that we have restarted.
    pub(crate) restarts: u32,
    pub(crate) remote: Option<Keyed>,
    /// The peer has restarted ICE and we have not yet (see `restart.rs`).
    pub(crate) remote_is_ahead: bool,
    pub(crate) locals: Vec<Candidate>,
    pub(crate) remotes: Vec<Candidate>,
    pub(crate) checklist: Checklist,
    pub(crate) phases: PerComponent<Phase>,
    pub(crate) old_paths: PerComponent<Option<OldPath>>,
    pub(crate) following: PerComponent<Following>,
    /// The highest nomination of the peer so far (see `nominate.rs`).
    pub(crate) nomination: u32,
    pub(crate) early: Vec<EarlyCheck>,
    pub(crate) last_check: Option<Instant>,
    /// When the next check may be sent (see `pacing.rs`).
    pub(crate) slot: Option<Instant>,
    pub(crate) last_heard: Option<Instant>,
    /// The tie-breaker in the last check of the peer.
    pub(crate) remote_tie_breaker: Option<u64>,
    pub(crate) outgoing: VecDeque<Outgoing>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) timers: Timers,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
}

impl Agent {
    /// Creates a session. It answers checks at once, and sends its own after [`Agent::start`].
    pub fn new(config: Config) -> Self {
        Self {
            lifecycle: Lifecycle::Idle,
            role: config.role,
            tie_breaker: config.tie_breaker,
            local: config.local.clone().into(),
            previous: None,
            restarts: 0,
            remote: None,
            remote_is_ahead: false,
            locals: Vec::new(),
            remotes: Vec::new(),
            checklist: Checklist::default(),
            phases: PerComponent::from_fn(|_| Phase::RUNNING),
            old_paths: PerComponent::default(),
            following: PerComponent::default(),
            nomination: 0,
            early: Vec::new(),
            last_check: None,
            slot: None,
            last_heard: None,
            remote_tie_breaker: None,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            timers: Timers::default(),
            random: Random::from_seed(&config.seed),
            counters: Counters::default(),
            config,
        }
    }

    /// Adds a host candidate, the address of a socket. Candidates added earlier get a higher priority.
    pub fn add_local_candidate(&mut self, component: Component, addr: SocketAddr) {
        self.add_gathered_candidate(component, CandidateKind::Host, addr, None);
    }

    /// Adds a gathered candidate (RFC 8445 §5.1.1.2). `related` is the base of a reflexive candidate; for a relayed
    /// one it is the mapped address that the TURN server reported. Ignores duplicates and components not in use.
    pub fn add_gathered_candidate(
        &mut self,
        component: Component,
        kind: CandidateKind,
        addr: SocketAddr,
        related: Option<SocketAddr>,
    ) {
        let candidate = candidate::local(&self.locals, component, kind, addr, related);
        let known = self.locals.iter().any(|other| (other.component, other.addr) == (component, candidate.addr));
        if known || !self.has_component(component) {
            return;
        }
        if self.locals.len() >= MAX_LOCAL_CANDIDATES {
            self.counters.over_limit += 1;
            return;
        }
        self.locals.push(candidate);
        self.form_pairs();
    }

    /// Adds a candidate that the peer signalled, before or after checks have started (RFC 8838).
    pub fn add_remote_candidate(&mut self, now: Instant, candidate: Candidate) {
        let Some(candidate) = candidate.into_usable() else {
            self.counters.unusable_candidates += 1;
            return;
        };
        if self.has_component(candidate.component) && self.remember_remote(candidate) {
            self.form_pairs();
            self.proceed(now);
        }
    }

    /// Starts sending checks as soon as the peer's credentials are known.
    pub fn start(&mut self, now: Instant) {
        if self.lifecycle == Lifecycle::Idle {
            self.lifecycle = Lifecycle::Started;
        }
        self.begin_if_ready(now);
        self.proceed(now);
    }

    /// Ends the session for good: it sends nothing and refuses all input with [`Error::Stopped`].
    pub fn stop(&mut self) {
        self.lifecycle = Lifecycle::Stopped;
        self.checklist.clear();
        self.phases = PerComponent::from_fn(|_| Phase::Failed);
        self.old_paths = PerComponent::default();
        self.following = PerComponent::default();
        self.early.clear();
        self.outgoing.clear();
        self.timers = Timers::default();
    }

    /// Sets our role (RFC 8445 §6.1.1) if the caller learns it only after creation. Has no effect once a pair is
    /// selected: the role then stays until a restart, no matter who sends the next offer.
    pub fn set_role(&mut self, role: Role) {
        let settled = self.phases.values().any(|phase| matches!(phase, Phase::Selected(_)));
        if role != self.role && !settled {
            self.assume_role(role);
            self.rearm();
        }
    }

    /// Tells whether the peer is a lite agent (RFC 8445 §2.5). A lite peer only answers, so we become controlling.
    pub fn set_remote_lite(&mut self, lite: bool) {
        if lite {
            self.set_role(Role::Controlling);
        }
    }

    /// Handles one received STUN datagram. The caller separates media and DTLS from STUN before (RFC 7983).
    ///
    /// # Errors
    /// Returns why the datagram was refused. It was counted in [`Agent::counters`] and changed nothing else.
    pub fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Error> {
        self.take_in(now, path, datagram).inspect_err(|error| {
            self.counters.count(*error);
            log::debug!("ice: refused a datagram from {}: {error}", path.remote);
        })?;
        self.proceed(now);
        Ok(())
    }

    /// Does whatever is due at `now`. Calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire_old_paths(now);
        self.renew_consent(now);
        self.fail_late_components(now);
        self.leave_silent_paths(now);
        self.retransmit(now);
        self.proceed(now);
    }

    /// When to call [`Agent::handle_timeout`] next; `None` when no timer runs. Any other call may change it.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Writes the next datagram into `buf`, which needs at most [`crate::MAX_DATAGRAM`] bytes; `None` when there is
    /// nothing to send.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some(outgoing) = self.outgoing.pop_front() {
            if let Some(transmit) = self.write(&outgoing, buf) {
                return Some(transmit);
            }
        }
        None
    }

    /// Returns the oldest event not yet returned.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The path to send on: the selected pair, or during a restart the pair selected before it (RFC 8445 §9), unless
    /// the peer's media has shown another one ([`Agent::handle_media`]).
    pub fn selected(&self, component: Component) -> Option<Path> {
        self.following[component].detour.or_else(|| self.agreed(component))
    }

    /// The path that was selected by nomination.
    fn agreed(&self, component: Component) -> Option<Path> {
        match &self.phases[component] {
            Phase::Selected(selected) => Some(selected.path),
            _ => self.old_paths[component].as_ref().map(|old| old.path),
        }
    }

    /// Whether datagrams received on `path` come from the peer: it answered a check of ours on this pair, or sent an
    /// authenticated check on it. The caller may accept DTLS and media from such a path.
    pub fn is_valid_path(&self, path: &Path) -> bool {
        let path = path.canonical();
        let selected = self.selected(path.component);
        selected.is_some_and(|own| path.joins(own.component, own.local, own.remote))
            || self.checklist.is_valid_path(&path)
    }

    /// The pairs of the checklist with their states, highest priority first, for diagnosis.
    pub fn pairs(&self) -> impl Iterator<Item = (Path, PairState)> {
        self.checklist.iter().map(|pair| (pair.path(), pair.state))
    }

    /// Our candidates, to be signalled to the peer.
    pub fn local_candidates(&self) -> &[Candidate] {
        &self.locals
    }

    /// The peer's candidates: signalled ones, and peer-reflexive ones learned from its checks.
    pub fn remote_candidates(&self) -> &[Candidate] {
        &self.remotes
    }

    /// Our username fragment and password, to be signalled to the peer.
    pub fn local_credentials(&self) -> &Credentials {
        &self.local.credentials
    }

    /// The username fragment and password that the peer signalled; `None` before it has.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.remote.as_ref().map(|remote| &remote.credentials)
    }

    /// Our current role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// When the peer's last authenticated check or response was received, on any pair; `None` before the first.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// The tie-breaker of the peer's checks (RFC 8445 §6.1.1), the last that it sent with the credentials that it signalled. Browsers keep
    /// it for the life of a connection, restarts included.
    pub fn remote_tie_breaker(&self) -> Option<u64> {
        self.remote_tie_breaker
    }

    /// Counters of received messages, by result.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn take_in(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Error> {
        if self.lifecycle == Lifecycle::Stopped {
            return Err(Error::Stopped);
        }
        let message = message::parse(datagram)?;
        match message.class() {
            MessageClass::Request => self.handle_request(now, path, &message),
            MessageClass::Success | MessageClass::Error => self.handle_response(now, path.canonical(), &message),
            MessageClass::Indication => {
                self.counters.indications += 1;
                Ok(())
            }
        }
    }

    /// Runs after any change: nominates if possible, sends a check if one is due, sets the timers.
    pub(crate) fn proceed(&mut self, now: Instant) {
        self.nominate(now);
        self.check_next(now);
        self.rearm();
    }

    pub(crate) fn rearm(&mut self) {
        self.timers.set(Timer::Check, self.check_due());
        let transactions = self.checklist.iter().filter_map(|pair| pair.transaction.as_ref());
        self.timers.set(Timer::Retransmit, transactions.map(|transaction| transaction.due()).min());
        self.timers.set(Timer::Nominate, self.nomination_due());
        self.timers.set(Timer::Consent, self.consent_due());
        self.timers.set(Timer::Failure, self.failure_due());
        self.timers.set(Timer::Silence, self.leaving_due());
        self.timers.set(Timer::OldPath, self.old_paths.values().flatten().map(|old| old.expires).min());
    }

    /// §6.1.2: adds to the checklist the pairs of all local and remote candidates known by now.
    pub(crate) fn form_pairs(&mut self) {
        if !matches!(self.lifecycle, Lifecycle::Checking { .. }) {
            return;
        }
        for local in &self.locals {
            for remote in &self.remotes {
                // §8.1.2: once a pair is selected, its component forms no new pairs.
                let selected = matches!(self.phases[local.component], Phase::Selected(_));
                if !selected {
                    self.checklist.add(local, remote, self.role, Wanted::ByCandidates);
                }
            }
        }
        self.checklist.thaw_foundations();
        self.rearm();
    }

    /// Keeps a remote candidate. Returns `false` if the candidate is already known or there is no room.
    fn remember_remote(&mut self, candidate: Candidate) -> bool {
        let same = |other: &&mut Candidate| (other.component, other.addr) == (candidate.component, candidate.addr);
        if let Some(known) = self.remotes.iter_mut().find(same) {
            let learned_first = known.kind == CandidateKind::PeerReflexive && candidate.kind != known.kind;
            if learned_first {
                // The signalled priority replaces the learned one (RFC 8838 §11.4): both sides then rank pairs alike.
                *known = candidate.clone();
                self.adopt_signalled(&candidate);
            }
            return learned_first;
        }
        if self.remotes.len() >= MAX_REMOTE_CANDIDATES - FOR_PEER_REFLEXIVE {
            self.counters.over_limit += 1;
            return false;
        }
        self.remotes.push(candidate);
        true
    }

    fn adopt_signalled(&mut self, candidate: &Candidate) {
        let same = |pair: &&mut crate::pair::Pair| {
            (pair.component, pair.remote) == (candidate.component, canonical(candidate.addr))
        };
        for pair in self.checklist.iter_mut().filter(same) {
            pair.remote_priority = candidate.priority;
            pair.foundation.1.clone_from(&candidate.foundation);
        }
        self.checklist.reprioritise(self.role);
    }

    pub(crate) fn has_component(&self, component: Component) -> bool {
        component.id() <= self.config.components
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = Component> + use<> {
        let components = self.config.components;
        Component::ALL.into_iter().filter(move |component| component.id() <= components)
    }
}

/// The most local candidates that an agent keeps. No machine has as many; this limits mistakes of the caller.
pub(crate) const MAX_LOCAL_CANDIDATES: usize = 64;
const FOR_PEER_REFLEXIVE: usize = 16;

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
