//! Opus to linear samples.

use std::ffi::CStr;
use std::mem;

use asterisk::translator::{Sound, Taken, Translate, Translated};
use asterisk::{Failed, FrameRef};
use opus::{Position, Receiver};

use crate::{linear, milliseconds, rate, warn};

/// A path from Opus to linear samples at `HZ`.
pub struct Decode<const HZ: u32> {
    receiver: Receiver,
    /// The samples for the next frame that goes out, `written` of them.
    samples: Vec<i16>,
    written: usize,
    /// Samples among them that stand for lost packets.
    recovered: usize,
    /// Samples among them from before the last packet.
    lead: usize,
}

impl<const HZ: u32> Translate for Decode<HZ> {
    const NAME: &'static CStr = match HZ {
        8000 => c"opus_to_slin",
        16_000 => c"opus_to_slin16",
        _ => c"opus_to_slin48",
    };
    const FROM: Sound = Sound::OpusAsG719;
    const TO: Sound = linear(HZ);
    const MAX_OUTPUT: usize = Receiver::max_output(rate(HZ)) * 2;

    fn new() -> Result<Self, Failed> {
        let receiver = Receiver::new(rate(HZ)).map_err(|error| {
            warn(error);
            Failed
        })?;
        let receiver = receiver.filling_at_most(LONGEST_GAP_MS[(HZ == 48_000) as usize]);
        Ok(Self { receiver, samples: vec![0; Self::MAX_OUTPUT / 2], written: 0, recovered: 0, lead: 0 })
    }

    fn handle_frame(&mut self, frame: FrameRef<'_>) -> Taken {
        let (before, room) = (self.written, &mut self.samples[self.written..]);
        if frame.payload().is_empty() {
            let lost = frame.samples() as usize * HZ as usize / Self::FROM.rate() as usize;
            self.written += self.receiver.handle_loss(lost, room);
            return Taken::Used;
        }
        let read = self.receiver.handle_packet(position(frame), frame.payload(), room);
        self.written += read.written;
        self.recovered += read.recovered;
        self.lead = before + read.recovered;
        if read.was_malformed {
            warn(opus::Error::Malformed);
        }
        if read.written > 0 { Taken::Used } else { Taken::Dropped }
    }

    fn poll_frame(&mut self, output: &mut [u8]) -> Option<Translated> {
        let [written, recovered, lead] = [&mut self.written, &mut self.recovered, &mut self.lead].map(mem::take);
        for (place, sample) in output.chunks_exact_mut(2).zip(&self.samples[..written]) {
            place.copy_from_slice(&sample.to_ne_bytes());
        }
        (written > 0).then(|| Translated {
            len: written * 2,
            samples: written,
            lead_ms: milliseconds(lead, HZ),
            recovered_ms: milliseconds(recovered, HZ),
        })
    }

    fn sample() -> &'static [u8] {
        &PACKET
    }
}

/// The place of the frame in the stream that it was received in; `None` for a frame of another origin.
fn position(frame: FrameRef<'_>) -> Option<Position> {
    let timestamp_ms = frame.timestamp_ms()?;
    Some(Position { sequence_number: frame.sequence_number() as u16, timestamp_ms })
}

/// The longest gap that is filled before a packet, below 48000 Hz and at 48000 Hz. The resampler behind the latter has room for 4,048
/// samples, which are 84 ms, before Asterisk 11.25, and drops a longer frame whole.
const LONGEST_GAP_MS: [usize; 2] = [120, 60];

/// Wideband speech of 20 ms by its first octet (RFC 6716 §3.1). Any octets after it are a frame.
const PACKET: [u8; 60] = {
    let mut packet = [0x48; 60];
    let mut index = 1;
    while index < packet.len() {
        packet[index] = (packet[index - 1] as u32 * 77 + 41) as u8;
        index += 1;
    }
    packet
};
