//! Asks the STUN server from one address of the machine, over and over, from a socket that is closed in between.
//!
//! Each time the socket has another port of the range for media, so that what the NAT does to one says what it does to all.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use ice::gather::mapping::{Event, Failure, Mapping, REQUEST_LEN};

use super::Mapped;

/// One address of ours, and its mapping.
pub struct Probe {
    base: IpAddr,
    /// The server's addresses of the same family; not empty.
    servers: Vec<SocketAddr>,
    mapping: Mapping,
    socket: Option<UdpSocket>,
    mapped: Option<Mapped>,
    /// Whether the NAT left the port of the last socket but one as it was.
    preserved_before: bool,
    failure: Option<Failure>,
}

/// Numbers of datagrams and results since the thread started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Requests sent, retransmissions included.
    pub requests: u64,
    /// Responses with an address.
    pub answers: u64,
    /// Transactions without one.
    pub failures: u64,
    /// Datagrams that were no answer.
    pub ignored: u64,
}

impl Probe {
    /// Asks the first of `servers`, which have to be of the same family as `base`; `None` if there are none.
    pub fn new(now: Instant, base: IpAddr, servers: &[SocketAddr]) -> Option<Self> {
        let servers = of_family(base, servers);
        let mapping = Mapping::new(now, *servers.first()?, INTERVAL, super::random());
        let (socket, mapped, failure) = (None, None, None);
        Some(Self { base, servers, mapping, socket, mapped, preserved_before: false, failure })
    }

    /// Asks these servers from now on. The mapping stays known. Returns `false` if none is of the family of our address.
    pub fn set_servers(&mut self, now: Instant, servers: &[SocketAddr]) -> bool {
        self.servers = of_family(self.base, servers);
        let Some(first) = self.servers.first() else { return false };
        if !self.servers.contains(&self.mapping.server()) {
            self.socket = None;
            self.mapping = Mapping::new(now, *first, INTERVAL, super::random());
        }
        true
    }

    /// Returns our address.
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// Returns the server that is asked.
    pub fn server(&self) -> SocketAddr {
        self.mapping.server()
    }

    /// Returns the mapping, unless it has not been confirmed for long.
    pub fn mapped(&self, now: Instant) -> Option<Mapped> {
        self.mapped.filter(|mapped| now.saturating_duration_since(mapped.confirmed) < LIFETIME)
    }

    /// Returns the failure of the last transaction; `None` after an answer.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Asks anew, at once.
    pub fn hurry(&mut self, now: Instant) {
        self.mapping.hurry(now);
    }

    /// Returns when [`Self::drive`] is due next.
    pub fn poll_timeout(&self) -> Instant {
        self.mapping.poll_timeout()
    }

    /// Returns the descriptor of the socket while it is open.
    pub fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Receives what the server has sent, sends what is due, and returns the result of a transaction that has ended.
    pub fn drive(&mut self, now: Instant, ports: (u16, u16), counters: &mut Counters) -> Option<Event> {
        self.receive(now, counters);
        self.mapping.handle_timeout(now);
        let mut request = [0; REQUEST_LEN];
        while let Some(len) = self.mapping.poll_transmit(&mut request) {
            if self.send(request.get(..len).unwrap_or_default(), ports).is_err() {
                self.mapping.handle_unreachable(now);
            }
            counters.requests += 1;
        }
        let event = self.mapping.poll_event()?;
        self.take_in(now, event, counters);
        Some(event)
    }

    fn receive(&mut self, now: Instant, counters: &mut Counters) {
        let mut datagram = [0; 1500];
        for _ in 0..MOST_AT_ONCE {
            let Some(socket) = &self.socket else { return };
            match socket.recv(&mut datagram) {
                Ok(len) => {
                    let datagram = datagram.get(..len).unwrap_or_default();
                    let server = self.mapping.server();
                    counters.ignored += u64::from(self.mapping.handle_datagram(now, server, datagram).is_err());
                }
                Err(error) if is_pause(&error) => return,
                Err(_) => return self.mapping.handle_unreachable(now),
            }
        }
    }

    fn send(&mut self, request: &[u8], ports: (u16, u16)) -> io::Result<()> {
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(open(self.base, self.mapping.server(), ports)?),
        };
        match socket.send(request) {
            Err(error) if !is_pause(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn take_in(&mut self, now: Instant, event: Event, counters: &mut Counters) {
        let own = self.socket.take().and_then(|socket| socket.local_addr().ok());
        match event {
            Event::Mapped(address) => {
                counters.answers += 1;
                self.failure = None;
                // Another machine behind the NAT may use one port, hence two of them have to change.
                let preserved = own.is_some_and(|own| own.port() == address.port());
                let preserves_ports = preserved || self.preserved_before;
                self.preserved_before = preserved;
                self.mapped = Some(Mapped { base: self.base, address, preserves_ports, confirmed: now });
            }
            Event::Failed(failure) => {
                counters.failures += 1;
                self.failure = Some(failure);
                let at = self.servers.iter().position(|server| *server == self.mapping.server()).unwrap_or(0);
                let next = self.servers.get((at + 1) % self.servers.len().max(1));
                next.iter().for_each(|next| self.mapping.ask_instead(**next));
            }
        }
    }
}

fn of_family(base: IpAddr, servers: &[SocketAddr]) -> Vec<SocketAddr> {
    servers.iter().filter(|server| server.is_ipv4() == base.is_ipv4()).copied().collect()
}

/// Opens a socket that hears only the server.
fn open(base: IpAddr, server: SocketAddr, ports: (u16, u16)) -> io::Result<UdpSocket> {
    let (first, last) = ports;
    let count = u32::from(last.saturating_sub(first)) + 1;
    // In a small range each port is needed for calls.
    let attempts = if count < SMALL_RANGE { 0 } else { ATTEMPTS };
    let from_range = (0..attempts).find_map(|_| {
        let port = first + (asterisk::random::u32() % count) as u16;
        UdpSocket::bind((base, port)).ok()
    });
    let socket = from_range.map_or_else(|| UdpSocket::bind((base, 0)), Ok)?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    Ok(socket)
}

/// Returns whether a socket merely has nothing to read, or no room.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Time between two questions.
const INTERVAL: Duration = Duration::from_secs(30);

/// A mapping without an answer is kept for this long, because a server that fails does not change our address.
const LIFETIME: Duration = Duration::from_secs(600);

/// The fewest ports of a range that the sockets may use.
const SMALL_RANGE: u32 = 64;

/// Ports of the range that are tried.
const ATTEMPTS: u32 = 8;

/// Datagrams received in one turn.
const MOST_AT_ONCE: usize = 16;
