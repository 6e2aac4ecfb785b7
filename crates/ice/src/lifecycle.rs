//! The life of a session, from nothing to the end of its checks.

use std::time::Instant;

/// The state of the session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    /// Not started: we answer checks but send none.
    Idle,
    /// Started, but the peer's credentials are not known yet.
    Started,
    /// Checks are being sent. A component without a selected pair fails at `fail_at`; afterwards `fail_at` is `None`.
    Checking {
        since: Instant,
        fail_at: Option<Instant>,
    },
    Stopped,
}
