//! Passing packets of one session on to another, as a translator does that keeps SSRC, sequence number and timestamp (RFC 3550 §7.1,
//! §7.2).
//!
//! A packet that is passed on changes in one octet: payload type and marker. CSRC list, header extension, payload and padding stay.

use std::time::Instant;

use crate::Header;
use crate::packet::HEADER_LEN;
pub use crate::telephone_event::PassedDigits;
use crate::telephone_event::{Event, Receiver};

/// The number of payload types.
const PAYLOAD_TYPES: usize = 128;

/// The meaning of a payload type for a packet that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Media.
    Media {
        /// The clock of its timestamps in Hz.
        clock_rate: u32,
    },
    /// A digit (RFC 4733 telephone-event). Its timestamp is that of the beginning.
    Event {
        /// The clock of its timestamps in Hz.
        clock_rate: u32,
    },
    /// Comfort noise (RFC 3389).
    Noise,
}

/// Describes how packets of one payload type are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// The payload type that the other session has negotiated for the same meaning.
    pub payload_type: u8,
    /// The meaning.
    pub content: Content,
}

/// The payload types of one session that another session can send, by number. There is none for those that only the host's core
/// can convert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passages([Option<Passage>; PAYLOAD_TYPES]);

impl Passages {
    /// Asks `passage` about every payload type, 0 to 127.
    pub fn new(mut passage: impl FnMut(u8) -> Option<Passage>) -> Self {
        Self(std::array::from_fn(|payload_type| passage(payload_type as u8)))
    }

    /// Returns how packets of `payload_type` are passed on; `None` if they cannot be.
    pub fn of(&self, payload_type: u8) -> Option<Passage> {
        self.0.get(usize::from(payload_type)).copied().flatten()
    }

    /// Returns how this packet is passed on; `None` if it goes to the channel. The channel hears a digit that it has begun to hear to
    /// the end, repetitions of the end packet included. `event` is the payload, read as a telephone-event. `reported` has the digits
    /// of the channel. A digit that was `passed` on before goes on to be, also by another bridge.
    pub fn choose(
        &self,
        now: Instant,
        header: &Header,
        event: Option<Event>,
        reported: &Receiver,
        passed: &PassedDigits,
    ) -> Option<Passage> {
        let passage = self.of(header.payload_type)?;
        let has_ended = match (passage.content, event) {
            (Content::Event { clock_rate }, Some(event)) => {
                reported.has_ended(now, header, event, clock_rate) && !passed.has(now, header, event)
            }
            _ => false,
        };
        (reported.active().is_none() && !has_ended).then_some(passage)
    }
}

/// Writes payload type and marker into a packet. Leaves a packet that is shorter than an RTP header as it is.
pub fn rewrite(packet: &mut [u8], payload_type: u8, marker: bool) {
    if packet.len() >= HEADER_LEN {
        packet[1] = u8::from(marker) << 7 | payload_type & 0x7F;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { marker: false, payload_type: 101, sequence_number: 7, timestamp: 9000, ssrc: 1 };

    #[test]
    fn one_octet_changes() {
        // Padding, extension, one CSRC; marker and payload type 111.
        let original =
            [0xB1, 0xEF, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0, 5, 6, 0, 2];
        let mut packet = original;
        rewrite(&mut packet, 8, false);
        assert_eq!(packet[1], 8);
        assert_eq!((packet[0], &packet[2..]), (original[0], &original[2..]));
        rewrite(&mut packet, 0xFF, true);
        assert_eq!(packet[1], 0xFF);
        rewrite(&mut packet, 0x80, false);
        assert_eq!(packet[1], 0, "a payload type has seven bits");
    }

    #[test]
    fn less_than_a_header_stays_as_it_is() {
        let mut packet = [0x80; 11];
        rewrite(&mut packet, 0, false);
        assert_eq!(packet, [0x80; 11]);
    }

    #[test]
    fn every_payload_type_has_one_passage_or_none() {
        let media = Passage { payload_type: 0, content: Content::Media { clock_rate: 8000 } };
        let passages = Passages::new(|payload_type| (payload_type == 127).then_some(media));
        assert_eq!(passages.of(127), Some(media));
        assert_eq!((passages.of(0), passages.of(128)), (None, None));
    }

    const BEGIN: Event = Event { event: 5, end: false, volume: 10, duration: 160 };
    const DIGITS: Content = Content::Event { clock_rate: 8000 };

    #[test]
    fn the_channel_hears_a_digit_to_its_end_that_it_has_begun_to_hear() {
        let now = Instant::now();
        let voice = Header { payload_type: 0, timestamp: 9160, ..HEADER };
        let passages = Passages::new(|payload_type| match payload_type {
            0 => Some(Passage { payload_type: 0, content: Content::Media { clock_rate: 8000 } }),
            101 => Some(Passage { payload_type: 96, content: DIGITS }),
            _ => None,
        });
        let mut reported = Receiver::new();
        let passed = PassedDigits::default();
        let choose =
            |header: &Header, reported: &Receiver| passages.choose(now, header, Some(BEGIN), reported, &passed);
        let both = |reported: &Receiver| (choose(&HEADER, reported), choose(&voice, reported));
        assert_eq!(both(&reported), (passages.of(101), passages.of(0)));
        reported.handle_event(now, &Header { marker: true, ..HEADER }, BEGIN, 8000);
        assert_eq!(both(&reported), (None, None));
        reported.handle_event(now, &Header { sequence_number: 8, ..HEADER }, Event { end: true, ..BEGIN }, 8000);
        assert_eq!(both(&reported), (None, passages.of(0)), "the end comes three times");
        assert_eq!(choose(&Header { timestamp: 9999, ..HEADER }, &reported), passages.of(101));
        assert_eq!(choose(&Header { payload_type: 8, ..HEADER }, &reported), None);
    }

    #[test]
    fn a_digit_goes_on_by_the_bridge_that_takes_the_place_of_the_one_that_passed_its_begin() {
        let (mut digits, mut channel, now) = (PassedDigits::default(), Receiver::new(), Instant::now());
        let event = Passage { payload_type: 96, content: DIGITS };
        let passages = Passages::new(|payload_type| (payload_type == 101).then_some(event));
        digits.passed(now, &HEADER, BEGIN, 8000);
        digits.hide_from(&mut channel);
        for (number, end) in [(8, false), (9, true), (10, true)] {
            let (header, rest) = (Header { sequence_number: number, ..HEADER }, Event { end, ..BEGIN });
            assert_eq!(passages.choose(now, &header, Some(rest), &channel, &digits), Some(event));
            digits.passed(now, &header, rest, 8000);
            digits.hide_from(&mut channel);
        }
    }
}
