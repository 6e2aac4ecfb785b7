//! Digits that a bridge passes on, and that the channel is not to report as well.

use std::time::Instant;

use super::arrival::Arrival;
use super::pressed::Pressed;
use super::{Event, Receiver};
use crate::packet::Header;

/// Follows the digits that are passed on, so that none of them is reported as well when the bridge ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassedDigits {
    last: Option<Passed>,
}

#[derive(Debug, Clone, Copy)]
struct Passed {
    digit: Pressed,
    payload_type: u8,
    clock_rate: u32,
    has_ended: bool,
}

impl PassedDigits {
    /// Takes in an event packet that was passed on. `clock_rate` is the clock of its payload type in hertz.
    pub fn passed(&mut self, now: Instant, header: &Header, event: Event, clock_rate: u32) {
        let Some(packet) = Arrival::new(now, header, event, clock_rate) else { return };
        let before = self.last.filter(|last| last.payload_type == header.payload_type);
        let goes_on = before.and_then(|last| last.with(&packet));
        let begun = || Passed {
            digit: Pressed::new(&packet),
            payload_type: header.payload_type,
            clock_rate,
            has_ended: event.end,
        };
        self.last = Some(goes_on.unwrap_or_else(begun));
    }

    /// Whether a packet belongs to the digit that was passed on last.
    pub fn has(&self, now: Instant, header: &Header, event: Event) -> bool {
        self.last.filter(|last| last.payload_type == header.payload_type).is_some_and(|last| {
            let packet = Arrival::new(now, header, event, last.clock_rate);
            packet.is_some_and(|packet| last.with(&packet).is_some())
        })
    }

    /// Makes `receiver` ignore the rest of the last digit that was passed on.
    pub fn hide_from(&self, receiver: &mut Receiver) {
        if let Some(Passed { digit, has_ended, .. }) = self.last {
            receiver.pass_over(digit, has_ended);
        }
    }
}

impl Passed {
    /// The digit with one more packet; `None` if the packet does not belong to it.
    fn with(mut self, packet: &Arrival) -> Option<Self> {
        let is_part = match self.has_ended {
            true => self.digit.end().is_repeated_by(packet),
            false => self.digit.take(packet, |_| ()),
        };
        self.has_ended |= packet.event.end;
        is_part.then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telephone_event::Signal;

    const CLOCK: u32 = 8000;

    /// A packet that is `number` steps of 20 ms after the first, whose timestamp moves or not.
    fn packet(number: u16, moves: bool, end: bool) -> (Header, Event) {
        let timestamp = 9000 + if moves { u32::from(number) * 160 } else { 0 };
        let header = Header { marker: number == 0, payload_type: 101, sequence_number: 7 + number, timestamp, ssrc: 1 };
        (header, Event { event: 5, end, volume: 10, duration: 160 * (number + 1) })
    }

    /// The digits that the channel hears when a bridge ends after `passed` of ten packets, the last three of which are ends.
    fn heard(passed: u16, moves: bool) -> Vec<Signal> {
        let (mut digits, mut channel, start) = (PassedDigits::default(), Receiver::new(), Instant::now());
        let mut heard = Vec::new();
        for number in 0..10 {
            let now = start + Duration::from_millis(20) * number.into();
            let (header, event) = packet(number, moves, number > 6);
            if number < passed {
                digits.passed(now, &header, event, CLOCK);
            } else {
                digits.hide_from(&mut channel);
                heard.extend(channel.handle_event(now, &header, event, CLOCK));
            }
        }
        let (header, event) = packet(200, moves, false);
        let again = channel.handle_event(start + Duration::from_secs(4), &header, event, CLOCK);
        assert_eq!(
            again.into_iter().count(),
            usize::from(moves),
            "the next press is heard, but not with this one's timestamp"
        );
        heard
    }

    #[test]
    fn a_digit_that_was_passed_on_is_hidden_from_the_channel_wherever_the_bridge_ends() {
        for passed in 1..10 {
            for moves in [false, true] {
                assert_eq!(heard(passed, moves), [], "after {passed} packets, moving: {moves}");
            }
        }
    }

    #[test]
    fn what_is_no_digit_is_not_followed() {
        let (mut digits, mut channel, now) = (PassedDigits::default(), Receiver::new(), Instant::now());
        let (header, event) = packet(0, false, false);
        digits.passed(now, &header, Event { event: 200, ..event }, CLOCK);
        digits.hide_from(&mut channel);
        assert!(!digits.has(now, &header, event));
        assert_eq!(channel.handle_event(now, &header, event, CLOCK).into_iter().count(), 1);
    }

    #[test]
    fn another_key_is_another_digit() {
        let (mut digits, mut channel, now) = (PassedDigits::default(), Receiver::new(), Instant::now());
        let (header, event) = packet(0, false, false);
        digits.passed(now, &header, event, CLOCK);
        digits.hide_from(&mut channel);
        let (header, event) = packet(1, true, false);
        let other = Event { event: 6, ..event };
        assert!(digits.has(now, &header, event) && !digits.has(now, &header, other));
        assert_eq!(channel.handle_event(now, &header, other, CLOCK).into_iter().count(), 1);
        let (late, rest) = packet(0, false, true);
        assert_eq!(channel.handle_event(now, &late, rest, CLOCK).into_iter().count(), 0, "it is over");
    }
}
