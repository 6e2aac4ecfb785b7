//! Text (T.140): received packets become frames of the host, and text of the host is sent with redundancy (RFC 4103).

use std::time::Duration;

use asterisk::format::Codec;
use asterisk::rtp::Instance;
use asterisk::slot::Timing;
use asterisk::{Format, HostFrame};
use rtp::red::RedError;
use rtp::text::{Receiver, Sender};

use super::frames::Frames;
use crate::transport::arrived::Arrived;

/// The received text between packets. The host gets plain T.140, whatever the peer sends.
#[derive(Default)]
pub struct IncomingText {
    receiver: Receiver,
    /// RTP timestamp of the last text, in milliseconds.
    timestamp: Option<u32>,
}

impl IncomingText {
    /// The next packet comes from another SSRC.
    pub fn change_source(&mut self) {
        self.receiver.change_source();
        self.timestamp = None;
    }

    /// Makes the frame of a packet: its own text, and that of lost packets which it repeats. Returns the null frame when there is
    /// nothing new. Fails when the lengths in the packet do not add up.
    pub fn frame(&mut self, frames: &mut Frames, format: &Format, arrived: &Arrived) -> Result<HostFrame, RedError> {
        let header = &arrived.header;
        let (number, marker) = (header.sequence_number, header.marker);
        let payload = frames.payload(arrived.payload.clone());
        let text = match format.codec() {
            Some(Codec::T140Red) => self.receiver.handle_redundant(number, marker, payload)?,
            _ => self.receiver.handle_plain(number, marker, payload),
        };
        let (Some(text), Some(plain)) = (text, Format::of(Codec::T140)) else { return Ok(HostFrame::null()) };
        let start = arrived.payload.start;
        let mut octets = rtp::text::mend(frames.buffer(), start + text.range.start..start + text.range.end);
        if text.follows_loss {
            frames.mark_missing(&mut octets);
        }
        if octets.is_empty() {
            return Ok(HostFrame::null());
        }
        let since = self.timestamp.replace(header.timestamp).map_or(0, |last| header.timestamp.wrapping_sub(last));
        let timing = Timing { sequence_number: number, ..Timing::default() };
        Ok(frames.media().text(&plain, octets, timing, since))
    }
}

/// Text with redundancy on its way out.
pub struct Redundancy {
    /// The packets to send.
    pub sender: Sender,
    /// The payload type of T.140 in the description's list of generations, if it has one.
    described: Option<u8>,
    /// The payload types of the last text.
    pub types: Option<TextTypes>,
}

/// Payload types for text with redundancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextTypes {
    /// The packet's payload type (`text/red`).
    pub packet: u8,
    /// The payload type of the blocks in it (`text/t140`).
    pub block: u8,
}

impl Redundancy {
    /// Creates a sender that repeats text in `generations` packets. `described` is what a description lists as payload types of the
    /// generations; chan_sip passes on whatever its memory contained when the list is missing.
    pub fn new(interval: Duration, generations: usize, described: &[i32]) -> Self {
        Self { sender: Sender::new(interval, generations), described: payload_type(described), types: None }
    }

    /// Takes over another list of payload types; text that waits and generations stay.
    pub fn describe(&mut self, described: &[i32]) {
        self.described = payload_type(described);
    }

    /// Returns the payload types that the descriptions agreed on; `None` without one for `text/red`.
    pub fn types(&self, instance: Instance<'_>) -> Option<TextTypes> {
        let packet = instance.payload_type_of(&Format::of(Codec::T140Red)?)?;
        let block = instance.payload_type_of(&Format::of(Codec::T140)?);
        let block = block.filter(|block| instance.is_described(*block)).or(self.described).or(block)?;
        Some(TextTypes { packet, block })
    }
}

fn payload_type(described: &[i32]) -> Option<u8> {
    described
        .first()
        .and_then(|payload_type| u8::try_from(*payload_type).ok())
        .filter(|payload_type| *payload_type < 128)
}
