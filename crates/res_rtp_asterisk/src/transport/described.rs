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

use asterisk::rtp::ADDRESS_ENDS_DESCRIPTION;

/// What is known of the peer's last description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Described {
    has_ice: bool,
    /// The host has activated the session since the description, and has not read ours since.
    is_activated: bool,
}

impl Described {
    /// Records ICE credentials or a candidate. Returns whether it is the first line of ICE in its description.
    pub fn handle_ice(&mut self) -> bool {
        self.is_activated = false;
        !std::mem::replace(&mut self.has_ice, true)
    }

    /// Records the address of a description. Returns whether the description has no line of ICE, on hosts where that can be told.
    pub fn handle_address(&mut self) -> bool {
        !std::mem::take(&mut self.has_ice) && ADDRESS_ENDS_DESCRIPTION
    }

    /// Records that a description ends without an address: the peer refuses the stream, or the call has ended.
    pub fn handle_stop(&mut self) {
        self.has_ice = false;
    }

    /// Records that the host activates the session. Returns whether the peer's last description was an answer: the host has activated
    /// the session for it before, and has not read a description of ours.
    pub fn handle_activation(&mut self) -> bool {
        std::mem::replace(&mut self.is_activated, true)
    }

    /// Records that the host reads our description.
    pub fn handle_ours(&mut self) {
        self.is_activated = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8839_section_4_2_5_an_address_without_credentials_is_a_description_without_ice() {
        let mut described = Described::default();
        assert!(described.handle_ice());
        assert!(!described.handle_ice(), "ufrag and password come one at a time");
        assert!(!described.handle_address());
        assert_eq!(described.handle_address(), ADDRESS_ENDS_DESCRIPTION);
        described.handle_ice();
        described.handle_stop();
        assert_eq!(described.handle_address(), ADDRESS_ENDS_DESCRIPTION);
    }

    #[test]
    fn a_description_that_is_activated_twice_and_not_answered_was_an_answer() {
        let mut described = Described::default();
        described.handle_ice();
        assert!(!described.handle_activation());
        described.handle_ours();
        assert!(!described.handle_activation(), "it was an offer");
        described.handle_ice();
        assert!(!described.handle_activation());
        assert!(described.handle_activation());
    }
}
