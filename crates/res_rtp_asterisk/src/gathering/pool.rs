//! Sockets for sessions to come, whose address behind the NAT is known already. They are needed where a NAT gives each socket another
//! port; a request to the STUN server every 20 s keeps the mapping (RFC 8445 §11 asks for one packet in 15 s or more).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use ice::gather::mapping::{Event, Mapping, REQUEST_LEN};

use super::probe::Counters;
use crate::pace::Backoff;
use crate::transport::sockets::{MediaSocket, Pair};

/// Pairs of sockets, all bound to one address.
pub struct Pool {
    wanted: Option<Wanted>,
    warm: Vec<Warm>,
    /// When the next pair may be opened, after failures since a pair was last ready.
    backoff: Backoff,
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
    /// The STUN server that has told them.
    pub server: SocketAddr,
}

impl Default for Pool {
    fn default() -> Self {
        Self { wanted: None, warm: Vec::new(), backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) }
    }
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
            self.backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        }
        self.wanted = wanted;
    }

    /// Keeps the mappings. Returns which pair is to be opened and passed to [`Self::add`], if any is missing: one at a time, so that the
    /// system is not busy at once, and none for a while after a failure.
    pub fn drive(&mut self, now: Instant, counters: &mut Counters) -> Option<Wanted> {
        for warm in &mut self.warm {
            warm.drive(now, counters);
        }
        if self.warm.iter().any(|warm| warm.has_failed) {
            self.warm.retain(|warm| !warm.has_failed);
            self.backoff.handle_failure(now);
        } else if self.warm.iter().any(|warm| warm.reflexive().is_some()) {
            self.backoff.handle_success();
        }
        let is_allowed = self.backoff.is_over(now);
        self.wanted.filter(|wanted| is_allowed && self.warm.len() < wanted.count)
    }

    /// Adds a pair of sockets that was opened for `wanted`, or notes that none could be opened.
    pub fn add(&mut self, now: Instant, wanted: Wanted, pair: io::Result<Pair>, counters: &mut Counters) {
        match pair {
            Ok(pair) => {
                let mapping = || Mapping::new(now, wanted.server, KEEPALIVE, super::random());
                let mappings = [mapping(), mapping()];
                let mut warm = Warm { pair, base: wanted.base, mappings, mapped: [None; 2], has_failed: false };
                warm.drive(now, counters);
                self.warm.push(warm);
            }
            Err(error) => {
                asterisk::debug!(1, "STUN: no sockets for the pool: {error}");
                self.backoff.handle_failure(now);
            }
        }
    }

    /// Returns when [`Self::drive`] is due next.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let is_short = self.wanted.is_some_and(|wanted| self.warm.len() < wanted.count);
        let next = self.warm.iter().flat_map(|warm| warm.mappings.iter().map(Mapping::poll_timeout)).min();
        let open = is_short.then(|| self.backoff.until().map_or(now, |until| until.max(now)) + BETWEEN_PAIRS);
        open.into_iter().chain(next).min()
    }

    /// Returns the descriptors of all sockets.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.warm.iter().flat_map(|warm| [warm.pair.rtp.fd(), warm.pair.rtcp.fd()])
    }
}

impl Warm {
    fn reflexive(&self) -> Option<Reflexive> {
        let [rtp, rtcp] = self.mapped;
        let server = self.mappings[0].server();
        Some(Reflexive { base: self.base, rtp: rtp?, rtcp: rtcp?, server })
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

/// Time without new pairs after a failure, which doubles with each further one, and its limit.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Time between two pairs that are opened.
const BETWEEN_PAIRS: Duration = Duration::from_millis(20);

/// Datagrams received in one turn.
const MOST_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (Pool, Wanted, Instant) {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let wanted = Wanted { count: 2, bound: ip, base: ip, server: SocketAddr::new(ip, 9) };
        let mut pool = Pool::default();
        pool.want(Some(wanted));
        (pool, wanted, Instant::now())
    }

    #[test]
    fn after_a_failure_no_socket_is_opened_for_a_while_and_longer_each_time() {
        let (mut pool, wanted, mut now) = pool();
        let mut counters = Counters::default();
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pool.drive(now, &mut counters), Some(wanted));
            pool.add(now, wanted, Err(io::ErrorKind::AddrInUse.into()), &mut counters);
            assert_eq!(pool.drive(now + Duration::from_millis(900), &mut counters), None);
            now += Duration::from_secs(pause);
            assert!(pool.poll_timeout(now - Duration::from_secs(pause)).is_some_and(|due| due >= now));
        }
        pool.want(None);
        pool.want(Some(wanted));
        assert_eq!(pool.drive(now, &mut counters), Some(wanted), "another server may do better");
    }

    #[test]
    fn the_pool_is_filled_and_not_beyond() {
        let (mut pool, wanted, now) = pool();
        let mut counters = Counters::default();
        for _ in 0..2 {
            assert_eq!(pool.drive(now, &mut counters), Some(wanted));
            let pair = Pair::bind(wanted.bound, (30_000, 39_999), std::process::id(), true);
            pool.add(now, wanted, pair, &mut counters);
        }
        assert_eq!(pool.drive(now, &mut counters), None);
        assert_eq!((pool.filled(), counters.requests), ((0, 2), 4));
    }
}
