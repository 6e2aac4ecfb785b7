//! Decides when to warn that the DTLS keys of a call are overdue. If the peer never begins its handshake, the only symptom is
//! silence; the warning says what the call waits for.

use std::time::{Duration, Instant};

/// Measures how long a session that has a route to the peer waits for DTLS keys.
#[derive(Debug, Default)]
pub struct Overdue {
    since: Option<Instant>,
    told: bool,
}

impl Overdue {
    /// Records whether the session currently waits for keys.
    pub fn watch(&mut self, now: Instant, waiting: bool) {
        self.since = self.since.filter(|_| waiting).or(waiting.then_some(now));
    }

    /// Returns when the keys become overdue; `None` while the session does not wait, and after the warning.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.since.filter(|_| !self.told).map(|since| since + PATIENCE)
    }

    /// Returns true, once, when the keys are overdue.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let ends = self.poll_timeout().is_some_and(|end| end <= now);
        self.told |= ends;
        ends
    }
}

/// Time after which the keys of a call are overdue. Handshakes take less, even with some lost packets.
pub const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_counted_from_the_way_and_ends_once() {
        let (mut overdue, start) = (Overdue::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        overdue.watch(at(0), false);
        assert_eq!(overdue.poll_timeout(), None);
        overdue.watch(at(5), true);
        overdue.watch(at(9), true);
        assert_eq!(overdue.poll_timeout(), Some(at(15)));
        assert!(!overdue.handle_timeout(at(14)));
        overdue.watch(at(14), false);
        overdue.watch(at(20), true);
        assert!(!overdue.handle_timeout(at(29)));
        assert!(overdue.handle_timeout(at(30)));
        assert!(!overdue.handle_timeout(at(31)));
        assert_eq!(overdue.poll_timeout(), None);
    }
}
