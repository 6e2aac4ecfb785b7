//! The RTCP interval: when the next report is due (RFC 3550 §6.2, §6.3).
//!
//! A telephone call has two members, so the bandwidth rule of §6.2 never gives more than its minimum interval.
//! `rtcpinterval` in the host's configuration replaces that minimum. The first report is sent after half of it (§6.2),
//! so that the round trip is known early.

use std::time::{Duration, Instant};

/// The distribution of reports around the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Reports are exactly the interval apart, as the host's administrator configured it.
    Fixed,
    /// Reports are 0.5 to 1.5 times the interval apart, divided by e - 3/2 (§6.3.1).
    Randomised,
}

/// The timer of one session's reports.
#[derive(Debug, Clone)]
pub struct ReportTimer {
    interval: Duration,
    spacing: Spacing,
    next: Option<Instant>,
}

impl ReportTimer {
    /// Creates a stopped timer.
    pub fn new(interval: Duration, spacing: Spacing) -> Self {
        Self { interval, spacing, next: None }
    }

    /// Starts the timer, unless it runs already. Call it when the first packet is sent or received. `random` has to be
    /// uniformly distributed over its range; only [`Spacing::Randomised`] uses it.
    pub fn start(&mut self, now: Instant, random: u32) {
        if self.next.is_none() {
            self.next = Some(now + self.spread(self.interval / 2, random));
        }
    }

    /// Stops the timer, because RTCP was switched off or the call ended.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Whether a report is due. If so, the timer is set for the next one. `random` is used as by [`Self::start`].
    pub fn handle_timeout(&mut self, now: Instant, random: u32) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = Some(now + self.spread(self.interval, random));
        }
        due
    }

    /// When [`Self::handle_timeout`] next has something to do; `None` while the timer is stopped.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether the timer runs.
    pub fn is_running(&self) -> bool {
        self.next.is_some()
    }

    fn spread(&self, interval: Duration, random: u32) -> Duration {
        match self.spacing {
            Spacing::Fixed => interval,
            Spacing::Randomised => {
                let factor = 0.5 + f64::from(random) / (f64::from(u32::MAX) + 1.0);
                interval.mul_f64(factor / COMPENSATION)
            }
        }
    }
}

/// e - 3/2. Without it, timer reconsideration converges to less than the intended average (§6.3.1).
const COMPENSATION: f64 = std::f64::consts::E - 1.5;

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn rfc3550_section_6_2_first_report_after_half_the_interval() {
        let now = Instant::now();
        let mut schedule = ReportTimer::new(INTERVAL, Spacing::Fixed);
        assert!(!schedule.handle_timeout(now, 0));
        schedule.start(now, 0);
        schedule.start(now + Duration::from_secs(1), 0);
        assert_eq!(schedule.poll_timeout(), Some(now + INTERVAL / 2));
        assert!(!schedule.handle_timeout(now + Duration::from_secs(2), 0));
        let due = now + INTERVAL / 2;
        assert!(schedule.handle_timeout(due, 0));
        assert!(!schedule.handle_timeout(due, 0));
        assert_eq!(schedule.poll_timeout(), Some(due + INTERVAL));
        schedule.stop();
        assert!(!schedule.is_running());
    }

    #[test]
    fn rfc3550_section_6_3_1_randomised_interval() {
        let now = Instant::now();
        let next = |random| {
            let mut schedule = ReportTimer::new(INTERVAL * 2, Spacing::Randomised);
            schedule.start(now, random);
            schedule.poll_timeout().unwrap() - now
        };
        assert_eq!(next(0), INTERVAL.mul_f64(0.5 / COMPENSATION));
        assert!(next(u32::MAX) < INTERVAL.mul_f64(1.5 / COMPENSATION) + Duration::from_micros(1));
        assert!(next(u32::MAX / 2) > next(0));
    }
}
