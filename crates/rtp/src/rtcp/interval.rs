//! The RTCP interval: when the next report is due (RFC 3550 §6.2, §6.3).
//!
//! A telephone call has two members, so the bandwidth rule of §6.2 never gives more than its minimum interval.
//! `rtcpinterval` in the host's configuration replaces that minimum. Reports come at random times around it, so that those of many
//! calls do not fall together (§6.3.1). The first one comes after half of it (§6.2), so that the round trip is known early.

use std::time::{Duration, Instant};

/// The timer of one session's reports.
#[derive(Debug, Clone)]
pub struct ReportTimer {
    interval: Duration,
    running: Option<Running>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    /// When the last report was sent, or else the timer started (`tp`).
    last: Instant,
    /// When to look whether a report is due (`tn`).
    next: Instant,
    /// The interval that is meant on average: half of it before the first report.
    interval: Duration,
}

impl ReportTimer {
    /// Creates a stopped timer with this average interval.
    pub fn new(interval: Duration) -> Self {
        Self { interval, running: None }
    }

    /// Starts the timer, unless it runs already. Call it when the first packet is sent or received. `random` has to be uniformly
    /// distributed over its range.
    pub fn start(&mut self, now: Instant, random: u32) {
        let interval = self.interval / 2;
        self.running.get_or_insert_with(|| Running { last: now, next: now + spread(interval, random), interval });
    }

    /// Stops the timer, because RTCP was switched off or the call ended.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Whether a report is due. If so, the timer is set for the next one. `random` is asked for numbers that are uniformly distributed
    /// over their range.
    pub fn handle_timeout(&mut self, now: Instant, mut random: impl FnMut() -> u32) -> bool {
        let Some(running) = self.running.as_mut().filter(|running| running.next <= now) else { return false };
        // Reconsideration (§6.3.6): the time is drawn again, and the report goes only if that has passed as well.
        running.next = running.last + spread(running.interval, random());
        if running.next > now {
            return false;
        }
        let interval = self.interval;
        *running = Running { last: now, next: now + spread(interval, random()), interval };
        true
    }

    /// When [`Self::handle_timeout`] next has something to do; `None` while the timer is stopped.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.running.map(|running| running.next)
    }

    /// Whether the timer runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

/// Draws a time between 0.5 and 1.5 times the interval, compensated for reconsideration (§6.3.1).
fn spread(interval: Duration, random: u32) -> Duration {
    let factor = 0.5 + f64::from(random) / (f64::from(u32::MAX) + 1.0);
    interval.mul_f64(factor / COMPENSATION)
}

/// e - 3/2. Without it, reconsideration makes the average longer than the interval that is meant (§6.3.1).
const COMPENSATION: f64 = std::f64::consts::E - 1.5;

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn rfc3550_section_6_2_first_report_after_half_the_interval() {
        let now = Instant::now();
        let mut timer = ReportTimer::new(INTERVAL);
        assert!(!timer.handle_timeout(now, || 0));
        timer.start(now, 0);
        timer.start(now + Duration::from_secs(1), u32::MAX);
        let due = now + (INTERVAL / 2).mul_f64(0.5 / COMPENSATION);
        assert_eq!(timer.poll_timeout(), Some(due));
        assert!(!timer.handle_timeout(due - Duration::from_millis(1), || 0));
        assert!(timer.handle_timeout(due, || 0));
        assert!(!timer.handle_timeout(due, || 0));
        assert_eq!(timer.poll_timeout(), Some(due + INTERVAL.mul_f64(0.5 / COMPENSATION)));
        timer.stop();
        assert!(!timer.is_running());
    }

    #[test]
    fn rfc3550_section_6_3_1_reports_are_random_times_apart_and_the_interval_on_average() {
        let start = Instant::now();
        let mut state = 7_u32;
        let mut random = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            state
        };
        let mut timer = ReportTimer::new(INTERVAL);
        timer.start(start, random());
        let mut sent = Vec::new();
        while sent.len() < 4000 {
            let now = timer.poll_timeout().unwrap();
            if timer.handle_timeout(now, &mut random) {
                sent.push(now);
            }
        }
        let apart = || sent.windows(2).map(|two| (two[1] - two[0]).as_secs_f64() / INTERVAL.as_secs_f64());
        assert!(apart().all(|apart| (0.41..1.24).contains(&apart)));
        let mean = apart().sum::<f64>() / 3999.0;
        assert!((0.97..1.03).contains(&mean), "{mean}");
        let lengths = [0.5..0.8, 0.8..1.0, 1.0..1.2].map(|range| apart().filter(|apart| range.contains(apart)).count());
        assert!(lengths.iter().all(|count| *count > 400), "{lengths:?}");
    }

    #[test]
    fn rfc3550_section_6_3_6_a_report_is_put_off_when_the_time_drawn_again_is_later() {
        let now = Instant::now();
        let mut timer = ReportTimer::new(INTERVAL);
        timer.start(now, 0);
        let first = timer.poll_timeout().unwrap();
        assert!(!timer.handle_timeout(first, || u32::MAX));
        let later = timer.poll_timeout().unwrap();
        assert!(later > first && timer.handle_timeout(later, || u32::MAX / 2));
    }
}
