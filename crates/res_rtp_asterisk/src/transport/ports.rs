//! Chooses the ports of a session: an even one for RTP and the next one for RTCP (RFC 3550 §11).
//!
//! The pairs that the module's own sockets use are remembered. So a search in a range that is nearly full asks the kernel only about
//! ports that may be free, and two threads that search at the same time do not meet.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};

use ::story::event::Unbound;
use ::story::verdict::NoSocket;
use asterisk::limit::RateLimit;
use asterisk::{Failed, lock};

use crate::diagnosis::drivers;

/// The pairs of a range of ports, from a random one on, each once.
#[derive(Debug)]
pub struct Search {
    /// The first even port of the range.
    first: u16,
    /// The number of pairs in the range.
    pairs: u32,
    /// The number of the pair that comes first.
    start: u32,
    /// Pairs that have been tried.
    tried: u32,
}

impl Search {
    /// Begins at the pair that `random` selects. The last pair ends within the range `ports`, first and last port; a range too small for
    /// a pair still gets one.
    pub fn new(ports: (u16, u16), random: u32) -> Self {
        let first = ports.0.next_multiple_of(2);
        let pairs = (u32::from(ports.1) + 1).saturating_sub(first.into()).max(2) / 2;
        Self { first, pairs, start: random % pairs, tried: 0 }
    }

    /// Claims the next pair that none of our sockets on `ip` uses. Returns `None` when the whole range has been tried.
    pub fn claim(&mut self, ip: IpAddr) -> Option<Claim> {
        let mut taken = lock(&TAKEN);
        while self.tried < self.pairs {
            let pair = (self.start + self.tried) % self.pairs;
            self.tried += 1;
            // `pair` counts the even ports between two u16.
            let port = self.first + (pair * 2) as u16;
            if taken.add(ip, port) {
                return Some(Claim { ip, port });
            }
        }
        None
    }

    /// Returns the number of pairs in the range.
    pub fn pairs(&self) -> u32 {
        self.pairs
    }
}

/// Returns how many pairs of ports sessions use, and how often a call got none because its range had no free one.
pub fn usage() -> (usize, u64) {
    let used = lock(&TAKEN).0.iter().map(|of| of.count).sum();
    (used, EXHAUSTED.load(Ordering::Relaxed))
}

/// Returns why sockets could not be made or bound.
pub fn why(error: &io::Error) -> Unbound {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Unbound::PortsInUse,
        Some(libc::EMFILE | libc::ENFILE) => Unbound::NoDescriptors,
        Some(libc::EADDRNOTAVAIL) => Unbound::NoAddress,
        Some(libc::EACCES | libc::EPERM) => Unbound::Forbidden,
        other => Unbound::Other(other.and_then(|error| u16::try_from(error).ok()).unwrap_or_default()),
    }
}

/// Counts a call that got no sockets, if it is because all ports are in use.
pub fn count_failure(why: Unbound) {
    EXHAUSTED.fetch_add(u64::from(why == Unbound::PortsInUse), Ordering::Relaxed);
}

/// Logs why a session has no sockets, a few times in ten seconds: strangers may be the ones who call.
pub fn report_failure(instance: impl fmt::Pointer, missing: &NoSocket, error: &io::Error) -> Failed {
    if let Some(unsaid) = FAILURES.allow() {
        let (NoSocket { why, ip, ports: (first, last) }, (used, _)) = (missing, usage());
        match why {
            Unbound::PortsInUse => asterisk::error!(
                "Oh dear... we couldn't allocate a port for RTP instance '{instance:p}': all pairs on {ip} from rtpstart = {first} to \
                 rtpend = {last} (rtp.conf) are in use, {used} of them by calls; a wider range has room for more ({unsaid} such lines left \
                 out)"
            ),
            _ => asterisk::error!(
                "Oh dear... we couldn't allocate a port for RTP instance '{instance:p}': no socket on {ip}: {error}: {} ({unsaid} such \
                 lines left out)",
                missing.advice(drivers::of_browsers()).1
            ),
        }
    }
    Failed
}

static FAILURES: RateLimit = RateLimit::new(Duration::from_secs(10), 3);

/// A pair of ports that belongs to one session until this is dropped. To be dropped after the sockets.
#[derive(Debug)]
pub struct Claim {
    ip: IpAddr,
    port: u16,
}

impl Claim {
    /// Returns the even port of the pair.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&TAKEN).remove(self.ip, self.port);
    }
}

static TAKEN: Mutex<Taken> = Mutex::new(Taken(Vec::new()));

/// Calls that found no free pair since the module was loaded.
static EXHAUSTED: AtomicU64 = AtomicU64::new(0);

/// The pairs that are claimed. A host binds to a few addresses, so they are in a list.
#[derive(Debug, Default)]
struct Taken(Vec<OfAddress>);

/// The pairs that are claimed on one address.
#[derive(Debug)]
struct OfAddress {
    ip: IpAddr,
    count: usize,
    /// A bit for each even port.
    bits: Box<[u64; EVEN_PORTS / 64]>,
}

const EVEN_PORTS: usize = 1 << 15;

impl Taken {
    /// Returns false if the pair is claimed already.
    fn add(&mut self, ip: IpAddr, port: u16) -> bool {
        let at = self.0.iter().position(|of| of.ip == ip).unwrap_or_else(|| {
            self.0.push(OfAddress { ip, count: 0, bits: Box::new([0; EVEN_PORTS / 64]) });
            self.0.len() - 1
        });
        let Some(of) = self.0.get_mut(at) else { return false };
        let (word, bit) = place(port);
        let Some(word) = of.bits.get_mut(word).filter(|word| **word & bit == 0) else { return false };
        *word |= bit;
        of.count += 1;
        true
    }

    fn remove(&mut self, ip: IpAddr, port: u16) {
        let (word, bit) = place(port);
        for of in self.0.iter_mut().filter(|of| of.ip == ip) {
            if let Some(word) = of.bits.get_mut(word) {
                *word &= !bit;
                of.count -= 1;
            }
        }
        self.0.retain(|of| of.count > 0);
        if self.0.is_empty() {
            // Nothing of ours is left behind when the module is unloaded.
            *self = Self::default();
        }
    }
}

fn place(port: u16) -> (usize, u64) {
    let pair = usize::from(port / 2);
    (pair / 64, 1 << (pair % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that no other test of this process claims ports on.
    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn all(ip: IpAddr, ports: (u16, u16), random: u32) -> Vec<Claim> {
        let mut search = Search::new(ports, random);
        std::iter::from_fn(|| search.claim(ip)).collect()
    }

    fn ports(claims: &[Claim]) -> Vec<u16> {
        claims.iter().map(Claim::port).collect()
    }

    #[test]
    fn every_pair_of_the_range_is_tried_once_from_a_random_one_on() {
        assert_eq!(ports(&all(ip(1), (10_000, 10_007), 2)), [10_004, 10_006, 10_000, 10_002]);
        assert_eq!(
            ports(&all(ip(1), (10_001, 10_008), 7)),
            [10_004, 10_006, 10_002],
            "even, and RTCP within the range"
        );
        assert_eq!(ports(&all(ip(1), (65_534, 65_535), 9)), [65_534]);
        assert_eq!(ports(&all(ip(1), (7001, 7001), 0)), [7002], "a range too small for a pair");
    }

    #[test]
    fn a_pair_in_use_is_not_tried_until_it_is_given_back() {
        let mut first = all(ip(2), (20_000, 21_999), 4);
        assert_eq!((first.len(), all(ip(2), (20_000, 21_999), 5).len()), (1000, 0));
        assert_eq!(all(ip(3), (20_000, 21_999), 5).len(), 1000, "another address has its own ports");
        let given_back = [first.swap_remove(700).port(), first.swap_remove(3).port()];
        let mut found = ports(&all(ip(2), (20_000, 21_999), 6));
        found.sort_unstable();
        assert_eq!(found.len(), 2);
        assert!(given_back.iter().all(|port| found.contains(port)));
    }
}
