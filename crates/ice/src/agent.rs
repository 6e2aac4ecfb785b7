//! The agent: what its caller sees of it, and the order in which it does things.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::message::MessageClass;

use crate::candidate::{self, Candidate, CandidateKind};
use crate::checklist::{Checklist, Wanted};
use crate::consent::OldPath;
use crate::credentials::Keyed;
use crate::message;
use crate::nominate::Phase;
use crate::path::canonical;
use crate::random::Random;
use crate::request::{EarlyCheck, Outgoing};
use crate::timer::{Timer, Timers};
use crate::{Component, Counters, Credentials, Error, PairState, Path, Role, Transmit};

/// What an agent has to be told before it can do anything.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Controlling if we sent the offer (RFC 8445 §6.1.1).
    pub role: Role,
    /// Random. The larger one wins when both sides claim the same role.
    pub tie_breaker: u64,
    /// What we signal, see [`Credentials::from_random`].
    pub local: Credentials,
    /// Seed of the transaction ids and of the jitter: random, and for nothing else.
    pub seed: Seed,
    /// 1, or 2 with a component for RTCP (the default).
    pub components: u8,
    /// Ta, the pause between two new checks (RFC 8445 §14.2): 50 ms.
    pub pacing: Duration,
    /// The least RTO of a check (RFC 8445 §14.3): 500 ms.
    pub rto: Duration,
    /// How long a better pair is waited for once one works, before that one is nominated: 200 ms.
    pub nomination_delay: Duration,
    /// When a component without a selected pair has failed, from the beginning of checks: 35 s. A peer that
    /// signals no usable candidate has as long to reach us.
    pub failure_timeout: Duration,
    /// How often consent is asked for, jitter apart (RFC 7675 §5.1): 5 s.
    pub consent_interval: Duration,
    /// How long consent lasts (RFC 7675 §5.1): 30 s.
    pub consent_lifetime: Duration,
}

impl Config {
    /// With the values of the RFCs for everything else.
    pub fn new(role: Role, tie_breaker: u64, local: Credentials, seed: [u8; 32]) -> Self {
        Self {
            role,
            tie_breaker,
            local,
            seed: Seed(seed),
            components: 2,
            pacing: Duration::from_millis(50),
            rto: Duration::from_millis(500),
            nomination_delay: Duration::from_millis(200),
            failure_timeout: Duration::from_secs(35),
            consent_interval: Duration::from_secs(5),
            consent_lifetime: Duration::from_secs(30),
        }
    }
}

/// Thirty-two random bytes that are not printed.
#[derive(Clone)]
pub struct Seed(pub(crate) [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// Something that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Send this way from now on. Comes again when the peer nominates another pair.
    Selected {
        /// Of which component.
        component: Component,
        /// The selected pair.
        path: Path,
    },
    /// No pair was selected in time. A restart, or checks of the peer, may revive the component.
    ComponentFailed {
        /// Which one. The second fails for every peer that multiplexes RTCP, and that is no harm.
        component: Component,
    },
    /// The peer has not answered for 30 s: nothing may be sent there any more (RFC 7675 §5.1).
    ConsentLost {
        /// On which component.
        component: Component,
    },
    /// A role conflict was resolved by our giving in.
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
    pub(crate) remote: Option<Keyed>,
    /// The peer's credentials changed, ours not yet (see `restart.rs`).
    pub(crate) remote_is_ahead: bool,
    pub(crate) locals: Vec<Candidate>,
    pub(crate) remotes: Vec<Candidate>,
    pub(crate) checklist: Checklist,
    pub(crate) phases: [Phase; 2],
    pub(crate) old_paths: [Option<OldPath>; 2],
    pub(crate) early: Vec<EarlyCheck>,
    pub(crate) last_check: Option<Instant>,
    pub(crate) outgoing: VecDeque<Outgoing>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) timers: Timers,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
}

/// How far the session has come as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    /// Not started: checks are answered, none are sent.
    Idle,
    /// Started, but the peer's credentials are missing.
    Started,
    /// Checks are being sent. Components that are not there by `fail_at` have failed; `None` once that is done.
    Checking {
        since: Instant,
        fail_at: Option<Instant>,
    },
    Stopped,
}

impl Agent {
    /// A session that answers checks from now on, and sends them when it is started.
    pub fn new(config: Config) -> Self {
        Self {
            lifecycle: Lifecycle::Idle,
            role: config.role,
            tie_breaker: config.tie_breaker,
            local: config.local.clone().into(),
            remote: None,
            remote_is_ahead: false,
            locals: Vec::new(),
            remotes: Vec::new(),
            checklist: Checklist::default(),
            phases: [Phase::RUNNING, Phase::RUNNING],
            old_paths: [None, None],
            early: Vec::new(),
            last_check: None,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            timers: Timers::default(),
            random: Random::from_seed(&config.seed),
            counters: Counters::default(),
            config,
        }
    }

    /// Adds a host candidate: the address of a socket. Those added first are preferred.
    pub fn add_local_candidate(&mut self, component: Component, addr: SocketAddr) {
        self.add_gathered_candidate(component, CandidateKind::Host, addr, None);
    }

    /// Adds a candidate that was gathered (RFC 8445 §5.1.1.2). `related` is the base of a reflexive
    /// candidate, or what the TURN server saw of us.
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

    /// Adds a candidate that the peer signalled, before or after the checks began (RFC 8838).
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

    /// Begins to send checks, as soon as the peer's credentials are known.
    pub fn start(&mut self, now: Instant) {
        if self.lifecycle == Lifecycle::Idle {
            self.lifecycle = Lifecycle::Started;
        }
        self.begin_if_ready(now);
        self.proceed(now);
    }

    /// Ends the session: nothing is sent or accepted any more.
    pub fn stop(&mut self) {
        self.lifecycle = Lifecycle::Stopped;
        self.checklist.clear();
        self.phases = [Phase::Failed, Phase::Failed];
        self.old_paths = [None, None];
        self.early.clear();
        self.outgoing.clear();
        self.timers = Timers::default();
    }

    /// Says who nominates (RFC 8445 §6.1.1), where the caller knows only later. Once a pair is selected the role
    /// stays until a restart, whoever sends the next offer, and this is ignored.
    pub fn set_role(&mut self, role: Role) {
        let settled = self.phases.iter().any(|phase| matches!(phase, Phase::Selected(_)));
        if role != self.role && !settled {
            self.assume_role(role);
            self.rearm();
        }
    }

    /// The peer is lite (RFC 8445 §2.5): it only answers, so we decide.
    pub fn set_remote_lite(&mut self, lite: bool) {
        if lite {
            self.set_role(Role::Controlling);
        }
    }

    /// Takes in one STUN datagram. Media and DTLS are told apart before this call (RFC 7983).
    ///
    /// # Errors
    /// The datagram was refused and counted, and changed nothing else.
    pub fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Error> {
        self.take_in(now, path, datagram).inspect_err(|error| {
            self.counters.count(*error);
            log::debug!("ice: refused a datagram from {}: {error}", path.remote);
        })?;
        self.proceed(now);
        Ok(())
    }

    /// Lets time pass. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire_old_paths(now);
        self.renew_consent(now);
        self.fail_late_components(now);
        self.retransmit(now);
        self.proceed(now);
    }

    /// When `handle_timeout` next has something to do. May change after any other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Writes the next datagram into `buf`, which [`crate::MAX_DATAGRAM`] bytes always suffice for; `None` when
    /// there is nothing to send.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some(outgoing) = self.outgoing.pop_front() {
            if let Some(transmit) = self.write(&outgoing, buf) {
                return Some(transmit);
            }
        }
        None
    }

    /// What has happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Where to send: the selected pair, or during a restart that of before.
    pub fn selected(&self, component: Component) -> Option<Path> {
        match &self.phases[component.index()] {
            Phase::Selected(selected) => Some(selected.path),
            _ => self.old_paths[component.index()].as_ref().map(|old| old.path),
        }
    }

    /// Whether a datagram that came this way comes from the peer: a check of ours was answered over this
    /// pair, or an authenticated check of the peer's came over it. DTLS and media may be taken from there.
    pub fn is_valid_path(&self, path: &Path) -> bool {
        let path = path.canonical();
        let selected = self.selected(path.component);
        selected.is_some_and(|own| path.joins(own.component, own.local, own.remote))
            || self.checklist.is_valid_path(&path)
    }

    /// The checklist, best first, for whoever asks why there is no audio.
    pub fn pairs(&self) -> impl Iterator<Item = (Path, PairState)> {
        self.checklist.iter().map(|pair| (pair.path(), pair.state))
    }

    /// What to signal.
    pub fn local_candidates(&self) -> &[Candidate] {
        &self.locals
    }

    /// What the peer signalled, and what was learned of it.
    pub fn remote_candidates(&self) -> &[Candidate] {
        &self.remotes
    }

    /// What to signal.
    pub fn local_credentials(&self) -> &Credentials {
        &self.local.credentials
    }

    /// What the peer signalled.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.remote.as_ref().map(|remote| &remote.credentials)
    }

    /// Who nominates, as things are.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What came in and what was made of it.
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

    /// After any change: nominate what can be nominated, send a check if one may be sent, set the timers.
    pub(crate) fn proceed(&mut self, now: Instant) {
        self.nominate(now);
        self.check_next(now);
        self.rearm();
    }

    pub(crate) fn rearm(&mut self) {
        let check = match self.lifecycle {
            Lifecycle::Checking { since, .. } if self.checklist.has_next() => {
                Some(self.last_check.map_or(since, |last| last + self.config.pacing))
            }
            _ => None,
        };
        self.timers.set(Timer::Check, check);
        let transactions = self.checklist.iter().filter_map(|pair| pair.transaction.as_ref());
        self.timers.set(Timer::Retransmit, transactions.map(|transaction| transaction.due()).min());
        self.timers.set(Timer::Nominate, self.nomination_due());
        self.timers.set(Timer::Consent, self.consent_due());
        self.timers.set(Timer::Failure, self.failure_due());
        self.timers.set(Timer::OldPath, self.old_paths.iter().flatten().map(|old| old.expires).min());
    }

    /// §6.1.2: forms the checklist from what is known on both sides by now.
    pub(crate) fn form_pairs(&mut self) {
        if !matches!(self.lifecycle, Lifecycle::Checking { .. }) {
            return;
        }
        for local in &self.locals {
            for remote in &self.remotes {
                // §8.1.2: a component that has its pair looks for no other.
                let selected = matches!(self.phases[local.component.index()], Phase::Selected(_));
                if !selected {
                    self.checklist.add(local, remote, self.role, Wanted::ByCandidates);
                }
            }
        }
        self.checklist.thaw_foundations();
        self.rearm();
    }

    /// Keeps a remote candidate; `false` when it adds nothing.
    fn remember_remote(&mut self, candidate: Candidate) -> bool {
        let same = |other: &&mut Candidate| (other.component, other.addr) == (candidate.component, candidate.addr);
        if let Some(known) = self.remotes.iter_mut().find(same) {
            let learned_first = known.kind == CandidateKind::PeerReflexive && candidate.kind != known.kind;
            if learned_first {
                // What the peer calls it decides (RFC 8838 §11.4): both sides then rank its pairs alike.
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

/// More than any machine signals; a limit against mistakes.
pub(crate) const MAX_LOCAL_CANDIDATES: usize = 32;
/// What a peer may make us remember.
pub(crate) const MAX_REMOTE_CANDIDATES: usize = 64;
/// Of these, reserved for what its checks teach: long lists of useless candidates do not keep them out.
const FOR_PEER_REFLEXIVE: usize = 16;

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
