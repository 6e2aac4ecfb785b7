//! A decoder of libopus.

use std::ffi::c_int;
use std::fmt;
use std::ptr::{self, NonNull};

use opusic_sys as sys;

use crate::error::{Error, count};
use crate::rate::Rate;

/// Decodes packets of one stream to samples of one channel.
pub struct Decoder {
    state: NonNull<sys::OpusDecoder>,
    rate: Rate,
}

// SAFETY: the state is memory that is not tied to a thread.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Creates a decoder whose samples have that rate. Wraps `opus_decoder_create`.
    pub fn new(rate: Rate) -> Result<Self, Error> {
        let mut code = sys::OPUS_OK;
        // SAFETY: libopus writes the code and returns a new state, or null.
        let state = unsafe { sys::opus_decoder_create(rate.for_c(), 1, &raw mut code) };
        NonNull::new(state).map(|state| Self { state, rate }).ok_or(Error::of(code))
    }

    /// Decodes a packet, which lasts 2.5 to 120 ms. Returns the number of samples written. Wraps `opus_decode`.
    ///
    /// Fails with [`Error::Malformed`] for an empty packet as well, which libopus would take for a lost one.
    pub fn decode(&mut self, packet: &[u8], samples: &mut [i16]) -> Result<usize, Error> {
        if packet.is_empty() {
            return Err(Error::Malformed);
        }
        let room = samples.len();
        self.run(Some(packet), samples, room, 0)
    }

    /// Fills `samples` with the sound before the packet `following`, which is not decoded yet: from the copy in it as far as it
    /// reaches, and otherwise by concealment. The length is a multiple of [`Rate::unit`].
    pub fn recover(&mut self, following: &[u8], samples: &mut [i16]) -> Result<(), Error> {
        if following.is_empty() {
            return self.conceal(samples);
        }
        let wanted = samples.len();
        self.run(Some(following), samples, wanted, 1).map(drop)
    }

    /// Fills `samples` with a continuation of the sound so far, which fades when it is asked for again and again. The length is a
    /// multiple of [`Rate::unit`].
    pub fn conceal(&mut self, samples: &mut [i16]) -> Result<(), Error> {
        // libopus conceals at most 120 ms at a time.
        for part in samples.chunks_mut(self.rate.samples(120)) {
            let wanted = part.len();
            self.run(None, part, wanted, 0)?;
        }
        Ok(())
    }

    /// Forgets the stream so far: another one begins. Wraps `OPUS_RESET_STATE`.
    pub fn reset(&mut self) {
        // SAFETY: the state is ours; this request takes no argument.
        unsafe { sys::opus_decoder_ctl(self.state.as_ptr(), sys::OPUS_RESET_STATE) };
    }

    /// The rate of the samples.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    fn run(
        &mut self,
        packet: Option<&[u8]>,
        samples: &mut [i16],
        wanted: usize,
        from_copy: c_int,
    ) -> Result<usize, Error> {
        let (data, len) = packet.map_or((ptr::null(), 0), |packet| (packet.as_ptr(), packet.len()));
        let (Ok(len), Ok(wanted)) = (len.try_into(), c_int::try_from(wanted)) else { return Err(Error::Unsupported) };
        // SAFETY: the state is ours; libopus reads `len` bytes and writes at most `wanted` samples, which is the length of `samples`.
        let decoded =
            unsafe { sys::opus_decode(self.state.as_ptr(), data, len, samples.as_mut_ptr(), wanted, from_copy) };
        count(decoded)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `new` got it from libopus, and nobody else has it.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) };
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({} Hz)", self.rate.hz())
    }
}

/// The number of samples that a packet lasts at that rate, from its first two octets (RFC 6716 §3.1 and §3.2). Wraps
/// `opus_packet_get_nb_samples`.
pub fn packet_samples(packet: &[u8], rate: Rate) -> Result<usize, Error> {
    let Ok(len) = packet.len().try_into() else { return Err(Error::Malformed) };
    if packet.is_empty() {
        return Err(Error::Malformed);
    }
    // SAFETY: libopus reads at most `len` bytes.
    let samples = unsafe { sys::opus_packet_get_nb_samples(packet.as_ptr(), len, rate.for_c()) };
    // Libopus counts no samples in a packet without frames (RFC 6716 section 3.2.5 forbids it).
    count(samples).ok().filter(|samples| *samples > 0).ok_or(Error::Malformed)
}
