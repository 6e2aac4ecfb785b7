//! Shared by the unit tests: an agent, and a scripted peer that can send any message.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::attribute::{AttributeStaticType, RawAttribute, Username};
use stun_types::message::{IntegrityAlgorithm, Message, MessageClass, MessageWriteExt};

use crate::credentials::Keyed;
use crate::message::{Answer, CheckAttributes, Request, error_code, parse, write};
use crate::{Agent, Candidate, CandidateKind, Component, Config, Credentials, Event, MAX_DATAGRAM, Path, Role};

pub(crate) const OURS: &str = "192.0.2.1:10000";
pub(crate) const OURS_2: &str = "192.0.2.1:10001";
pub(crate) const THEIRS: &str = "198.51.100.1:20000";

/// An agent, the current time, and the state of its scripted peer.
pub(crate) struct Bench {
    pub now: Instant,
    pub agent: Agent,
    pub peer: Keyed,
    pub peer_role: Role,
    pub peer_tie_breaker: u64,
    next_id: u128,
}

/// A request that the agent sent, parsed as the peer would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub path: Path,
    pub id: u128,
    pub attributes: CheckAttributes,
}

impl Bench {
    /// A started agent that has both local candidates and the peer's credentials, but no remote candidates.
    pub fn new(role: Role) -> Self {
        Self::idle(role).start()
    }

    /// As [`Self::new`], but with component 1 only.
    pub fn single(role: Role) -> Self {
        Self::with(role, |config| config.components = 1).start()
    }

    pub fn start(self) -> Self {
        let mut bench = self;
        let credentials = bench.peer.credentials.clone();
        bench.agent.set_remote_credentials(bench.now, credentials);
        bench.agent.start(bench.now);
        bench
    }

    /// An agent that is not started and does not know the peer.
    pub fn idle(role: Role) -> Self {
        Self::with(role, |_| ())
    }

    pub fn with(role: Role, change: impl FnOnce(&mut Config)) -> Self {
        let local = Credentials { ufrag: "evtj".into(), password: "VOkJxbRl1RmTxUk/WvJxBt".into() };
        let mut config = Config::new(role, 0x8000, local, [7; 32]);
        change(&mut config);
        let mut agent = Agent::new(config);
        agent.add_local_candidate(Component::Rtp, addr(OURS));
        agent.add_local_candidate(Component::Rtcp, addr(OURS_2));
        let peer = Credentials { ufrag: "h6vY".into(), password: "another/password/of/24ch".into() };
        let peer_role = if role == Role::Controlling { Role::Controlled } else { Role::Controlling };
        Self { now: Instant::now(), agent, peer: peer.into(), peer_role, peer_tie_breaker: 0x7000, next_id: 1 }
    }

    pub fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.agent.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub fn add_remote(&mut self, text: &str) {
        self.agent.add_remote_candidate(self.now, remote(Component::Rtp, text, 0x7e00_00ff));
    }

    /// The peer sends a check on component 1.
    pub fn check(&mut self, from: &str, use_candidate: bool) -> Result<(), crate::Error> {
        let bytes = self.request("evtj", use_candidate);
        self.deliver(from, &bytes)
    }

    pub fn request(&mut self, to: &str, use_candidate: bool) -> Vec<u8> {
        self.next_id += 1;
        let request = Request {
            transaction_id: self.next_id,
            local_ufrag: &self.peer.credentials.ufrag,
            remote_ufrag: to,
            priority: 0x6e00_01ff,
            role: self.peer_role,
            tie_breaker: self.peer_tie_breaker,
            use_candidate,
        };
        let ours = Keyed::from(self.agent.local_credentials().clone());
        let mut buf = [0; MAX_DATAGRAM];
        let len = request.write(&mut buf, &ours.key).unwrap();
        buf[..len].to_vec()
    }

    /// The peer sends a check with this number of libwebrtc's renomination on component 1.
    pub fn nominate_anew(&mut self, from: &str, nomination: u32) {
        self.next_id += 1;
        let ours = Keyed::from(self.agent.local_credentials().clone());
        let username = format!("{}:{}", ours.credentials.ufrag, self.peer.credentials.ufrag);
        let mut buf = [0; MAX_DATAGRAM];
        let key = (&ours.key, IntegrityAlgorithm::Sha1);
        let len = write(&mut buf, MessageClass::Request, self.next_id, key, |message| {
            message.add_attribute(&RawAttribute::new(Username::TYPE, username.as_bytes()))?;
            message.add_attribute(&RawAttribute::new(0xc001.into(), &nomination.to_be_bytes()))
        });
        let bytes = &buf[..len.unwrap()];
        self.deliver(from, bytes).unwrap();
    }

    pub fn deliver(&mut self, from: &str, bytes: &[u8]) -> Result<(), crate::Error> {
        let path = Path { component: Component::Rtp, local: addr(OURS), remote: addr(from) };
        self.agent.handle_stun(self.now, path, bytes)
    }

    /// The peer answers a check with success.
    pub fn answer(&mut self, sent: &Sent) -> Result<(), crate::Error> {
        self.answer_with(sent, Answer::Success(sent.path.local))
    }

    pub fn answer_with(&mut self, sent: &Sent, answer: Answer) -> Result<(), crate::Error> {
        let bytes = self.answer_bytes(sent, answer);
        self.agent.handle_stun(self.now, sent.path, &bytes)
    }

    pub fn answer_bytes(&self, sent: &Sent, answer: Answer) -> Vec<u8> {
        let mut buf = [0; MAX_DATAGRAM];
        let len = answer.write(&mut buf, sent.id, (&self.peer.key, IntegrityAlgorithm::Sha1)).unwrap();
        buf[..len].to_vec()
    }

    /// The requests that the agent sent since the last call; drops its responses.
    pub fn sent(&mut self) -> Vec<Sent> {
        let everything = self.transmits();
        let requests = everything.iter().filter_map(|(path, bytes)| {
            let message = parse(bytes).unwrap();
            (message.class() == MessageClass::Request).then(|| Sent {
                path: *path,
                id: message.transaction_id().into(),
                attributes: CheckAttributes::of(&message),
            })
        });
        requests.collect()
    }

    /// The responses that the agent sent since the last call, 200 for success; drops its requests.
    pub fn answers(&mut self) -> Vec<(Path, u16)> {
        let everything = self.transmits();
        let answers = everything.iter().filter_map(|(path, bytes)| {
            let message = Message::from_bytes(bytes).unwrap();
            match message.class() {
                MessageClass::Success => Some((*path, 200)),
                MessageClass::Error => Some((*path, error_code(&message).unwrap())),
                _ => None,
            }
        });
        answers.collect()
    }

    pub fn transmits(&mut self) -> Vec<(Path, Vec<u8>)> {
        let mut buf = [0; MAX_DATAGRAM];
        let mut all = Vec::new();
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            all.push((transmit.path, buf[..transmit.len].to_vec()));
        }
        all
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.agent.poll_event()).collect()
    }

    /// Checks a pair both ways and lets the controlling side nominate it.
    pub fn select(&mut self, theirs: &str) {
        self.check(theirs, self.agent.role() == Role::Controlled).unwrap();
        for _ in 0..3 {
            for sent in self.sent() {
                self.answer(&sent).unwrap();
            }
            self.wait(300);
        }
        assert_eq!(self.agent.selected(Component::Rtp).map(|path| path.remote), Some(addr(theirs)));
        self.sent();
        self.events();
    }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn remote(component: Component, text: &str, priority: u32) -> Candidate {
    let kind = CandidateKind::Host;
    Candidate { foundation: "1".into(), component, priority, addr: addr(text), kind, related: None }
}
