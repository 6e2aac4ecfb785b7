//! Tells from the order of the host's calls what a description of the peer says of ICE, and whether it was an offer.
//!
//! chan_sip 11 reads a description from top to bottom: the ICE credentials and candidates if there are any, then the address, which
//! ends it. It says nothing when there are none. A description with an address and without ICE ends the use of ICE (RFC 8839 §4.2.5).
//! chan_motif may pass several addresses of one description, and a candidate with each.
//!
//! | host | the peer's offer | the peer's answer | the peer's answer in an ACK (RFC 3261 §14.1) |
//! |---|---|---|---|
//! | 11.0.0 | credentials, `start`, address, `activate`, our answer is read | credentials, `start`, address, `activate` | credentials, `start`, address |
//! | 11.25.3 | credentials, address, `activate`, our answer is read, `start` | credentials, `start`, address, `activate` | credentials, address |
//!
//! An INVITE without a description gets an offer of ours, after an `activate` as if it were an answer. So does one whose description
//! is the last one again (RFC 4028 refreshes), which chan_sip does not read. Credentials and roles stay the same in both: the second is
//! an answer, and any peer can answer the first.

use std::time::{Duration, Instant};

use asterisk::rtp::ADDRESS_ENDS_DESCRIPTION;

/// The facts known of the peer's last description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Described {
    has_ice: bool,
    ended: Option<Instant>,
}

impl Described {
    /// Records ICE credentials or a candidate. Returns whether it is the first line of ICE in its description.
    pub fn handle_ice(&mut self) -> bool {
        !std::mem::replace(&mut self.has_ice, true)
    }

    /// Records the address of a description. Returns whether the description has no line of ICE, on hosts where that can be told.
    pub fn handle_address(&mut self, now: Instant) -> bool {
        self.ended = Some(now);
        !std::mem::take(&mut self.has_ice) && ADDRESS_ENDS_DESCRIPTION
    }

    /// Records that a description ends without an address: the peer refuses the stream, or the call has ended.
    pub fn handle_stop(&mut self) {
        self.has_ice = false;
    }

    /// Returns whether the peer's last description was an answer, when the host activates the session of an established call. It answers
    /// an offer at once.
    pub fn was_answer(&self, now: Instant) -> bool {
        self.ended.is_some_and(|ended| now.saturating_duration_since(ended) > AT_ONCE)
    }
}

/// Longest time from an offer in mid-call to its answer, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8839_section_4_2_5_an_address_without_credentials_is_a_description_without_ice() {
        let (mut described, now) = (Described::default(), Instant::now());
        assert!(described.handle_ice());
        assert!(!described.handle_ice(), "ufrag and password come one at a time");
        assert!(!described.handle_address(now));
        assert_eq!(described.handle_address(now), ADDRESS_ENDS_DESCRIPTION);
        described.handle_ice();
        described.handle_stop();
        assert_eq!(described.handle_address(now), ADDRESS_ENDS_DESCRIPTION);
    }

    #[test]
    fn a_description_that_is_not_answered_at_once_was_an_answer() {
        let (mut described, now) = (Described::default(), Instant::now());
        assert!(!described.was_answer(now));
        described.handle_address(now);
        assert!(!described.was_answer(now));
        assert!(described.was_answer(now + 2 * AT_ONCE));
    }
}
