//! The receiving side of a stream: lost packets are noticed, and their sound is put back.
//!
//! ```text
//!  packets      1      2      4      5      3          number 3 is lost, or comes late
//!  samples      1      2    3'+4     5      -          3' from the copy in 4, or concealed; the late 3 is dropped
//! ```

use crate::decoder::{Decoder, packet_samples};
use crate::error::Error;
use crate::rate::Rate;

/// Decodes one stream of packets.
#[derive(Debug)]
pub struct Receiver {
    decoder: Decoder,
    last: Option<Last>,
    /// Samples that were concealed since the last packet, because the caller knew that a packet was missing.
    concealed: usize,
    /// Packets in a row that looked late.
    late: u32,
    /// The longest gap that is filled before a packet, in samples.
    longest_gap: usize,
}

/// The place of a packet in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The RTP sequence number.
    pub sequence_number: u16,
    /// The RTP timestamp in milliseconds, rounded down.
    pub timestamp_ms: i64,
}

/// The outcome for one packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Samples written; 0 for a packet that came too late.
    pub written: usize,
    /// How many of them, at the beginning, stand for packets that were lost before this one.
    pub recovered: usize,
    /// The packet was malformed, and its own part was concealed.
    pub was_malformed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    position: Option<Position>,
    samples: usize,
}

impl Receiver {
    /// Creates the receiving side with samples of that rate.
    pub fn new(rate: Rate) -> Result<Self, Error> {
        let longest_gap = rate.samples(MAX_RECOVERED);
        Ok(Self { decoder: Decoder::new(rate)?, last: None, concealed: 0, late: 0, longest_gap })
    }

    /// Fills gaps of at most that many milliseconds, at most 120, for a caller with less room further on.
    pub fn filling_at_most(mut self, milliseconds: usize) -> Self {
        self.longest_gap = self.decoder.rate().samples(milliseconds.min(MAX_RECOVERED));
        self
    }

    /// The most samples that one call writes: the longest packet, and the longest gap that is filled before it.
    pub const fn max_output(rate: Rate) -> usize {
        rate.samples(MAX_PACKET + MAX_RECOVERED)
    }

    /// Decodes a packet into `samples`, which has room for [`Self::max_output`]. Without a position, no packet is missed.
    pub fn handle_packet(&mut self, position: Option<Position>, packet: &[u8], samples: &mut [i16]) -> Read {
        let rate = self.decoder.rate();
        let parsed = packet_samples(packet, rate);
        let own = parsed.unwrap_or_else(|_| self.usual_samples());
        let missing = match self.place(position) {
            Place::Late => return Read::default(),
            Place::Next => 0,
            Place::AfterLost(samples) => samples.saturating_sub(self.concealed).min(self.longest_gap),
            Place::Elsewhere => {
                self.decoder.reset();
                0
            }
        };
        self.concealed = 0;
        self.last = Some(Last { position, samples: own });
        let Some((lost, rest)) = samples.split_at_mut_checked(missing) else { return Read::default() };
        self.recover(parsed.is_ok().then_some(packet), lost);
        let Some(rest) = rest.get_mut(..own) else { return Read::default() };
        let decoded = parsed.and_then(|_| self.decoder.decode(packet, rest));
        let was_malformed = decoded.is_err();
        if was_malformed {
            self.recover(None, rest);
        }
        Read { written: missing + decoded.unwrap_or(own), recovered: missing, was_malformed }
    }

    /// Conceals a packet that the caller knows to be missing, as a jitter buffer does. Writes `wanted` samples, rounded to a multiple
    /// of 2.5 ms, and at most 120 ms; returns how many.
    pub fn handle_loss(&mut self, wanted: usize, samples: &mut [i16]) -> usize {
        let rate = self.decoder.rate();
        let wanted = (wanted / rate.unit()).max(1) * rate.unit();
        let wanted = wanted.min(rate.samples(MAX_PACKET));
        let Some(concealed) = samples.get_mut(..wanted) else { return 0 };
        self.recover(None, concealed);
        self.concealed += wanted;
        wanted
    }

    /// The rate of the samples.
    pub fn rate(&self) -> Rate {
        self.decoder.rate()
    }

    /// Fills `lost`; with silence, should libopus fail.
    fn recover(&mut self, following: Option<&[u8]>, lost: &mut [i16]) {
        if lost.is_empty() {
            return;
        }
        let from_copy = following.map(|packet| self.decoder.recover(packet, lost));
        if from_copy != Some(Ok(())) && self.decoder.conceal(lost).is_err() {
            lost.fill(0);
        }
    }

    /// The length of the last packet, which is probably that of one that cannot be read.
    fn usual_samples(&self) -> usize {
        self.last.map_or(self.decoder.rate().samples(20), |last| last.samples)
    }

    fn place(&mut self, position: Option<Position>) -> Place {
        let (Some(position), Some(Last { position: Some(last), samples })) = (position, self.last) else {
            return Place::Next;
        };
        let place = position.after(last, samples, self.decoder.rate());
        self.late = if matches!(place, Place::Late) { self.late + 1 } else { 0 };
        // A stream that goes on behind the last one is not late but another.
        if self.late > MAX_LATE {
            self.late = 0;
            return Place::Elsewhere;
        }
        place
    }
}

/// The place of a packet, seen from the last one that was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It follows.
    Next,
    /// Sound of that many samples is missing between them.
    AfterLost(usize),
    /// It was played or concealed already.
    Late,
    /// It is of another stream, or of the time after a long interruption.
    Elsewhere,
}

impl Position {
    /// Judges by the sequence number. Whether a distant one is of the same stream, and how long the sound is that is missing, the
    /// timestamp tells: packets of one stream may have different lengths.
    fn after(self, last: Self, last_samples: usize, rate: Rate) -> Place {
        let packets = self.sequence_number.wrapping_sub(last.sequence_number).cast_signed();
        let elapsed_ms = self.timestamp_ms.wrapping_sub(last.timestamp_ms);
        match packets {
            1 => Place::Next,
            2..=MAX_LOST => {
                Place::AfterLost(missing(usize::from(packets.unsigned_abs()) - 1, elapsed_ms, last_samples, rate))
            }
            MOST_BEHIND..=0 if (-MAX_LATE_MS..=0).contains(&elapsed_ms) => Place::Late,
            _ => Place::Elsewhere,
        }
    }
}

/// Samples of the sound that is missing, a multiple of 2.5 ms. `packets` are lost. Where the timestamps make no sense, as when they
/// wrap, every packet counts as long as the last.
fn missing(packets: usize, elapsed_ms: i64, last_samples: usize, rate: Rate) -> usize {
    let (unit, per_ms) = (rate.unit(), rate.samples(1));
    let by_timestamp = usize::try_from(elapsed_ms)
        .ok()
        .filter(|elapsed| *elapsed <= (packets + 1) * MAX_PACKET)
        .and_then(|elapsed| (elapsed * per_ms + unit / 2).checked_sub(last_samples));
    by_timestamp.map_or(packets * last_samples, |samples| samples / unit * unit)
}

/// The longest packet in milliseconds (RFC 6716 §3.2.5).
const MAX_PACKET: usize = 120;

/// The longest gap that is filled, in milliseconds. Concealment has faded by then.
const MAX_RECOVERED: usize = 120;

/// The most packets that may be lost or overtaken in one stream: a second of 20 ms each.
const MAX_LOST: i16 = 50;

const MOST_BEHIND: i16 = -MAX_LOST;

/// A packet that is overtaken by more than this is of another stream.
const MAX_LATE_MS: i64 = 1000;

/// The most packets in a row that may be late.
const MAX_LATE: u32 = 10;
