//! Patience with servers: pauses between attempts that fail, and one line in the log for many failures.

use std::time::{Duration, Instant};

/// Pauses after failures in a row, each twice as long as the one before, up to a limit.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// No failure so far.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, until: None }
    }

    /// Notes a failure, after which there is a pause.
    pub fn handle_failure(&mut self, now: Instant) {
        let pause = self.first.saturating_mul(1 << self.failures.min(10)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + pause);
    }

    /// Notes a success: the pause after the next failure is the first again.
    pub fn handle_success(&mut self) {
        self.failures = 0;
    }

    /// Returns whether another attempt may be made.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Returns when the last pause ends, or has ended.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Returns the number of failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Lets one line in an hour pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hourly(Option<Instant>);

impl Hourly {
    /// Asks to write a line.
    pub fn allow(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|last| now.saturating_duration_since(last) >= HOUR);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew_after_a_success() {
        let now = Instant::now();
        let mut backoff = Backoff::new(5 * SECOND, 300 * SECOND);
        assert!(backoff.is_over(now));
        let pause = |backoff: &mut Backoff| {
            backoff.handle_failure(now);
            backoff.until().unwrap() - now
        };
        assert_eq!([(); 4].map(|()| pause(&mut backoff)), [5, 10, 20, 40].map(|seconds| seconds * SECOND));
        (0..40).for_each(|_| backoff.handle_failure(now));
        assert_eq!(pause(&mut backoff), 300 * SECOND);
        assert!(!backoff.is_over(now + 299 * SECOND) && backoff.is_over(now + 300 * SECOND));
        backoff.handle_success();
        assert_eq!(pause(&mut backoff), 5 * SECOND);
    }

    #[test]
    fn a_line_passes_once_an_hour() {
        let (mut hourly, now) = (Hourly::default(), Instant::now());
        let passed: Vec<u32> = (0..150).filter(|minute| hourly.allow(now + *minute * 60 * SECOND)).collect();
        assert_eq!(passed, [0, 60, 120]);
    }
}
