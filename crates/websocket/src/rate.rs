//! The limit on the messages of a peer per second (RFC 6455 §10.4).

use std::time::{Duration, Instant};

/// Allows so many messages per second, averaged over ten seconds: our caller may read late, and then handles the
/// messages of up to ten seconds at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    interval: Duration,
    /// The time by which the messages so far would have arrived at the allowed rate. It may be ahead of now by [`BURST`].
    even_at: Instant,
}

const BURST: Duration = Duration::from_secs(10);

/// The number of fragments of an unfinished message that count as one message. A client or proxy may cut messages into
/// small pieces, which is no reason to end a session. But a message that never ends would never be counted.
const FRAGMENTS: u32 = 1000;

impl Rate {
    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), even_at: now }
    }

    /// Counts one more message or control frame; `false` if it is one too many.
    pub(crate) fn allow_message(&mut self, now: Instant) -> bool {
        self.allow(now, self.interval)
    }

    /// Counts one more fragment that does not end its message; `false` if it is one too many.
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
