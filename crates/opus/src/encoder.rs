//! An encoder of libopus.

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use opusic_sys as sys;

use crate::error::{Error, count};
use crate::rate::Rate;

/// The longest packet that is sent, in octets: the longest frame of Opus (RFC 6716 §3.4), which passes every network in one piece.
pub const MAX_PACKET_LEN: usize = 1275;

/// The settings of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Computation spent on quality, from 0 to 10.
    pub complexity: u8,
    /// Bits per second, from 6000 to 510000. `None`: by the sampling rate, see [`Settings::bitrate_at`].
    pub bitrate: Option<u32>,
    /// The loss to prepare for, in percent. Without any, no packet carries a copy of the one before.
    pub expected_loss: u8,
    /// Whether packets carry a copy of the one before at a lower rate (in-band FEC), as far as the loss and the bit rate want it.
    pub forward_error_correction: bool,
}

impl Default for Settings {
    /// Complexity 5, the bit rate by the sampling rate, and copies for a loss of 10 %.
    fn default() -> Self {
        Self { complexity: 5, bitrate: None, expected_loss: 10, forward_error_correction: true }
    }
}

impl Settings {
    /// Bits per second at that sampling rate. Without a setting it is in the middle of what RFC 7587 §3.1.1 recommends for speech of
    /// that bandwidth, with room for the copies.
    pub fn bitrate_at(&self, rate: Rate) -> u32 {
        self.bitrate.unwrap_or(match rate {
            Rate::Hz8000 => 20_000,
            Rate::Hz16000 => 28_000,
            Rate::Hz48000 => 40_000,
        })
    }
}

/// Encodes samples of one channel of speech.
pub struct Encoder {
    state: NonNull<sys::OpusEncoder>,
    rate: Rate,
}

// SAFETY: the state is memory that is not tied to a thread.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Creates an encoder for samples of that rate. Wraps `opus_encoder_create`. Fails for settings outside of their ranges.
    pub fn new(rate: Rate, settings: &Settings) -> Result<Self, Error> {
        let mut code = sys::OPUS_OK;
        // SAFETY: libopus writes the code and returns a new state, or null.
        let state = unsafe { sys::opus_encoder_create(rate.for_c(), 1, sys::OPUS_APPLICATION_VOIP, &raw mut code) };
        let mut encoder = NonNull::new(state).map(|state| Self { state, rate }).ok_or(Error::of(code))?;
        encoder.set(sys::OPUS_SET_COMPLEXITY_REQUEST, settings.complexity.into())?;
        let bitrate = settings.bitrate_at(rate).try_into().map_err(|_| Error::Unsupported)?;
        encoder.set(sys::OPUS_SET_BITRATE_REQUEST, bitrate)?;
        encoder.set(sys::OPUS_SET_INBAND_FEC_REQUEST, settings.forward_error_correction.into())?;
        encoder.set(sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST, settings.expected_loss.into())?;
        Ok(encoder)
    }

    /// Encodes samples of 20, 40, 60, 80, 100 or 120 ms (also 2.5, 5 and 10). Returns the length of the packet in octets. Wraps
    /// `opus_encode`.
    pub fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Result<usize, Error> {
        let Ok(len) = c_int::try_from(samples.len()) else { return Err(Error::Unsupported) };
        let room = packet.len().min(MAX_PACKET_LEN) as sys::opus_int32;
        // SAFETY: the state is ours; libopus reads `len` samples and writes at most `room` bytes.
        count(unsafe { sys::opus_encode(self.state.as_ptr(), samples.as_ptr(), len, packet.as_mut_ptr(), room) })
    }

    /// The rate of the samples.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    fn set(&mut self, request: c_int, value: c_int) -> Result<(), Error> {
        // SAFETY: the state is ours; the requests that we make take one `opus_int32`, which is an int.
        count(unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, value) }).map(drop)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `new` got it from libopus, and nobody else has it.
        unsafe { sys::opus_encoder_destroy(self.state.as_ptr()) };
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({} Hz)", self.rate.hz())
    }
}
