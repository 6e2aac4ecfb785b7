//! The thread that asks the STUN server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use asterisk::fence::fence;
use asterisk::lock;
use ice::gather::mapping::Event;

use super::changes::Changes;
use super::pool::Wanted;
use super::probe::{Counters, Probe};
use super::server::Addresses;
use super::settings::Gathering;
use super::{Known, Plan, Shared};
use crate::clock;
use crate::pace::Hourly;
use crate::transport::interfaces;
use crate::transport::sockets::Pair;

/// Runs until the thread has to end. A panic costs what is known, and a minute.
pub fn run(shared: &Shared) {
    while !shared.is_stopping.load(Ordering::Acquire) {
        let ended = fence("asking the STUN server", false, || {
            Turns::new(shared).run();
            true
        });
        if !ended {
            wait(&mut [shared.wake.as_raw_fd()], Some(AFTER_A_PANIC));
            shared.wake.drain();
        }
    }
}

/// The state of the thread.
struct Turns<'a> {
    shared: &'a Shared,
    settings: Gathering,
    addresses: Addresses,
    probes: Vec<Probe>,
    changes: Option<Changes>,
    /// When the machine's addresses are looked at next.
    look_at: Instant,
    warnings: Hourly,
    counters: Counters,
}

impl<'a> Turns<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = clock::now();
        let Plan { interfaces, candidates, server, .. } = &shared.plan;
        let settings =
            Gathering { interfaces: interfaces.clone(), candidates: candidates.clone(), ..Gathering::default() };
        let changes = Changes::subscribe()
            .inspect_err(|error| asterisk::debug!(1, "STUN: changes of addresses are not told by the system: {error}"));
        Self {
            shared,
            settings,
            addresses: Addresses::of(server, now),
            probes: Vec::new(),
            changes: changes.ok(),
            look_at: now,
            warnings: Hourly::default(),
            counters: Counters::default(),
        }
    }

    fn run(&mut self) {
        while !self.shared.is_stopping.load(Ordering::Acquire) {
            let now = clock::now();
            self.turn(now);
            let timeout = self.poll_timeout(now).saturating_duration_since(now);
            wait(&mut self.fds(), Some(timeout));
            self.shared.wake.drain();
        }
    }

    fn turn(&mut self, now: Instant) {
        match self.addresses.drive(now) {
            Some(Ok(true)) => {
                let known = self.addresses.known();
                self.probes.retain_mut(|probe| probe.set_servers(now, known));
                self.look_at = now;
            }
            Some(Err(failure)) => self.warn(now, &failure.to_string()),
            Some(Ok(false)) | None => {}
        }
        if self.changes.as_ref().is_some_and(Changes::any) {
            // Several changes come together, and a new address is not usable at once.
            self.look_at = self.look_at.min(now + SETTLING);
            self.probes.iter_mut().for_each(|probe| probe.hurry(now + SETTLING));
        }
        self.reconcile(now);
        self.drive_probes(now);
        self.drive_pool(now);
        let known = Arc::new(self.known(now));
        *lock(&self.shared.known) = known;
    }

    /// Makes a probe for each address that the server may be asked from, and drops those of addresses that are gone.
    fn reconcile(&mut self, now: Instant) {
        let bound = lock(&self.shared.bound).clone();
        let is_new = |ip: &IpAddr| !ip.is_unspecified() && !self.probes.iter().any(|probe| probe.base() == *ip);
        if now < self.look_at && !self.probes.is_empty() && !bound.iter().any(is_new) {
            return;
        }
        self.look_at = now + BETWEEN_LOOKS;
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let mut bases = interfaces::host_addresses(any, &self.settings);
        let of_sessions = bound.iter().filter(|ip| !ip.is_unspecified());
        bases.extend(of_sessions.flat_map(|ip| interfaces::host_addresses(*ip, &self.settings)));
        bases.retain(|base| self.shared.plan.stun_from.allows(*base));
        bases.truncate(MOST_PROBES);
        self.probes.retain(|probe| bases.contains(&probe.base()));
        for base in bases {
            if !self.probes.iter().any(|probe| probe.base() == base) {
                self.probes.extend(Probe::new(now, base, self.addresses.known()));
            }
        }
    }

    fn drive_probes(&mut self, now: Instant) {
        let ports = self.shared.plan.ports;
        let mut failed = None;
        for probe in &mut self.probes {
            let before = probe.mapped(now).map(|mapped| mapped.address.ip());
            match probe.drive(now, ports, &mut self.counters) {
                Some(Event::Mapped(address)) if before != Some(address.ip()) => {
                    asterisk::verbose!(3, "STUN: {} is {} to the outside", probe.base(), address.ip());
                }
                Some(Event::Failed(failure)) => failed = Some((probe.base(), failure)),
                Some(Event::Mapped(_)) | None => {}
            }
        }
        let Some((base, failure)) = failed else { return };
        if self.probes.iter().any(|probe| probe.mapped(now).is_some() && probe.failure().is_none()) {
            asterisk::debug!(1, "STUN: {} asked from {base}: {failure}", self.shared.plan.server);
        } else {
            self.warn(now, &failure.to_string());
        }
    }

    /// Keeps sockets ready where the NAT gives each of them another port.
    fn drive_pool(&mut self, now: Instant) {
        let wanted = self.wanted(now);
        let Plan { ports, checksums, .. } = self.shared.plan;
        let mut pool = lock(&self.shared.pool);
        pool.want(wanted);
        let missing = pool.drive(now, &mut self.counters);
        drop(pool);
        if let Some(wanted) = missing {
            // A search for free ports takes time, and sessions that begin do not wait for it.
            let pair = Pair::bind(wanted.bound, ports, asterisk::random::u32(), checksums);
            lock(&self.shared.pool).add(now, wanted, pair, &mut self.counters);
        }
    }

    fn wanted(&self, now: Instant) -> Option<Wanted> {
        // The first session may take one, so its address is guessed.
        let bound = lock(&self.shared.bound).last().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        // The most of the ports are for calls that cannot use the pool.
        let (first, last) = self.shared.plan.ports;
        let pairs = usize::from(last.saturating_sub(first)).div_ceil(2);
        let count = Some(self.shared.plan.pool.min(pairs / 4)).filter(|count| *count > 0)?;
        let fits =
            |base: IpAddr| if bound.is_unspecified() { bound.is_ipv6() || base.is_ipv4() } else { base == bound };
        let mut mapped = self.probes.iter().filter_map(|probe| Some((probe, probe.mapped(now)?)));
        let (probe, mapped) = mapped.find(|(_, mapped)| fits(mapped.base) && !mapped.preserves_ports)?;
        Some(Wanted { count, bound, base: mapped.base, server: probe.server() })
    }

    /// Writes one line in an hour about the server.
    fn warn(&mut self, now: Instant, failure: &str) {
        let server = &self.shared.plan.server;
        if !self.warnings.allow(now) {
            asterisk::debug!(1, "STUN: {server}: {failure}");
            return;
        }
        asterisk::warning!(
            "STUN: server {server} (stunaddr): {failure}; browsers are not told our public address, it will be asked again \
             (see 'rtp show gathering')"
        );
    }

    fn trouble(&self, now: Instant) -> Option<String> {
        if self.probes.iter().any(|probe| probe.mapped(now).is_some()) {
            return None;
        }
        let failure = self.addresses.failure().map(|failure| failure.to_string());
        let failure = failure.or_else(|| self.probes.iter().find_map(|probe| Some(probe.failure()?.to_string())));
        Some(format!("server {} (stunaddr): {}", self.shared.plan.server, failure?))
    }

    fn known(&self, now: Instant) -> Known {
        let mapped = self.probes.iter().filter_map(|probe| probe.mapped(now)).collect();
        let mut lines = vec![self.server_line()];
        lines.extend(self.probes.iter().map(|probe| probe_line(probe, now)));
        let Counters { requests, answers, failures, ignored } = self.counters;
        lines.push(format!(
            "Requests: {requests}; answers: {answers}, failures: {failures}, ignored datagrams: {ignored}"
        ));
        Known { trouble: self.trouble(now), mapped, lines, servers: self.addresses.known().to_vec() }
    }

    fn server_line(&self) -> String {
        let addresses: Vec<_> = self.addresses.known().iter().map(SocketAddr::to_string).collect();
        let addresses = if addresses.is_empty() { "address unknown".to_owned() } else { addresses.join(", ") };
        let failure = self.addresses.failure().map(|failure| format!("; last lookup: {failure}")).unwrap_or_default();
        format!("STUN server {}: {addresses}{failure}", self.shared.plan.server)
    }

    fn poll_timeout(&self, now: Instant) -> Instant {
        let probes = self.probes.iter().map(Probe::poll_timeout);
        let pool = lock(&self.shared.pool).poll_timeout(now);
        probes.chain(self.addresses.poll_timeout()).chain(pool).fold(self.look_at.max(now), Instant::min)
    }

    fn fds(&self) -> Vec<RawFd> {
        let own = [Some(self.shared.wake.as_raw_fd()), self.changes.as_ref().map(Changes::fd), self.addresses.fd()];
        let mut fds: Vec<_> = own.into_iter().flatten().chain(self.probes.iter().filter_map(Probe::fd)).collect();
        fds.extend(lock(&self.shared.pool).fds());
        fds
    }
}

fn probe_line(probe: &Probe, now: Instant) -> String {
    let mapped = probe.mapped(now).map(|mapped| {
        let ago = now.saturating_duration_since(mapped.confirmed).as_secs();
        let ports = if mapped.preserves_ports { "ports are left as they are" } else { "ports are changed" };
        format!("{} to the outside, {ports}, confirmed {ago} s ago", mapped.address.ip())
    });
    let failure = probe.failure().map(|failure| format!("; last request: {failure}")).unwrap_or_default();
    format!("  {}: {}{failure}", probe.base(), mapped.unwrap_or_else(|| "public address unknown".to_owned()))
}

/// Waits until one of the descriptors is readable, or `timeout` has passed.
fn wait(fds: &mut [RawFd], timeout: Option<Duration>) {
    let mut polled: Vec<_> = fds.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    let millis = timeout.map_or(-1, |timeout| i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    // SAFETY: as many entries as there are, which outlive the call. Fails when interrupted, or without memory; then the next turn
    // comes early.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) };
}

/// The most addresses that the server is asked from.
const MOST_PROBES: usize = 16;

/// Time between two looks at the machine's addresses, where the system does not tell of changes.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// Time after a change of an address until it is looked at.
const SETTLING: Duration = Duration::from_millis(200);

const AFTER_A_PANIC: Duration = Duration::from_secs(60);
