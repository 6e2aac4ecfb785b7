//! A key that is pressed: which packets belong to it, and for how long it has been pressed.

use std::time::{Duration, Instant};

use super::Key;
use super::arrival::Arrival;
use super::ended::Ended;
use crate::packet::Header;
use crate::timestamp::{RtpTimestamp, SequenceNumber, duration, ticks};

/// The event of one source that has begun and not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pressed {
    key: Key,
    ssrc: u32,
    /// The timestamp of the first packet.
    first: RtpTimestamp,
    /// The timestamp of the current segment.
    segment: RtpTimestamp,
    /// Ticks in the segments before this one.
    earlier_segments: u64,
    /// The newest duration within the current segment, in ticks.
    duration: u16,
    clock_rate: u32,
    /// The duration in the first packet, in ticks.
    first_duration: u16,
    began: Instant,
    heard: Instant,
    number: SequenceNumber,
    /// Whether the timestamp moves from packet to packet (against §2.2).
    moves: bool,
}

/// The place of a packet within an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Same,
    /// The next segment of a long event (§2.5.1.3).
    NextSegment,
    /// The sender gives each packet a timestamp of its own.
    Moved,
}

impl Pressed {
    pub(super) fn new(packet: &Arrival) -> Self {
        Self {
            key: packet.key,
            ssrc: packet.ssrc,
            first: packet.timestamp,
            segment: packet.timestamp,
            earlier_segments: 0,
            duration: packet.event.duration,
            clock_rate: packet.clock_rate,
            first_duration: packet.event.duration,
            began: packet.now,
            heard: packet.now,
            number: packet.number,
            moves: false,
        }
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn is_of(&self, ssrc: u32) -> bool {
        self.ssrc == ssrc
    }

    /// Takes in a packet. Returns false if it does not belong to this event. `ended` is called with a segment that has
    /// ended.
    pub(super) fn take(&mut self, packet: &Arrival, ended: impl FnOnce(Ended)) -> bool {
        let Some(place) = self.place(packet) else { return false };
        let ticks = u64::from(packet.timestamp.0.wrapping_sub(self.segment.0));
        let newest = packet.event.duration;
        match place {
            Place::Same if self.wraps(newest) => self.earlier_segments += 1 << 16,
            Place::Same => {}
            Place::NextSegment => {
                ended(self.end());
                self.earlier_segments += ticks;
            }
            Place::Moved => {
                let total = self.total_by_timestamp(packet);
                self.earlier_segments = total.saturating_sub(newest.into());
                self.moves = true;
            }
        }
        // A duration of 0 is none (§2.3.5).
        if newest > 0 || place == Place::NextSegment {
            self.duration = newest;
        }
        (self.segment, self.heard, self.number) = (packet.timestamp, packet.now, packet.number);
        true
    }

    /// The time for which the key has been pressed. It is never more than what has passed since the first packet, except
    /// for packets that the network has held up.
    pub(super) fn held(&self) -> Duration {
        let before = duration(self.first_duration.into(), self.clock_rate);
        let most = before + self.heard.saturating_duration_since(self.began) + HELD_UP;
        duration(self.earlier_segments + u64::from(self.duration), self.clock_rate).min(most)
    }

    /// Whether a media packet shows that the end was lost: no event packet has come for `timeout`, and by its timestamp
    /// the media packet is not one from before that.
    pub(super) fn is_over(&self, now: Instant, media: &Header, clock_rate: u32, timeout: Duration) -> bool {
        let since = i64::from(RtpTimestamp(media.timestamp).distance_from(self.segment));
        let limit = ticks(timeout, clock_rate).cast_signed();
        let known = ticks(duration(self.duration.into(), self.clock_rate), clock_rate).cast_signed();
        let is_earlier = media.ssrc == self.ssrc && (-limit..=known.saturating_add(limit)).contains(&since);
        now.saturating_duration_since(self.heard) >= timeout && !is_earlier
    }

    /// This event, or its current segment, for the history.
    pub(super) fn end(&self) -> Ended {
        Ended { key: self.key, timestamp: self.segment, number: self.number, moves: self.moves }
    }

    fn place(&self, packet: &Arrival) -> Option<Place> {
        if (packet.ssrc, packet.key) != (self.ssrc, self.key) {
            return None;
        }
        let distance = u64::from(packet.timestamp.0.wrapping_sub(self.segment.0));
        match distance {
            0 => Some(Place::Same),
            _ if packet.marker => None,
            _ if self.is_next_segment(packet, distance) => Some(Place::NextSegment),
            _ => self.has_moved(packet, distance).then_some(Place::Moved),
        }
    }

    /// Whether a segment that begins `distance` ticks later continues this event: its timestamp is 0xFFFF later, its
    /// packets have no marker, and this segment was full or nearly so, as the next one is not yet.
    fn is_next_segment(&self, packet: &Arrival, distance: u64) -> bool {
        let is_near = SEGMENT.abs_diff(distance) <= ticks(SEGMENT_SLACK, self.clock_rate);
        is_near && self.duration >= NEARLY_FULL && packet.event.duration < NEARLY_FULL
    }

    /// Whether a packet `distance` ticks later is one of the same event. No key can be pressed again that soon, or the
    /// timestamp has moved by as much as the duration has grown, or the end has the timestamp of the end.
    fn has_moved(&self, packet: &Arrival, distance: u64) -> bool {
        let (new, update) = (packet.event.duration, ticks(UPDATE, self.clock_rate));
        let grown = u64::from(new.wrapping_sub(self.duration));
        let since_first = u64::from(packet.timestamp.0.wrapping_sub(self.first.0));
        distance <= update
            || (1..MOST_LOST.into()).contains(&grown) && grown.abs_diff(distance) <= update / 3
            || packet.event.end && since_first.abs_diff(new.into()) <= update
    }

    /// The ticks from the begin of the event to a packet whose timestamp has moved. If no timestamp moved before, this may
    /// be the timestamp of the end.
    fn total_by_timestamp(&self, packet: &Arrival) -> u64 {
        let since_first = u64::from(packet.timestamp.0.wrapping_sub(self.first.0));
        since_first + if self.moves { u64::from(self.first_duration) } else { 0 }
    }

    /// Whether a duration is smaller because it has wrapped: RFC 2833 has no segments. Otherwise it is a correction.
    fn wraps(&self, duration: u16) -> bool {
        (1..self.duration).contains(&duration) && duration.wrapping_sub(self.duration) < MOST_LOST
    }
}

/// The longest segment in ticks.
const SEGMENT: u64 = 0xFFFF;

/// The tolerance for the timestamp of the next segment. Some senders end a segment a few packets before it is full;
/// libwebrtc (Chrome 156) gives the next one the timestamp of the moment, up to a packet later.
const SEGMENT_SLACK: Duration = Duration::from_millis(200);

/// A segment of fewer ticks is not followed by another.
const NEARLY_FULL: u16 = 0xC000;

/// A duration that has wrapped has grown by less, in ticks.
const MOST_LOST: u16 = 0x4000;

/// The longest time from one packet of an event to the next (§2.5.1.2 has 50 ms).
const UPDATE: Duration = Duration::from_millis(60);

/// The longest time for which a network, or a channel that does not read, holds packets up.
const HELD_UP: Duration = Duration::from_secs(1);
