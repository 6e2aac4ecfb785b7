//! Pacing (RFC 8445 §14.2): the checks of all sessions together keep an interval, each session keeps its own, longer one.
//!
//! A session books a slot when it has a check to send, and sends at that time. So many sessions that begin at once take turns
//! without asking again and again. Checks that the peer triggers go out at once: there are no more of them than it sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Agent;
use crate::lifecycle::Lifecycle;

/// The slots for checks of all sessions that share it ([`Config::pacer`](crate::Config::pacer)).
#[derive(Debug)]
pub struct Pacer {
    began: Instant,
    /// The next free slot, in nanoseconds since `began`.
    free: AtomicU64,
    interval: Duration,
}

impl Pacer {
    /// Makes slots of 5 ms, the shortest interval that RFC 8445 §14.2 allows, from `now` on.
    pub fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self { began: now, free: AtomicU64::new(0), interval: Duration::from_millis(5) })
    }

    /// Takes the next free slot and returns when it is.
    fn book(&self, now: Instant) -> Instant {
        let now = now.saturating_duration_since(self.began).as_nanos() as u64;
        let interval = self.interval.as_nanos() as u64;
        let after = |free: u64| Some(free.max(now) + interval);
        let free = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after).unwrap_or_else(|free| free);
        self.began + Duration::from_nanos(free.max(now))
    }
}

impl Agent {
    /// §6.1.4.2: sends the next check if it is time for it.
    pub(crate) fn check_next(&mut self, now: Instant) {
        let Lifecycle::Checking { .. } = self.lifecycle else { return };
        self.check_triggered(now);
        if self.checklist.has_next() && self.is_turn(now) {
            self.slot = None;
            while let Some(id) = self.checklist.next() {
                if self.check(now, id) {
                    self.last_check = Some(now);
                    return;
                }
            }
        }
    }

    /// When [`Self::check_next`] has something to do.
    pub(crate) fn check_due(&self) -> Option<Instant> {
        let Lifecycle::Checking { since, .. } = self.lifecycle else { return None };
        let turn = self.last_check.map_or(since, |last| last + self.config.pacing);
        self.checklist.has_next().then(|| self.slot.map_or(turn, |slot| slot.max(turn)))
    }

    fn is_turn(&mut self, now: Instant) -> bool {
        if self.last_check.is_some_and(|last| now < last + self.config.pacing) {
            return false;
        }
        let Some(pacer) = &self.config.pacer else { return true };
        *self.slot.get_or_insert_with(|| pacer.book(now)) <= now
    }

    /// §7.3.1.4: sends a triggered check at once, unless its pair was checked a moment ago: two agents that refuse each
    /// other's checks would trigger one another in a tight loop.
    fn check_triggered(&mut self, now: Instant) {
        let pause = self.config.pacing;
        let rested = |at: Option<Instant>| at.is_none_or(|at| now >= at + pause);
        if let Some(id) = self.checklist.next_triggered(|pair| rested(pair.checked)) {
            self.check(now, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, THEIRS};
    use crate::{Component, Role};

    #[test]
    fn rfc8445_14_2_slots_are_five_milliseconds_apart_and_none_is_kept_for_later() {
        let start = Instant::now();
        let ms = |milliseconds| start + Duration::from_millis(milliseconds);
        let pacer = Pacer::new(start);
        assert_eq!([start; 3].map(|now| pacer.book(now)), [ms(0), ms(5), ms(10)]);
        assert_eq!([ms(1000), ms(1001)].map(|now| pacer.book(now)), [ms(1000), ms(1005)]);
    }

    #[test]
    fn rfc8445_14_2_sessions_that_begin_at_once_take_turns() {
        let pacer = Pacer::new(Instant::now());
        let shared = |_| Bench::with(Role::Controlling, |config| config.pacer = Some(pacer.clone())).start();
        let mut benches: Vec<_> = (0..4).map(shared).collect();
        let now = benches[0].now;
        for bench in &mut benches {
            bench.now = now;
            bench.add_remote(THEIRS);
        }
        let first = |bench: &mut Bench| {
            (0..100).find(|_| {
                let has_sent = !bench.sent().is_empty();
                bench.wait(1);
                has_sent
            })
        };
        let times: Vec<_> = benches.iter_mut().map(first).collect();
        assert_eq!(times, [Some(0), Some(5), Some(10), Some(15)]);
    }

    #[test]
    fn rfc8445_7_3_1_4_a_triggered_check_waits_for_nothing() {
        let mut bench = Bench::new(Role::Controlled);
        bench.add_remote("198.51.100.2:20000");
        assert_eq!(bench.sent().len(), 1);
        bench.check(THEIRS, false).unwrap();
        assert_eq!(bench.sent().len(), 1, "though another check has just been sent");
        assert_eq!(bench.agent.selected(Component::Rtp), None);
    }
}
