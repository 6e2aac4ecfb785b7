//! Counts requests by their addresses, so that nobody tries out identifiers or keeps the host busy.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The addresses of late, with their requests.
#[derive(Debug)]
pub struct Askers([Option<Asker>; MOST_ADDRESSES]);

#[derive(Debug, Clone, Copy)]
struct Asker {
    network: IpAddr,
    since: Instant,
    requests: u32,
    guesses: u32,
}

impl Askers {
    /// No addresses.
    pub const fn new() -> Self {
        Self([None; MOST_ADDRESSES])
    }

    /// Counts a request. Returns whether it may be answered: the address has not asked or guessed wrong too often within the last minute.
    pub fn allows(&mut self, now: Instant, ip: IpAddr) -> bool {
        let Some(asker) = self.asker(now, ip) else { return false };
        asker.requests = asker.requests.saturating_add(1);
        asker.requests <= MOST_REQUESTS && asker.guesses < MOST_GUESSES
    }

    /// Counts that a request named no call.
    pub fn note_guess(&mut self, now: Instant, ip: IpAddr) {
        if let Some(asker) = self.asker(now, ip) {
            asker.guesses = asker.guesses.saturating_add(1);
        }
    }

    /// Returns the place of an address. One without a place takes an unused one, or else that of the oldest.
    fn asker(&mut self, now: Instant, ip: IpAddr) -> Option<&mut Asker> {
        let network = network(ip);
        let known = self.0.iter().position(|place| place.is_some_and(|one| one.network == network && one.is_of(now)));
        let (place, _) = self.0.iter().enumerate().min_by_key(|(_, place)| place.map(|one| one.since))?;
        let asker = self.0.get_mut(known.unwrap_or(place))?;
        if known.is_none() {
            *asker = Some(Asker { network, since: now, requests: 0, guesses: 0 });
        }
        asker.as_mut()
    }
}

impl Asker {
    fn is_of(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < PERIOD
    }
}

/// Returns the address, or of IPv6 the /64, because one client commonly has the whole of it.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The time in which requests are counted, and after which they are forgiven.
const PERIOD: Duration = Duration::from_secs(60);

/// Most requests of an address in this time.
const MOST_REQUESTS: u32 = 60;

/// Most wrong ones among them.
const MOST_GUESSES: u32 = 20;

/// Most addresses that are counted.
const MOST_ADDRESSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_for_a_minute_and_others_do_not() {
        let (mut askers, start) = (Askers::new(), Instant::now());
        let [guesser, same, other] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|ip| ip.parse().unwrap());
        for _ in 0..MOST_GUESSES {
            assert!(askers.allows(start, guesser));
            askers.note_guess(start, guesser);
        }
        assert!(!askers.allows(start, guesser) && !askers.allows(start, same) && askers.allows(start, other));
        assert!(!askers.allows(start + Duration::from_secs(59), guesser));
        assert!(askers.allows(start + PERIOD, guesser));
    }

    #[test]
    fn who_asks_for_the_right_call_too_often_waits_as_well() {
        let (mut askers, start) = (Askers::new(), Instant::now());
        let ip = IpAddr::from([192, 0, 2, 1]);
        assert!((0..MOST_REQUESTS).all(|_| askers.allows(start, ip)));
        assert!(!askers.allows(start, ip) && !askers.allows(start + Duration::from_secs(59), ip));
        assert!(askers.allows(start + PERIOD, ip));
    }

    #[test]
    fn the_oldest_address_makes_room() {
        let (mut askers, start) = (Askers::new(), Instant::now());
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        for _ in 0..MOST_GUESSES {
            askers.note_guess(start, ip(0));
        }
        for last in 1..64 {
            askers.note_guess(start + Duration::from_secs(1), ip(last));
        }
        assert!(!askers.allows(start, ip(0)));
        askers.note_guess(start + Duration::from_secs(2), ip(64));
        assert!(askers.allows(start + Duration::from_secs(2), ip(0)));
    }
}
