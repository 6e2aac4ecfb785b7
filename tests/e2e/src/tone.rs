//! Generates tones and finds them in recordings, at the telephone's 8000 samples per second.

use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The number of samples per second.
pub const RATE: u32 = 8000;

/// Audio with one channel.
#[derive(Clone, Debug, Default)]
pub struct Audio {
    samples: Vec<i16>,
}

impl Audio {
    /// Makes a pure tone.
    pub fn tone(frequency: f64, length: Duration) -> Self {
        let count = (length.as_secs_f64() * f64::from(RATE)) as u32;
        let step = TAU * frequency / f64::from(RATE);
        Self { samples: (0..count).map(|index| ((f64::from(index) * step).sin() * 8000.0) as i16).collect() }
    }

    /// Makes audio of these samples.
    pub fn of(samples: Vec<i16>) -> Self {
        Self { samples }
    }

    /// Reads a WAV file with 16 bits per sample, as Asterisk records it.
    pub fn read_wav(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        // Asterisk writes a simple header of 44 bytes, and the lengths in it only at the end of the recording.
        Ok(Self::from_bytes(bytes.get(44..).unwrap_or_default()))
    }

    /// Reads samples of 16 bits, little-endian.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::of(bytes.as_chunks::<2>().0.iter().copied().map(i16::from_le_bytes).collect())
    }

    /// Writes a WAV file with 16 bits per sample.
    pub fn write_wav(&self, path: &Path) -> io::Result<()> {
        let length = self.samples.len() as u32 * 2;
        let mut bytes = Vec::with_capacity(44 + self.samples.len() * 2);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&(36 + length).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&16_u32.to_le_bytes());
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend_from_slice(&RATE.to_le_bytes());
        bytes.extend_from_slice(&(RATE * 2).to_le_bytes());
        bytes.extend_from_slice(&2_u16.to_le_bytes());
        bytes.extend_from_slice(&16_u16.to_le_bytes());
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        fs::write(path, bytes)
    }

    /// Its duration.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(RATE))
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The time during which nearly all audio is this tone, in windows of 100 ms.
    pub fn time_of_tone(&self, frequency: f64) -> Duration {
        let window = RATE as usize / 10;
        let found = self.samples.chunks_exact(window).filter(|samples| share(samples, frequency) > 0.8).count();
        Duration::from_millis(100) * found as u32
    }

    /// The time during which the correlation with this tone, at any phase, is above 0.99, in windows of 500 ms.
    pub fn time_like_tone(&self, frequency: f64) -> Duration {
        let window = RATE as usize / 2;
        let found = self.samples.chunks_exact(window).filter(|samples| share(samples, frequency).sqrt() > 0.99).count();
        Duration::from_millis(500) * found as u32
    }
}

/// The share of this frequency in the power, 0 for silence (Goertzel's filter in closed form).
fn share(samples: &[i16], frequency: f64) -> f64 {
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
    if power < 100.0 {
        return 0.0;
    }
    let step = TAU * frequency / f64::from(RATE);
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let angle = step * index as f64;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    2.0 * (real * real + imaginary * imaginary) / (samples.len() as f64).powi(2) / power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_at_its_own_frequency_alone() {
        let audio = Audio::tone(600.0, Duration::from_secs(1));
        assert_eq!(audio.time_of_tone(600.0), Duration::from_secs(1));
        assert_eq!(audio.time_of_tone(1000.0), Duration::ZERO);
        assert_eq!(Audio::of(vec![0; 8000]).time_of_tone(600.0), Duration::ZERO);
    }
}
