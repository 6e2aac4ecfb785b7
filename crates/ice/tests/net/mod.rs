//! Two agents in a simulated network with seeded loss, delay, reordering and NATs. Time is a variable.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Agent, CandidateKind, Component, Config, Credentials, Event, Path, Role};

/// The behaviour of a NAT, by the names that RFC 4787 §4 and §5 replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nat {
    None,
    FullCone,
    AddressRestricted,
    PortRestricted,
    Symmetric,
}

/// One agent, its addresses and the NAT in front of it.
pub struct Side {
    pub agent: Agent,
    pub addrs: Vec<(Component, SocketAddr)>,
    pub nat: Nat,
    pub events: Vec<Event>,
    public: String,
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), SocketAddr>,
    allowed: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Side {
    fn new(name: u8, role: Role, seed: u64) -> Self {
        let mut bytes = [name; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let config = Config::new(role, seed ^ u64::from(name), credentials(name, 0), bytes);
        Self {
            agent: Agent::new(config),
            addrs: Vec::new(),
            nat: Nat::None,
            events: Vec::new(),
            public: format!("203.0.113.{name}"),
            mappings: BTreeMap::new(),
            allowed: BTreeSet::new(),
        }
    }

    fn add(&mut self, component: Component, addr: SocketAddr) {
        self.addrs.push((component, addr));
        self.agent.add_local_candidate(component, addr);
    }

    /// Adds the server-reflexive candidate that a STUN server would have found.
    fn add_reflexive(&mut self) {
        for (component, addr) in self.addrs.clone() {
            let seen = self.outbound(addr, "192.0.2.250:3478".parse().unwrap());
            if seen != addr {
                self.agent.add_gathered_candidate(component, CandidateKind::ServerReflexive, seen, Some(addr));
            }
        }
    }

    fn outbound(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = match self.nat {
            Nat::None => return from,
            Nat::Symmetric => (from, Some(to)),
            _ => (from, None),
        };
        let port = 50_000 + self.mappings.len() as u16;
        let public = format!("{}:{port}", self.public).parse().unwrap();
        let seen = *self.mappings.entry(key).or_insert(public);
        self.allowed.insert((seen, to));
        seen
    }

    fn inbound(&self, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        if self.nat == Nat::None {
            return self.addrs.iter().any(|(_, addr)| *addr == to).then_some(to);
        }
        let inner = self.mappings.iter().find(|(_, seen)| **seen == to).map(|((inner, _), _)| *inner)?;
        let open = self.allowed.iter().filter(|(seen, _)| *seen == to).any(|(_, peer)| match self.nat {
            Nat::FullCone => true,
            Nat::AddressRestricted => peer.ip() == from.ip(),
            _ => *peer == from,
        });
        open.then_some(inner)
    }

    pub fn selected(&self, component: Component) -> Option<Path> {
        self.agent.selected(component)
    }

    pub fn has(&self, event: Event) -> bool {
        self.events.contains(&event)
    }
}

/// Two agents and the network between them.
pub struct Pair {
    pub now: Instant,
    pub start: Instant,
    pub sides: [Side; 2],
    loss: f64,
    delay: (u64, u64),
    random: u64,
    on_the_way: BTreeMap<(Instant, u64), Datagram>,
    /// The number of datagrams sent so far.
    pub sent: u64,
    /// While set, the network drops every datagram.
    pub cut: bool,
    /// Side B multiplexes RTCP with RTP: it drops everything for component 2.
    pub muted: Option<Component>,
}

struct Datagram {
    to: usize,
    component: Component,
    from: SocketAddr,
    addr: SocketAddr,
    bytes: Vec<u8>,
}

impl Pair {
    /// Two agents with one host address each; A is controlling.
    pub fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            start: now,
            sides: [Side::new(1, Role::Controlling, seed), Side::new(2, Role::Controlled, seed)],
            loss: 0.0,
            delay: (10, 10),
            random: seed | 1,
            on_the_way: BTreeMap::new(),
            sent: 0,
            cut: false,
            muted: None,
        }
    }

    pub fn roles(mut self, a: Role, b: Role) -> Self {
        self.sides[0].agent.set_role(a);
        self.sides[1].agent.set_role(b);
        self
    }

    /// Restricts both agents to component 1.
    pub fn single(mut self) -> Self {
        for (side, (name, role)) in self.sides.iter_mut().zip([(1, Role::Controlling), (2, Role::Controlled)]) {
            let mut config = Config::new(role, u64::from(name), credentials(name, 0), [name; 32]);
            config.components = 1;
            side.agent = Agent::new(config);
        }
        self
    }

    pub fn loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        self
    }

    /// Delays each datagram by a random time between `from` and `to` milliseconds, which also reorders them.
    pub fn delay(mut self, from: u64, to: u64) -> Self {
        self.delay = (from, to);
        self
    }

    pub fn nat(mut self, a: Nat, b: Nat) -> Self {
        (self.sides[0].nat, self.sides[1].nat) = (a, b);
        self
    }

    /// Gives each side one address, with both components.
    pub fn hosts(self) -> Self {
        self.addresses(&["10.1.0.1"], &["10.2.0.1"])
    }

    pub fn addresses(mut self, a: &[&str], b: &[&str]) -> Self {
        for (side, ips) in self.sides.iter_mut().zip([a, b]) {
            for ip in ips {
                side.add(Component::Rtp, SocketAddr::new(ip.parse().unwrap(), 10_000));
                side.add(Component::Rtcp, SocketAddr::new(ip.parse().unwrap(), 10_001));
            }
        }
        self
    }

    /// Adds server-reflexive candidates as if from a STUN server.
    pub fn reflexive(mut self) -> Self {
        self.sides.iter_mut().for_each(Side::add_reflexive);
        self
    }

    /// Signals both descriptions and starts both agents.
    pub fn start(mut self) -> Self {
        self.signal(0, 1);
        self.signal(1, 0);
        self.begin();
        self
    }

    pub fn begin(&mut self) {
        let now = self.now;
        self.sides.iter_mut().for_each(|side| side.agent.start(now));
    }

    /// Signals one side's description to the other.
    pub fn signal(&mut self, from: usize, to: usize) {
        let candidates = self.sides[from].agent.local_candidates().to_vec();
        self.signal_credentials(from, to);
        for candidate in candidates {
            self.sides[to].agent.add_remote_candidate(self.now, candidate);
        }
    }

    pub fn signal_credentials(&mut self, from: usize, to: usize) {
        let credentials = self.sides[from].agent.local_credentials().clone();
        self.sides[to].agent.set_remote_credentials(self.now, credentials);
    }

    /// Runs the simulation until `done` is true, or for 60 s.
    pub fn run_until(mut self, done: impl Fn(&Pair) -> bool) -> Self {
        self.run(done);
        self
    }

    pub fn run(&mut self, done: impl Fn(&Pair) -> bool) -> bool {
        let end = self.now + Duration::from_secs(60);
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
            let timeouts = self.sides.iter().filter_map(|side| side.agent.poll_timeout());
            let Some(next) = timeouts.chain(arrival).min().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = next.max(self.now);
            self.step();
        }
    }

    /// Runs the simulation for `time`.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.drain();
            let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
            let timeouts = self.sides.iter().filter_map(|side| side.agent.poll_timeout());
            self.now = timeouts.chain(arrival).min().map_or(end, |next| next.max(self.now).min(end));
            self.step();
        }
        self.drain();
    }

    fn step(&mut self) {
        while self.on_the_way.keys().next().is_some_and(|(at, _)| *at <= self.now) {
            let (_, datagram) = self.on_the_way.pop_first().unwrap(); // unwrap: seen one line up
            self.deliver(datagram);
        }
        for side in &mut self.sides {
            if side.agent.poll_timeout().is_some_and(|at| at <= self.now) {
                side.agent.handle_timeout(self.now);
                let next = side.agent.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a timer that is never done");
            }
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Datagram { to, component, from, addr, bytes } = datagram;
        if self.cut || (to == 1 && self.muted == Some(component)) {
            return;
        }
        if let Some(local) = self.sides[to].inbound(from, addr) {
            // The agent's own counters record refused datagrams.
            let _ = self.sides[to].agent.handle_stun(self.now, Path { component, local, remote: from }, &bytes);
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; ice::MAX_DATAGRAM];
        for at in 0..2 {
            while let Some(transmit) = self.sides[at].agent.poll_transmit(&mut buf) {
                self.send(at, transmit.path, &buf[..transmit.len]);
            }
            while let Some(event) = self.sides[at].agent.poll_event() {
                self.sides[at].events.push(event);
            }
        }
    }

    fn send(&mut self, at: usize, path: Path, bytes: &[u8]) {
        self.sent += 1;
        let from = self.sides[at].outbound(path.local, path.remote);
        if self.chance() < self.loss {
            return;
        }
        let (least, most) = self.delay;
        let delay = least + (self.chance() * (most - least + 1) as f64) as u64;
        let arrival = self.now + Duration::from_millis(delay);
        let datagram =
            Datagram { to: 1 - at, component: path.component, from, addr: path.remote, bytes: bytes.to_vec() };
        self.on_the_way.insert((arrival, self.sent), datagram);
    }

    /// A random number in 0..1 (xorshift64*).
    fn chance(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The simulated time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Whether both sides have selected the same pair of addresses.
    pub fn agree(&self, component: Component) -> bool {
        let [a, b] = &self.sides;
        let (Some(ours), Some(theirs)) = (a.selected(component), b.selected(component)) else { return false };
        // The remote address of each side is the address that the NAT gives the other.
        a.leads_to(ours, b, theirs) && b.leads_to(theirs, a, ours)
    }
}

impl Side {
    fn leads_to(&self, ours: Path, other: &Side, theirs: Path) -> bool {
        let seen_as = match self.nat {
            Nat::None => Some(&ours.local),
            Nat::Symmetric => self.mappings.get(&(ours.local, Some(ours.remote))),
            _ => self.mappings.get(&(ours.local, None)),
        };
        seen_as == Some(&theirs.remote) && (other.inbound(theirs.remote, ours.remote) == Some(theirs.local))
    }
}

pub fn credentials(name: u8, generation: u8) -> Credentials {
    Credentials::from_random(&std::array::from_fn(|i| name.wrapping_mul(37) ^ generation.wrapping_mul(91) ^ i as u8))
}

/// Whether both components are connected on both sides.
pub fn connected(pair: &Pair) -> bool {
    Component::ALL.iter().all(|component| pair.sides.iter().all(|side| side.selected(*component).is_some()))
}

/// Whether component 1 is connected on both sides.
pub fn first_connected(pair: &Pair) -> bool {
    pair.sides.iter().all(|side| side.selected(Component::Rtp).is_some())
}
