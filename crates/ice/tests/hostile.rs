//! No sequence of messages, from a stranger or from a peer that knows the password, makes the agent panic, grow
//! without limit or run a timer without end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Agent, Candidate, CandidateKind, Component, Config, Credentials, Path, Role};
use proptest::prelude::*;
use stun_types::attribute::{AttributeType, RawAttribute};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageIntegrityCredentials, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteVec, ShortTermCredentials,
};

#[derive(Debug, Clone)]
enum Operation {
    Bytes(Vec<u8>),
    /// A message authenticated with our password or the peer's, with random attributes, perhaps damaged.
    Authentic {
        class: u8,
        ours: bool,
        attributes: Vec<(u16, Vec<u8>)>,
        damage: Option<usize>,
        answers: bool,
    },
    Wait(u64),
    Remote(u8, u16, u32),
    Restart(u8),
    RemoteCredentials(u8),
    SwitchRole,
    Start,
}

fn operation() -> impl Strategy<Value = Operation> {
    let kinds = vec![0x0006u16, 0x0009, 0x000a, 0x0020, 0x0024, 0x0025, 0x8029, 0x802a, 0x8022, 0x7777];
    let attribute = (prop::sample::select(kinds), prop::collection::vec(any::<u8>(), 0..24));
    let authentic = (
        0..4u8,
        any::<bool>(),
        prop::collection::vec(attribute, 0..6),
        prop::option::weighted(0.2, any::<usize>()),
        any::<bool>(),
    );
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..120).prop_map(Operation::Bytes),
        8 => authentic.prop_map(|(class, ours, attributes, damage, answers)| Operation::Authentic {
            class, ours, attributes, damage, answers
        }),
        4 => (0..5000u64).prop_map(Operation::Wait),
        2 => (0..4u8, any::<u16>(), any::<u32>()).prop_map(|(ip, port, prio)| Operation::Remote(ip, port, prio)),
        1 => (0..3u8).prop_map(Operation::Restart),
        1 => (0..3u8).prop_map(Operation::RemoteCredentials),
        1 => Just(Operation::SwitchRole),
        1 => Just(Operation::Start),
    ]
}

fn credentials(name: u8) -> Credentials {
    Credentials::from_random(&[name; 32])
}

struct World {
    agent: Agent,
    now: Instant,
    ours: u8,
    theirs: u8,
    /// Path and transaction id of the agent's last request, for a response.
    asked: Option<(Path, u128)>,
    count: u16,
}

impl World {
    fn apply(&mut self, operation: Operation) {
        let now = self.now;
        match operation {
            Operation::Bytes(bytes) => self.deliver(self.path(), &bytes),
            Operation::Authentic { class, ours, attributes, damage, answers } => {
                let (path, id) = self.asked.filter(|_| answers).unwrap_or((self.path(), u128::from(self.count)));
                let mut bytes = self.message(class, ours, &attributes, id);
                if let Some(at) = damage {
                    let len = bytes.len();
                    bytes[at % len] ^= 1 << (at % 8);
                }
                self.deliver(path, &bytes);
            }
            Operation::Wait(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                self.agent.handle_timeout(self.now);
            }
            Operation::Remote(ip, port, priority) => self.agent.add_remote_candidate(
                now,
                Candidate {
                    foundation: ip.to_string(),
                    component: if ip % 2 == 0 { Component::Rtp } else { Component::Rtcp },
                    priority,
                    addr: SocketAddr::new([198, 51, 100, ip].into(), port),
                    kind: CandidateKind::Host,
                    related: None,
                },
            ),
            Operation::Restart(name) => {
                self.ours = name;
                self.agent.restart(now, credentials(name));
            }
            Operation::RemoteCredentials(name) => {
                self.theirs = 100 + name;
                self.agent.set_remote_credentials(now, credentials(100 + name));
            }
            Operation::SwitchRole => {
                let other = if self.agent.role() == Role::Controlling { Role::Controlled } else { Role::Controlling };
                self.agent.set_role(other);
            }
            Operation::Start => self.agent.start(now),
        }
    }

    fn path(&self) -> Path {
        let remote = SocketAddr::new([198, 51, 100, (self.count % 5) as u8].into(), self.count % 50 + 1);
        Path { component: Component::Rtp, local: "192.0.2.1:1".parse().unwrap(), remote }
    }

    fn message(&self, class: u8, ours: bool, attributes: &[(u16, Vec<u8>)], id: u128) -> Vec<u8> {
        use MessageClass::{Error, Indication, Request, Success};
        let class = [Request, Success, Error, Indication][usize::from(class)];
        let mut message =
            Message::builder(MessageType::from_class_method(class, BINDING), id.into(), MessageWriteVec::new());
        if class == Request {
            let username = format!("{}:{}", credentials(self.ours).ufrag, credentials(self.theirs).ufrag);
            message.add_attribute(&RawAttribute::new(AttributeType::from(6), username.as_bytes())).unwrap();
        }
        for (kind, value) in attributes {
            message.add_attribute(&RawAttribute::new(AttributeType::from(*kind), value)).unwrap();
        }
        let key = credentials(if ours { self.ours } else { self.theirs }).password;
        let key = MessageIntegrityCredentials::from(ShortTermCredentials::new(key));
        message.add_message_integrity(&key, IntegrityAlgorithm::Sha1).unwrap();
        message.finish()
    }

    fn deliver(&mut self, path: Path, bytes: &[u8]) {
        let (before, known) = (*self.agent.counters(), self.agent.remote_candidates().to_vec());
        let refused = self.agent.handle_stun(self.now, path, bytes).is_err();
        if refused {
            assert_eq!(self.agent.remote_candidates(), known);
            assert_ne!(*self.agent.counters(), before, "every refusal is counted");
        }
    }

    fn settle(&mut self) {
        let mut buf = [0; ice::MAX_DATAGRAM];
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            let message = Message::from_bytes(&buf[..transmit.len]).expect("what we send is well formed");
            if message.has_class(MessageClass::Request) {
                self.asked = Some((transmit.path, message.transaction_id().into()));
            }
        }
        while self.agent.poll_event().is_some() {}
        self.agent.handle_timeout(self.now);
        assert!(self.agent.poll_timeout().is_none_or(|at| at > self.now), "a timer that is never done");
        assert!(self.agent.remote_candidates().len() <= 64 && self.agent.pairs().count() <= 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_breaks_the_agent(operations in prop::collection::vec(operation(), 1..120)) {
        let config = Config::new(Role::Controlled, 0x8000, credentials(0), [9; 32]);
        let mut agent = Agent::new(config);
        agent.add_local_candidate(Component::Rtp, "192.0.2.1:1".parse().unwrap());
        agent.add_local_candidate(Component::Rtcp, "192.0.2.1:2".parse().unwrap());
        let mut world = World { agent, now: Instant::now(), ours: 0, theirs: 100, asked: None, count: 0 };
        for operation in operations {
            world.count += 1;
            world.apply(operation);
            world.settle();
        }
    }
}
