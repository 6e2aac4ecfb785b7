//! Recovers digits from a stream of event packets, any of which may be lost (RFC 4733 §2.5.2).
//!
//! If the begin is lost, the first packet that arrives begins the digit. If that is an end packet, the digit is
//! reported as ended, with its duration. If the end is lost, the digit ends when the next one begins, or when media has
//! gone on for `dtmftimeout` after it (RFC 2833 §3.6 leaves that time to the implementation).

use std::time::{Duration, Instant};

use super::{Event, Key};
use crate::timestamp::{RtpTimestamp, SequenceNumber, duration, ticks};

/// A fact about a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The key was pressed.
    Begin(Key),
    /// The key is still pressed.
    Continue(Key),
    /// The key was released. If there was no [`Signal::Begin`] before, every packet but the end was lost.
    End {
        /// The key.
        key: Key,
        /// The time for which the key was pressed; zero with [`Reporting::EndOnly`].
        held: Duration,
    },
}

/// The signals of one packet, an iterator: at most a lost end, and the signal of the packet itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals(pub(super) [Option<Signal>; 2]);

/// The signals that the host wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reporting {
    /// Begin and end of each digit.
    #[default]
    BeginAndEnd,
    /// One end for each digit as soon as its first packet arrives, for peers that send wrong durations
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
    /// The timestamp of the current segment.
    segment: RtpTimestamp,
    /// Ticks in the segments before this one.
    earlier_segments: u32,
    /// The newest duration within the current segment, in ticks.
    duration: u16,
    /// The clock of timestamps and durations, in hertz.
    clock_rate: u32,
}

impl Receiver {
    /// Creates a receiver that reports begin and end of each digit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the signals that are reported.
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.reporting = reporting;
    }

    /// Ignores events that begin before `until`: they are the echo of a digit that we sent ourselves.
    pub fn mute_until(&mut self, until: Instant) {
        self.mute_until = Some(until);
    }

    /// Takes in one event packet. `clock_rate` is the clock of its payload type in hertz.
    pub fn handle_event(
        &mut self,
        now: Instant,
        sequence_number: u16,
        timestamp: u32,
        marker: bool,
        event: Event,
        clock_rate: u32,
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
            if event.end {
                self.ended(key, timestamp, event, clock_rate)
            } else {
                self.lasts(now, key, timestamp, event, clock_rate)
            },
        ])
    }

    /// Takes in the timestamp of a media packet, whose clock has `clock_rate` hertz. A digit whose end was lost ends
    /// once media has gone on for `timeout` after it.
    pub fn handle_media(&mut self, timestamp: u32, clock_rate: u32, timeout: Duration) -> Option<Signal> {
        let active = self.active?;
        let since = u64::try_from(RtpTimestamp(timestamp).distance_from(active.segment)).ok()?;
        let held = duration(active.duration.into(), active.clock_rate);
        if duration(since, clock_rate) > held + timeout { self.end() } else { None }
    }

    /// Forgets the stream because its SSRC changed, and ends a digit that is still pressed.
    pub fn reset(&mut self) -> Option<Signal> {
        let ended = self.end();
        (self.last_number, self.last_ended) = (None, None);
        ended
    }

    /// Whether a packet with this timestamp belongs to the digit that was reported last, or is being reported.
    pub fn has_reported(&self, timestamp: u32) -> bool {
        let timestamp = Some(RtpTimestamp(timestamp));
        self.last_ended == timestamp || self.active.map(|active| active.segment) == timestamp
    }

    /// Ignores the rest of the digit with this timestamp, because it went another way than by this receiver.
    pub fn pass_over(&mut self, timestamp: u32) {
        if self.active.is_none() {
            self.last_ended = Some(RtpTimestamp(timestamp));
        }
    }

    /// The key that is pressed; `None` if there is none.
    pub fn active(&self) -> Option<Key> {
        self.active.map(|active| active.key)
    }

    /// Whether a packet is a repetition of the end packet, or was overtaken by later packets.
    fn is_old(&self, number: SequenceNumber, timestamp: RtpTimestamp) -> bool {
        let overtaken = self.last_number.is_some_and(|last| (-MAX_MISORDER..=0).contains(&number.distance_from(last)));
        self.last_ended == Some(timestamp) || overtaken
    }

    fn end_only(&mut self, now: Instant, key: Key, timestamp: RtpTimestamp) -> Signals {
        self.last_ended = Some(timestamp);
        let ended = Signal::End { key, held: Duration::ZERO };
        Signals([None, (!self.is_muted(now)).then_some(ended)])
    }

    fn ended(&mut self, key: Key, timestamp: RtpTimestamp, event: Event, clock_rate: u32) -> Option<Signal> {
        self.grow(key, timestamp, event, clock_rate);
        self.end()
    }

    fn lasts(
        &mut self,
        now: Instant,
        key: Key,
        timestamp: RtpTimestamp,
        event: Event,
        clock_rate: u32,
    ) -> Option<Signal> {
        if self.active.is_none() && self.is_muted(now) {
            return None;
        }
        let begins = self.active.is_none();
        self.grow(key, timestamp, event, clock_rate);
        Some(if begins { Signal::Begin(key) } else { Signal::Continue(key) })
    }

    fn grow(&mut self, key: Key, timestamp: RtpTimestamp, event: Event, clock_rate: u32) {
        let fresh = Active { key, segment: timestamp, earlier_segments: 0, duration: 0, clock_rate };
        let active = self.active.get_or_insert(fresh);
        if active.segment != timestamp {
            active.earlier_segments += timestamp.distance_from(active.segment).unsigned_abs();
            active.segment = timestamp;
        } else if event.duration < active.duration {
            // RFC 2833 has no segments: there the duration wraps while the timestamp stays.
            active.earlier_segments += 1 << 16;
        }
        active.duration = event.duration;
    }

    fn end(&mut self) -> Option<Signal> {
        let active = self.active.take()?;
        self.last_ended = Some(active.segment);
        let ticks = u64::from(active.earlier_segments) + u64::from(active.duration);
        Some(Signal::End { key: active.key, held: duration(ticks, active.clock_rate) })
    }

    fn is_muted(&self, now: Instant) -> bool {
        self.mute_until.is_some_and(|until| now < until)
    }
}

impl Active {
    /// Whether a packet belongs to this digit: to its current segment, or to the next one after a full one, whose
    /// timestamp is 0xFFFF later and whose packets have no marker (§2.5.1.3).
    fn goes_on(&self, key: Key, timestamp: RtpTimestamp, marker: bool) -> bool {
        let distance = u64::from(timestamp.0.wrapping_sub(self.segment.0));
        let follows = SEGMENT.abs_diff(distance) <= ticks(SEGMENT_SLACK, self.clock_rate);
        key == self.key && (distance == 0 || !marker && follows)
    }
}

impl IntoIterator for Signals {
    type Item = Signal;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Signal>, 2>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// A sequence number further behind than this belongs to a new count, as with media (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;

/// The longest segment in ticks.
const SEGMENT: u64 = 0xFFFF;

/// The tolerance for the timestamp of the next segment. Some senders end a segment a few packets before it is full;
/// libwebrtc (Chrome 156) gives the next one the timestamp of the moment, up to a packet later.
const SEGMENT_SLACK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u16 = 160;
    const CLOCK: u32 = 8000;

    struct Stream {
        receiver: Receiver,
        now: Instant,
        number: u16,
        clock_rate: u32,
    }

    impl Stream {
        fn new() -> Self {
            Self { receiver: Receiver::new(), now: Instant::now(), number: 65530, clock_rate: CLOCK }
        }

        fn event(&mut self, timestamp: u32, letter: char, duration: u16, end: bool) -> Vec<Signal> {
            self.number = self.number.wrapping_add(1);
            self.at(self.number, timestamp, letter, duration, end)
        }

        fn at(&mut self, number: u16, timestamp: u32, letter: char, duration: u16, end: bool) -> Vec<Signal> {
            let event = Event { event: key(letter).event(), end, volume: 10, duration };
            let marker = duration == STEP;
            let signals = self.receiver.handle_event(self.now, number, timestamp, marker, event, self.clock_rate);
            signals.into_iter().collect()
        }
    }

    fn key(letter: char) -> Key {
        Key::from_char(letter).unwrap()
    }

    /// The end of a digit after `ticks`.
    fn end(letter: char, ticks: u64) -> Signal {
        Signal::End { key: key(letter), held: duration(ticks, CLOCK) }
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
        let timeout = Duration::from_millis(150);
        assert_eq!(stream.receiver.handle_media(u32::MAX - 200, CLOCK, timeout), None);
        assert_eq!(stream.receiver.handle_media(59 + 1200, CLOCK, timeout), None);
        assert_eq!(stream.receiver.handle_media(59 + 1201, CLOCK, timeout), Some(end('1', 160)));
        assert_eq!(stream.receiver.handle_media(5000, CLOCK, timeout), None);
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
    fn rfc4733_section_2_1_the_clock_is_that_of_the_media() {
        let mut stream = Stream::new();
        stream.clock_rate = 48_000;
        assert_eq!(stream.event(1000, '5', 960, false), [Signal::Begin(key('5'))]);
        let held = Duration::from_millis(100);
        assert_eq!(stream.event(1000, '5', 4800, true), [Signal::End { key: key('5'), held }]);

        stream.event(9000, '6', 960, false);
        let after = |milliseconds: u32| 9000 + 48 * milliseconds;
        assert_eq!(stream.receiver.handle_media(after(170), 48_000, Duration::from_millis(150)), None);
        let held = Duration::from_millis(20);
        let ended = stream.receiver.handle_media(after(171), 48_000, Duration::from_millis(150));
        assert_eq!(ended, Some(Signal::End { key: key('6'), held }));
    }

    #[test]
    fn chrome_156_begins_a_segment_where_the_clock_is_and_not_where_the_last_was_full() {
        let mut stream = Stream::new();
        stream.clock_rate = 48_000;
        stream.event(1000, '5', 960, false);
        stream.event(1000, '5', 0xFFFF, false);
        let second = 1000 + 0xFFFF + 900;
        assert_eq!(stream.event(second, '5', 2880, false), [Signal::Continue(key('5'))]);
        let held = duration(0xFFFF + 900 + 2880, 48_000);
        assert_eq!(stream.event(second, '5', 2880, true), [Signal::End { key: key('5'), held }]);
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
        let signals = stream.receiver.handle_event(stream.now, 1, 5, false, flash, CLOCK);
        assert_eq!(signals.0[1], Some(Signal::End { key: Key::FLASH, held: duration(1, CLOCK) }));
        let fax = Event { event: 36, ..flash };
        assert_eq!(stream.receiver.handle_event(stream.now, 2, 9, true, fax, CLOCK), Signals::default());
    }

    #[test]
    fn the_rest_of_a_digit_that_went_another_way_is_ignored() {
        let mut stream = Stream::new();
        stream.receiver.pass_over(1000);
        assert_eq!(stream.event(1000, '1', 320, false), []);
        assert_eq!(stream.event(1000, '1', 480, true), []);
        assert_eq!(stream.event(2000, '2', 160, false), [Signal::Begin(key('2'))]);
        stream.receiver.pass_over(1000);
        assert_eq!(stream.event(2000, '2', 320, true), [end('2', 320)]);
    }

    #[test]
    fn a_digit_is_known_by_its_timestamp_until_the_next() {
        let mut stream = Stream::new();
        assert!(!stream.receiver.has_reported(1000));
        stream.event(1000, '1', 160, false);
        assert!(stream.receiver.has_reported(1000) && !stream.receiver.has_reported(2000));
        stream.event(1000, '1', 320, true);
        assert!(stream.receiver.has_reported(1000));
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
