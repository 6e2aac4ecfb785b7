//! How much a peer may say.

use std::time::{Duration, Instant};

/// So many messages a second, on average over ten seconds: whoever reads us may be late, and then what came in ten
/// seconds is looked at in one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    interval: Duration,
    /// When the account would be even; it may run ahead of the time by [`BURST`].
    even_at: Instant,
}

const BURST: Duration = Duration::from_secs(10);

impl Rate {
    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), even_at: now }
    }

    /// One more; `false` if it is one too many.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        self.even_at = self.even_at.max(now) + self.interval;
        self.even_at <= now + BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_the_average_are_allowed_and_no_more() {
        let start = Instant::now();
        let mut rate = Rate::new(start, 5);
        assert!((0..50).all(|_| rate.allow(start)));
        assert!(!rate.allow(start));
        let mut rate = Rate::new(start, 5);
        assert!((0..1000).all(|tick| rate.allow(start + Duration::from_millis(200) * tick)));
    }
}
