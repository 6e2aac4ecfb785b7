//! Reads the monotonic clock.

use std::time::Instant;

use crate::cost;

/// Returns the current time. All code of this crate reads the clock through this function, so that tests can count the readings.
pub fn now() -> Instant {
    cost::note(cost::Deed::ReadClock);
    Instant::now()
}
