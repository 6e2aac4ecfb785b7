//! The configured TURN servers: which is tried next, and what went wrong with them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asterisk::lock;
use asterisk::worker::Id;
use openssl::ssl::{Ssl, SslConnector, SslMethod};
use turn::{Credentials, Protocol, Server};

use super::link::Link;
use super::settings::{Relays, Secret};
use crate::gathering::{Addresses, Host, Named};
use crate::pace::{Backoff, Hourly};

/// The servers of one reading of `rtp.conf`.
pub struct Servers {
    relays: Relays,
    states: Mutex<Vec<State>>,
    /// Made with the first connection that needs it: the system's authorities are many.
    connector: Mutex<Option<SslConnector>>,
}

/// Our knowledge of a server.
struct State {
    /// The server is left alone after failures since the last success.
    backoff: Backoff,
    trouble: Option<String>,
    lines: Hourly,
    allocations: u64,
    addresses: Addresses,
    /// Slots that wait for the name's addresses, which another slot looks up.
    waiting: Vec<Id>,
}

/// The addresses of a server, as far as a slot needs to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// They are there.
    Known,
    /// The slot that asks looks them up: it calls [`Servers::look_up`] when the descriptor is readable, or the time has come.
    Asking {
        /// The socket.
        fd: Option<RawFd>,
        /// The time.
        due: Instant,
    },
    /// Another slot looks them up, and has this one called.
    Waiting,
    /// The lookup has failed.
    Failed(String),
}

impl State {
    fn look_up(&mut self, now: Instant) -> Resolved {
        let outcome = self.addresses.drive(now);
        if self.addresses.is_looking_up() {
            let due = self.addresses.poll_timeout().unwrap_or(now);
            return Resolved::Asking { fd: self.addresses.fd(), due };
        }
        match (outcome, self.addresses.failure()) {
            // Addresses of an answer that has expired are better than none.
            _ if !self.addresses.known().is_empty() => Resolved::Known,
            (Some(Err(failure)), _) | (None, Some(failure)) => Resolved::Failed(failure.to_string()),
            _ => Resolved::Failed(io::ErrorKind::AddrNotAvailable.to_string()),
        }
    }

    fn new(now: Instant, server: &Server) -> Self {
        let host =
            server.address().map_or_else(|| Host::Name(server.host.clone()), |address| Host::Address(address.ip()));
        Self {
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            trouble: None,
            lines: Hourly::default(),
            allocations: 0,
            addresses: Addresses::of(&Named { host, port: server.port }, now),
            waiting: Vec::new(),
        }
    }
}

impl Servers {
    /// Knows nothing of the servers yet.
    pub fn new(relays: Relays) -> Self {
        let states = Mutex::new(relays.servers.iter().map(|server| State::new(Instant::now(), server)).collect());
        Self { relays, states, connector: Mutex::new(None) }
    }

    /// Returns the settings.
    pub fn relays(&self) -> &Relays {
        &self.relays
    }

    /// Returns the first server that may be tried; or else when one may.
    pub fn choose(&self, now: Instant) -> Result<usize, Instant> {
        let states = lock(&self.states);
        let free = states.iter().position(|state| state.backoff.is_over(now));
        free.ok_or_else(|| states.iter().filter_map(|state| state.backoff.until()).min().unwrap_or(now + FIRST_WAIT))
    }

    /// Has `slot` find out the server's addresses, or wait for the slot that does.
    pub fn resolve(&self, now: Instant, at: usize, slot: Id) -> Resolved {
        let mut states = lock(&self.states);
        let Some(state) = states.get_mut(at) else { return Resolved::Failed(io::ErrorKind::NotFound.to_string()) };
        if state.addresses.is_looking_up() {
            state.waiting.push(slot);
            return Resolved::Waiting;
        }
        state.look_up(now)
    }

    /// Goes on with the lookup that [`Self::resolve`] began.
    pub fn look_up(&self, now: Instant, at: usize) -> Resolved {
        let mut states = lock(&self.states);
        states.get_mut(at).map_or_else(|| Resolved::Failed(String::new()), |state| state.look_up(now))
    }

    /// Takes out the slots that wait for the addresses of this server.
    pub fn take_waiting(&self, at: usize) -> Vec<Id> {
        lock(&self.states).get_mut(at).map(|state| std::mem::take(&mut state.waiting)).unwrap_or_default()
    }

    /// Begins an allocation at a server whose addresses are known. `instead` is an address that the server has named in its place.
    pub fn connect(&self, now: Instant, at: usize, instead: Option<SocketAddr>) -> io::Result<Link> {
        let server = self.relays.servers.get(at).ok_or(io::ErrorKind::NotFound)?;
        let address = match instead {
            Some(address) => address,
            None => self.address(at)?,
        };
        let credentials = self.credentials();
        match server.protocol {
            Protocol::Udp => Link::over_udp(now, address, credentials),
            Protocol::Tcp => Link::over_stream(now, address, credentials, None),
            Protocol::Tls => Link::over_stream(now, address, credentials, Some(self.tls(&server.host)?)),
        }
    }

    fn address(&self, at: usize) -> io::Result<SocketAddr> {
        let states = lock(&self.states);
        let state = states.get(at).ok_or(io::ErrorKind::NotFound)?;
        pick(state.addresses.known(), state.backoff.failures())
    }

    fn credentials(&self) -> Credentials {
        let username = &self.relays.username;
        match &self.relays.secret {
            Secret::Password(password) => Credentials { username: username.clone(), password: password.clone() },
            Secret::Shared(secret) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Credentials::from_secret(secret, username, now)
            }
        }
    }

    fn tls(&self, host: &str) -> io::Result<Ssl> {
        let mut connector = lock(&self.connector);
        if connector.is_none() {
            *connector = Some(self.make_connector()?);
        }
        let connector = connector.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(connector.configure()?.into_ssl(host)?)
    }

    fn make_connector(&self) -> io::Result<SslConnector> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        // The OpenSSL inside the module does not know where the system has its authorities.
        if let Some(file) = SYSTEM_AUTHORITIES.iter().find(|file| Path::new(file).exists()) {
            builder.set_ca_file(file)?;
        }
        if let Some(file) = &self.relays.authorities {
            builder.set_ca_file(file).map_err(|error| io::Error::other(format!("turncafile: {error}")))?;
        }
        Ok(builder.build())
    }

    /// Notes an allocation.
    pub fn handle_success(&self, at: usize) {
        if let Some(state) = lock(&self.states).get_mut(at) {
            state.backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
            state.trouble = None;
            state.allocations += 1;
        }
    }

    /// Notes a failure: the server is left alone for a while, longer each time. Returns a line for the log, at most once an hour.
    pub fn handle_failure(&self, now: Instant, at: usize, trouble: String) -> Option<String> {
        let mut states = lock(&self.states);
        let (state, server) = (states.get_mut(at)?, self.relays.servers.get(at)?);
        // Slots that fail together count once.
        if state.backoff.is_over(now) {
            state.backoff.handle_failure(now);
        }
        let line = format!("TURN: no relayed address from {server}: {trouble}");
        state.trouble = Some(trouble);
        state.lines.allow(now).then_some(line)
    }

    /// Like [`Self::handle_failure`], for a server that works and has no room: each call that ends may make some, so the wait does not
    /// grow.
    pub fn handle_full(&self, now: Instant, at: usize, trouble: String) -> Option<String> {
        let line = self.handle_failure(now, at, trouble);
        if let Some(state) = lock(&self.states).get_mut(at) {
            state.backoff.handle_success();
        }
        line
    }

    /// Returns the trouble with the servers, if none of them works.
    pub fn trouble(&self) -> Option<String> {
        let states = lock(&self.states);
        let troubles: Option<Vec<_>> = self
            .relays
            .servers
            .iter()
            .zip(states.iter())
            .map(|(server, state)| Some(format!("{server}: {}", state.trouble.as_ref()?)))
            .collect();
        troubles.filter(|troubles| !troubles.is_empty()).map(|troubles| troubles.join(", "))
    }

    /// Returns a line for each server, for the console.
    pub fn shown(&self, now: Instant) -> Vec<String> {
        let states = lock(&self.states);
        let show = |(server, state): (&Server, &State)| {
            let waits = state.backoff.until().map_or(0, |until| until.saturating_duration_since(now).as_secs());
            match &state.trouble {
                Some(trouble) => format!("{server}: {trouble}; tried again in {waits} s"),
                None => format!("{server}: {} allocations", state.allocations),
            }
        };
        self.relays.servers.iter().zip(states.iter()).map(show).collect()
    }
}

fn pick(addresses: &[SocketAddr], failures: u32) -> io::Result<SocketAddr> {
    let at = (failures as usize).checked_rem(addresses.len()).unwrap_or_default();
    addresses.get(at).copied().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Time for which a server is left alone after its first failure, and after many.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Files in which distributions have the authorities that the system trusts.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Servers {
        let servers = names.iter().map(|name| name.parse().unwrap()).collect();
        Servers::new(Relays { servers, ..Relays::default() })
    }

    #[test]
    fn a_server_that_fails_makes_room_for_the_next_and_comes_back_later() {
        let (servers, now) = (servers(&["192.0.2.1", "192.0.2.2"]), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(servers.choose(now), Ok(0));
        servers.handle_failure(now, 0, "it does not answer".into());
        assert_eq!(servers.choose(at(4)), Ok(1));
        servers.handle_failure(at(1), 1, "it does not answer".into());
        assert_eq!(servers.choose(at(4)), Err(at(5)));
        assert_eq!(servers.choose(at(5)), Ok(0));
        servers.handle_failure(at(5), 0, "it does not answer".into());
        assert_eq!(servers.choose(at(6)), Ok(1));
        servers.handle_success(0);
        assert_eq!(servers.choose(at(6)), Ok(0));
    }

    #[test]
    fn a_server_is_named_in_the_log_once_an_hour() {
        let (servers, now) = (servers(&["192.0.2.1", "192.0.2.2"]), Instant::now());
        let line = "TURN: no relayed address from turn:192.0.2.1:3478?transport=udp: it does not answer";
        let fail =
            |seconds, at| servers.handle_failure(now + Duration::from_secs(seconds), at, "it does not answer".into());
        assert_eq!(fail(0, 0).as_deref(), Some(line));
        assert!((1..60).all(|minute| fail(minute * 60, 0).is_none()));
        assert!(fail(3600, 0).is_some());
        assert!(fail(10, 1).is_some());
        servers.handle_success(0);
        assert_eq!(fail(7199, 0), None);
    }

    #[test]
    fn a_server_without_room_is_asked_again_as_soon_as_after_its_first_failure() {
        let (servers, now) = (servers(&["192.0.2.1"]), Instant::now());
        for round in 0..5 {
            let at = now + FIRST_WAIT * round;
            assert_eq!(servers.choose(at), Ok(0));
            servers.handle_full(at, 0, "its quota is used up".into());
            assert_eq!(servers.choose(at), Err(at + FIRST_WAIT));
        }
    }

    #[test]
    fn an_address_is_known_and_a_name_is_found_without_waiting_for_the_resolver() {
        let (servers, now) = (servers(&["192.0.2.1", "localhost", "never.invalid"]), Instant::now());
        let [first, second] = [1, 2];
        assert_eq!(servers.resolve(now, 0, first), Resolved::Known);
        assert_eq!(servers.resolve(now, 1, first), Resolved::Known, "of /etc/hosts");
        assert!(matches!(servers.resolve(now, 2, first), Resolved::Asking { .. }));
        assert_eq!(servers.resolve(now, 2, second), Resolved::Waiting);
        assert!(matches!(servers.look_up(now, 2), Resolved::Asking { .. }));
        assert_eq!(servers.take_waiting(2).len(), 1);
    }
}
