//! A stranger on the path of a call, who knows everything but the keys and floods Asterisk's media port.
//!
//! Half of its datagrams come under the address of the peer. They are what an attacker would try: checks without the
//! password, answers to checks that nobody authenticates, handshakes, alerts, records of any epoch, replays, forged
//! media and reports, and noise.

use std::collections::VecDeque;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::lab::Lab;
use crate::site::Protection;
use crate::wire::{Capture, Forger};

pub mod flood;
pub mod forged;

pub use flood::{Flood, a_browser_is_not_disturbed};

/// Datagrams per second.
const RATE: u32 = 10_000;

/// The time between two bursts.
const BEAT: Duration = Duration::from_millis(5);

/// The packets of the peer that it remembers, to repeat them.
const REMEMBERED: usize = 64;

/// The observer of a call: which packets went where and when, and what a stranger learns from them.
#[derive(Debug)]
pub struct Eavesdropper {
    ended: Arc<AtomicBool>,
    known: Arc<Mutex<Known>>,
    times: Arc<Mutex<Times>>,
    thread: JoinHandle<()>,
}

/// The facts about a call that its packets tell.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Asterisk's address for the peer.
    pub target: Option<SocketAddrV4>,
    /// The peer's address.
    pub peer: Option<SocketAddrV4>,
    /// USERNAME of the peer's checks (RFC 8445 §7.2.2).
    pub username: Vec<u8>,
    /// The transaction of Asterisk's last check.
    pub asked: Option<[u8; 12]>,
    /// The newest packets of the peer, media and reports.
    pub media: VecDeque<Vec<u8>>,
    /// The newest DTLS datagrams of the peer.
    pub handshake: VecDeque<Vec<u8>>,
}

/// When media passed, by the kernel's clock.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Times {
    pub peer_to_asterisk: Vec<Duration>,
    pub asterisk_to_peer: Vec<Duration>,
    pub other_to_asterisk: Vec<Duration>,
    pub asterisk_to_other: Vec<Duration>,
}

impl Eavesdropper {
    /// Begins to observe. `other` is the port of the other party's media, if there is one.
    pub fn start(lab: &Lab, other: Option<u16>) -> Result<Self> {
        let ports = lab.ports().rtp.clone();
        let capture = Capture::start(&ports)?;
        let ended = Arc::new(AtomicBool::new(false));
        let (known, times) = <(Arc<Mutex<Known>>, Arc<Mutex<Times>>)>::default();
        let (until, learned, noted) = (Arc::clone(&ended), Arc::clone(&known), Arc::clone(&times));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !until.load(Ordering::Relaxed) {
                let Some(seen) = capture.next(&mut buffer) else { continue };
                let payload = &buffer[seen.payload];
                let way = Way::of(&ports, other, seen.from, seen.to);
                if is_media(payload) {
                    lock(&noted).of(&way).push(seen.at);
                }
                if !way.is_other {
                    lock(&learned).learn(&way, payload);
                }
            }
        });
        Ok(Self { ended, known, times, thread })
    }

    /// Forgets the times of packets up to now.
    pub fn start_over(&self) {
        *lock(&self.times) = Times::default();
    }

    /// The times of packets so far.
    pub fn times(&self) -> Times {
        lock(&self.times).clone()
    }

    /// Ends the observation.
    pub fn finish(self) -> Result {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Failure::new("the eavesdropper panicked"))
    }
}

/// The way of a datagram.
struct Way {
    asterisk: SocketAddrV4,
    party: SocketAddrV4,
    /// It goes to the party.
    goes_out: bool,
    /// The party is the other one, not the peer.
    is_other: bool,
}

impl Way {
    fn of(ports: &RangeInclusive<u16>, other: Option<u16>, from: SocketAddrV4, to: SocketAddrV4) -> Self {
        let goes_out = ports.contains(&from.port());
        let (asterisk, party) = if goes_out { (from, to) } else { (to, from) };
        Self { asterisk, party, goes_out, is_other: Some(party.port()) == other }
    }
}

impl Known {
    fn learn(&mut self, way: &Way, payload: &[u8]) {
        match payload.first() {
            Some(0..=3) => self.learn_check(way.goes_out, payload),
            Some(20..=63) if !way.goes_out => remember(&mut self.handshake, payload),
            Some(128..=191) if !way.goes_out => remember(&mut self.media, payload),
            _ => {}
        }
        // Until media flows, checks come from several addresses.
        if !way.goes_out && (is_media(payload) || self.media.is_empty()) {
            (self.target, self.peer) = (Some(way.asterisk), Some(way.party));
        }
    }

    fn learn_check(&mut self, goes_out: bool, payload: &[u8]) {
        let is_request = payload.starts_with(&[0, 1]);
        if is_request && goes_out {
            self.asked = payload.get(8..20).and_then(|id| id.try_into().ok());
        } else if is_request && let Some(username) = forged::username(payload) {
            self.username = username.to_vec();
        }
    }
}

impl Times {
    fn of(&mut self, way: &Way) -> &mut Vec<Duration> {
        match (way.goes_out, way.is_other) {
            (false, false) => &mut self.peer_to_asterisk,
            (true, false) => &mut self.asterisk_to_peer,
            (false, true) => &mut self.other_to_asterisk,
            (true, true) => &mut self.asterisk_to_other,
        }
    }
}

/// The longest time between two packets.
pub fn longest_gap(times: &[Duration]) -> Duration {
    times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or(Duration::MAX)
}

/// Whether the datagram is RTP, by RFC 7983 and RFC 5761 §4.
fn is_media(payload: &[u8]) -> bool {
    matches!(payload, [128..=191, kind, ..] if !(64..=95).contains(&(kind & 0x7F)))
}

fn remember(all: &mut VecDeque<Vec<u8>>, payload: &[u8]) {
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back(payload.to_vec());
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running flood.
#[derive(Debug)]
pub struct Stranger {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Spray>>,
}

/// The outcome of a flood.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spray {
    /// Datagrams sent.
    pub sent: u32,
    /// How long it took.
    pub length: Duration,
    /// The longest time by which the machine was late with a burst: nobody else is served better.
    pub late: Duration,
}

impl Stranger {
    /// Begins the flood. Before the call is up, it is directed at all of Asterisk's media ports.
    pub fn start(lab: &Lab, eavesdropper: &Eavesdropper, protection: Protection) -> Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let (until, known, ports) = (Arc::clone(&ended), Arc::clone(&eavesdropper.known), lab.ports().rtp.clone());
        let mut forger = Forger::new()?;
        let thread = thread::spawn(move || {
            let mut dice = forged::Dice::new();
            let (began, mut spray) = (Instant::now(), Spray::default());
            while !until.load(Ordering::Relaxed) {
                let facts = lock(&known).clone();
                for target in targets(&facts, &ports) {
                    // As many as are due, but no avalanche on a machine that was late.
                    let due = (began.elapsed().as_secs_f64() * f64::from(RATE)) as u32;
                    for _ in 0..due.saturating_sub(spray.sent).min(4 * RATE / 200) {
                        burst(&mut forger, &mut dice, &facts, target, protection)?;
                        spray.sent += 1;
                    }
                }
                let slept = Instant::now();
                thread::sleep(BEAT);
                spray.late = spray.late.max(slept.elapsed().saturating_sub(BEAT));
            }
            Ok(Spray { length: began.elapsed(), ..spray })
        });
        Ok(Self { ended, thread })
    }

    /// Ends the flood.
    pub fn finish(self) -> Result<Spray> {
        self.ended.store(true, Ordering::Relaxed);
        let spray = self.thread.join().map_err(|_| Failure::new("the stranger panicked"))?;
        Ok(spray?)
    }
}

fn burst(
    forger: &mut Forger,
    dice: &mut forged::Dice,
    known: &Known,
    target: SocketAddrV4,
    protection: Protection,
) -> std::io::Result<()> {
    let (from, is_peer) = match known.peer {
        Some(peer) if dice.below(2) == 0 => (peer, true),
        // The address of the peer with another port, as behind its NAT.
        Some(peer) if dice.below(2) == 0 => (SocketAddrV4::new(*peer.ip(), dice.port()), false),
        _ => (SocketAddrV4::new(Ipv4Addr::new(127, 66, dice.byte(), dice.byte()), dice.port()), false),
    };
    let datagram = dice.datagram(known);
    // Without keys, any datagram in the form of RTP from the peer's address is the peer's media.
    if is_peer && protection == Protection::None && is_media(&datagram) && !known.media.contains(&datagram) {
        return Ok(());
    }
    // Reports have the next port, also where nobody uses it.
    let to = if dice.below(8) == 0 { SocketAddrV4::new(*target.ip(), target.port() | 1) } else { target };
    forger.send(from, to, &datagram)
}

/// The port of the call; while it is unknown, all that are open.
fn targets(known: &Known, ports: &RangeInclusive<u16>) -> Vec<SocketAddrV4> {
    match known.target {
        Some(target) => vec![target],
        None => open_ports(ports).into_iter().map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).collect(),
    }
}

/// The open UDP ports of this range, as the kernel lists them.
fn open_ports(ports: &RangeInclusive<u16>) -> Vec<u16> {
    let list = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let port = |line: &str| u16::from_str_radix(line.split_whitespace().nth(1)?.rsplit_once(':')?.1, 16).ok();
    list.lines().filter_map(port).filter(|port| ports.contains(port)).collect()
}
