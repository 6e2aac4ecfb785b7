//! Linear samples to Opus.

use std::ffi::CStr;

use asterisk::translator::{Sound, Taken, Translate, Translated};
use asterisk::{Failed, FrameRef};
use opus::{MAX_PACKET_LEN, Sender};

use crate::{linear, milliseconds, rate, settings, warn};

/// A path from linear samples at `HZ` to Opus.
pub struct Encode<const HZ: u32> {
    sender: Sender,
    /// Samples from before the last frame that came in.
    lead: usize,
}

impl<const HZ: u32> Translate for Encode<HZ> {
    const NAME: &'static CStr = match HZ {
        8000 => c"slin_to_opus",
        16_000 => c"slin16_to_opus",
        _ => c"slin48_to_opus",
    };
    const FROM: Sound = linear(HZ);
    const TO: Sound = Sound::OpusAsG719;
    const MAX_OUTPUT: usize = MAX_PACKET_LEN;

    fn new() -> Result<Self, Failed> {
        let sender = Sender::new(rate(HZ), &settings::encoder()).map_err(|error| {
            warn(error);
            Failed
        })?;
        Ok(Self { sender, lead: 0 })
    }

    fn handle_frame(&mut self, frame: FrameRef<'_>) -> Taken {
        self.lead = self.sender.waiting();
        for part in frame.payload().chunks(2 * PART) {
            let mut samples = [0; PART];
            for (place, sample) in samples.iter_mut().zip(part.chunks_exact(2)) {
                *place = i16::from_ne_bytes([sample[0], sample[1]]);
            }
            self.sender.handle_samples(&samples[..part.len() / 2]);
        }
        Taken::Used
    }

    fn poll_frame(&mut self, output: &mut [u8]) -> Option<Translated> {
        let sent = self.sender.poll_packet(output)?.map_err(warn).ok()?;
        let lead_ms = milliseconds(std::mem::take(&mut self.lead), HZ);
        Some(Translated { len: sent.len, samples: sent.ticks, lead_ms, recovered_ms: 0 })
    }

    fn sample() -> &'static [u8] {
        &SOUND[..HZ as usize / 50 * 2]
    }
}

/// Samples that are converted at a time.
const PART: usize = 160;

/// A triangle of 100 Hz at 48000 Hz, 20 ms.
static SOUND: [u8; 1920] = {
    let mut sound = [0; 1920];
    let mut index = 0;
    while index < sound.len() / 2 {
        let rising = (index % 480) as i16;
        let sample = (if rising < 240 { rising } else { 480 - rising }) * 100 - 12_000;
        [sound[2 * index], sound[2 * index + 1]] = sample.to_ne_bytes();
        index += 1;
    }
    sound
};
