//! An event packet with what its header says.

use std::time::Instant;

use super::{Event, Key};
use crate::packet::Header;
use crate::timestamp::{RtpTimestamp, SequenceNumber};

/// A received event packet of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: Instant,
    pub(super) ssrc: u32,
    pub(super) number: SequenceNumber,
    pub(super) timestamp: RtpTimestamp,
    pub(super) marker: bool,
    pub(super) key: Key,
    pub(super) event: Event,
    /// The clock of timestamps and durations, in hertz.
    pub(super) clock_rate: u32,
}

impl Arrival {
    /// Puts header and payload together; `None` for an event that is no key.
    pub(super) fn new(now: Instant, header: &Header, event: Event, clock_rate: u32) -> Option<Self> {
        Some(Self {
            now,
            ssrc: header.ssrc,
            number: SequenceNumber(header.sequence_number),
            timestamp: RtpTimestamp(header.timestamp),
            marker: header.marker,
            key: Key::from_event(event.event)?,
            event,
            clock_rate,
        })
    }
}
