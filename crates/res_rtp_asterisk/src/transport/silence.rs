//! Decides whether a session that the host has stopped still sends reports, checks and handshakes.
//!
//! chan_sip stops an instance at the end of the call and keeps it for another 32 s, while the peer's port may already serve the next
//! call. It stops it for a hold as well, and for a stream that the peer refuses. A hold follows this order: the peer's description
//! (the remote address), `stop` at once, `activate`. Without a description right before the `stop` the stream was refused or the call
//! has ended, without an `activate` after it the call has ended. A hold that is answered in an ACK lacks the `activate`; no browser
//! does that, and such a session is silent until its next description.
//!
//! Video and text are never activated, and are stopped for no hold: there a description ends the silence, and a `stop` the stream.
//!
//! When the peer answers a call that is cancelled at that moment (RFC 3261 §9.1), chan_sip stops the instance, reads the peer's
//! description all the same, and activates it. An `activate` shortly after the end does not end the silence.

use std::time::{Duration, Instant};

/// Whether the session may send anything but answers to the peer's checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silence {
    /// When the host passed a description of the peer. It has not activated the session since.
    described: Option<Instant>,
    is_silent: bool,
    /// When the host stopped the session without a description of the peer before. It has not activated the session since.
    ended: Option<Instant>,
}

impl Silence {
    /// Returns whether nothing is sent, except for answers to the peer's checks.
    pub fn is_silent(self) -> bool {
        self.is_silent
    }

    /// Records that the host passes a description of the peer. It ends the silence.
    pub fn handle_description(&mut self, now: Instant) {
        (self.described, self.is_silent) = (Some(now), false);
    }

    /// Records that the host has stopped the session.
    pub fn handle_stop(&mut self, now: Instant) {
        self.ended = self.ends_with_stop(now).then_some(now);
        self.is_silent = true;
    }

    /// Returns whether a stop now ends the stream, and is no hold.
    pub fn ends_with_stop(self, now: Instant) -> bool {
        self.described.is_none_or(|described| now.saturating_duration_since(described) >= DESCRIPTION)
    }

    /// Records that the host has activated the session. If its description has crossed the end of the call, the silence goes on.
    pub fn handle_activation(&mut self, now: Instant) {
        let has_crossed = self.ended.take().is_some_and(|ended| now < ended + CROSSING);
        self.is_silent = has_crossed || self.is_silent && self.described.is_none();
        self.described = None;
    }
}

/// A description whose session is activated earlier after the end of a call was on its way by then. A stream of audio that was refused is
/// not offered again so soon.
const CROSSING: Duration = Duration::from_secs(1);

/// The longest time from the address in a description to the `stop` that is a hold: the host does both in one function, on a busy machine.
const DESCRIPTION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn up(now: Instant) -> Silence {
        let mut silence = Silence::default();
        silence.handle_description(now);
        silence.handle_activation(now);
        silence
    }

    #[test]
    fn a_call_that_ends_falls_silent_whether_it_was_answered_or_not() {
        let now = Instant::now();
        let mut answered = up(now);
        answered.handle_stop(now);
        assert!(answered.is_silent());
        let mut unanswered = Silence::default();
        unanswered.handle_description(now);
        unanswered.handle_stop(now);
        assert!(unanswered.is_silent());
    }

    #[test]
    fn rfc3261_section_9_1_an_answer_that_crosses_the_cancel_leaves_the_silence() {
        let now = Instant::now();
        for mut ringing in [Silence::default(), up(now)] {
            ringing.handle_stop(now);
            for _ in ["the start of ICE", "the address"] {
                ringing.handle_description(now);
            }
            ringing.handle_activation(now + CROSSING / 2);
            assert!(ringing.is_silent());
        }
    }

    #[test]
    fn a_hold_goes_on_with_reports_and_checks() {
        let now = Instant::now();
        let mut held = up(now);
        assert!(held.ends_with_stop(now));
        held.handle_description(now);
        assert!(!held.ends_with_stop(now));
        held.handle_stop(now);
        held.handle_activation(now);
        assert!(!held.is_silent() && held.ends_with_stop(now));
        held.handle_stop(now);
        assert!(held.is_silent(), "the held call has ended");
    }

    #[test]
    fn a_hold_that_is_answered_in_an_ack_is_silent_until_the_next_description() {
        let now = Instant::now();
        let mut held = up(now);
        held.handle_description(now);
        held.handle_stop(now);
        held.handle_description(now);
        assert!(!held.is_silent());
    }

    #[test]
    fn a_refused_stream_is_silent_until_it_is_described_again() {
        let now = Instant::now();
        for is_activated in [true, false] {
            let mut refused = up(now);
            refused.handle_stop(now);
            if is_activated {
                refused.handle_activation(now);
            }
            assert!(refused.is_silent());
            refused.handle_description(now);
            refused.handle_activation(now + CROSSING);
            assert!(!refused.is_silent());
        }
    }

    #[test]
    fn video_that_comes_right_after_a_description_without_it_is_heard_though_nobody_activates_it() {
        let now = Instant::now();
        let mut video = Silence::default();
        video.handle_stop(now);
        video.handle_description(now);
        assert!(!video.is_silent());
    }

    #[test]
    fn video_that_nobody_activates_ends_with_its_stop() {
        let now = Instant::now();
        let mut video = Silence::default();
        video.handle_description(now);
        assert!(video.ends_with_stop(now + DESCRIPTION));
        video.handle_stop(now + DESCRIPTION);
        assert!(video.is_silent());
    }

    #[test]
    fn an_answer_that_crosses_the_cancel_of_a_call_with_early_media_leaves_the_silence() {
        let now = Instant::now();
        let mut early = Silence::default();
        early.handle_description(now);
        early.handle_stop(now + DESCRIPTION);
        early.handle_description(now + DESCRIPTION);
        early.handle_activation(now + DESCRIPTION + CROSSING / 2);
        assert!(early.is_silent());
    }
}
