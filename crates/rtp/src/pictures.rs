//! Video between two legs of a call: how far the clock has advanced from packet to packet, where another source begins, and when
//! the receiver needs a whole picture (a decoder refresh point, RFC 5104 §3.5.1).
//!
//! The host passes video on packet by packet and numbers the packets anew, so a receiver cannot see in the sequence numbers that a
//! transfer has brought another encoder. It shows pieces of pictures until the encoder happens to send a whole one.

use std::time::{Duration, Instant};

use crate::rtcp::{PICTURE_PACE, Pace};
use crate::timestamp::{RtpTimestamp, SequenceNumber, ticks};

/// The clock of all video payloads that the host knows, in hertz (RFC 3551 §5).
pub const CLOCK: u32 = 90_000;

/// The advance of the timestamp from one received packet to the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Advance {
    last: Option<(Instant, RtpTimestamp)>,
    has_other_source: bool,
}

impl Advance {
    /// Notes that the next packet is of another source, whose timestamps have nothing to do with those before.
    pub fn handle_other_source(&mut self) {
        self.has_other_source = true;
    }

    /// Returns the ticks from the packet before to this one, which arrives `now`. They are negative where an encoder sends a
    /// picture ahead of one that is shown earlier (B pictures). The first packet of another source follows the arrival's clock.
    pub fn packet(&mut self, now: Instant, timestamp: u32) -> i32 {
        let timestamp = RtpTimestamp(timestamp);
        let by_clock = std::mem::take(&mut self.has_other_source);
        let advance = self.last.map_or(0, |(at, last)| match by_clock {
            true => elapsed(now.saturating_duration_since(at)),
            false => timestamp.distance_from(last),
        });
        self.last = Some((now, timestamp));
        advance
    }
}

fn elapsed(duration: Duration) -> i32 {
    i32::try_from(ticks(duration, CLOCK)).unwrap_or(i32::MAX)
}

/// The sequence numbers that packets of video had before we number them anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    last: Option<SequenceNumber>,
}

impl Origin {
    /// Takes the number of the next packet to be sent, and returns whether another source begins with it, as the first one does.
    pub fn begins_with(&mut self, number: u16) -> bool {
        let number = SequenceNumber(number);
        let last = self.last.replace(number);
        last.is_none_or(|last| number.distance_from(last).unsigned_abs() > SAME_SOURCE)
    }
}

/// The largest step of sequence numbers within one source. A receiver that lost as many packets needs a whole picture as well.
const SAME_SOURCE: u16 = 100;

/// Whether the receiver of our stream needs a whole picture, for the host to ask the sender for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    has_begun: bool,
    is_wanted: bool,
    pace: Pace,
}

impl Wanted {
    /// The receiver asks for a whole picture: FIR, PLI. It repeats that until the picture comes, so a request within
    /// [`PICTURE_PACE`] of another asks for nothing new.
    pub fn handle_request(&mut self, now: Instant) {
        self.is_wanted |= self.pace.allows(now, PICTURE_PACE);
    }

    /// A source of pictures begins. The first one of a call begins with a whole picture; a later one may have begun for another
    /// receiver.
    pub fn handle_source(&mut self, now: Instant) {
        if std::mem::replace(&mut self.has_begun, true) {
            self.want(now);
        }
    }

    /// Pictures did not reach the receiver, or reach a new one: a hold is over, its address or our SSRC has changed. Without
    /// pictures so far nothing is wanted: the stream may be audio.
    pub fn handle_interruption(&mut self, now: Instant) {
        if self.has_begun {
            self.want(now);
        }
    }

    /// Returns whether a whole picture is wanted, once.
    pub fn take(&mut self) -> bool {
        std::mem::take(&mut self.is_wanted)
    }

    /// The picture that was asked for a moment ago may have gone elsewhere, so this does not wait; the receiver's own request does.
    fn want(&mut self, now: Instant) {
        self.is_wanted = true;
        self.pace = Pace::default();
        self.pace.allows(now, PICTURE_PACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(100);

    #[test]
    fn packets_of_one_picture_have_no_advance_and_b_pictures_go_back() {
        let (mut advance, now) = (Advance::default(), Instant::now());
        let stamps = [u32::MAX - 2999, u32::MAX - 2999, 6000, 0, 3000, 15000];
        let advances = stamps.map(|timestamp| advance.packet(now, timestamp));
        assert_eq!(advances, [0, 0, 9000, -6000, 3000, 12000]);
    }

    #[test]
    fn another_source_goes_on_by_the_clock() {
        let (mut advance, now) = (Advance::default(), Instant::now());
        advance.packet(now, 1000);
        advance.handle_other_source();
        assert_eq!(advance.packet(now + MOMENT, 3_000_000_000), 9000);
        assert_eq!(advance.packet(now + MOMENT * 2, 3_000_000_500), 500);
    }

    #[test]
    fn a_jump_of_the_numbers_is_another_source_and_a_gap_is_not() {
        let mut origin = Origin::default();
        let begins = [65_530, 65_531, 5, 3, 40_000, 40_001, 0, 0].map(|number| origin.begins_with(number));
        assert_eq!(begins, [true, false, false, false, true, false, true, false]);
    }

    #[test]
    fn a_whole_picture_is_wanted_after_a_hold_but_not_of_a_voice() {
        let (mut wanted, now) = (Wanted::default(), Instant::now());
        wanted.handle_interruption(now);
        assert!(!wanted.take(), "no picture was sent");
        wanted.handle_source(now);
        assert!(!wanted.take(), "it begins with a whole picture");
        wanted.handle_interruption(now);
        assert!(wanted.take() && !wanted.take());
    }

    #[test]
    fn a_whole_picture_is_wanted_of_another_source() {
        let (mut wanted, now) = (Wanted::default(), Instant::now());
        wanted.handle_source(now);
        wanted.handle_source(now);
        assert!(wanted.take() && !wanted.take());
    }

    #[test]
    fn repeated_requests_wait_and_an_interruption_does_not() {
        let (mut wanted, now) = (Wanted::default(), Instant::now());
        wanted.handle_source(now);
        wanted.handle_request(now);
        assert!(wanted.take());
        wanted.handle_request(now + MOMENT);
        assert!(!wanted.take());
        wanted.handle_interruption(now + MOMENT);
        assert!(wanted.take());
        wanted.handle_request(now + PICTURE_PACE);
        assert!(!wanted.take(), "the interruption has asked");
        wanted.handle_request(now + PICTURE_PACE + MOMENT);
        assert!(wanted.take());
    }
}
