//! Counts requests that name no call, by their addresses, so that nobody tries out identifiers.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// The addresses of late, with their wrong requests.
#[derive(Debug)]
pub struct Wrong([Option<Guesser>; MOST_ADDRESSES]);

#[derive(Debug, Clone, Copy)]
struct Guesser {
    network: IpAddr,
    since: Instant,
    count: u32,
}

impl Wrong {
    /// No addresses.
    pub const fn new() -> Self {
        Self([None; MOST_ADDRESSES])
    }

    /// Returns whether an address has guessed wrong too often within the last minute.
    pub fn is_blocked(&self, now: Instant, ip: IpAddr) -> bool {
        let network = network(ip);
        self.0.iter().flatten().any(|one| one.network == network && one.is_of(now) && one.count >= MOST_GUESSES)
    }

    /// Counts a wrong request. An address without a place takes an unused one, or else that of the oldest.
    pub fn note(&mut self, now: Instant, ip: IpAddr) {
        let network = network(ip);
        if let Some(one) = self.0.iter_mut().flatten().find(|one| one.network == network && one.is_of(now)) {
            one.count += 1;
            return;
        }
        let place = self.0.iter_mut().min_by_key(|place| place.map(|one| one.since));
        if let Some(place) = place {
            *place = Some(Guesser { network, since: now, count: 1 });
        }
    }
}

impl Guesser {
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

/// The time in which wrong requests are counted, and after which they are forgiven.
const PERIOD: Duration = Duration::from_secs(60);

/// Most wrong requests of an address in this time.
const MOST_GUESSES: u32 = 20;

/// Most addresses that are counted.
const MOST_ADDRESSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_for_a_minute_and_others_do_not() {
        let (mut wrong, start) = (Wrong::new(), Instant::now());
        let [guesser, same, other] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|ip| ip.parse().unwrap());
        for _ in 0..MOST_GUESSES {
            assert!(!wrong.is_blocked(start, guesser));
            wrong.note(start, guesser);
        }
        assert!(wrong.is_blocked(start, guesser) && wrong.is_blocked(start, same) && !wrong.is_blocked(start, other));
        assert!(wrong.is_blocked(start + Duration::from_secs(59), guesser));
        assert!(!wrong.is_blocked(start + PERIOD, guesser));
    }

    #[test]
    fn the_oldest_address_makes_room() {
        let (mut wrong, start) = (Wrong::new(), Instant::now());
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        for _ in 0..MOST_GUESSES {
            wrong.note(start, ip(0));
        }
        for last in 1..64 {
            wrong.note(start + Duration::from_secs(1), ip(last));
        }
        assert!(wrong.is_blocked(start, ip(0)));
        wrong.note(start + Duration::from_secs(2), ip(64));
        assert!(!wrong.is_blocked(start, ip(0)));
    }
}
