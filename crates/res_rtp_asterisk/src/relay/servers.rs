//! The configured TURN servers: which is tried next, and what went wrong with them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asterisk::lock;
use openssl::ssl::{Ssl, SslConnector, SslMethod};
use turn::{Credentials, Protocol, Server};

use super::link::Link;
use super::settings::{Relays, Secret};

/// The servers of one reading of `rtp.conf`.
pub struct Servers {
    relays: Relays,
    states: Mutex<Vec<State>>,
    /// Made with the first connection that needs it: the system's authorities are many.
    connector: Mutex<Option<SslConnector>>,
}

/// Our knowledge of a server.
#[derive(Debug, Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    not_before: Option<Instant>,
    trouble: Option<String>,
    told: Option<Instant>,
    allocations: u64,
    addresses: Vec<SocketAddr>,
    resolved: Option<Instant>,
}

impl Servers {
    /// Knows nothing of the servers yet.
    pub fn new(relays: Relays) -> Self {
        let states = Mutex::new(relays.servers.iter().map(|_| State::default()).collect());
        Self { relays, states, connector: Mutex::new(None) }
    }

    /// Returns the settings.
    pub fn relays(&self) -> &Relays {
        &self.relays
    }

    /// Returns the first server that may be tried; or else when one may.
    pub fn choose(&self, now: Instant) -> Result<usize, Instant> {
        let states = lock(&self.states);
        let free = states.iter().position(|state| state.not_before.is_none_or(|at| at <= now));
        free.ok_or_else(|| states.iter().filter_map(|state| state.not_before).min().unwrap_or(now + FIRST_WAIT))
    }

    /// Begins an allocation. Waits for the resolver if the server has a name, so the caller holds no lock. `instead` is an address that
    /// the server has named in its place.
    pub fn connect(&self, at: usize, instead: Option<SocketAddr>) -> io::Result<Link> {
        let server = self.relays.servers.get(at).ok_or(io::ErrorKind::NotFound)?;
        let address = match instead {
            Some(address) => address,
            None => self.address(at, server)?,
        };
        let (now, credentials) = (Instant::now(), self.credentials());
        match server.protocol {
            Protocol::Udp => Link::over_udp(now, address, credentials),
            Protocol::Tcp => Link::over_stream(now, address, credentials, None),
            Protocol::Tls => Link::over_stream(now, address, credentials, Some(self.tls(&server.host)?)),
        }
    }

    fn address(&self, at: usize, server: &Server) -> io::Result<SocketAddr> {
        if let Some(address) = server.address() {
            return Ok(address);
        }
        let now = Instant::now();
        let is_fresh =
            |state: &&mut State| state.resolved.is_some_and(|then| now.saturating_duration_since(then) < NAMES_LAST);
        if let Some(state) = lock(&self.states).get_mut(at).filter(is_fresh) {
            return pick(&state.addresses, state.failures);
        }
        #[expect(clippy::disallowed_methods, reason = "the pool's own thread may wait for DNS, and holds no lock")]
        let found: Vec<_> = (server.host.as_str(), server.port).to_socket_addrs()?.collect();
        let mut states = lock(&self.states);
        let state = states.get_mut(at).ok_or(io::ErrorKind::NotFound)?;
        (state.addresses, state.resolved) = (found, Some(now));
        pick(&state.addresses, state.failures)
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
            *state = State {
                allocations: state.allocations + 1,
                told: state.told,
                addresses: std::mem::take(&mut state.addresses),
                resolved: state.resolved,
                ..State::default()
            };
        }
    }

    /// Notes a failure: the server is left alone for a while, longer each time. Returns a line for the log, at most once an hour.
    pub fn handle_failure(&self, now: Instant, at: usize, trouble: String) -> Option<String> {
        let mut states = lock(&self.states);
        let (state, server) = (states.get_mut(at)?, self.relays.servers.get(at)?);
        // Slots that fail together count once.
        if state.not_before.is_none_or(|until| until <= now) {
            state.not_before = Some(now + wait_after(state.failures));
            state.failures += 1;
        }
        let line = format!("TURN: no relayed address from {server}: {trouble}");
        state.trouble = Some(trouble);
        let is_due = state.told.is_none_or(|told| now.saturating_duration_since(told) >= LINE_EACH);
        is_due.then(|| {
            state.told = Some(now);
            line
        })
    }

    /// Like [`Self::handle_failure`], for a server that works and has no room: each call that ends may make some, so the wait does not
    /// grow.
    pub fn handle_full(&self, now: Instant, at: usize, trouble: String) -> Option<String> {
        let line = self.handle_failure(now, at, trouble);
        if let Some(state) = lock(&self.states).get_mut(at) {
            state.failures = 0;
        }
        line
    }

    /// Returns a line for each server, for the console.
    pub fn shown(&self, now: Instant) -> Vec<String> {
        let states = lock(&self.states);
        let show = |(server, state): (&Server, &State)| {
            let waits = state.not_before.map_or(0, |until| until.saturating_duration_since(now).as_secs());
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

fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT)
}

/// Time for which a server is left alone after its first failure, and after many.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Time between two log lines about a server.
const LINE_EACH: Duration = Duration::from_secs(3600);

/// The resolver does not tell for how long a name is valid.
const NAMES_LAST: Duration = Duration::from_secs(60);

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
    fn waits_grow_and_have_an_end() {
        assert_eq!([0, 1, 2, 40].map(wait_after), [5, 10, 20, 300].map(Duration::from_secs));
    }
}
