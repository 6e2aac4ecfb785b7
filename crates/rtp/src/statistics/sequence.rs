//! Validation of sequence numbers (RFC 3550 A.1): gaps, late packets, duplicates, and sources that restart.

use crate::timestamp::SequenceNumber;

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
    /// A large jump of the sequence number, which the next packet has to confirm.
    Jump,
    /// The packet confirms the jump before it: the source has restarted its sequence numbers.
    Restarted,
}

impl Validity {
    /// Whether the packet's payload is to be used.
    pub fn is_usable(self) -> bool {
        !matches!(self, Self::Duplicate | Self::Probation | Self::Jump)
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
    /// The sequence number that confirms a jump: the one after the packet that jumped.
    bad: Option<SequenceNumber>,
    /// Bit n is set if the packet `highest - n` was received.
    window: u128,
}

impl Sequence {
    pub(super) fn new(first: SequenceNumber, probation: u16) -> Self {
        // Internally the first cycle is 1, so that a late packet from before the first one has a number above 0.
        let first = CYCLE + u64::from(first.0);
        let (base, received) = if probation == 0 { (first, 1) } else { (first + 1, 0) };
        Self { probation, base, highest: first, received, bad: None, window: 1 }
    }

    pub(super) fn update(&mut self, number: SequenceNumber) -> Validity {
        let distance = number.distance_from(SequenceNumber(self.highest as u16));
        if self.probation > 0 {
            return self.on_probation(number, distance);
        }
        match distance {
            1..MAX_DROPOUT => self.advance(distance.unsigned_abs()),
            MAX_MISORDER..=0 => self.late(distance.unsigned_abs()),
            _ if self.bad == Some(number) => {
                *self = Self::new(number, 0);
                Validity::Restarted
            }
            _ => {
                self.bad = Some(number.next());
                Validity::Jump
            }
        }
    }

    fn on_probation(&mut self, number: SequenceNumber, distance: i16) -> Validity {
        if distance != 1 {
            *self = Self::new(number, self.probation.max(1));
            return Validity::Probation;
        }
        let remaining = self.probation - 1;
        *self = Self::new(number, remaining);
        if remaining == 0 { Validity::First } else { Validity::Probation }
    }

    fn advance(&mut self, distance: u16) -> Validity {
        self.highest += u64::from(distance);
        self.window = self.window.checked_shl(u32::from(distance)).unwrap_or(0) | 1;
        self.received += 1;
        self.bad = None;
        Validity::Ok { missing: distance - 1 }
    }

    fn late(&mut self, distance: u16) -> Validity {
        let bit = 1u128.checked_shl(u32::from(distance)).unwrap_or(0);
        if self.window & bit != 0 {
            return Validity::Duplicate;
        }
        self.window |= bit;
        self.received += 1;
        // The stream began earlier than the first packet that arrived.
        self.base = self.base.min(self.highest - u64::from(distance));
        Validity::Late
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

/// A gap of this many packets is a jump: MAX_DROPOUT of A.1.
const MAX_DROPOUT: i16 = 3000;

/// A packet from further behind than this is a jump: MAX_MISORDER of A.1, as a distance.
const MAX_MISORDER: i16 = -100;
