//! Decides whether a session that the host has stopped still sends reports, checks and handshakes.
//!
//! chan_sip stops an instance at the end of the call and keeps it for another 32 s, while the peer's port may already serve the next
//! call. It stops it for a hold as well, and for a stream that the peer refuses. A hold follows this order: the peer's description
//! (the remote address), `stop`, `activate`. Without a description before the `stop` the stream was refused, without
//! an `activate` after it the call has ended. A hold that is answered in an ACK lacks the `activate`; no browser does that, and such a
//! session is silent until its next description.

/// Whether the session may send anything but answers to the peer's checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// The host has passed a description of the peer and has not activated the session since.
    is_described: bool,
    is_silent: bool,
}

impl Silence {
    /// Returns whether nothing is sent, except for answers to the peer's checks.
    pub fn is_silent(self) -> bool {
        self.is_silent
    }

    /// Records that the host passes a description of the peer, which also ends the silence.
    pub fn handle_description(&mut self) {
        *self = Self { is_described: true, is_silent: false };
    }

    /// Records that the host has stopped the session.
    pub fn handle_stop(&mut self) {
        self.is_silent = true;
    }

    /// Returns whether a stop now ends the stream, and is no hold.
    pub fn ends_with_stop(self) -> bool {
        !self.is_described
    }

    /// Records that the host has activated the session.
    pub fn handle_activation(&mut self) {
        self.is_silent &= !self.is_described;
        self.is_described = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Silence {
        let mut silence = Silence::default();
        silence.handle_description();
        silence.handle_activation();
        silence
    }

    #[test]
    fn a_call_that_ends_falls_silent_whether_it_was_answered_or_not() {
        let mut answered = up();
        answered.handle_stop();
        assert!(answered.is_silent());
        let mut unanswered = Silence::default();
        unanswered.handle_description();
        unanswered.handle_stop();
        assert!(unanswered.is_silent());
    }

    #[test]
    fn a_hold_goes_on_with_reports_and_checks() {
        let mut held = up();
        assert!(held.ends_with_stop());
        held.handle_description();
        assert!(!held.ends_with_stop());
        held.handle_stop();
        held.handle_activation();
        assert!(!held.is_silent() && held.ends_with_stop());
        held.handle_stop();
        assert!(held.is_silent(), "the held call has ended");
    }

    #[test]
    fn a_refused_stream_is_silent_until_it_is_described_again() {
        let mut refused = up();
        refused.handle_stop();
        refused.handle_activation();
        assert!(refused.is_silent());
        refused.handle_description();
        assert!(!refused.is_silent());
    }
}
