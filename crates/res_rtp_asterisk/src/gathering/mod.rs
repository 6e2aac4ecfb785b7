//! Finds our public addresses ahead of calls, so that no call waits for a STUN server.
//!
//! A thread of its own asks the STUN server from each of the machine's addresses, and again every half minute (`thread.rs`). A new
//! session takes what is known at that moment: behind a NAT that preserves ports, as a 1:1 NAT does, the mapped address with the
//! session's own port; behind another, a pair of sockets of the pool, whose mapping is known already. `candidates.rs` makes candidates
//! of it.
//!
//! The thread lives while ICE is on and a STUN server is set. It never blocks, so that it ends at once when the module is unloaded.
//!
//! | | |
//! |---|---|
//! | `settings.rs`, `acl.rs`, `interfaces.rs` | the keys of `rtp.conf` |
//! | `candidates.rs` | the local candidates of a session, and what the peer is told of them |
//! | `thread.rs` | the thread |
//! | `server.rs` | the addresses of the STUN server, and its name |
//! | `probe.rs` | one of our addresses, asked for its mapping |
//! | `pool.rs` | sockets whose mapping is known |
//! | `changes.rs` | notices that the machine's addresses change |

pub mod acl;
pub mod candidates;
mod changes;
pub mod interfaces;
pub mod pool;
mod probe;
mod server;
pub mod settings;
mod thread;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use asterisk::epoll::EventFd;
use asterisk::lock;
use asterisk::thread::JoinHandle;

use crate::config::Settings;
use crate::transport::sockets::Pair;
pub use server::Addresses;
pub use settings::{Host, Server as Named};

use acl::Acl;
use interfaces::Interfaces;
use pool::Pool;
use settings::Server;

/// The gathering thread, if there is one, and what it knows.
#[derive(Default)]
pub struct Gatherer(Mutex<Option<Running>>);

struct Running {
    shared: Arc<Shared>,
    /// Dropped last: it waits for the end of the thread.
    thread: Option<JoinHandle>,
}

/// The settings that the thread works by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    server: Server,
    pool: usize,
    interfaces: Interfaces,
    candidates: Acl,
    stun_from: Acl,
    ports: (u16, u16),
    checksums: bool,
}

/// Shared by the thread and sessions.
struct Shared {
    plan: Plan,
    wake: EventFd,
    is_stopping: AtomicBool,
    known: Mutex<Arc<Known>>,
    /// The addresses that sessions have been bound to, the newest last.
    bound: Mutex<Vec<IpAddr>>,
    pool: Mutex<Pool>,
    /// Sessions that have got sockets of the pool.
    taken: AtomicU64,
    /// Sessions that have found the pool empty.
    missed: AtomicU64,
}

/// Our public addresses as they are known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// One for each address of ours that the server has answered.
    pub mapped: Vec<Mapped>,
    /// Lines for `rtp show gathering`.
    pub lines: Vec<String>,
    /// The trouble with the server, while no address is known.
    pub trouble: Option<String>,
    /// The addresses of the server.
    pub servers: Vec<SocketAddr>,
}

/// The mapping of one of our addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// The address of this machine.
    pub base: IpAddr,
    /// The address that the server saw, with the port of that time.
    pub address: SocketAddr,
    /// Whether the NAT leaves ports as they are.
    pub preserves_ports: bool,
    /// When the server has answered last.
    pub confirmed: Instant,
}

impl Known {
    /// Returns the public address of sockets of `base`, if the NAT leaves their ports as they are.
    pub fn reflexive(&self, base: IpAddr) -> Option<IpAddr> {
        let mapped = self.mapped.iter().find(|mapped| mapped.base == base && mapped.preserves_ports);
        mapped.map(|mapped| mapped.address.ip())
    }
}

impl Plan {
    fn of(settings: &Settings) -> Option<Self> {
        let gathering = &settings.gathering;
        let server = gathering.stun.clone().filter(|_| settings.ice)?;
        Some(Self {
            server,
            pool: gathering.pool,
            interfaces: gathering.interfaces.clone(),
            candidates: gathering.candidates.clone(),
            stun_from: gathering.stun_from.clone(),
            ports: settings.ports,
            checksums: settings.checksums,
        })
    }
}

impl Gatherer {
    /// Starts, stops or replaces the thread as the settings want it. Returns at once.
    pub fn configure(&self, settings: &Settings) {
        let plan = Plan::of(settings);
        let mut running = lock(&self.0);
        if running.as_ref().map(|running| &running.shared.plan) == plan.as_ref() {
            return;
        }
        drop(running.take());
        let started = plan.map(Running::start).transpose();
        *running = started.unwrap_or_else(|error| {
            asterisk::error!("STUN: no thread to ask the server, public addresses stay unknown: {error}");
            None
        });
    }

    /// Stops the thread and waits for its end.
    pub fn stop(&self) {
        let running = lock(&self.0).take();
        drop(running);
    }

    /// Returns what is known at this moment.
    pub fn known(&self) -> Arc<Known> {
        lock(&self.0).as_ref().map(|running| Arc::clone(&lock(&running.shared.known))).unwrap_or_default()
    }

    /// Takes a pair of sockets for a session that is bound to `ip`, if the NAT wants it and one is ready. `ports` are the session's.
    pub fn take(&self, ip: IpAddr, ports: (u16, u16)) -> Option<Pair> {
        let running = lock(&self.0);
        let shared = Arc::clone(&running.as_ref()?.shared);
        drop(running);
        shared.take(ip, ports)
    }

    /// Returns the trouble with the server, while no public address is known.
    pub fn trouble(&self) -> Option<String> {
        self.known().trouble.clone()
    }

    /// Returns lines about the server, our addresses and the pool, for the console.
    pub fn shown(&self) -> Vec<String> {
        let running = lock(&self.0);
        let Some(shared) = running.as_ref().map(|running| &running.shared) else {
            return vec!["No STUN server is asked (stunaddr and icesupport in rtp.conf).".to_owned()];
        };
        let mut lines = lock(&shared.known).lines.clone();
        let (ready, wanted) = lock(&shared.pool).filled();
        let (taken, missed) = (shared.taken.load(Ordering::Relaxed), shared.missed.load(Ordering::Relaxed));
        lines.push(format!("Pool: {ready} of {wanted} sockets ready; sessions: {taken} got some, {missed} found none"));
        lines
    }
}

impl Drop for Gatherer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    fn start(plan: Plan) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            plan,
            wake: EventFd::new()?,
            is_stopping: AtomicBool::new(false),
            known: Mutex::default(),
            bound: Mutex::default(),
            pool: Mutex::default(),
            taken: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        });
        let of_thread = Arc::clone(&shared);
        let thread = asterisk::thread::spawn(c"rtp-gathering", move || thread::run(&of_thread))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.shared.wake.signal();
        drop(self.thread.take());
    }
}

impl Shared {
    fn take(&self, ip: IpAddr, ports: (u16, u16)) -> Option<Pair> {
        self.note_bound(ip);
        if ports != self.plan.ports {
            return None;
        }
        let (pair, is_wanted) = {
            let mut pool = lock(&self.pool);
            (pool.take(ip), pool.is_wanted())
        };
        if is_wanted {
            let counter = if pair.is_some() { &self.taken } else { &self.missed };
            counter.fetch_add(1, Ordering::Relaxed);
            self.wake.signal();
        }
        pair
    }

    /// Remembers where sessions are bound, so that the server is asked from there and the pool has such sockets.
    fn note_bound(&self, ip: IpAddr) {
        let mut bound = lock(&self.bound);
        if bound.last() == Some(&ip) {
            return;
        }
        let is_new = !bound.contains(&ip);
        bound.retain(|known| *known != ip);
        bound.push(ip);
        if bound.len() > MOST_BOUND {
            bound.remove(0);
        }
        drop(bound);
        if is_new {
            self.wake.signal();
        }
    }
}

/// Returns a seed.
pub fn random() -> [u8; 32] {
    let mut octets = [0; 32];
    asterisk::random::fill(&mut octets);
    octets
}

/// The most addresses that are remembered as those that sessions are bound to.
const MOST_BOUND: usize = 8;
