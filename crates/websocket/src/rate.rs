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

/// So many fragments of a message that is not finished count as a message. It is no reason to end a session that a client
/// or a proxy cuts what it sends into small pieces; but a message that never ends is never counted.
const FRAGMENTS: u32 = 1000;

impl Rate {
    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), even_at: now }
    }

    /// One more message or control frame; `false` if it is one too many.
    pub(crate) fn allow_message(&mut self, now: Instant) -> bool {
        self.allow(now, self.interval)
    }

    /// One more fragment, which does not end its message.
    pub(crate) fn allow_fragment(&mut self, now: Instant) -> bool {
        self.allow(now, self.interval / FRAGMENTS)
    }

    fn allow(&mut self, now: Instant, cost: Duration) -> bool {
        self.even_at = self.even_at.max(now) + cost;
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
        assert!((0..50).all(|_| rate.allow_message(start)));
        assert!(!rate.allow_message(start));
        let mut rate = Rate::new(start, 5);
        assert!((0..1000).all(|tick| rate.allow_message(start + Duration::from_millis(200) * tick)));
    }

    #[test]
    fn a_thousand_fragments_are_a_message() {
        let start = Instant::now();
        for per_second in [1, 20, 1_000_000] {
            let mut rate = Rate::new(start, per_second);
            let most = 10 * 1000 * u64::from(per_second.min(20));
            assert!((0..most).all(|_| rate.allow_fragment(start)), "{per_second}");
            assert!(per_second > 20 || !rate.allow_fragment(start), "{per_second}");
        }
    }
}
