//! Remembers the events that have ended, so that their late packets press nothing.

use std::time::Duration;

use super::Key;
use super::arrival::Arrival;
use crate::timestamp::{RtpTimestamp, SequenceNumber, ticks};

/// An event, or a segment of one, that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) key: Key,
    pub(super) timestamp: RtpTimestamp,
    /// The newest sequence number when it ended.
    pub(super) number: SequenceNumber,
    /// Whether the timestamp moved during the event.
    pub(super) moves: bool,
}

/// The newest events of one source that have ended.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    events: [Option<Ended>; REMEMBERED],
    next: usize,
}

impl History {
    pub(super) fn add(&mut self, ended: Ended) {
        self.events[self.next] = Some(ended);
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Whether a packet repeats an event that has ended.
    pub(super) fn is_repeated_by(&self, packet: &Arrival) -> bool {
        self.events.iter().flatten().any(|ended| ended.is_repeated_by(packet))
    }

    /// Whether a packet belongs to an event that has ended. An event that begins in place of one is no longer that.
    pub(super) fn has(&mut self, packet: &Arrival) -> bool {
        let ended = self.events.iter_mut().filter(|event| event.is_some_and(|ended| ended.repeats(packet)));
        let mut has = false;
        for event in ended {
            if event.is_some_and(|ended| ended.is_pressed_again(packet)) {
                *event = None;
            }
            has |= event.is_some();
        }
        has
    }
}

impl Ended {
    /// Whether a packet belongs to this event, and begins no other.
    pub(super) fn is_repeated_by(&self, packet: &Arrival) -> bool {
        self.repeats(packet) && !self.is_pressed_again(packet)
    }

    fn repeats(&self, packet: &Arrival) -> bool {
        let later = packet.timestamp.distance_from(self.timestamp);
        let limit = ticks(REPETITIONS, packet.clock_rate);
        let moved = self.moves && packet.event.end && u64::try_from(later).is_ok_and(|later| later <= limit);
        self.key == packet.key && (later == 0 || moved)
    }

    /// Whether a sender whose timestamp stands still begins another event of the same key.
    fn is_pressed_again(&self, packet: &Arrival) -> bool {
        packet.marker && !packet.event.end && packet.number.is_after(self.number)
    }
}

/// The number of events and segments that are remembered. Ends that are sent again come within the next few digits.
const REMEMBERED: usize = 8;

/// The time over which a sender repeats the end, if it moves the timestamp from one repetition to the next.
const REPETITIONS: Duration = Duration::from_millis(100);
