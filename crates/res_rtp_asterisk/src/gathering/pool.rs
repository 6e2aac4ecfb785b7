//! Sockets for sessions to come, whose address behind the NAT is known already. They are needed where a NAT gives each socket another
//! port; a request to the STUN server every 20 s keeps the mapping (RFC 8445 §11 asks for one packet in 15 s or more).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use ice::gather::mapping::{Event, Mapping, REQUEST_LEN};

use super::probe::Counters;
use crate::transport::sockets::{MediaSocket, Pair};

/// Pairs of sockets, all bound to one address.
#[derive(Default)]
pub struct Pool {
    wanted: Option<Wanted>,
    warm: Vec<Warm>,
}

/// The sockets that the pool is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The number of pairs.
    pub count: usize,
    /// The address that they are bound to.
    pub bound: IpAddr,
    /// The address that they send from.
    pub base: IpAddr,
    /// The STUN server.
    pub server: SocketAddr,
}

struct Warm {
    pair: Pair,
    base: IpAddr,
    mappings: [Mapping; 2],
    mapped: [Option<SocketAddr>; 2],
    has_failed: bool,
}

/// The addresses that the sockets of a session have behind a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reflexive {
    /// The address of this machine that they send from.
    pub base: IpAddr,
    /// The address of the RTP socket.
    pub rtp: SocketAddr,
    /// The address of the RTCP socket.
    pub rtcp: SocketAddr,
}

impl Pool {
    /// Returns whether sessions need sockets of the pool.
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Returns the number of pairs that are ready, and the number that is wanted.
    pub fn filled(&self) -> (usize, usize) {
        let ready = self.warm.iter().filter(|warm| warm.reflexive().is_some()).count();
        (ready, self.wanted.map_or(0, |wanted| wanted.count))
    }

    /// Takes a pair that is bound to `ip` and ready.
    pub fn take(&mut self, ip: IpAddr) -> Option<Pair> {
        let fits = |warm: &Warm| warm.pair.rtp.local().ip() == ip && warm.reflexive().is_some();
        let at = self.warm.iter().position(fits)?;
        let warm = self.warm.swap_remove(at);
        let mapped = warm.reflexive();
        Some(Pair { mapped, ..warm.pair })
    }

    /// Sets what the pool is to have. Other sockets are closed.
    pub fn want(&mut self, wanted: Option<Wanted>) {
        if self.wanted != wanted {
            self.warm.clear();
        }
        self.wanted = wanted;
    }

    /// Opens what is missing, one pair at a time so that the system is not busy at once, and keeps the mappings. `bind` opens a pair.
    pub fn drive(&mut self, now: Instant, counters: &mut Counters, bind: impl FnOnce(IpAddr) -> std::io::Result<Pair>) {
        for warm in &mut self.warm {
            warm.drive(now, counters);
        }
        self.warm.retain(|warm| !warm.has_failed);
        let Some(wanted) = self.wanted.filter(|wanted| self.warm.len() < wanted.count) else { return };
        match bind(wanted.bound) {
            Ok(pair) => {
                let mapping = || Mapping::new(now, wanted.server, KEEPALIVE, super::thread::random());
                let mappings = [mapping(), mapping()];
                let mut warm = Warm { pair, base: wanted.base, mappings, mapped: [None; 2], has_failed: false };
                warm.drive(now, counters);
                self.warm.push(warm);
            }
            Err(error) => asterisk::debug!(1, "STUN: no sockets for the pool: {error}"),
        }
    }

    /// Returns when [`Self::drive`] is due next.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let is_short = self.wanted.is_some_and(|wanted| self.warm.len() < wanted.count);
        let next = self.warm.iter().flat_map(|warm| warm.mappings.iter().map(Mapping::poll_timeout)).min();
        is_short.then_some(now + BETWEEN_PAIRS).into_iter().chain(next).min()
    }

    /// Returns the descriptors of all sockets.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.warm.iter().flat_map(|warm| [warm.pair.rtp.fd(), warm.pair.rtcp.fd()])
    }
}

impl Warm {
    fn reflexive(&self) -> Option<Reflexive> {
        let [rtp, rtcp] = self.mapped;
        Some(Reflexive { base: self.base, rtp: rtp?, rtcp: rtcp? })
    }

    fn drive(&mut self, now: Instant, counters: &mut Counters) {
        let sockets = [&self.pair.rtp, &self.pair.rtcp];
        for ((socket, mapping), mapped) in sockets.into_iter().zip(&mut self.mappings).zip(&mut self.mapped) {
            match keep(now, socket, self.base, mapping, counters) {
                Some(Event::Mapped(address)) => {
                    counters.answers += 1;
                    *mapped = Some(address);
                }
                Some(Event::Failed(_)) => {
                    counters.failures += 1;
                    self.has_failed = true;
                }
                None => {}
            }
        }
    }
}

/// Receives answers and sends what is due on one socket.
fn keep(
    now: Instant,
    socket: &MediaSocket,
    base: IpAddr,
    mapping: &mut Mapping,
    counters: &mut Counters,
) -> Option<Event> {
    let mut datagram = [0; 1500];
    for _ in 0..MOST_AT_ONCE {
        let Some(received) = socket.receive(&mut datagram) else { break };
        let datagram = datagram.get(..received.len).unwrap_or_default();
        counters.ignored += u64::from(mapping.handle_datagram(now, received.from, datagram).is_err());
    }
    mapping.handle_timeout(now);
    let mut request = [0; REQUEST_LEN];
    while let Some(len) = mapping.poll_transmit(&mut request) {
        counters.requests += 1;
        // A request that cannot be sent is repeated like one that is lost.
        let _ = socket.send(request.get(..len).unwrap_or_default(), mapping.server(), Some(base));
    }
    mapping.poll_event()
}

const KEEPALIVE: Duration = Duration::from_secs(20);

/// Time between two pairs that are opened.
const BETWEEN_PAIRS: Duration = Duration::from_millis(20);

/// Datagrams received in one turn.
const MOST_AT_ONCE: usize = 16;
