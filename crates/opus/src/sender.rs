//! The sending side of a stream: samples are gathered to frames of 20 ms.

use crate::encoder::{Encoder, Settings};
use crate::error::Error;
use crate::rate::Rate;

/// Gathers samples, and encodes them when there are 20 ms of them.
#[derive(Debug)]
pub struct Sender {
    encoder: Encoder,
    gathered: Vec<i16>,
}

/// A packet that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its length in octets.
    pub len: usize,
    /// Its duration in ticks of the RTP clock of 48000 Hz (RFC 7587 §4.1).
    pub ticks: usize,
    /// Its duration in samples.
    pub samples: usize,
}

impl Sender {
    /// Creates the sending side for samples of that rate. Fails for settings outside of their ranges.
    pub fn new(rate: Rate, settings: &Settings) -> Result<Self, Error> {
        Ok(Self { encoder: Encoder::new(rate, settings)?, gathered: Vec::with_capacity(rate.samples(CAPACITY)) })
    }

    /// Takes samples in. Returns how many were discarded: those that would make more than a second wait to be sent.
    pub fn handle_samples(&mut self, samples: &[i16]) -> usize {
        let taken = samples.len().min(self.gathered.capacity() - self.gathered.len());
        self.gathered.extend_from_slice(&samples[..taken]);
        samples.len() - taken
    }

    /// Writes the next packet, of all whole frames that have gathered up to 120 ms; `None` while there is no whole frame. Its samples
    /// are used up even if libopus fails. The packet has at most [`crate::MAX_PACKET_LEN`] octets.
    pub fn poll_packet(&mut self, packet: &mut [u8]) -> Option<Result<Sent, Error>> {
        let rate = self.encoder.rate();
        let frame = rate.samples(FRAME);
        let samples = (self.gathered.len() / frame).min(MAX_FRAMES) * frame;
        if samples == 0 {
            return None;
        }
        let encoded = self.encoder.encode(&self.gathered[..samples], packet);
        self.gathered.drain(..samples);
        Some(encoded.map(|len| Sent { len, ticks: rate.ticks(samples), samples }))
    }

    /// The number of samples that wait.
    pub fn waiting(&self) -> usize {
        self.gathered.len()
    }

    /// The rate of the samples.
    pub fn rate(&self) -> Rate {
        self.encoder.rate()
    }
}

/// The length of a frame in milliseconds.
const FRAME: usize = 20;

/// The most frames in a packet: a packet lasts at most 120 ms (RFC 6716 §3.2.5).
const MAX_FRAMES: usize = 6;

/// The most that waits to be sent, in milliseconds.
const CAPACITY: usize = 1000;
