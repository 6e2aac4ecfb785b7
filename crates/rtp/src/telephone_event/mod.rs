//! DTMF digits and hook flash as named events (RFC 4733, which replaces RFC 2833).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     event     |E|R| volume    |          duration             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! All packets of an event carry the timestamp of its beginning; the duration grows from one to the
//! next, and the last is sent three times with E set. An event longer than 0xFFFF ticks (8 s at
//! 8000 Hz, 1.4 s at 48000) is sent in segments, each with a timestamp of its own (§2.5.1.3). The
//! clock is that of the media in the same stream (§2.1), as SDP names it with the payload type.

mod arrival;
pub mod cisco;
mod ended;
#[cfg(test)]
mod habits;
mod passed;
mod pressed;
mod receiver;
mod sender;

pub use passed::PassedDigits;
pub use receiver::{Receiver, Reporting, Signal, Signals};
pub use sender::{Outgoing, Sender};

/// One telephone-event payload (§2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The event code: 0 to 15 are the DTMF digits, 16 is hook flash.
    pub event: u8,
    /// Whether this packet ends the event.
    pub end: bool,
    /// The power of the tone below 0 dBm0, 0 to 63: 10 stands for -10 dBm0.
    pub volume: u8,
    /// The length of the event so far, in timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads a payload; `None` if it is shorter than four octets. Further octets belong to other events, and are
    /// ignored.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3F, duration })
    }

    /// Returns the payload. The reserved bit is zero.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3F, high, low]
    }
}

/// A key of a telephone: a DTMF digit, or hook flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u8);

impl Key {
    /// Hook flash, event 16 (RFC 2833 §3.10).
    pub const FLASH: Self = Self(16);

    /// The key of an event code; `None` for events other than DTMF and flash, which are not supported.
    pub fn from_event(event: u8) -> Option<Self> {
        (event <= Self::FLASH.0).then_some(Self(event))
    }

    /// The key with this letter on it, in upper or lower case; `None` if there is no such key.
    pub fn from_char(letter: char) -> Option<Self> {
        let position = LETTERS.chars().position(|known| known == letter.to_ascii_uppercase())?;
        u8::try_from(position).ok().map(Self)
    }

    /// The key's event code (RFC 4733 §3.2).
    pub fn event(self) -> u8 {
        self.0
    }

    /// The key's letter; `None` for hook flash.
    pub fn to_char(self) -> Option<char> {
        LETTERS.chars().nth(self.0.into())
    }

    /// Whether the key is hook flash.
    pub fn is_flash(self) -> bool {
        self == Self::FLASH
    }
}

/// The letters of the keys in the order of their event codes (RFC 4733 table 3).
const LETTERS: &str = "0123456789*#ABCD";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc4733_section_2_3_payload() {
        // §5.1: the digit "9" at volume 7, ended after 1200 ticks.
        let event = Event { event: 9, end: true, volume: 7, duration: 1200 };
        assert_eq!(event.to_bytes(), [9, 0x87, 0x04, 0xB0]);
        assert_eq!(Event::parse(&[9, 0x87, 0x04, 0xB0]), Some(event));
        assert_eq!(Event::parse(&[9, 0xC7, 0x04, 0xB0, 1]), Some(event));
        assert_eq!(Event::parse(&[9, 7, 4]), None);
    }

    #[test]
    fn rfc4733_section_3_2_keys() {
        for (code, letter) in (0u8..).zip("0123456789*#ABCD".chars()) {
            assert_eq!(Key::from_event(code).and_then(Key::to_char), Some(letter));
            assert_eq!(Key::from_char(letter).map(Key::event), Some(code));
        }
        assert_eq!(Key::from_char('d').map(Key::event), Some(15));
        assert_eq!((Key::from_char('x'), Key::from_char('E'), Key::from_event(17)), (None, None, None));
        assert!(Key::from_event(16).unwrap().is_flash());
        assert_eq!(Key::FLASH.to_char(), None);
    }

    proptest! {
        #[test]
        fn parse_gives_back_what_was_written(event: u8, end: bool, volume in 0u8..64, duration: u16) {
            let event = Event { event, end, volume, duration };
            prop_assert_eq!(Event::parse(&event.to_bytes()), Some(event));
        }

        #[test]
        fn begin_and_end_alternate_for_any_packets(operations in prop::collection::vec(any::<u8>(), 0..800)) {
            crate::fuzzing::telephone_event(&operations);
        }

        /// Digits cross a network that loses, duplicates and reorders packets.
        #[test]
        fn every_digit_arrives_once_when_one_packet_of_it_does(
            keys in prop::collection::vec(0u8..16, 1..12), fates in prop::collection::vec(0u8..4, 64),
            first in any::<(u16, u32)>(), milliseconds in 40u64..12_000, clock_rate in prop::sample::select(vec![8000u32, 16_000, 48_000]),
        ) {
            // If the next press begins where a segment would, its first packet alone tells them apart, and that may be lost.
            let segment = 65_535_000 / u64::from(clock_rate);
            prop_assume!((210..segment - 210).contains(&((milliseconds + crate::fuzzing::PAUSE_MS) % segment)));
            let held = std::time::Duration::from_millis(milliseconds);
            crate::fuzzing::digits_over_a_bad_network(&keys, &fates, first, held, clock_rate);
        }
    }
}
