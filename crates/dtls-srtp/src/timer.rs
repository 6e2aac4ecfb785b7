//! The retransmission timer of a handshake (RFC 6347 §4.2.4).
//!
//! A flight that the peer does not answer is sent again after 100 ms, then after twice as long each time, up to 4 s.
//! After 30 s the handshake has failed. RFC 6347 §4.2.4.1 recommends to begin with one second, and lets applications
//! that are sensitive to time begin earlier. A call whose ClientHello is lost would be silent for that second, while a
//! path that ICE has just checked is known to work and mostly takes less than 100 ms. Browsers begin with 50 ms. A
//! needless retransmission costs a few datagrams and nothing else.

use std::time::{Duration, Instant};

/// The timers of one handshake.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    flight: Option<Flight>,
    give_up: Option<Instant>,
}

/// A flight that the peer has not answered.
#[derive(Debug)]
struct Flight {
    /// When the flight is sent again.
    due: Instant,
    /// The time between the last two retransmissions.
    interval: Duration,
}

/// The action that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send the last flight again.
    Retransmission,
    /// Give the handshake up.
    GivingUp,
}

impl Timers {
    /// A new flight was sent.
    pub(crate) fn flight_sent(&mut self, now: Instant) {
        self.flight = Some(Flight { due: now + FIRST_INTERVAL, interval: FIRST_INTERVAL });
        self.give_up.get_or_insert(now + HANDSHAKE_LIFETIME);
    }

    /// The path to the peer is another one: the handshake has its whole time again, and a flight that has long been on its way is sent
    /// over it at once.
    pub(crate) fn path_changed(&mut self, now: Instant) {
        if let Some(give_up) = &mut self.give_up {
            *give_up = now + HANDSHAKE_LIFETIME;
        }
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.interval >= LONG_INTERVAL) {
            *flight = Flight { due: now, interval: FIRST_INTERVAL };
        }
    }

    /// The peer answered the flight, or nothing more will be sent.
    pub(crate) fn flight_answered(&mut self) {
        self.flight = None;
    }

    /// The handshake is over.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Lets time pass.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Due> {
        if self.give_up.is_some_and(|give_up| give_up <= now) {
            self.stop();
            return Some(Due::GivingUp);
        }
        let flight = self.flight.as_mut().filter(|flight| flight.due <= now)?;
        flight.interval = (2 * flight.interval).min(LONGEST_INTERVAL);
        flight.due = now + flight.interval;
        Some(Due::Retransmission)
    }

    /// When `expire` next has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.flight.as_ref().map(|flight| flight.due), self.give_up].into_iter().flatten().min()
    }
}

/// The time until the first retransmission.
pub const FIRST_INTERVAL: Duration = Duration::from_millis(100);
/// From this interval on a flight counts as one that the old path has lost.
const LONG_INTERVAL: Duration = Duration::from_millis(800);
/// The longest time between two retransmissions.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(4);
/// The time that a handshake may take, from the first flight to the keys.
pub const HANDSHAKE_LIFETIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_until_it_is_given_up() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.flight_sent(start);
        let mut sent = Vec::new();
        loop {
            let now = timers.next().expect("a timer runs until the end");
            match timers.expire(now) {
                Some(Due::Retransmission) => sent.push((now - start).as_millis()),
                Some(Due::GivingUp) => break,
                None => unreachable!("a timer that is due has something to say"),
            }
        }
        assert_eq!(sent[..7], [100, 300, 700, 1500, 3100, 6300, 10300]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_new_path_gives_the_handshake_its_whole_time_again() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.flight_sent(start);
        timers.path_changed(start);
        assert_eq!(timers.next(), Some(start + FIRST_INTERVAL), "it has just been sent");
        let late = start + Duration::from_secs(29);
        while let Some(due) = timers.next().filter(|due| *due < late) {
            timers.expire(due);
        }
        timers.path_changed(late);
        assert_eq!((timers.next(), timers.expire(late)), (Some(late), Some(Due::Retransmission)));
        assert_eq!(timers.give_up, Some(late + HANDSHAKE_LIFETIME));
        timers.stop();
        timers.path_changed(late);
        assert_eq!(timers.next(), None, "there is no handshake");
    }
}
