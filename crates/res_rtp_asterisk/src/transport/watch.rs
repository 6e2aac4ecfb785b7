//! Decides which thread reads a session's sockets: the channel's thread as long as it reads, otherwise the worker thread.
//!
//! This module only keeps the state; the caller changes the epoll set and reads the sockets as [`Change`] says.

use std::time::{Duration, Instant};

/// Time that a datagram waits for the channel's thread before the worker thread reads it.
pub const PATIENCE: Duration = Duration::from_millis(20);

/// As [`PATIENCE`], for a channel that has read for [`STEADY`]: looking after each packet would cost as much as the packet.
const TRUST: Duration = Duration::from_millis(100);

/// Time of reading without a pause of [`TRUST`] after which a channel is trusted to go on.
const STEADY: Duration = Duration::from_secs(2);

/// Time without a read and without a datagram after which the sockets are watched with epoll, instead of being polled by timer.
const QUIET: Duration = Duration::from_millis(100);

/// Timers of all sessions are aligned to this grid, so that the worker thread wakes up once for many sessions.
const GRID: Duration = Duration::from_millis(10);

/// How a session's sockets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Only the channel's thread reads: the session uses neither ICE nor DTLS.
    Off,
    /// The channel's thread reads. The sockets are polled by timer.
    Reading {
        /// The time of the first read after which there was no pause.
        since: Instant,
        /// The time of the last read.
        last: Instant,
    },
    /// Nothing arrives. The sockets are in the epoll set; the channel's thread may read at any time.
    Waiting,
    /// A datagram arrived at this time. The channel's thread has [`PATIENCE`] to read it.
    Suspecting(Instant),
    /// The channel's thread does not read, so the worker thread does.
    Taking,
}

/// The change that the caller has to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No change.
    None,
    /// Add the sockets to the epoll set.
    Watch,
    /// Remove the sockets from the epoll set.
    Unwatch,
    /// Add the sockets to the epoll set, and read them.
    Take,
}

impl Watch {
    /// Starts watching: ICE or DTLS begins, and datagrams need an answer from now on.
    pub fn begin(&mut self) -> Change {
        if *self != Self::Off {
            return Change::None;
        }
        *self = Self::Taking;
        Change::Take
    }

    /// Stops watching: datagrams need no answer any more.
    pub fn end(&mut self) -> Change {
        let change = if self.is_watched() { Change::Unwatch } else { Change::None };
        *self = Self::Off;
        change
    }

    /// Records that the channel's thread reads.
    pub fn handle_read(&mut self, now: Instant) -> Change {
        let change = if self.is_watched() { Change::Unwatch } else { Change::None };
        *self = match *self {
            Self::Off => Self::Off,
            Self::Reading { since, last } if now.saturating_duration_since(last) < TRUST => {
                Self::Reading { since, last: now }
            }
            _ => Self::Reading { since: now, last: now },
        };
        change
    }

    /// Handles a socket of the epoll set that is readable.
    pub fn handle_readable(&mut self, now: Instant) -> Change {
        match self {
            Self::Waiting => {
                *self = Self::Suspecting(now);
                Change::Unwatch
            }
            Self::Taking => Change::Take,
            // The event is older than the channel's last read.
            Self::Off | Self::Reading { .. } | Self::Suspecting(_) => Change::None,
        }
    }

    /// Handles a deadline. `waits` returns whether a socket is readable.
    pub fn handle_timeout(&mut self, now: Instant, waits: impl FnOnce() -> bool) -> Change {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return Change::None;
        }
        match *self {
            Self::Reading { last, .. } if waits() => {
                // The datagram arrived after the last read, and most likely within one grid step.
                *self = Self::Suspecting(last.max(now - GRID));
                Change::None
            }
            Self::Reading { last, .. } if now.saturating_duration_since(last) > QUIET => {
                *self = Self::Waiting;
                Change::Watch
            }
            Self::Suspecting(_) => {
                *self = Self::Taking;
                Change::Take
            }
            _ => Change::None,
        }
    }

    /// Returns when [`Self::handle_timeout`] is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Reading { since, last } if *last - *since >= STEADY => Some(*last + TRUST),
            Self::Reading { last, .. } => Some(*last + PATIENCE),
            Self::Suspecting(since) => Some(*since + PATIENCE),
            Self::Off | Self::Waiting | Self::Taking => None,
        }
    }

    /// Returns whether the sockets are in the worker thread's epoll set.
    pub fn is_watched(&self) -> bool {
        matches!(self, Self::Waiting | Self::Taking)
    }
}

/// Returns the first time on the grid from `origin` that is not before `deadline` and is later than `now`.
pub fn on_grid(origin: Instant, now: Instant, deadline: Instant) -> Instant {
    // Later than `now`: a deadline of `now` would make the worker thread run it again and again.
    let since = deadline.max(now + Duration::from_micros(1)).saturating_duration_since(origin);
    let steps = since.as_micros().div_ceil(GRID.as_micros());
    origin + Duration::from_micros(u64::try_from(steps * GRID.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_channel_that_reads_every_twenty_milliseconds_is_left_alone() {
        let start = Instant::now();
        let mut watch = Watch::Off;
        assert_eq!(watch.begin(), Change::Take);
        assert_eq!(watch.handle_read(start), Change::Unwatch);
        for n in 1..50 {
            let now = start + MS * 21 * n;
            assert_eq!(watch.handle_timeout(now, || false), Change::None);
            assert_eq!(watch.handle_read(now + MS), Change::None);
            assert!(matches!(watch, Watch::Reading { last, .. } if last == now + MS));
        }
    }

    #[test]
    fn what_the_channel_leaves_lying_is_taken_after_twenty_milliseconds() {
        let start = Instant::now();
        let mut watch = Watch::Reading { since: start, last: start };
        assert_eq!(watch.handle_timeout(start + MS * 19, || true), Change::None);
        assert_eq!(watch.handle_timeout(start + MS * 20, || true), Change::None);
        assert_eq!(watch.poll_timeout(), Some(start + MS * 30));
        assert_eq!(watch.handle_timeout(start + MS * 30, || true), Change::Take);
        assert_eq!(watch.handle_readable(start + MS * 40), Change::Take);
        assert_eq!(watch.handle_read(start + MS * 41), Change::Unwatch);
    }

    #[test]
    fn a_channel_that_has_read_for_two_seconds_is_looked_after_less_often() {
        let start = Instant::now();
        let mut watch = Watch::Reading { since: start, last: start };
        (1..=100).for_each(|n| assert_eq!(watch.handle_read(start + MS * 20 * n), Change::None));
        let last = start + MS * 2000;
        assert_eq!(watch.poll_timeout(), Some(last + MS * 100));
        assert_eq!(watch.handle_timeout(last + MS * 99, || true), Change::None);
        assert_eq!(watch.handle_timeout(last + MS * 100, || true), Change::None);
        assert_eq!(watch.handle_timeout(last + MS * 110, || true), Change::Take);
        watch.handle_read(last + MS * 111);
        assert_eq!(watch.poll_timeout(), Some(last + MS * 131), "its pause is remembered");
    }

    #[test]
    fn silence_is_waited_for_without_a_clock() {
        let start = Instant::now();
        let mut watch = Watch::Reading { since: start, last: start };
        assert_eq!(watch.handle_timeout(start + MS * 101, || false), Change::Watch);
        assert_eq!(watch.poll_timeout(), None);
        let came = start + MS * 5000;
        assert_eq!(watch.handle_readable(came), Change::Unwatch);
        assert_eq!(watch.poll_timeout(), Some(came + PATIENCE));
        assert_eq!(watch.handle_read(came + MS), Change::None);
        assert_eq!(watch, Watch::Reading { since: came + MS, last: came + MS });
    }

    #[test]
    fn deadlines_of_many_sessions_fall_together() {
        let origin = Instant::now();
        let at = |ms: u32| on_grid(origin, origin + MS * 100, origin + MS * ms);
        assert_eq!(at(121), at(129));
        assert_eq!(at(121), origin + MS * 130);
        assert_eq!(at(120), origin + MS * 120);
        assert_eq!(at(5), origin + MS * 110);
    }
}
