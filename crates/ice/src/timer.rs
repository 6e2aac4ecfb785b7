//! The timers of a session: their names, and a table with the instant at which each is due.

use std::time::Instant;

/// The timers of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Ta has passed: the next pair of the checklist is checked (RFC 8445 §6.1.4.2).
    Check,
    /// A check was not answered: it is retransmitted, or its pair fails (§14.3).
    Retransmit,
    /// The wait for a better pair is over: the best valid pair is nominated (§8.1.1).
    Nominate,
    /// A consent check is due, or consent has expired (RFC 7675 §5.1).
    Consent,
    /// Components without a selected pair fail (§8.1.2).
    Failure,
    /// Nothing comes along the path in use during a restart: another one is used (`follow.rs`).
    Silence,
    /// Consent for the path selected before a restart expires (§9).
    OldPath,
}

/// When each timer is due; `None` for a timer that does not run.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; 7]);

impl Timers {
    pub fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}
