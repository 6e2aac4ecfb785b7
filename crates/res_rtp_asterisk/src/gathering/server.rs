//! The addresses of a STUN or TURN server. A name is looked up in `/etc/hosts` and by the name servers of `/etc/resolv.conf`, again when
//! the answer has expired, and never by a function that blocks.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use ice::gather::dns::{Found, Lookup, MAX_QUERY, NotFound};

use super::settings::{Host, Server};
use crate::pace::Backoff;

/// The addresses of a server, kept up to date.
pub struct Addresses {
    server: Server,
    known: Vec<SocketAddr>,
    lookup: Option<Resolving>,
    /// When the name is looked up next; `None` for an address.
    next: Option<Instant>,
    backoff: Backoff,
    failure: Option<NotFound>,
}

/// A lookup, and the socket for the name server that it asks.
struct Resolving {
    lookup: Lookup,
    socket: Option<(SocketAddr, UdpSocket)>,
}

impl Addresses {
    /// Knows the address at once, or looks up the name from `now` on.
    pub fn of(server: &Server, now: Instant) -> Self {
        let (known, next) = match &server.host {
            Host::Address(ip) => (vec![SocketAddr::new(*ip, server.port)], None),
            Host::Name(_) => (Vec::new(), Some(now)),
        };
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { server: server.clone(), known, lookup: None, next, backoff, failure: None }
    }

    /// Returns the addresses. Those of an expired answer are kept until there is another.
    pub fn known(&self) -> &[SocketAddr] {
        &self.known
    }

    /// Returns why the name could not be looked up the last time.
    pub fn failure(&self) -> Option<NotFound> {
        self.failure
    }

    /// Returns whether the name is being looked up.
    pub fn is_looking_up(&self) -> bool {
        self.lookup.is_some()
    }

    /// Returns the descriptor of a lookup's socket.
    pub fn fd(&self) -> Option<RawFd> {
        let (_, socket) = self.lookup.as_ref()?.socket.as_ref()?;
        Some(socket.as_raw_fd())
    }

    /// Returns when [`Self::drive`] is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lookup.as_ref().map_or(self.next, |resolving| resolving.lookup.poll_timeout())
    }

    /// Looks up the name if it is due. Returns the result of a lookup that has ended: whether the addresses are others than before,
    /// or why there are none.
    pub fn drive(&mut self, now: Instant) -> Option<Result<bool, NotFound>> {
        let Host::Name(name) = &self.server.host else { return None };
        if self.lookup.is_none() && self.next.is_some_and(|at| at <= now) {
            if let Some(addresses) = in_hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), name) {
                return Some(self.take_in(now, Ok(Found { addresses, lifetime: HOSTS_LIFETIME })));
            }
            let servers = name_servers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
            let lookup = Lookup::new(now, name, &servers, super::random());
            self.lookup = Some(Resolving { lookup, socket: None });
        }
        let result = self.lookup.as_mut()?.drive(now)?;
        self.lookup = None;
        Some(self.take_in(now, result))
    }

    fn take_in(&mut self, now: Instant, result: Result<Found, NotFound>) -> Result<bool, NotFound> {
        match result {
            Ok(Found { addresses, lifetime }) => {
                (self.failure, self.next) = (None, Some(now + lifetime));
                self.backoff.handle_success();
                let port = self.server.port;
                let known: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
                let changed = known != self.known;
                self.known = known;
                Ok(changed)
            }
            Err(failure) => {
                self.failure = Some(failure);
                self.backoff.handle_failure(now);
                self.next = self.backoff.until();
                Err(failure)
            }
        }
    }
}

impl Resolving {
    fn drive(&mut self, now: Instant) -> Option<Result<Found, NotFound>> {
        self.receive(now);
        self.lookup.handle_timeout(now);
        let mut query = [0; MAX_QUERY];
        while let Some((len, server)) = self.lookup.poll_transmit(&mut query) {
            if self.send(query.get(..len).unwrap_or_default(), server).is_err() {
                self.lookup.handle_unreachable(now);
            }
        }
        self.lookup.poll_result()
    }

    fn receive(&mut self, now: Instant) {
        let mut datagram = [0; 4096];
        for _ in 0..MOST_AT_ONCE {
            let Some((server, socket)) = &self.socket else { return };
            match socket.recv(&mut datagram) {
                Ok(len) => {
                    self.lookup.handle_datagram(now, *server, datagram.get(..len).unwrap_or_default());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => return self.lookup.handle_unreachable(now),
            }
        }
    }

    fn send(&mut self, query: &[u8], server: SocketAddr) -> std::io::Result<()> {
        if self.socket.as_ref().is_none_or(|(of, _)| *of != server) {
            // A new port for each server, chosen by the system at random (RFC 5452 §9.2).
            let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
            let socket = UdpSocket::bind(any)?;
            socket.set_nonblocking(true)?;
            socket.connect(server)?;
            self.socket = Some((server, socket));
        }
        self.socket.as_ref().map_or(Ok(()), |(_, socket)| socket.send(query).map(drop))
    }
}

/// Returns the addresses of `name` in the text of `/etc/hosts` (hosts(5)).
fn in_hosts(text: &str, name: &str) -> Option<Vec<IpAddr>> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    });
    let mut addresses: Vec<IpAddr> = addresses.collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    Some(addresses).filter(|addresses| !addresses.is_empty())
}

/// Returns the name servers in the text of `/etc/resolv.conf` (resolv.conf(5)); without any, that of this machine.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok())?
    });
    let servers: Vec<_> = servers.map(|ip| SocketAddr::new(ip, DNS_PORT)).collect();
    if servers.is_empty() { vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT)] } else { servers }
}

const DNS_PORT: u16 = 53;

/// How long an address of `/etc/hosts` is used before the file is read again.
const HOSTS_LIFETIME: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Datagrams received in one turn.
const MOST_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_hosts_file_is_found() {
        let text =
            "127.0.0.1 localhost\n# 192.0.2.1 stun\n2001:db8::7 stun.example.org stun\n192.0.2.7\tother STUN # mine\n";
        let found: Vec<IpAddr> = ["192.0.2.7", "2001:db8::7"].iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(in_hosts(text, "stun"), Some(found));
        assert_eq!(in_hosts(text, "mine"), None);
    }

    #[test]
    fn name_servers_are_those_of_the_file_or_the_machine_s_own() {
        let text =
            "; comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\n";
        let shown: Vec<_> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.53:53", "[2001:db8::53]:53"]);
        assert_eq!(name_servers("").len(), 1);
    }

    #[test]
    fn an_address_is_known_at_once_and_a_name_of_the_hosts_file_in_the_first_turn() {
        let now = crate::clock::now();
        let mut fixed = Addresses::of(&Server::parse("192.0.2.1").unwrap(), now);
        assert_eq!((fixed.known().len(), fixed.poll_timeout(), fixed.drive(now)), (1, None, None));
        let mut named = Addresses::of(&Server::parse("localhost:9").unwrap(), now);
        assert_eq!((named.poll_timeout(), named.drive(now)), (Some(now), Some(Ok(true))));
        assert!(named.known().iter().all(|address| address.ip().is_loopback() && address.port() == 9));
        assert_eq!(named.drive(now), None);
        assert_eq!(named.drive(now + HOSTS_LIFETIME), Some(Ok(false)));
    }
}
