//! The rate at which feedback is acted on, and sent.
//!
//! A peer that has lost a picture repeats its PLI (RFC 4585 §6.3.1) or FIR (RFC 5104 §4.3.1) until it receives a whole
//! one. The requests that come while the encoder is still at work on the first one ask for nothing new.

use std::time::{Duration, Instant};

/// Lets something happen at most once in a given time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    last: Option<Instant>,
}

impl Pace {
    /// Whether at least `pause` has passed since this was last allowed. If so, the pause begins again.
    pub fn allows(&mut self, now: Instant, pause: Duration) -> bool {
        let is_allowed = self.last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if is_allowed {
            self.last = Some(now);
        }
        is_allowed
    }
}

/// The pause between two requests for a whole picture, in either direction. Each costs the host a message to the other
/// side of the call, and an encoder takes as long to answer.
pub const PICTURE_PACE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_wishes_is_one_wish_per_pause() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let asked = (0..100).map(|n| start + Duration::from_millis(n * 20));
        assert_eq!(asked.filter(|now| pace.allows(*now, PICTURE_PACE)).count(), 4);
    }
}
