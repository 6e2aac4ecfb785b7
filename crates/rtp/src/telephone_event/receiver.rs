//! Digits out of a stream of event packets of which any may be lost (RFC 4733 §2.5.2).
//!
//! Lost begin: the first packet that comes begins the digit, and if that is an end packet, the digit
//! is reported as ended with its duration. Lost end: the digit ends when the next begins, or when
//! media goes on after it for `dtmftimeout` (RFC 2833 §3.6 leaves the time to us).

use std::time::Instant;

use super::{Event, Key};
use crate::timestamp::{RtpTimestamp, SequenceNumber};

/// What happened to a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It was pressed.
    Begin(Key),
    /// It is still pressed.
    Continue(Key),
    /// It was released. Without a [`Signal::Begin`] before, everything but the end was lost.
    End {
        /// Which.
        key: Key,
        /// How long it was pressed, in units of the event's clock; 0 when told to report ends only.
        duration_in_timestamp_units: u32,
    },
}

/// At most two signals: a lost end, and what is in the packet. Iterate over it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals(pub(super) [Option<Signal>; 2]);

/// Which signals are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reporting {
    /// Begin and end.
    #[default]
    BeginAndEnd,
    /// One end for each digit as soon as it shows, for peers that send bad durations
    /// (`rfc2833compensate=yes`).
    EndOnly,
}

/// Follows the events of one stream.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    reporting: Reporting,
    active: Option<Active>,
    last_number: Option<SequenceNumber>,
    last_ended: Option<RtpTimestamp>,
    mute_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Active {
    key: Key,
    /// Timestamp of the current segment.
    segment: RtpTimestamp,
    /// Ticks in the segments before this one.
    earlier_segments: u32,
    /// Newest duration within the segment.
    duration: u16,
}

impl Receiver {
    /// A receiver that reports begin and end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses which signals are wanted.
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.reporting = reporting;
    }

    /// Takes what begins before `until` for the echo of a digit that we sent ourselves.
    pub fn mute_until(&mut self, until: Instant) {
        self.mute_until = Some(until);
    }

    /// Takes in one event packet.
    pub fn handle_event(
        &mut self,
        now: Instant,
        sequence_number: u16,
        timestamp: u32,
        marker: bool,
        event: Event,
    ) -> Signals {
        let (number, timestamp) = (SequenceNumber(sequence_number), RtpTimestamp(timestamp));
        let Some(key) = Key::from_event(event.event) else { return Signals::default() };
        if self.is_old(number, timestamp) {
            return Signals::default();
        }
        self.last_number = Some(number);
        if self.reporting == Reporting::EndOnly {
            return self.end_only(now, key, timestamp);
        }
        let lost_end = match self.active {
            Some(active) if !active.goes_on(key, timestamp, marker) => self.end(),
            _ => None,
        };
        Signals([
            lost_end,
            if event.end { self.ended(key, timestamp, event) } else { self.lasts(now, key, timestamp, event) },
        ])
    }

    /// Sees the timestamp of a media packet: a digit whose end was lost ends when media has gone on
    /// for `timeout` ticks after it.
    pub fn handle_media(&mut self, timestamp: u32, timeout: u32) -> Option<Signal> {
        let active = self.active?;
        let end = active.segment.plus(active.duration.into()).plus(timeout);
        if RtpTimestamp(timestamp).is_after(end) { self.end() } else { None }
    }

    /// Forgets the stream because its SSRC changed, and ends a digit that is pressed.
    pub fn reset(&mut self) -> Option<Signal> {
        let ended = self.end();
        (self.last_number, self.last_ended) = (None, None);
        ended
    }

    /// The digit that is pressed.
    pub fn active(&self) -> Option<Key> {
        self.active.map(|active| active.key)
    }

    /// Repetitions of the end packet, and what was overtaken by the packets after it.
    fn is_old(&self, number: SequenceNumber, timestamp: RtpTimestamp) -> bool {
        let overtaken = self.last_number.is_some_and(|last| (-MAX_MISORDER..=0).contains(&number.distance_from(last)));
        self.last_ended == Some(timestamp) || overtaken
    }

    fn end_only(&mut self, now: Instant, key: Key, timestamp: RtpTimestamp) -> Signals {
        self.last_ended = Some(timestamp);
        let ended = Signal::End { key, duration_in_timestamp_units: 0 };
        Signals([None, (!self.is_muted(now)).then_some(ended)])
    }

    fn ended(&mut self, key: Key, timestamp: RtpTimestamp, event: Event) -> Option<Signal> {
        self.grow(key, timestamp, event);
        self.end()
    }

    fn lasts(&mut self, now: Instant, key: Key, timestamp: RtpTimestamp, event: Event) -> Option<Signal> {
        if self.active.is_none() && self.is_muted(now) {
            return None;
        }
        let begins = self.active.is_none();
        self.grow(key, timestamp, event);
        Some(if begins { Signal::Begin(key) } else { Signal::Continue(key) })
    }

    fn grow(&mut self, key: Key, timestamp: RtpTimestamp, event: Event) {
        let fresh = Active { key, segment: timestamp, earlier_segments: 0, duration: 0 };
        let active = self.active.get_or_insert(fresh);
        if active.segment != timestamp {
            active.earlier_segments += timestamp.distance_from(active.segment).unsigned_abs();
            active.segment = timestamp;
        } else if event.duration < active.duration {
            // RFC 2833 knew no segments: its duration wraps under the same timestamp.
            active.earlier_segments += 1 << 16;
        }
        active.duration = event.duration;
    }

    fn end(&mut self) -> Option<Signal> {
        let Active { key, segment, earlier_segments, duration } = self.active.take()?;
        self.last_ended = Some(segment);
        Some(Signal::End { key, duration_in_timestamp_units: earlier_segments + u32::from(duration) })
    }

    fn is_muted(&self, now: Instant) -> bool {
        self.mute_until.is_some_and(|until| now < until)
    }
}

impl Active {
    /// Whether a packet belongs to this digit: the same segment, or the one after a full one
    /// (§2.5.1.3: its timestamp is 0xFFFF later, and its packets have no marker).
    fn goes_on(&self, key: Key, timestamp: RtpTimestamp, marker: bool) -> bool {
        let distance = timestamp.distance_from(self.segment);
        key == self.key && (distance == 0 || !marker && (SEGMENT - SEGMENT_SLACK..=SEGMENT).contains(&distance))
    }
}

impl IntoIterator for Signals {
    type Item = Signal;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Signal>, 2>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// As for media (RFC 3550 A.1): what is further behind is a new count.
const MAX_MISORDER: i16 = 100;

/// The longest segment.
const SEGMENT: i32 = 0xFFFF;

/// Some senders end a segment a few packets before it is full.
const SEGMENT_SLACK: i32 = 1600;

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u16 = 160;

    struct Stream {
        receiver: Receiver,
        now: Instant,
        number: u16,
    }

    impl Stream {
        fn new() -> Self {
            Self { receiver: Receiver::new(), now: Instant::now(), number: 65530 }
        }

        fn event(&mut self, timestamp: u32, letter: char, duration: u16, end: bool) -> Vec<Signal> {
            self.number = self.number.wrapping_add(1);
            self.at(self.number, timestamp, letter, duration, end)
        }

        fn at(&mut self, number: u16, timestamp: u32, letter: char, duration: u16, end: bool) -> Vec<Signal> {
            let event = Event { event: key(letter).event(), end, volume: 10, duration };
            self.receiver.handle_event(self.now, number, timestamp, duration == STEP, event).into_iter().collect()
        }
    }

    fn key(letter: char) -> Key {
        Key::from_char(letter).unwrap()
    }

    fn end(letter: char, duration_in_timestamp_units: u32) -> Signal {
        Signal::End { key: key(letter), duration_in_timestamp_units }
    }

    #[test]
    fn rfc4733_section_2_5_a_digit_begins_lasts_and_ends_once() {
        let mut stream = Stream::new();
        assert_eq!(stream.event(1000, '5', 160, false), [Signal::Begin(key('5'))]);
        assert_eq!(stream.event(1000, '5', 320, false), [Signal::Continue(key('5'))]);
        assert_eq!(stream.event(1000, '5', 480, true), [end('5', 480)]);
        assert_eq!(stream.event(1000, '5', 480, true), []);
        assert_eq!(stream.event(1000, '5', 480, true), []);
        assert_eq!(stream.event(2000, '5', 160, false), [Signal::Begin(key('5'))]);
    }

    #[test]
    fn end_packets_that_repeat_their_sequence_number_count_once() {
        let mut stream = Stream::new();
        stream.event(1000, '5', 160, false);
        assert_eq!(stream.at(7, 1000, '5', 320, true), [end('5', 320)]);
        assert_eq!(stream.at(7, 1000, '5', 320, true), []);
    }

    #[test]
    fn a_lone_end_packet_is_a_digit() {
        let mut stream = Stream::new();
        assert_eq!(stream.event(1000, '#', 800, true), [end('#', 800)]);
        assert_eq!(stream.event(1000, '#', 800, true), []);
    }

    #[test]
    fn a_lost_end_is_made_up_by_the_next_digit_even_the_same() {
        let mut stream = Stream::new();
        stream.event(1000, '1', 160, false);
        stream.event(1000, '1', 320, false);
        assert_eq!(stream.event(3000, '2', 160, false), [end('1', 320), Signal::Begin(key('2'))]);
        assert_eq!(stream.event(5000, '2', 160, false), [end('2', 160), Signal::Begin(key('2'))]);
        assert_eq!(stream.event(7000, '3', 800, true), [end('2', 160), end('3', 800)]);
    }

    #[test]
    fn a_lost_end_is_made_up_when_media_goes_on() {
        let mut stream = Stream::new();
        stream.event(u32::MAX - 100, '1', 160, false);
        assert_eq!(stream.receiver.handle_media(60, 1200), None);
        assert_eq!(stream.receiver.handle_media(59 + 1201, 1200), Some(end('1', 160)));
        assert_eq!(stream.receiver.handle_media(5000, 1200), None);
        assert_eq!(stream.event(u32::MAX - 100, '1', 480, true), []);
    }

    #[test]
    fn overtaken_packets_begin_nothing() {
        let mut stream = Stream::new();
        stream.at(10, 1000, '1', 160, false);
        stream.at(12, 1000, '1', 480, true);
        assert_eq!(stream.at(11, 1000, '1', 320, false), []);
        stream.at(20, 3000, '2', 160, false);
        stream.at(22, 3000, '2', 320, true);
        assert_eq!(stream.at(13, 1000, '1', 480, true), []);
    }

    #[test]
    fn timestamps_that_start_over_do_not_silence_digits() {
        let mut stream = Stream::new();
        stream.event(4_000_000, '1', 480, true);
        assert_eq!(stream.event(100, '2', 160, false), [Signal::Begin(key('2'))]);
    }

    #[test]
    fn rfc4733_section_2_5_1_3_long_digits_come_in_segments() {
        let mut stream = Stream::new();
        stream.event(1000, '0', 160, false);
        stream.event(1000, '0', 0xFFFF, false);
        assert_eq!(stream.event(1000 + 0xFFFF, '0', 161, false), [Signal::Continue(key('0'))]);
        assert_eq!(stream.event(1000 + 0xFFFF, '0', 800, true), [end('0', 0xFFFF + 800)]);
        assert_eq!(stream.event(1000 + 0xFFFF, '0', 800, true), []);
    }

    #[test]
    fn rfc2833_long_digits_wrap_their_duration() {
        let mut stream = Stream::new();
        stream.event(1000, '0', 160, false);
        stream.event(1000, '0', 65500, false);
        stream.event(1000, '0', 124, false);
        assert_eq!(stream.event(1000, '0', 284, true), [end('0', 65536 + 284)]);
    }

    #[test]
    fn ends_only_for_peers_that_need_compensation() {
        let mut stream = Stream::new();
        stream.receiver.set_reporting(Reporting::EndOnly);
        assert_eq!(stream.event(1000, '7', 160, false), [end('7', 0)]);
        assert_eq!(stream.event(1000, '7', 320, true), []);
        assert_eq!(stream.event(2000, '7', 160, true), [end('7', 0)]);
    }

    #[test]
    fn our_own_digit_echoed_begins_nothing() {
        let mut stream = Stream::new();
        stream.receiver.mute_until(stream.now + std::time::Duration::from_millis(500));
        assert_eq!(stream.event(1000, '7', 160, false), []);
        stream.now += std::time::Duration::from_millis(500);
        assert_eq!(stream.event(1000, '7', 320, false), [Signal::Begin(key('7'))]);
    }

    #[test]
    fn flash_is_a_key_and_other_events_are_ignored() {
        let mut stream = Stream::new();
        let flash = Event { event: 16, end: true, volume: 0, duration: 1 };
        let signals = stream.receiver.handle_event(stream.now, 1, 5, false, flash);
        assert_eq!(signals.0[1], Some(Signal::End { key: Key::FLASH, duration_in_timestamp_units: 1 }));
        let fax = Event { event: 36, ..flash };
        assert_eq!(stream.receiver.handle_event(stream.now, 2, 9, true, fax), Signals::default());
    }

    #[test]
    fn a_new_source_ends_the_digit() {
        let mut stream = Stream::new();
        stream.event(1000, '1', 160, false);
        assert_eq!(stream.receiver.reset(), Some(end('1', 160)));
        assert_eq!(stream.receiver.reset(), None);
        assert_eq!(stream.receiver.active(), None);
    }
}
