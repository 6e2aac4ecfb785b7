//! The monotonic clock.

use std::time::Instant;

use crate::cost;

/// Returns this moment. Everything here that reads the clock does it by this function, which counts that in tests.
pub fn now() -> Instant {
    cost::note(cost::Deed::ReadClock);
    Instant::now()
}
