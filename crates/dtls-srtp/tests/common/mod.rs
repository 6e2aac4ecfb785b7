//! Two sessions and the network between them, in simulated time.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{
    Certificate, Context, ContextConfig, Event, Failure, HashFunction, Keys, MAX_DATAGRAM_LEN, MinVersion, Profile,
    Role, Session, Verify,
};

/// One end of an association.
pub struct Peer {
    pub context: Arc<Context>,
    pub session: Session,
    pub keys: Option<Keys>,
    pub failure: Option<Failure>,
    pub refusals: Vec<Failure>,
    pub is_closed: bool,
    pub sent: usize,
    /// The length of the longest datagram sent.
    pub longest: usize,
}

impl Peer {
    pub fn new(role: Role) -> Self {
        Self::with(role, config())
    }

    pub fn with(role: Role, config: ContextConfig) -> Self {
        Self::with_context(role, &Context::new(config).expect("a context"))
    }

    pub fn with_context(role: Role, context: &Arc<Context>) -> Self {
        let session = Session::new(context, role).expect("a session");
        Self {
            context: Arc::clone(context),
            session,
            keys: None,
            failure: None,
            refusals: Vec::new(),
            is_closed: false,
            sent: 0,
            longest: 0,
        }
    }

    pub fn expect_peer(&mut self, other: &Self, function: HashFunction) {
        let fingerprint = other.context.certificate().fingerprint(function).to_owned();
        self.session.set_remote_fingerprint(function, &fingerprint).expect("a fingerprint");
    }

    /// Takes note of the events, and returns the datagrams to be sent.
    pub fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        while let Some(len) = self.session.poll_transmit(&mut buffer) {
            self.longest = self.longest.max(len);
            datagrams.push(buffer[..len].to_vec());
        }
        self.sent += datagrams.len();
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Connected(keys) => assert!(self.keys.replace(keys).is_none(), "keys are reported once"),
                Event::Refused(failure) => self.refusals.push(failure),
                Event::Failed(failure) => assert!(self.failure.replace(failure).is_none(), "failure is reported once"),
                Event::Closed => self.is_closed = true,
            }
        }
        datagrams
    }
}

pub fn config() -> ContextConfig {
    ContextConfig {
        certificate: Certificate::self_signed().expect("a certificate"),
        verify: Verify { fingerprint: true, certificate: false },
        cipher_list: None,
        ca_file: None,
        ca_path: None,
        srtp_profiles: vec![Profile::Aes128CmSha1_80, Profile::Aes128CmSha1_32],
        min_version: MinVersion::default(),
        mtu: MAX_DATAGRAM_LEN as u32,
    }
}

/// The faults of the network.
#[derive(Clone, Copy)]
pub struct Network {
    pub seed: u64,
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub garbage_percent: u64,
    pub max_delay: Duration,
}

impl Network {
    pub fn perfect() -> Self {
        Self { seed: 1, loss_percent: 0, duplicate_percent: 0, garbage_percent: 0, max_delay: Duration::ZERO }
    }
}

/// Both ends of an association, and the datagrams on their way.
pub struct Pair {
    pub peers: [Peer; 2],
    pub now: Instant,
    pub started: Instant,
    network: Network,
    random: Cell<u64>,
    under_way: Vec<(Instant, usize, Vec<u8>)>,
}

impl Pair {
    pub fn new(client: Peer, server: Peer, network: Network) -> Self {
        let now = Instant::now();
        let random = Cell::new(network.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Self { peers: [client, server], now, started: now, network, random, under_way: Vec::new() }
    }

    /// Two ends that know each other's fingerprints and have started.
    pub fn introduced(network: Network) -> Self {
        let (mut client, mut server) = (Peer::new(Role::Client), Peer::new(Role::Server));
        client.expect_peer(&server, HashFunction::Sha256);
        server.expect_peer(&client, HashFunction::Sha1);
        let mut pair = Self::new(client, server, network);
        pair.start();
        pair
    }

    pub fn start(&mut self) {
        let now = self.now;
        self.peers.iter_mut().for_each(|peer| peer.session.start(now));
    }

    /// Lets time pass until the next thing happens; `false` when nothing will.
    pub fn step(&mut self) -> bool {
        for sender in [0, 1] {
            for datagram in self.peers[sender].drain() {
                self.send(1 - sender, &datagram);
            }
        }
        let deadlines = self.peers.iter().filter_map(|peer| peer.session.poll_timeout());
        let Some(next) = self.under_way.iter().map(|(when, ..)| *when).chain(deadlines).min() else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        let (arrived, under_way) = self.under_way.drain(..).partition(|(when, ..)| *when <= now);
        self.under_way = under_way;
        for (_, to, datagram) in arrived {
            self.peers[to].session.handle_datagram(now, &datagram);
        }
        self.peers.iter_mut().for_each(|peer| peer.session.handle_timeout(now));
        true
    }

    pub fn run(&mut self) {
        while self.step() {}
    }

    pub fn assert_agreed(&self) {
        let [client, server] = &self.peers;
        let (Some(client), Some(server)) = (&client.keys, &server.keys) else {
            panic!("no keys: {:?} {:?}", client.failure, server.failure)
        };
        assert_eq!(client.profile, server.profile);
        assert_eq!((&client.local, &client.remote), (&server.remote, &server.local));
        assert_ne!(client.local, client.remote);
    }

    fn send(&mut self, to: usize, datagram: &[u8]) {
        assert!(datagram.len() <= MAX_DATAGRAM_LEN);
        if self.happens(self.network.garbage_percent) {
            let garbage = self.garbage(datagram);
            self.under_way.push((self.arrival(), to, garbage));
        }
        if !self.happens(self.network.loss_percent) {
            self.under_way.push((self.arrival(), to, datagram.to_vec()));
        }
        if self.happens(self.network.duplicate_percent) {
            self.under_way.push((self.arrival(), to, datagram.to_vec()));
        }
    }

    /// Makes a datagram that a stranger may send: noise, a plaintext alert, or a copy of `datagram` with a spoilt
    /// header.
    fn garbage(&self, datagram: &[u8]) -> Vec<u8> {
        match self.random(5) {
            4 => {
                let mut sealed = vec![
                    if self.happens(50) { 21 } else { 22 },
                    0xfe,
                    0xfd,
                    0,
                    1,
                    0,
                    0,
                    0,
                    0,
                    0,
                    self.random(4) as u8,
                    0,
                ];
                let len = self.random(80);
                sealed.push(len as u8);
                sealed.extend((0..len).map(|_| self.random(256) as u8));
                sealed
            }
            0 => (0..self.random(100)).map(|_| self.random(256) as u8).collect(),
            1 => vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40],
            2 => datagram[..self.random(datagram.len() as u64) as usize].to_vec(),
            _ => {
                let mut spoilt = datagram.to_vec();
                spoilt[self.random(13) as usize] ^= 1 << self.random(8);
                spoilt
            }
        }
    }

    fn arrival(&self) -> Instant {
        self.now + Duration::from_micros(self.random(self.network.max_delay.as_micros() as u64 + 1))
    }

    fn happens(&self, percent: u64) -> bool {
        self.random(100) < percent
    }

    /// xorshift64
    fn random(&self, below: u64) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        if below == 0 { 0 } else { (state >> 11) % below }
    }
}
