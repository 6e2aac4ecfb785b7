//! What happens by the clock: a name for each, and a small table of instants.

use std::time::Instant;

/// The timers of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Ta has passed: the next pair of the checklist is checked (RFC 8445 §6.1.4.2).
    Check,
    /// A check was not answered: it is repeated, or its pair fails (§14.3).
    Retransmit,
    /// Better pairs had their chance: the best valid one is nominated (§8.1.1).
    Nominate,
    /// The selected pair is checked again, or consent to send has run out (RFC 7675 §5.1).
    Consent,
    /// Components without a selected pair have failed (§8.1.2).
    Failure,
    /// The path of before the restart is no longer consented to (§9).
    OldPath,
}

/// When each of them is due.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; 6]);

impl Timers {
    pub fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}
