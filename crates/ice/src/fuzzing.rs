//! Bodies of the fuzz targets, here so that they keep compiling; `tests/fuzz` calls them. They panic when a promise of
//! the crate is broken.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::attribute::{AttributeType, AttributeWrite, Fingerprint, RawAttribute};
use stun_types::message::{IntegrityAlgorithm, IntegrityKey, MessageClass, MessageWriteExt};

use crate::agent::MAX_LOCAL_CANDIDATES;
use crate::checklist::MAX_PAIRS;
use crate::credentials::Keyed;
use crate::gather::dns;
use crate::gather::mapping::{self, Mapping};
use crate::mdns::Lookups;
use crate::message;
use crate::nominate::Phase;
use crate::pair::State;
use crate::path::canonical;
use crate::{
    Agent, Candidate, CandidateKind, Component, Config, Credentials, Error, Event, MAX_DATAGRAM, MAX_REMOTE_CANDIDATES,
    PairState, Path, PerComponent, Role, Signalled,
};

/// Runs two agents and the network between them under a list of operations. Each operation is a byte that says what happens,
/// a byte that says how, and for some of them further bytes.
///
/// After each operation: what an agent keeps and sends is bounded, its next timeout is not in the past, its events tell
/// which pair is selected, and a selected pair is a valid one. A datagram that neither side's password has signed changes
/// nothing and is answered by nothing. In the end, whatever has happened before, a restart of both sides (RFC 8445 §9)
/// connects them.
pub fn session(operations: &[u8]) {
    let mut world = World::new();
    world.run(operations);
    if world.ends.iter().all(|end| !end.is_stopped) {
        world.restart_and_connect();
    }
}

/// Takes any datagram as an answer for a name. At most four addresses are found, and none are for a name that stays open.
pub fn mdns_answer(datagram: &[u8]) {
    let mut lookups = Lookups::default();
    let now = Instant::now();
    let added = lookups.add(now, "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local", 7, ());
    assert_eq!(added, Ok(()));
    lookups.handle_timeout(now);
    let found = lookups.handle_answer(datagram);
    let addresses = std::iter::from_fn(|| lookups.poll_found()).count();
    assert!(addresses <= 4 && found == (addresses > 0) && found != lookups.is_busy());
}

/// Reads any text as a candidate attribute. A candidate has a foundation that fits, and a name in place of an address or none.
pub fn candidate_attribute(input: &[u8]) {
    let Some(signalled) = std::str::from_utf8(input).ok().and_then(|text| text.parse::<Signalled>().ok()) else {
        return;
    };
    let Candidate { foundation, addr, .. } = signalled.candidate;
    assert!((1..=32).contains(&foundation.len()));
    assert!(signalled.name.is_none_or(|name| name.ends_with(".local") && addr.ip().is_unspecified()));
}

/// Feeds datagrams and time to a socket that asks a STUN server, and to the lookup of the server's name. Each operation is a byte that
/// says what happens, and for a datagram a byte with its length and the datagram; its first 20 bytes may be replaced by a header
/// that answers.
///
/// One request is pending at most and repeated at most six times, timeouts are never in the past, and an address that is told is one
/// that can be sent to. A lookup asks at most six times and ends once.
pub fn gathering(operations: &[u8]) {
    let server: SocketAddr = ([198, 51, 100, 1], 3478).into();
    let mut now = Instant::now();
    let mut mapping = Mapping::new(now, server, Duration::from_secs(30), [7; 32]);
    let mut lookup = dns::Lookup::new(now, "stun.example.org", &[server], [7; 32]);
    let (mut request, mut queries, mut results) = ([0; mapping::REQUEST_LEN], 0, 0);
    let mut rest = operations.iter().copied();
    while let Some(operation) = rest.next() {
        match operation % 4 {
            0 => {
                now = now.max(mapping.poll_timeout());
                mapping.handle_timeout(now);
                lookup.handle_timeout(now);
            }
            1 => mapping.handle_unreachable(now),
            answers => {
                let len = usize::from(rest.next().unwrap_or(0));
                let mut datagram: Vec<u8> = rest.by_ref().take(len).collect();
                if answers == 3 && datagram.len() >= 20 {
                    datagram[4..20].copy_from_slice(&request[4..20]);
                }
                let _ = mapping.handle_datagram(now, server, &datagram);
                lookup.handle_datagram(now, server, &datagram);
            }
        }
        assert!(mapping.poll_timeout() > now || !mapping.is_asking());
        mapping.poll_transmit(&mut request);
        assert_eq!(mapping.poll_transmit(&mut request), None);
        if let Some(mapping::Event::Mapped(address)) = mapping.poll_event() {
            assert!(address.port() != 0 && address.is_ipv4() && !address.ip().is_unspecified());
        }
        queries += std::iter::from_fn(|| lookup.poll_transmit(&mut [0; dns::MAX_QUERY])).count();
        results += std::iter::from_fn(|| lookup.poll_result()).count();
    }
    assert!(queries <= 4 && results <= 1 && (results == 1) == lookup.poll_timeout().is_none());
}

struct World {
    now: Instant,
    ends: [End; 2],
    /// Every password that either side has ever had.
    keys: Vec<IntegrityKey>,
    /// Datagrams that either side has sent, for replays; the oldest are forgotten.
    recorded: VecDeque<Datagram>,
}

/// A datagram as its receiver gets it.
#[derive(Debug, Clone)]
struct Datagram {
    path: Path,
    bytes: Vec<u8>,
}

struct End {
    agent: Agent,
    /// Sent, and not yet received by the other end.
    outbound: VecDeque<Datagram>,
    /// The transaction of its last request.
    asked: u128,
    /// Where its events say that it sends, by component.
    told: PerComponent<Option<Path>>,
    is_stopped: bool,
}

impl World {
    fn new() -> Self {
        let mut world =
            Self { now: Instant::now(), ends: [End::new(0), End::new(1)], keys: Vec::new(), recorded: VecDeque::new() };
        for at in 0..2 {
            let first = credentials(at, 0);
            world.keys.push(Keyed::from(first).key);
            for component in Component::ALL {
                world.ends[at].agent.add_local_candidate(component, address(at, 0, component));
            }
        }
        world
    }

    fn run(&mut self, operations: &[u8]) {
        let mut rest = operations;
        while let [operation, how, tail @ ..] = rest {
            rest = self.apply(*operation, *how, tail);
            self.settle();
        }
    }

    /// Does one thing, at the end that the lowest bit of `how` names; returns the bytes that it did not need.
    fn apply<'a>(&mut self, operation: u8, how: u8, tail: &'a [u8]) -> &'a [u8] {
        let (at, now) = (usize::from(how & 1), self.now);
        let (other, choice) = (1 - at, how >> 1);
        if operation >= MEDIA {
            self.deliver_media(at, choice);
            return tail;
        }
        match operation % 16 {
            0..4 => self.deliver_next(at, choice & 1 == 1),
            4 => drop(self.ends[other].outbound.pop_front()),
            5 => self.now += Duration::from_millis(u64::from(how) * 20),
            6 if choice & 4 == 4 => self.remove_local(at, choice),
            6 => self.add_local(at, choice),
            7 => {
                let (bytes, rest) = take(tail, 9);
                self.ends[at].agent.add_remote_candidate(now, any_candidate(choice, bytes));
                return rest;
            }
            8 => self.signal(other, at),
            9 if choice == 0x7f => self.stop(at),
            9 => self.ends[at].agent.start(now),
            10 => self.restart(at),
            11 if choice & 2 == 0 => self.ends[at].agent.set_remote_lite(choice & 1 == 1),
            11 => self.ends[at].agent.set_role(if choice & 1 == 1 { Role::Controlling } else { Role::Controlled }),
            12 => {
                let (bytes, rest) = take(tail, choice.into());
                self.receive(at, &Datagram { path: path_to(at, choice), bytes: bytes.to_vec() });
                return rest;
            }
            13 => {
                let (change, rest) = take(tail, 2);
                self.deliver_damaged(at, change);
                return rest;
            }
            14 => {
                let (bytes, rest) = take(tail, usize::from(choice & 0x3f));
                self.deliver_forged(at, choice & 0x40 != 0, bytes);
                return rest;
            }
            _ => self.replay(at, choice),
        }
        tail
    }

    /// The oldest datagram on its way to `at` arrives, from another port than it left if there `is_translated`.
    fn deliver_next(&mut self, at: usize, is_translated: bool) {
        let Some(mut datagram) = self.ends[1 - at].outbound.pop_front() else { return };
        if is_translated {
            datagram.path.remote.set_port(datagram.path.remote.port() | TRANSLATED);
        }
        self.receive(at, &datagram);
    }

    /// The next datagram arrives with one byte of it changed, and stays on its way.
    fn deliver_damaged(&mut self, at: usize, change: &[u8]) {
        let (Some(datagram), [position, bits]) = (self.ends[1 - at].outbound.front(), change) else { return };
        let mut damaged = datagram.clone();
        let len = damaged.bytes.len();
        damaged.bytes[usize::from(*position) % len] ^= bits;
        renew_fingerprint(&mut damaged.bytes);
        self.receive(at, &damaged);
    }

    /// A peer that knows the passwords, or a stranger that does not, sends any attributes: in a request, or in an answer to
    /// the last request of `at`.
    fn deliver_forged(&mut self, at: usize, is_answer: bool, bytes: &[u8]) {
        let Some((class, attributes)) = bytes.split_first() else { return };
        let [to, from] = [at, 1 - at].map(|at| Keyed::from(self.ends[at].agent.local_credentials().clone()));
        let username = format!("{}:{}", to.credentials.ufrag, from.credentials.ufrag);
        let (class, id, key) = match (is_answer, class & 1) {
            (true, 0) => (MessageClass::Success, self.ends[at].asked, &from.key),
            (true, _) => (MessageClass::Error, self.ends[at].asked, &from.key),
            (false, _) => (MessageClass::Request, u128::from(class >> 2), &to.key),
        };
        let of_a_stranger = Keyed::from(credentials(2, 0)).key;
        let key = if bytes[0] & 0x80 == 0 { key } else { &of_a_stranger };
        let algorithm = if class == MessageClass::Request && bytes[0] & 2 == 2 {
            IntegrityAlgorithm::Sha256
        } else {
            IntegrityAlgorithm::Sha1
        };
        let mut buffer = [0; MAX_DATAGRAM];
        let written = message::write(&mut buffer, class, id, (key, algorithm), |message| {
            if class == MessageClass::Request {
                message.add_attribute(&RawAttribute::new(AttributeType::new(USERNAME), username.as_bytes()))?;
            }
            let mut rest = attributes;
            while let [kind, len, tail @ ..] = rest {
                let (value, tail) = take(tail, usize::from(len % 21));
                let kind = ATTRIBUTES[usize::from(*kind) % ATTRIBUTES.len()];
                message.add_attribute(&RawAttribute::new(AttributeType::new(kind), value))?;
                rest = tail;
            }
            Ok(())
        });
        let Some(len) = written else { return };
        self.receive(at, &Datagram { path: path_to(at, bytes[0] >> 2), bytes: buffer[..len].to_vec() });
    }

    /// A recorded datagram comes again: from where it came the first time, from elsewhere, or back to its sender.
    fn replay(&mut self, at: usize, choice: u8) {
        let Some(datagram) = self.recorded.get(usize::from(choice >> 2) % self.recorded.len().max(1)) else { return };
        let mut datagram = datagram.clone();
        let Path { component, local, remote } = datagram.path;
        match choice & 3 {
            0 => {}
            1 => datagram.path.remote.set_port(remote.port() ^ 1),
            2 => datagram.path = Path { component, local: remote, remote: local },
            _ => datagram.path = path_to(at, choice),
        }
        self.receive(at, &datagram);
    }

    /// Media of the peer arrives along a pair of the checklist, or from elsewhere.
    fn deliver_media(&mut self, at: usize, choice: u8) {
        let agent = &mut self.ends[at].agent;
        let pair = agent.pairs().map(|(path, _)| path).nth(usize::from(choice >> 2));
        let path = pair.filter(|_| choice & 3 != 3).unwrap_or_else(|| path_to(at, choice));
        agent.handle_media(self.now, path);
    }

    /// Hands a datagram to an agent. Without a signature of either side it must change nothing.
    fn receive(&mut self, at: usize, datagram: &Datagram) {
        let is_signed = self.is_signed(&datagram.bytes);
        let agent = &mut self.ends[at].agent;
        let before = Observed::of(agent);
        let outcome = agent.handle_stun(self.now, datagram.path, &datagram.bytes);
        let is_answered = matches!(outcome, Err(Error::UnknownAttribute(_)));
        if (outcome.is_err() && !is_answered) || !is_signed {
            assert_eq!(Observed::of(agent), before, "{outcome:?}, signed: {is_signed}");
        }
    }

    fn is_signed(&self, bytes: &[u8]) -> bool {
        let Ok(message) = message::parse(bytes) else { return false };
        self.keys.iter().rev().any(|key| message::authenticate(&message, key).is_ok())
    }

    fn add_local(&mut self, at: usize, choice: u8) {
        let component = Component::ALL[usize::from(choice & 1)];
        let base = address(at, choice >> 3, component);
        let agent = &mut self.ends[at].agent;
        if choice & 2 == 0 {
            agent.add_local_candidate(component, base);
        } else {
            let seen = SocketAddr::new(base.ip(), base.port() | TRANSLATED);
            agent.add_gathered_candidate(component, CandidateKind::ServerReflexive, seen, Some(base));
        }
    }

    /// An address of `at` is gone. The first one stays, for the restart in the end.
    fn remove_local(&mut self, at: usize, choice: u8) {
        let base = address(at, (choice >> 3).max(1), Component::ALL[usize::from(choice & 1)]);
        self.ends[at].agent.remove_local_candidate(self.now, base);
    }

    /// The description of `from` reaches the other end.
    fn signal(&mut self, from: usize, to: usize) {
        let credentials = self.ends[from].agent.local_credentials().clone();
        let candidates = self.ends[from].agent.local_candidates().to_vec();
        let agent = &mut self.ends[to].agent;
        agent.set_remote_credentials(self.now, credentials);
        candidates.into_iter().for_each(|candidate| agent.add_remote_candidate(self.now, candidate));
    }

    fn restart(&mut self, at: usize) {
        let credentials = credentials(at, self.keys.len());
        self.keys.push(Keyed::from(credentials.clone()).key);
        self.ends[at].agent.restart(self.now, credentials);
    }

    fn stop(&mut self, at: usize) {
        let end = &mut self.ends[at];
        end.agent.stop();
        (end.is_stopped, end.told) = (true, PerComponent::default());
    }

    /// Drains both agents as a driver does, and checks their promises.
    fn settle(&mut self) {
        for at in 0..2 {
            self.drain(at, FOR_A_DATAGRAM);
            self.ends[at].agent.handle_timeout(self.now);
            self.drain(at, FOR_A_TIMEOUT);
            self.ends[at].check(self.now);
        }
    }

    /// Sends what `at` has to send, which must be no more than `at_most` datagrams.
    fn drain(&mut self, at: usize, at_most: usize) {
        let mut buffer = [0; MAX_DATAGRAM];
        let mut sent = 0;
        while let Some(transmit) = self.ends[at].agent.poll_transmit(&mut buffer) {
            sent += 1;
            assert!(transmit.len <= MAX_DATAGRAM);
            let bytes = &buffer[..transmit.len];
            assert!(self.is_signed(bytes), "an unsigned datagram");
            let message = message::parse(bytes).expect("written by us");
            if message.class() == MessageClass::Request {
                self.ends[at].asked = message.transaction_id().into();
            }
            self.send(at, transmit.path, bytes.to_vec());
        }
        assert!(sent <= at_most, "{sent} datagrams at once");
        self.ends[at].hear();
    }

    /// Puts a datagram on its way. Translated ports are translated back.
    fn send(&mut self, at: usize, sent: Path, bytes: Vec<u8>) {
        let mut local = sent.remote;
        local.set_port(local.port() & !TRANSLATED);
        let datagram = Datagram { path: Path { component: sent.component, local, remote: sent.local }, bytes };
        for (queue, len) in [(&mut self.ends[at].outbound, MAX_ON_THE_WAY), (&mut self.recorded, MAX_RECORDED)] {
            if queue.len() >= len {
                queue.pop_front();
            }
            queue.push_back(datagram.clone());
        }
    }

    /// A restart of both sides over a network that loses nothing. Datagrams of before that are still on their way arrive.
    fn restart_and_connect(&mut self) {
        for at in 0..2 {
            self.restart(at);
            self.signal(at, 1 - at);
            self.ends[at].agent.start(self.now);
        }
        // The first signalling went with credentials that the second restart has replaced.
        (0..2).for_each(|at| self.signal(at, 1 - at));
        let began = self.now;
        while !self.is_connected() {
            self.settle();
            for at in 0..2 {
                for _ in 0..self.ends[1 - at].outbound.len() {
                    self.deliver_next(at, false);
                    self.settle();
                }
            }
            let timeout = self.ends.iter().filter_map(|end| end.agent.poll_timeout()).min();
            self.now = timeout.expect("something is due until the agents are connected").max(self.now);
            assert!(self.now < began + Duration::from_secs(30), "a restart does not connect");
        }
    }

    /// Whether component 1 uses one pair at both ends.
    fn is_connected(&self) -> bool {
        let selected = |at: usize| match &self.ends[at].agent.phases[Component::Rtp] {
            Phase::Selected(selected) => Some(selected.path),
            _ => None,
        };
        let (Some(ours), Some(theirs)) = (selected(0), selected(1)) else { return false };
        ours.local.ip() == theirs.remote.ip() && ours.remote.ip() == theirs.local.ip()
    }
}

impl End {
    fn new(name: usize) -> Self {
        let role = if name == 0 { Role::Controlling } else { Role::Controlled };
        let config = Config::new(role, 0x8000 + name as u64, credentials(name, 0), [name as u8; 32]);
        Self {
            agent: Agent::new(config),
            outbound: VecDeque::new(),
            asked: 0,
            told: PerComponent::default(),
            is_stopped: false,
        }
    }

    /// Takes all events and remembers where they say that media goes.
    fn hear(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            if self.is_stopped {
                continue; // it may have happened before the end
            }
            match event {
                Event::Selected { component, path } => self.told[component] = Some(path),
                Event::ConsentLost { component } | Event::PathLost { component } => {
                    assert!(self.told[component].take().is_some(), "consent that was never there is lost");
                }
                Event::ComponentFailed { .. } | Event::RoleChanged(_) => {}
            }
        }
    }

    /// Checks the promises that hold whenever the agent has been drained.
    fn check(&self, now: Instant) {
        let agent = &self.agent;
        assert!(agent.poll_timeout().is_none_or(|at| at > now), "a timer that is never done");
        assert!(agent.locals.len() <= MAX_LOCAL_CANDIDATES && agent.remotes.len() <= MAX_REMOTE_CANDIDATES);
        assert!(agent.pairs().count() <= MAX_PAIRS);
        for component in Component::ALL {
            assert_eq!(agent.selected(component), self.told[component], "the events do not tell");
            if let Phase::Selected(selected) = &agent.phases[component] {
                let pair = agent.checklist.get(selected.pair).expect("a selected pair is in the checklist");
                assert_eq!((pair.path(), pair.state), (selected.path, State::Succeeded));
                assert!(pair.is_valid() && agent.is_valid_path(&selected.path));
            }
        }
    }
}

/// The state of an agent that its caller can see, without the counters, and how much it is about to send.
#[derive(Debug, PartialEq)]
struct Observed {
    selected: [Option<Path>; 2],
    pairs: Vec<(Path, PairState, bool)>,
    remotes: Vec<Candidate>,
    role: Role,
    timeout: Option<Instant>,
    outgoing: usize,
}

impl Observed {
    fn of(agent: &Agent) -> Self {
        Self {
            selected: Component::ALL.map(|component| agent.selected(component)),
            pairs: agent.pairs().map(|(path, state)| (path, state, agent.is_valid_path(&path))).collect(),
            remotes: agent.remotes.clone(),
            role: agent.role(),
            timeout: agent.poll_timeout(),
            outgoing: agent.outgoing.len(),
        }
    }
}

/// Makes credentials for an end; each generation has its own.
fn credentials(name: usize, generation: usize) -> Credentials {
    Credentials::from_random(&std::array::from_fn(|at| match at % 8 {
        0 => name as u8,
        1 => generation as u8,
        2 => (generation >> 6) as u8,
        _ => at as u8,
    }))
}

/// One of the addresses of an end.
fn address(at: usize, number: u8, component: Component) -> SocketAddr {
    SocketAddr::new([10, at as u8, 0, number].into(), 10_000 + u16::from(component.id()))
}

/// A way to `at` from one of five addresses that are nobody's, over a socket that does or does not tell its address.
fn path_to(at: usize, choice: u8) -> Path {
    let component = Component::ALL[usize::from(choice & 1)];
    let mut local = address(at, 0, component);
    if choice & 2 == 2 {
        local.set_ip([0, 0, 0, 0].into());
    }
    Path { component, local, remote: SocketAddr::new([203, 0, 113, choice % 5].into(), 1 + u16::from(choice)) }
}

/// Makes a candidate of any kind and address, as a hostile description may contain.
fn any_candidate(choice: u8, bytes: &[u8]) -> Candidate {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let ip = [byte(0), byte(1), byte(2), byte(3)];
    let port = u16::from_be_bytes([byte(4), byte(5)]);
    let addr = match choice & 12 {
        4 => SocketAddr::new(std::net::Ipv4Addr::from(ip).to_ipv6_mapped().into(), port),
        8 => SocketAddr::new([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(ip[0])].into(), port),
        _ => SocketAddr::new(ip.into(), port),
    };
    let kind = match choice & 48 {
        0 => CandidateKind::Host,
        16 => CandidateKind::ServerReflexive,
        32 => CandidateKind::PeerReflexive,
        _ => CandidateKind::Relayed,
    };
    Candidate {
        foundation: byte(6).to_string().repeat(usize::from(byte(7)) % 20),
        component: Component::ALL[usize::from(choice & 1)],
        priority: u32::from(byte(8)) << 24,
        addr,
        kind,
        related: (choice & 2 == 2).then_some(canonical(addr)),
    }
}

/// Corrects the FINGERPRINT (RFC 8489 §14.7) with which a datagram ends. It keeps no attacker out: with it, a damaged datagram
/// gets as far as the comparison of MESSAGE-INTEGRITY.
fn renew_fingerprint(bytes: &mut [u8]) {
    let (message, fingerprint) = bytes.split_at_mut(bytes.len() - FINGERPRINT_LEN);
    Fingerprint::new(Fingerprint::compute(&[message])).write_into_unchecked(fingerprint);
}

fn take(bytes: &[u8], len: usize) -> (&[u8], &[u8]) {
    bytes.split_at(len.min(bytes.len()))
}

/// The simulated network address translation sets this bit of a port, and clears it on the way back.
const TRANSLATED: u16 = 0x8000;
const MAX_ON_THE_WAY: usize = 64;
const MAX_RECORDED: usize = 32;
/// An answer, a check of the address that media came from, and of each component a triggered check and a nomination, and the next
/// check.
const FOR_A_DATAGRAM: usize = 7;
/// Every pair again, the next check, and a nomination and a consent check of each component.
const FOR_A_TIMEOUT: usize = MAX_PAIRS + 6;

/// Header and value.
const FINGERPRINT_LEN: usize = 8;
const USERNAME: u16 = 0x0006;
/// USERNAME, ERROR-CODE, UNKNOWN-ATTRIBUTES, XOR-MAPPED-ADDRESS, PRIORITY, USE-CANDIDATE, SOFTWARE, ALTERNATE-SERVER,
/// ICE-CONTROLLED, ICE-CONTROLLING, NOMINATION, and two that nobody knows. Signature and fingerprint are added by [`message::write`].
const ATTRIBUTES: [u16; 13] =
    [USERNAME, 0x0009, 0x000a, 0x0020, 0x0024, 0x0025, 0x8022, 0x8023, 0x8029, 0x802a, 0x7777, 0xfff0, 0xc001];
/// Operations from here on are packets of media.
const MEDIA: u8 = 0xe0;

#[cfg(test)]
#[path = "fuzzing_tests.rs"]
mod tests;
