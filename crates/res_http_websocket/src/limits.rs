//! Limits on who gets a session: those of `websocket.conf`, and a reserve of file descriptors.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use asterisk::lock;
use websocket::handshake::Refusal;

use crate::settings::Settings;

/// Counts the open sessions, in all and of each client.
#[derive(Default)]
pub struct Limits(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    all: u32,
    /// Keyed by [`household`].
    by_client: BTreeMap<IpAddr, u32>,
}

/// One counted session; dropping it takes the session off the count.
pub struct Place {
    limits: Arc<Limits>,
    client: Option<IpAddr>,
}

impl Limits {
    /// Counts one more session of `client`, or refuses it when a limit is reached.
    pub fn take_place(self: &Arc<Self>, client: Option<IpAddr>, settings: &Settings) -> Result<Place, Refusal> {
        let client = client.map(household);
        let mut sessions = self.sessions();
        if settings.max_sessions.is_some_and(|max| sessions.all >= max) {
            return Err(Refusal::TooManySessions);
        }
        if let Some(client) = client {
            let count = sessions.by_client.entry(client).or_default();
            if settings.max_sessions_per_address.is_some_and(|max| *count >= max) {
                return Err(Refusal::TooManyOfAddress);
            }
            *count += 1;
        }
        sessions.all += 1;
        drop(sessions);
        Ok(Place { limits: self.clone(), client })
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self.limits.sessions();
        sessions.all = sessions.all.saturating_sub(1);
        let Some(client) = self.client else { return };
        if let Some(count) = sessions.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                sessions.by_client.remove(&client);
            }
        }
    }
}

/// The address that limits count by: IPv4 addresses as they are, IPv4-mapped ones as IPv4, and IPv6 addresses by their /64,
/// because one client commonly has the whole of it.
pub fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Refuses while fewer than `reserve` file descriptors are free. The host's HTTP server stops accepting for good once it
/// gets no descriptor for a connection.
pub fn check_descriptors(reserve: u32) -> Result<(), Refusal> {
    let limit = descriptor_limit();
    // A process that may have only few descriptors keeps a quarter of them free.
    let reserve = u64::from(reserve).min(limit / 4);
    if are_free(limit - reserve..limit) || count_open().is_ok_and(|open| open + reserve <= limit) {
        Ok(())
    } else {
        Err(Refusal::Descriptors)
    }
}

/// Whether all of these descriptor numbers are unused. The kernel hands out the lowest free number, so when the highest
/// ones are unused, at least so many are free and the open ones need not be counted.
fn are_free(numbers: std::ops::Range<u64>) -> bool {
    let entry = |number| libc::pollfd { fd: i32::try_from(number).unwrap_or(i32::MAX), events: 0, revents: 0 };
    let mut polled: Vec<libc::pollfd> = numbers.map(entry).collect();
    // SAFETY: as many entries as it says; the call does not wait.
    let answered = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, 0) };
    answered >= 0 && polled.iter().all(|entry| entry.revents & libc::POLLNVAL != 0)
}

fn count_open() -> io::Result<u64> {
    // Without the descriptor of the directory itself.
    Ok((std::fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1))
}

fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    // Descriptors are numbered by an `int`.
    if known { limit.rlim_cur.min(i32::MAX as u64) } else { i32::MAX as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_place_is_free_again_when_its_session_is_gone() {
        let limits = Arc::<Limits>::default();
        let settings = Settings { max_sessions: Some(3), max_sessions_per_address: Some(2), ..Settings::default() };
        let take = |client| limits.take_place(address(client), &settings);
        let first = take("192.0.2.1").unwrap();
        let _second = take("192.0.2.1").unwrap();
        assert_eq!(take("::ffff:192.0.2.1").err(), Some(Refusal::TooManyOfAddress));
        let other = take("192.0.2.2").unwrap();
        assert_eq!(take("192.0.2.3").err(), Some(Refusal::TooManySessions));
        drop(other);
        drop(first);
        assert!(take("192.0.2.1").is_ok());
        assert_eq!(limits.sessions().all, 1);
        assert_eq!(limits.sessions().by_client.len(), 1);
    }

    #[test]
    fn ipv6_neighbours_are_one() {
        let limits = Arc::<Limits>::default();
        let settings = Settings { max_sessions_per_address: Some(1), ..Settings::default() };
        let _first = limits.take_place(address("2001:db8::1"), &settings).unwrap();
        assert!(limits.take_place(address("2001:db8::ffff:1"), &settings).is_err());
        assert!(limits.take_place(address("2001:db8:0:1::1"), &settings).is_ok());
    }

    #[test]
    fn without_limits_everybody_comes_in() {
        let limits = Arc::<Limits>::default();
        let places = (0..1000).map(|_| limits.take_place(None, &Settings::default()));
        assert_eq!(places.collect::<Result<Vec<_>, _>>().unwrap().len(), 1000);
    }

    #[test]
    fn descriptors_at_the_end_of_the_range_are_seen() {
        assert_eq!(check_descriptors(64), Ok(()));
        let (file, limit) = (std::fs::File::open("/dev/null").unwrap(), descriptor_limit());
        let last = i32::try_from(limit - 1).unwrap();
        // SAFETY: nobody has the highest number, and it is closed again below.
        assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&file), last) }, last);
        assert!(!are_free(limit - 1..limit));
        assert_eq!(check_descriptors(64), Ok(()), "counted, most of them are free");
        // SAFETY: made above.
        unsafe { libc::close(last) };
        assert!(are_free(limit - 1..limit));
    }
}
