//! When the next RTCP report is due (RFC 3550 §6.2, §6.3).
//!
//! A telephone call has two members, so the bandwidth rule of §6.2 never exceeds its minimum
//! interval, and `rtcpinterval` in the host's configuration takes its place. The first report comes
//! after half of it (§6.2), so that the round trip is known early.

use std::time::{Duration, Instant};

/// How reports are spread around the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Exactly the interval, as the host's administrator configured it.
    Fixed,
    /// Between half and one and a half times the interval, divided by e - 3/2 (§6.3.1).
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
    /// A stopped schedule.
    pub fn new(interval: Duration, spacing: Spacing) -> Self {
        Self { interval, spacing, next: None }
    }

    /// Starts the timer unless it runs: when the first packet is sent or received. `random` is
    /// uniform over its range and matters with [`Spacing::Randomised`] only.
    pub fn start(&mut self, now: Instant, random: u32) {
        if self.next.is_none() {
            self.next = Some(now + self.spread(self.interval / 2, random));
        }
    }

    /// Stops the timer: RTCP was switched off, or the call ended.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Whether a report is due, in which case the timer is set for the one after.
    pub fn handle_timeout(&mut self, now: Instant, random: u32) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = Some(now + self.spread(self.interval, random));
        }
        due
    }

    /// When [`Self::handle_timeout`] next has something to say.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether reports are being sent.
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

/// e - 3/2: timer reconsideration converges below the intended average without it (§6.3.1).
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
