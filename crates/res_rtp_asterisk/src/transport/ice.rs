//! Adapts the ICE agent to the order of the channel drivers' calls. chan_sip sets ufrag and password separately, adds candidates
//! before the credentials, and calls `start` with every answer. Asterisk 11 never sets the role.
//!
//! A changed ufrag or password is an ICE restart by the peer (RFC 8445 §9). We join it with new credentials of our own when the
//! host prints our next description, which some hosts do before `start` and some after.
//!
//! Candidates also come one at a time after the description (RFC 8838), on a thread that is in no call of the host's about this
//! session. They wait until the worker thread runs the timers, and reach the agent then. So do candidates whose address is a name
//! (RFC 6762), once the name has an answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ::ice::mdns::{Lookups, OverLimit};
use ::ice::{
    Agent, Candidate, CandidateKind, Component, Config, Credentials, Error, Event, MAX_REMOTE_CANDIDATES, PairState,
    Path, Role, Signalled, Transmit,
};

use super::sockets::{Pair, Received};
use crate::gathering::candidates::{self, Disguise};
use crate::gathering::settings::Gathering;
use crate::gathering::{Known, random};
use crate::globals::globals;

/// The ICE agent, and the parts of the peer's description that the host has set but not started yet.
pub struct IceSide {
    agent: Agent,
    /// Changes our candidates as the peer is told them.
    disguise: Disguise,
    ufrag: Option<String>,
    password: Option<String>,
    candidates: Vec<Candidate>,
    /// Candidates that came after `start`, for [`Self::handle_timeout`].
    trickled: Vec<Candidate>,
    /// When the oldest of `trickled` came.
    trickled_at: Option<Instant>,
    /// Candidates whose address is a name.
    names: Lookups<Named>,
    /// The peer has told all its candidates (RFC 8838 §13).
    has_all_candidates: bool,
    /// Number of candidates that came one at a time and were not used.
    ignored: u64,
    role_told: bool,
    peer_is_lite: bool,
    owes_restart: bool,
    started: bool,
}

/// A candidate that waits for the address of its name.
#[derive(Debug, Clone)]
struct Named {
    candidate: Candidate,
    /// The peer's username fragment of the generation that it came in; `None` in a description, where it may come last.
    generation: Option<String>,
}

/// The outcome of a candidate that came by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trickled {
    /// It reaches the agent.
    Taken,
    /// It belongs to another generation than the one that is current (RFC 8838 §12, RFC 8840 §4.4).
    OtherGeneration,
    /// The peer has too many candidates.
    OverLimit,
}

impl IceSide {
    /// Creates the agent with candidates for both sockets: host candidates, and server-reflexive ones as far as they are known.
    pub fn new(sockets: &Pair, gathering: &Gathering, known: &Known) -> Self {
        let mut config =
            Config::new(Role::Controlled, asterisk::random::u64(), Credentials::from_random(&random()), random());
        config.pacer = globals().map(|globals| globals.pacer());
        let mut agent = Agent::new(config);
        let disguise = candidates::add(&mut agent, sockets, gathering, known);
        let (ufrag, password) = (None, None);
        Self {
            agent,
            disguise,
            ufrag,
            password,
            candidates: Vec::new(),
            trickled: Vec::new(),
            trickled_at: None,
            names: Lookups::default(),
            has_all_candidates: false,
            ignored: 0,
            role_told: false,
            peer_is_lite: false,
            owes_restart: false,
            started: false,
        }
    }

    /// Sets the peer's ufrag, password or both; `None` keeps the known value.
    pub fn set_authentication(&mut self, ufrag: Option<&str>, password: Option<&str>) {
        if let Some(ufrag) = ufrag {
            self.ufrag = Some(ufrag.to_owned());
        }
        if let Some(password) = password {
            self.password = Some(password.to_owned());
        }
    }

    /// Adds a candidate of the peer's description, which is used from the next [`Self::start`] on. Ignores duplicates and candidates
    /// beyond [`MAX_REMOTE_CANDIDATES`]. Looks up its address if that is a name.
    pub fn add_remote_candidate(&mut self, now: Instant, signalled: Signalled) {
        let Signalled { candidate, name, .. } = signalled;
        match name {
            None => self.keep_for_start(candidate),
            Some(name) => {
                // A name too many is a candidate too many.
                let _ = self.look_up(now, &name, Named { candidate, generation: None });
            }
        }
    }

    fn keep_for_start(&mut self, candidate: Candidate) {
        if self.candidates.len() < MAX_REMOTE_CANDIDATES && !self.candidates.contains(&candidate) {
            self.candidates.push(candidate);
        }
    }

    /// Adds a candidate that came after the peer's description (RFC 8838 §11). The worker thread passes it to the agent.
    pub fn handle_trickled(&mut self, now: Instant, signalled: Signalled) -> Trickled {
        let outcome = self.take_trickled(now, signalled);
        self.ignored += u64::from(outcome != Trickled::Taken);
        outcome
    }

    fn take_trickled(&mut self, now: Instant, signalled: Signalled) -> Trickled {
        let is_of_another = |ufrag: &String| self.ufrag.as_ref().is_some_and(|known| known != ufrag);
        if signalled.ufrag.as_ref().is_some_and(is_of_another) {
            return Trickled::OtherGeneration;
        }
        if let Some(name) = signalled.name {
            let named = Named { candidate: signalled.candidate, generation: self.ufrag.clone() };
            let looked_up = self.look_up(now, &name, named);
            return looked_up.map_or(Trickled::OverLimit, |()| Trickled::Taken);
        }
        if self.trickled.len() + self.candidates.len() >= MAX_REMOTE_CANDIDATES {
            return Trickled::OverLimit;
        }
        self.use_late(now, signalled.candidate);
        Trickled::Taken
    }

    /// Passes a candidate to the agent at the next timeout, or with the next [`Self::start`] if the agent does not check with the
    /// credentials of the last description yet.
    fn use_late(&mut self, now: Instant, candidate: Candidate) {
        if !self.is_checking_told() {
            self.keep_for_start(candidate);
        } else if self.trickled.len() < MAX_REMOTE_CANDIDATES {
            self.trickled.push(candidate);
            self.trickled_at.get_or_insert(now);
        }
    }

    fn look_up(&mut self, now: Instant, name: &str, named: Named) -> Result<(), OverLimit> {
        self.names.add(now, name, asterisk::random::u32() as u16, named)?;
        self.use_found(now);
        Ok(())
    }

    /// Takes in a datagram of a responder on the same link (RFC 6762).
    pub fn handle_answer(&mut self, now: Instant, datagram: &[u8]) {
        if self.names.handle_answer(datagram) {
            self.use_found(now);
        }
    }

    fn use_found(&mut self, now: Instant) {
        while let Some((Named { mut candidate, generation }, ip)) = self.names.poll_found() {
            if generation.is_none() || generation == self.ufrag {
                candidate.addr.set_ip(ip);
                self.use_late(now, candidate);
            }
        }
    }

    /// Writes the next query for a name into `buffer`; returns its length.
    pub fn poll_query(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.names.poll_transmit(buffer)
    }

    /// Returns whether a candidate waits for the address of its name.
    pub fn is_looking_up(&self) -> bool {
        self.names.is_busy()
    }

    /// Returns the number of names that nobody has answered for.
    pub fn unanswered_names(&self) -> u64 {
        self.names.unanswered()
    }

    /// Returns our own addresses, of the sockets that the candidates of component 1 have.
    pub fn own_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let own = self.agent.local_candidates().iter();
        own.filter(|own| own.component == Component::Rtp && own.related.is_none()).map(|own| own.addr.ip())
    }

    /// Records that the peer has told all its candidates of this generation (RFC 8838 §13). The checks go on, because the peer's own
    /// may still show us an address (RFC 8863).
    pub fn handle_end_of_candidates(&mut self) {
        self.has_all_candidates = true;
    }

    /// Returns whether the peer has told all its candidates.
    pub fn has_all_candidates(&self) -> bool {
        self.has_all_candidates
    }

    /// Counts a candidate that came by itself and cannot be used.
    pub fn ignore_candidate(&mut self) {
        self.ignored += 1;
    }

    /// Returns the number of candidates that came by themselves and were not used.
    pub fn ignored_candidates(&self) -> u64 {
        self.ignored
    }

    /// Sets our role. Ignored once checks have begun: later offers do not change the roles (RFC 8445 §6.1.1). Also ignored with a
    /// lite peer.
    pub fn set_role(&mut self, role: Role) {
        self.role_told = true;
        if !self.started && !self.peer_is_lite {
            self.agent.set_role(role);
        }
    }

    /// Marks the peer as ICE lite. We then take the controlling role, whatever the host sets (RFC 8445 §6.1.1).
    pub fn set_remote_lite(&mut self) {
        self.peer_is_lite = true;
        self.agent.set_remote_lite(true);
    }

    /// Prepares our description before the host prints it. Changes our credentials if the peer has restarted ICE. Without a
    /// description of the peer this is an offer, and the offerer is controlling (RFC 8445 §6.1.1).
    pub fn describe(&mut self, now: Instant) {
        match self.told() {
            Some(told) => {
                self.take_over(now, told);
                if std::mem::take(&mut self.owes_restart) {
                    self.agent.restart(now, Credentials::from_random(&random()));
                }
            }
            None if !self.role_told && !self.started => self.agent.set_role(Role::Controlling),
            None => {}
        }
    }

    /// Starts checks with the credentials and candidates of the peer's description. Does nothing without credentials.
    pub fn start(&mut self, now: Instant) {
        let Some(told) = self.told() else { return };
        self.take_over(now, told);
        for candidate in self.candidates.drain(..) {
            self.agent.add_remote_candidate(now, candidate);
        }
        self.agent.start(now);
        self.started = true;
    }

    /// Keeps our credentials though the peer has changed its own, because it did so in an answer (RFC 8839 §4.4.3.1.1).
    pub fn forget_owed_restart(&mut self) {
        self.owes_restart = false;
        self.agent.keep_credentials();
    }

    /// Returns whether checks with the peer have begun.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Stops the agent.
    pub fn stop(&mut self) {
        self.agent.stop();
    }

    /// Returns whether the peer uses ICE. Then only checked pairs decide where packets go and where they may come from.
    pub fn is_active(&self) -> bool {
        self.started || self.ufrag.is_some() && self.password.is_some()
    }

    /// Returns whether the address pair has been checked, so that datagrams on it come from the peer.
    pub fn is_valid(&self, component: Component, local: SocketAddr, remote: SocketAddr) -> bool {
        self.agent.is_valid_path(&Path { component, local, remote })
    }

    /// Returns whether the peer has sent an authenticated check over `pair` (our address, the peer's; `None` for any) before its
    /// description arrived.
    pub fn has_early_check(&self, component: Component, pair: Option<(SocketAddr, SocketAddr)>) -> bool {
        match pair {
            Some((local, remote)) => self.agent.has_early_check(&Path { component, local, remote }),
            None => self.agent.has_any_early_check(component),
        }
    }

    /// Returns the destination for packets of `component` and our address to send them from, once a pair is selected.
    pub fn route(&self, component: Component) -> Option<(SocketAddr, Option<SocketAddr>)> {
        self.agent.selected(component).map(|path| (path.remote, Some(path.local)))
    }

    /// Returns our candidates as the peer is told them.
    pub fn described_candidates(&self) -> Vec<Candidate> {
        self.disguise.apply(self.agent.local_candidates())
    }

    /// Adds a candidate that was gathered after the session began.
    pub fn add_gathered(
        &mut self,
        component: Component,
        kind: CandidateKind,
        address: SocketAddr,
        related: Option<SocketAddr>,
    ) {
        self.agent.add_gathered_candidate(component, kind, address, related);
    }

    /// Removes the candidate of an address that is gone. ICE looks for another pair if the selected one began there.
    pub fn remove_gathered(&mut self, now: Instant, address: SocketAddr) {
        self.agent.remove_local_candidate(now, address);
    }

    /// Like [`Self::route`], but without the pair that was selected before a restart.
    pub fn current_route(&self, component: Component) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let path = self.agent.selected(component)?;
        let is_current = self.agent.pairs().any(|(pair, state)| pair == path && state == PairState::Succeeded);
        is_current.then_some((path.remote, Some(path.local)))
    }

    /// Returns the ICE agent.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Handles a received STUN message. Call [`Self::poll_transmit`] afterwards, also after an error, which may need an answer too.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &[u8],
    ) -> Result<(), Error> {
        let path = Path { component, local: received.to, remote: received.from };
        self.agent.handle_stun(now, path, datagram)
    }

    /// Notes that a packet of SRTP has been decrypted, which may change the path that we send on. Returns whether it left something
    /// to be sent or an event.
    pub fn handle_media(&mut self, now: Instant, component: Component, received: &Received) -> bool {
        self.agent.handle_media(now, Path { component, local: received.to, remote: received.from })
    }

    /// Writes the next datagram to send into `buffer`; returns its length and path.
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<Transmit> {
        self.agent.poll_transmit(buffer)
    }

    /// Returns the next event of the agent.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.agent.poll_event()
    }

    /// Returns when [`Self::handle_timeout`] is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.agent.poll_timeout(), self.trickled_at, self.names.poll_timeout()].into_iter().flatten().min()
    }

    /// Passes candidates that came by themselves to the agent, and runs its timers and those of names. Returns whether the agent had
    /// something to do.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        // During a restart the pair from before it says nothing about the names of the new generation.
        if self.is_checking_told() && self.current_route(Component::Rtp).is_some() {
            // Checks have found the peer without the names.
            self.names.cancel();
        }
        self.names.handle_timeout(now);
        let has_news = self.trickled_at.take().is_some();
        for candidate in self.trickled.drain(..) {
            self.agent.add_remote_candidate(now, candidate);
        }
        let is_due = self.agent.poll_timeout().is_some_and(|at| at <= now);
        if is_due {
            self.agent.handle_timeout(now);
        }
        has_news || is_due
    }

    /// Passes the peer's credentials to the agent. A change is an ICE restart, which [`Self::describe`] joins.
    fn take_over(&mut self, now: Instant, told: Credentials) {
        let is_restart = self.agent.remote_credentials().is_some_and(|known| *known != told);
        if is_restart {
            self.owes_restart = true;
            self.has_all_candidates = false;
            self.trickled.clear();
        }
        self.agent.set_remote_credentials(now, told);
    }

    /// Returns whether the agent checks with the credentials of the peer's last description.
    fn is_checking_told(&self) -> bool {
        let known = self.agent.remote_credentials();
        self.started
            && known.is_some_and(|known| {
                self.ufrag.as_ref() == Some(&known.ufrag) && self.password.as_ref() == Some(&known.password)
            })
    }

    fn told(&self) -> Option<Credentials> {
        Some(Credentials { ufrag: self.ufrag.clone()?, password: self.password.clone()? })
    }
}

#[cfg(test)]
#[path = "ice_tests.rs"]
mod tests;
