//! Limits for log lines that a stranger can provoke: the log of a busy host is not for strangers to write in.

use std::sync::Mutex;
use std::time::Duration;

use crate::{lock, time};

/// At most `burst` lines in each stretch of `per`.
#[derive(Debug)]
pub struct RateLimit {
    per: Duration,
    burst: u32,
    window: Mutex<Window>,
}

impl RateLimit {
    /// A limit to keep in a `static`.
    pub const fn new(per: Duration, burst: u32) -> Self {
        Self { per, burst, window: Mutex::new(Window::FRESH) }
    }

    /// Whether one more line may be written; if so, how many were left out since the last one that was.
    pub fn allow(&self) -> Option<u64> {
        let mut window = lock(&self.window);
        window.allow(time::monotonic(), self.per, self.burst)
    }
}

#[derive(Debug)]
struct Window {
    start: Duration,
    written: u32,
    left_out: u64,
}

impl Window {
    const FRESH: Self = Self { start: Duration::ZERO, written: 0, left_out: 0 };

    fn allow(&mut self, now: Duration, per: Duration, burst: u32) -> Option<u64> {
        if now.saturating_sub(self.start) >= per {
            (self.start, self.written) = (now, 0);
        }
        if self.written >= burst {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_a_burst_through_and_counts_the_rest() {
        let (mut window, per) = (Window::FRESH, Duration::from_secs(10));
        let at = Duration::from_secs;
        assert_eq!(window.allow(at(100), per, 2), Some(0));
        assert_eq!(window.allow(at(101), per, 2), Some(0));
        assert_eq!(window.allow(at(102), per, 2), None);
        assert_eq!(window.allow(at(109), per, 2), None);
        assert_eq!(window.allow(at(110), per, 2), Some(2));
        assert_eq!(window.allow(at(111), per, 2), Some(0));
    }
}
