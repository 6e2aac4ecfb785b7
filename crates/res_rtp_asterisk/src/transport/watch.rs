//! Decides which thread reads a session's sockets: the channel's thread as long as it reads, otherwise the worker thread.
//!
//! This is bookkeeping without I/O, so that it can be tested; the caller applies each [`Change`] to the sockets.

use std::time::{Duration, Instant};

/// A datagram waits this long for the channel's thread before the worker thread takes it.
pub const PATIENCE: Duration = Duration::from_millis(20);

/// Once a channel has not read for this long, and nothing is there to read, its sockets are watched in place of a timer.
const QUIET: Duration = Duration::from_millis(100);

/// The grid that the deadlines of all sessions fall on, so that one wake-up serves many.
const GRID: Duration = Duration::from_millis(10);

/// The state of the sockets of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Without ICE and DTLS: only the channel's thread reads.
    Off,
    /// The channel's thread reads. It last did at this moment.
    Reading(Instant),
    /// Nothing arrives. Both threads wait for the sockets, and the first one reads.
    Waiting,
    /// A datagram arrived at this moment, and the channel's thread has [`PATIENCE`] to read it.
    Suspecting(Instant),
    /// The channel's thread does not read, so the worker thread does.
    Taking,
}

/// The action that the caller has to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No action.
    None,
    /// Let the worker thread wait for the sockets.
    Watch,
    /// Stop waiting for the sockets.
    Unwatch,
    /// Let the worker thread wait for the sockets, and receive the datagrams that are there.
    Take,
}

impl Watch {
    /// Notes that ICE or DTLS begins: from now on datagrams may have to be answered.
    pub fn begin(&mut self) -> Change {
        if *self != Self::Off {
            return Change::None;
        }
        *self = Self::Taking;
        Change::Take
    }

    /// Notes that datagrams need no answer any more.
    pub fn end(&mut self) -> Change {
        let change = if self.is_watched() { Change::Unwatch } else { Change::None };
        *self = Self::Off;
        change
    }

    /// Notes that the channel's thread reads.
    pub fn handle_read(&mut self, now: Instant) -> Change {
        let change = if self.is_watched() { Change::Unwatch } else { Change::None };
        if *self != Self::Off {
            *self = Self::Reading(now);
        }
        change
    }

    /// Notes that a watched socket is readable.
    pub fn handle_readable(&mut self, now: Instant) -> Change {
        match self {
            Self::Waiting => {
                *self = Self::Suspecting(now);
                Change::Unwatch
            }
            Self::Taking => Change::Take,
            // The event is older than the channel's last read.
            Self::Off | Self::Reading(_) | Self::Suspecting(_) => Change::None,
        }
    }

    /// Lets time pass. `waits` returns whether a socket has something to read.
    pub fn handle_timeout(&mut self, now: Instant, waits: impl FnOnce() -> bool) -> Change {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return Change::None;
        }
        match *self {
            Self::Reading(last) if waits() => {
                // It arrived after the last look, which was one step of the grid ago at most.
                *self = Self::Suspecting(last.max(now - GRID));
                Change::None
            }
            Self::Reading(last) if now.saturating_duration_since(last) > QUIET => {
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

    /// Returns when [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Reading(last) => Some(*last + PATIENCE),
            Self::Suspecting(since) => Some(*since + PATIENCE),
            Self::Off | Self::Waiting | Self::Taking => None,
        }
    }

    /// Returns whether the worker thread waits for the sockets.
    pub fn is_watched(&self) -> bool {
        matches!(self, Self::Waiting | Self::Taking)
    }
}

/// Returns the first moment on the grid that is not before `deadline` and later than `now`.
pub fn on_grid(origin: Instant, now: Instant, deadline: Instant) -> Instant {
    // Strictly later: a deadline of `now` would be served again and again.
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
            assert_eq!(watch, Watch::Reading(now + MS));
        }
    }

    #[test]
    fn what_the_channel_leaves_lying_is_taken_after_twenty_milliseconds() {
        let start = Instant::now();
        let mut watch = Watch::Reading(start);
        assert_eq!(watch.handle_timeout(start + MS * 19, || true), Change::None);
        assert_eq!(watch.handle_timeout(start + MS * 20, || true), Change::None);
        assert_eq!(watch.poll_timeout(), Some(start + MS * 30));
        assert_eq!(watch.handle_timeout(start + MS * 30, || true), Change::Take);
        assert_eq!(watch.handle_readable(start + MS * 40), Change::Take);
        assert_eq!(watch.handle_read(start + MS * 41), Change::Unwatch);
    }

    #[test]
    fn silence_is_waited_for_without_a_clock() {
        let start = Instant::now();
        let mut watch = Watch::Reading(start);
        assert_eq!(watch.handle_timeout(start + MS * 101, || false), Change::Watch);
        assert_eq!(watch.poll_timeout(), None);
        let came = start + MS * 5000;
        assert_eq!(watch.handle_readable(came), Change::Unwatch);
        assert_eq!(watch.poll_timeout(), Some(came + PATIENCE));
        assert_eq!(watch.handle_read(came + MS), Change::None);
        assert_eq!(watch, Watch::Reading(came + MS));
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
