//! Sampling rates.

use std::ffi::c_int;

/// A sampling rate of the samples, at which the codec works. The packets do not depend on it: their clock is always 48000 Hz (RFC 7587
/// §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rate {
    /// 8000 Hz: narrowband, the bandwidth of a telephone.
    Hz8000,
    /// 16000 Hz: wideband.
    Hz16000,
    /// 48000 Hz: fullband.
    Hz48000,
}

impl Rate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hz8000, Self::Hz16000, Self::Hz48000];

    /// Samples per second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8000,
            Self::Hz16000 => 16_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// Samples in that many milliseconds.
    pub const fn samples(self, milliseconds: usize) -> usize {
        self.hz() as usize / 1000 * milliseconds
    }

    /// Samples in 2.5 ms, the shortest frame and the unit of concealment (RFC 6716 §2.1.4).
    pub const fn unit(self) -> usize {
        self.hz() as usize / 400
    }

    /// Ticks of the RTP clock of 48000 Hz in that many samples.
    pub const fn ticks(self, samples: usize) -> usize {
        samples * (48_000 / self.hz() as usize)
    }

    pub(crate) const fn for_c(self) -> c_int {
        self.hz() as c_int
    }
}
