//! Validation of sequence numbers (RFC 3550 A.1): gaps, late packets, duplicates, and sources that restart.
//!
//! A.1 decides what is counted, and not what is heard: a sender may jump or not count at all, and its packets are used.
//! Only a packet with the number and the timestamp of one before is a duplicate.

use crate::timestamp::{RtpTimestamp, SequenceNumber};

/// The place of a packet within its stream, by its sequence number (A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// The first packet of the session.
    First,
    /// The first packet of another SSRC: the peer restarted, or the call was transferred.
    NewSource,
    /// The packet that follows the last, or the first one behind a gap.
    Ok {
        /// The number of packets missing in front of it.
        missing: u16,
    },
    /// A packet that later ones have overtaken. A jitter buffer can still use it.
    Late,
    /// A packet that has been received already.
    Duplicate,
    /// Too few packets in sequence have arrived to accept the source (only with a probation).
    Probation,
    /// A packet with the number of one before, but another timestamp: the sender does not count. It is used, and does not
    /// count as received, because no number was expected for it.
    StandsStill,
    /// A large jump of the sequence number, which the next packet has to confirm. It is used, and does not count as received
    /// (A.1).
    Jump,
    /// The packet confirms the jump before it: the source has restarted its sequence numbers.
    Restarted,
}

impl Validity {
    /// Whether the packet's payload is to be used.
    pub fn is_usable(self) -> bool {
        !matches!(self, Self::Duplicate | Self::Probation)
    }
}

/// The sequence numbers of one source (A.1), with a window that tells duplicates from late packets.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    probation: u16,
    base: u64,
    highest: u64,
    /// Packets received, duplicates not counted.
    received: u64,
    /// The packet that jumped. The one after it confirms the jump.
    jumped: Option<(SequenceNumber, RtpTimestamp)>,
    /// Bit n is set if the packet `highest - n` was received.
    window: u128,
    /// The timestamp of each packet in the window, at its number modulo the length of the window.
    timestamps: [RtpTimestamp; WINDOW],
}

impl Sequence {
    pub(super) fn new(first: SequenceNumber, timestamp: RtpTimestamp, probation: u16) -> Self {
        // Internally the first cycle is 1, so that a late packet from before the first one has a number above 0.
        let highest = CYCLE + u64::from(first.0);
        let (base, received) = if probation == 0 { (highest, 1) } else { (highest + 1, 0) };
        let timestamps = [timestamp; WINDOW];
        Self { probation, base, highest, received, jumped: None, window: 1, timestamps }
    }

    pub(super) fn update(&mut self, number: SequenceNumber, timestamp: RtpTimestamp) -> Validity {
        let distance = number.distance_from(SequenceNumber(self.highest as u16));
        if self.probation > 0 {
            return self.on_probation(number, timestamp, distance);
        }
        match distance {
            1..MAX_DROPOUT => self.advance(number, timestamp, distance.unsigned_abs()),
            MAX_MISORDER..=0 => self.late(number, timestamp, distance.unsigned_abs()),
            _ => self.jump(number, timestamp),
        }
    }

    fn on_probation(&mut self, number: SequenceNumber, timestamp: RtpTimestamp, distance: i16) -> Validity {
        if distance != 1 {
            *self = Self::new(number, timestamp, self.probation.max(1));
            return Validity::Probation;
        }
        let remaining = self.probation - 1;
        *self = Self::new(number, timestamp, remaining);
        if remaining == 0 { Validity::First } else { Validity::Probation }
    }

    fn advance(&mut self, number: SequenceNumber, timestamp: RtpTimestamp, distance: u16) -> Validity {
        self.highest += u64::from(distance);
        self.window = self.window.checked_shl(u32::from(distance)).unwrap_or(0) | 1;
        *self.timestamp_of(number) = timestamp;
        self.received += 1;
        self.jumped = None;
        Validity::Ok { missing: distance - 1 }
    }

    fn late(&mut self, number: SequenceNumber, timestamp: RtpTimestamp, distance: u16) -> Validity {
        let bit = 1u128.checked_shl(u32::from(distance)).unwrap_or(0);
        let before = std::mem::replace(self.timestamp_of(number), timestamp);
        if self.window & bit != 0 {
            return if before == timestamp { Validity::Duplicate } else { Validity::StandsStill };
        }
        self.window |= bit;
        self.received += 1;
        // The stream began earlier than the first packet that arrived.
        self.base = self.base.min(self.highest - u64::from(distance));
        Validity::Late
    }

    fn jump(&mut self, number: SequenceNumber, timestamp: RtpTimestamp) -> Validity {
        match self.jumped {
            Some((before, _)) if number == before.next() => {
                *self = Self::new(number, timestamp, 0);
                Validity::Restarted
            }
            before => {
                self.jumped = Some((number, timestamp));
                if before == self.jumped { Validity::Duplicate } else { Validity::Jump }
            }
        }
    }

    fn timestamp_of(&mut self, number: SequenceNumber) -> &mut RtpTimestamp {
        &mut self.timestamps[usize::from(number.0) % WINDOW]
    }

    pub(super) fn is_valid(&self) -> bool {
        self.probation == 0
    }

    pub(super) fn expected(&self) -> u64 {
        if self.is_valid() { self.highest - self.base + 1 } else { 0 }
    }

    pub(super) fn lost(&self) -> i64 {
        self.expected().cast_signed() - self.received.cast_signed()
    }

    pub(super) fn extended_highest(&self) -> u64 {
        self.highest - CYCLE
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }
}

/// The number of sequence numbers: RTP_SEQ_MOD of A.1.
const CYCLE: u64 = 1 << 16;

/// The length of the window that tells duplicates from late packets. It is longer than [`MAX_MISORDER`].
const WINDOW: usize = 128;

/// A gap of this many packets is a jump: MAX_DROPOUT of A.1.
const MAX_DROPOUT: i16 = 3000;

/// A packet from further behind than this is a jump: MAX_MISORDER of A.1, as a distance.
const MAX_MISORDER: i16 = -100;
