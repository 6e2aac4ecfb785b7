//! Warns when DTLS keys are overdue. A peer that never begins its handshake leaves no trace but silence, so after a while the log
//! says what the call waits for.

use std::time::{Duration, Instant};

/// Measures the time between a way to the peer and keys for it.
#[derive(Debug, Default)]
pub struct Overdue {
    since: Option<Instant>,
    told: bool,
}

impl Overdue {
    /// Notes whether the session waits for keys at this moment.
    pub fn watch(&mut self, now: Instant, waiting: bool) {
        self.since = self.since.filter(|_| waiting).or(waiting.then_some(now));
    }

    /// Returns when the keys are overdue.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.since.filter(|_| !self.told).map(|since| since + PATIENCE)
    }

    /// Returns whether the keys are overdue now, once in a session.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let ends = self.poll_timeout().is_some_and(|end| end <= now);
        self.told |= ends;
        ends
    }
}

/// How long a call may wait for keys. Handshakes take less, lost packets included.
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
