//! Produces the event packets of a digit that we send (RFC 4733 §2.5.1).
//!
//! The caller calls [`Sender::begin`], then [`Sender::handle_timeout`] every 20 ms while the key is pressed, then
//! [`Sender::end`], and after each of them [`Sender::poll_transmit`] until it returns `None`.

use std::time::{Duration, Instant};

use super::{Event, Key};
use crate::timestamp::{RtpTimestamp, duration, ticks};

/// A packet to be sent. The caller adds sequence number, payload type and SSRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// The marker bit, which is set on the first packet of an event.
    pub marker: bool,
    /// The timestamp at which the event, or its segment, began.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// Produces the packets of one digit after another.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    active: Option<Active>,
    queue: Queue,
    last: Option<Told>,
}

/// The newest event, or its newest segment, as far as the peer was told of it.
#[derive(Debug, Clone, Copy)]
struct Told {
    began: RtpTimestamp,
    end: RtpTimestamp,
}

#[derive(Debug, Clone, Copy)]
struct Active {
    key: Key,
    began: Instant,
    clock_rate: u32,
    segment: RtpTimestamp,
    /// Ticks in the segments before this one.
    earlier_segments: u64,
    /// The newest duration within the current segment, in ticks.
    duration: u16,
    last_sent: Instant,
}

impl Sender {
    /// Creates a sender with no key pressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the digit of `key`. `timestamp` is the RTP timestamp of this moment. If another key is still pressed, its
    /// end is sent first.
    pub fn begin(&mut self, now: Instant, key: Key, timestamp: u32, clock_rate: u32) {
        if self.active.is_some() {
            self.end(now, None);
        }
        let segment = self.place(RtpTimestamp(timestamp), clock_rate);
        let duration = u16::try_from(ticks(UPDATE, clock_rate)).unwrap_or(u16::MAX).max(1);
        let active = Active { key, began: now, clock_rate, segment, earlier_segments: 0, duration, last_sent: now };
        self.last = Some(active.told());
        self.active = Some(active);
        self.queue.push(active.packet(true, false));
    }

    /// Lets time pass: every 20 ms a packet tells the peer that the key is still pressed. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(mut active) = self.active.filter(|active| now >= active.last_sent + UPDATE) else { return };
        let held = now.saturating_duration_since(active.began) + UPDATE;
        self.grow(&mut active, held);
        active.last_sent = now;
        self.queue.push(active.packet(false, false));
        self.active = Some(active);
    }

    /// When [`Self::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.active.map(|active| active.last_sent + UPDATE)
    }

    /// Ends the digit. `held` is the time for which the key was pressed at its origin, if known. The peer is never told
    /// less than it was told before.
    pub fn end(&mut self, now: Instant, held: Option<Duration>) {
        let Some(mut active) = self.active.take() else { return };
        let pressed = now.saturating_duration_since(active.began);
        // The queue takes no more than this at once. Without the segments in between, a receiver would see two digits.
        let most = pressed + duration(u16::MAX.into(), active.clock_rate);
        self.grow(&mut active, held.map_or(pressed, |held| held.clamp(pressed, most)));
        (0..REPETITIONS).for_each(|_| self.queue.push(active.packet(false, true)));
    }

    /// Ends the digit without telling the peer, which cannot be reached any more.
    pub fn cancel(&mut self) {
        self.active = None;
        self.queue = Queue::default();
    }

    /// Returns the next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.queue.pop()
    }

    /// The key that is pressed. Media is held back until it is released.
    pub fn active(&self) -> Option<Key> {
        self.active.map(|active| active.key)
    }

    /// Lets the duration grow to `held`, into the next segment when the current one is full (§2.5.1.3).
    fn grow(&mut self, active: &mut Active, held: Duration) {
        let total = ticks(held.min(LONGEST), active.clock_rate);
        while total > active.earlier_segments + u64::from(u16::MAX) {
            active.duration = u16::MAX;
            // The last packet of a segment is repeated as the last packet of an event is (§2.5.1.4).
            (0..REPETITIONS).for_each(|_| self.queue.push(active.packet(false, false)));
            active.earlier_segments += u64::from(u16::MAX);
            active.segment = active.segment.plus(u16::MAX.into());
            active.duration = 0;
        }
        let duration = u16::try_from(total.saturating_sub(active.earlier_segments)).unwrap_or(u16::MAX);
        active.duration = active.duration.max(duration).max(1);
        self.last = Some(active.told());
    }

    /// Places an event that begins at `timestamp`. A receiver takes packets with the timestamp of an earlier event for that
    /// event, so two digits of one moment follow each other.
    fn place(&self, timestamp: RtpTimestamp, clock_rate: u32) -> RtpTimestamp {
        let Some(last) = self.last else { return timestamp };
        let lies_before = |other: RtpTimestamp, limit| {
            u32::try_from(other.distance_from(timestamp)).is_ok_and(|ahead| duration(ahead.into(), clock_rate) < limit)
        };
        if lies_before(last.end, OVERLAP) {
            last.end
        } else if lies_before(last.began, AHEAD) {
            last.began.plus(1)
        } else {
            timestamp
        }
    }
}

impl Active {
    fn told(&self) -> Told {
        Told { began: self.segment, end: self.segment.plus(self.duration.into()) }
    }

    fn packet(&self, marker: bool, end: bool) -> Outgoing {
        let event = Event { event: self.key.event(), end, volume: VOLUME, duration: self.duration };
        Outgoing { marker, timestamp: self.segment.0, payload: event.to_bytes() }
    }
}

/// Packets that the caller has not taken yet. If it takes none, the oldest are dropped.
#[derive(Debug, Clone, Default)]
struct Queue {
    packets: [Option<Outgoing>; QUEUE],
    first: usize,
    len: usize,
}

impl Queue {
    fn push(&mut self, packet: Outgoing) {
        if self.len == QUEUE {
            self.pop();
        }
        self.packets[(self.first + self.len) % QUEUE] = Some(packet);
        self.len += 1;
    }

    fn pop(&mut self) -> Option<Outgoing> {
        self.len = self.len.checked_sub(1)?;
        let packet = self.packets[self.first].take();
        self.first = (self.first + 1) % QUEUE;
        packet
    }
}

/// The time between two packets of an event; at most 50 ms (§2.5.1.2).
const UPDATE: Duration = Duration::from_millis(20);

/// The number of times that the last packet of an event is sent (§2.5.1.4).
const REPETITIONS: usize = 3;

/// The power of the tone below 0 dBm0: -10 dBm0 is a usual level for DTMF.
const VOLUME: u8 = 10;

/// The longest digit. Nobody presses a key for longer, but the host may claim so.
const LONGEST: Duration = Duration::from_secs(3600);

/// A digit begins where the one before ended, unless that end lies this far in the future: hosts may claim any duration.
const OVERLAP: Duration = Duration::from_millis(500);

/// An event lies no further ahead than this: a segment of 8 s whose end was claimed. One that seems to is an old one, and the
/// timestamps have come half round since.
const AHEAD: Duration = Duration::from_secs(10);

/// The length of the queue: the end of one digit with two segments before it, and the begin of the next digit.
const QUEUE: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(sender: &mut Sender) -> Vec<(bool, u32, Event)> {
        let packets = std::iter::from_fn(|| sender.poll_transmit());
        packets.map(|packet| (packet.marker, packet.timestamp, Event::parse(&packet.payload).unwrap())).collect()
    }

    fn event(duration: u16, end: bool) -> Event {
        Event { event: 5, end, volume: 10, duration }
    }

    fn five() -> Key {
        Key::from_char('5').unwrap()
    }

    #[test]
    fn rfc4733_section_2_5_1_marker_growth_and_three_ends() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), 1000, 8000);
        assert_eq!(drain(&mut sender), [(true, 1000, event(160, false))]);
        assert_eq!(sender.active(), Some(five()));
        sender.handle_timeout(start + Duration::from_millis(19));
        assert_eq!(drain(&mut sender), []);
        sender.handle_timeout(sender.poll_timeout().unwrap());
        assert_eq!(drain(&mut sender), [(false, 1000, event(320, false))]);
        sender.end(start + Duration::from_millis(100), None);
        assert_eq!(drain(&mut sender), [(false, 1000, event(800, true)); 3]);
        assert_eq!((sender.active(), sender.poll_timeout()), (None, None));
        sender.end(start, None);
        assert_eq!(drain(&mut sender), []);
    }

    #[test]
    fn the_duration_where_it_was_pressed_counts_when_it_is_longer() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), 1000, 8000);
        sender.end(start + Duration::from_millis(60), Some(Duration::from_millis(200)));
        assert_eq!(drain(&mut sender).last(), Some(&(false, 1000, event(1600, true))));
        sender.begin(start, five(), 9000, 8000);
        sender.end(start, Some(Duration::ZERO));
        assert_eq!(drain(&mut sender).last(), Some(&(false, 9000, event(160, true))));
    }

    #[test]
    fn rfc4733_section_2_5_1_3_a_long_digit_is_sent_in_segments() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), u32::MAX, 8000);
        sender.end(start + Duration::from_secs(10), None);
        let packets = drain(&mut sender);
        let second = u32::MAX.wrapping_add(0xFFFF);
        assert_eq!(
            packets[..4],
            [
                (true, u32::MAX, event(160, false)),
                (false, u32::MAX, event(0xFFFF, false)),
                (false, u32::MAX, event(0xFFFF, false)),
                (false, u32::MAX, event(0xFFFF, false)),
            ]
        );
        assert_eq!(packets[4..], [(false, second, event((80_000u32 - 0xFFFF) as u16, true)); 3]);
    }

    #[test]
    fn rfc4733_section_2_1_ticks_are_those_of_the_media() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), 1000, 48_000);
        assert_eq!(drain(&mut sender), [(true, 1000, event(960, false))]);
        sender.end(start + Duration::from_millis(100), None);
        assert_eq!(drain(&mut sender), [(false, 1000, event(4800, true)); 3]);
    }

    #[test]
    fn no_segment_is_left_out_however_long_the_host_says_that_a_digit_was() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), 1000, 48_000);
        drain(&mut sender);
        sender.end(start + Duration::from_millis(1300), Some(Duration::from_secs(60)));
        let packets = drain(&mut sender);
        assert_eq!(packets[..3], [(false, 1000, event(0xFFFF, false)); 3]);
        assert_eq!(packets[3..], [(false, 1000 + 0xFFFF, event(62_400, true)); 3]);
    }

    #[test]
    fn the_next_digit_ends_the_one_before_and_has_another_timestamp() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), 1000, 8000);
        drain(&mut sender);
        sender.begin(start, five(), 1000, 8000);
        let packets = drain(&mut sender);
        assert_eq!(packets[..3], [(false, 1000, event(160, true)); 3]);
        assert_eq!(packets[3..], [(true, 1160, event(160, false))]);
    }

    #[test]
    fn digits_of_one_moment_follow_each_other() {
        let start = Instant::now();
        let mut sender = Sender::new();
        let mut press = || {
            sender.begin(start, five(), u32::MAX - 200, 8000);
            sender.end(start, None);
            drain(&mut sender)[0].1
        };
        assert_eq!([press(), press(), press()], [u32::MAX - 200, u32::MAX - 40, 119]);
    }

    #[test]
    fn a_claimed_duration_delays_the_next_digit_no_further_than_it_has_to() {
        let start = Instant::now();
        let mut sender = Sender::new();
        sender.begin(start, five(), 1000, 8000);
        sender.end(start + Duration::from_millis(60), Some(Duration::from_secs(5)));
        drain(&mut sender);
        sender.begin(start + Duration::from_millis(100), five(), 1800, 8000);
        assert_eq!(drain(&mut sender), [(true, 1800, event(160, false))]);
        // A longer one was told in two segments, the second of which begins in the future.
        sender.end(start + Duration::from_millis(160), Some(Duration::from_secs(60)));
        drain(&mut sender);
        sender.begin(start + Duration::from_millis(200), five(), 2600, 8000);
        assert_eq!(drain(&mut sender), [(true, 1800 + 0xFFFF + 1, event(160, false))]);
        // The first timestamp is half the number space away by now.
        let days_later = 1800u32.wrapping_add(0x8001_0000);
        sender.begin(start + Duration::from_secs(74 * 3600), five(), days_later, 8000);
        assert_eq!(drain(&mut sender).last(), Some(&(true, days_later, event(160, false))));
    }

    #[test]
    fn nothing_is_left_after_cancelling() {
        let mut sender = Sender::new();
        sender.begin(Instant::now(), five(), 1000, 8000);
        sender.cancel();
        assert_eq!((drain(&mut sender).len(), sender.active()), (0, None));
    }
}
