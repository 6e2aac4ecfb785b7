//! Our source (RFC 3550 §3): media, comfort noise and digits under one SSRC and one count of sequence numbers.

use std::time::Instant;

use asterisk::rtp::rtp_code;
use rtp::statistics::SenderStatistics;
use rtp::timestamp::{PictureTimeline, Span, Timeline};
use rtp::{Header, telephone_event};

use super::digits::Digits;

/// The sending side of a session.
pub struct Source {
    ssrc: u32,
    sequence_number: u16,
    timeline: Timeline,
    pictures: PictureTimeline,
    digits: Digits,
    /// Clock rate in Hz of the media that was sent last.
    clock_rate: Option<u32>,
    marker_due: bool,
    statistics: SenderStatistics,
    /// The packet that was written last.
    packet: Vec<u8>,
}

/// A frame of media, before it has a header.
pub struct Media<'a> {
    /// The payload type that was negotiated.
    pub payload_type: u8,
    /// Whether the frame asks for the marker.
    pub marker: bool,
    /// Whether the marker is set after a pause: for audio.
    pub marks_pauses: bool,
    /// The place in time.
    pub span: Span,
    /// Whether `span.ticks` have passed before the frame (video) rather than during it.
    pub ticks_before: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// A packet that lies in [`Source::packet`], as it is to be counted.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// The packet's header.
    pub header: Header,
    /// Octets of payload.
    pub payload_len: usize,
    /// The stream's timestamp and clock rate in Hz at this moment (RFC 3550 §6.4.1).
    at: (u32, u32),
}

impl Source {
    /// Makes a source with random numbers where RFC 3550 §5.1 wants them random. The first sequence number leaves room
    /// before the first wrap, which SRTP's rollover counter cannot see when packets are lost (RFC 3711 §3.3.1).
    pub fn new() -> Self {
        let ssrc = asterisk::random::u32();
        Self {
            ssrc,
            sequence_number: (asterisk::random::u32() & 0x7FFF) as u16,
            timeline: Timeline::new(asterisk::random::u32()),
            pictures: PictureTimeline::new(asterisk::random::u32()),
            digits: Digits::new(),
            clock_rate: None,
            marker_due: false,
            statistics: SenderStatistics::new(ssrc),
            packet: Vec::new(),
        }
    }

    /// Returns our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Returns the clock rate in Hz of the media that was sent, once some was.
    pub fn clock_rate(&self) -> Option<u32> {
        self.clock_rate
    }

    /// Returns the digit that is being sent.
    pub fn digits(&self) -> &Digits {
        &self.digits
    }

    /// Returns the digit that is being sent, to change it.
    pub fn digits_mut(&mut self) -> &mut Digits {
        &mut self.digits
    }

    /// Returns what was sent, and what the peer's reports say of it.
    pub fn statistics(&self) -> &SenderStatistics {
        &self.statistics
    }

    /// Returns the statistics, to count in them.
    pub fn statistics_mut(&mut self) -> &mut SenderStatistics {
        &mut self.statistics
    }

    /// Sets the marker of the next packet of media, which begins something new.
    pub fn mark_next(&mut self) {
        self.marker_due = true;
    }

    /// Takes another SSRC. Returns the old and the new one; `None` when nothing was sent under it, which needs no change.
    pub fn change_ssrc(&mut self) -> Option<(u32, u32)> {
        if self.statistics.packets() == 0 {
            return None;
        }
        let (old, new) = (self.ssrc, asterisk::random::u32());
        self.ssrc = new;
        self.statistics.change_ssrc(new);
        self.marker_due = true;
        Some((old, new))
    }

    /// Writes a packet of media.
    pub fn write_media(&mut self, now: Instant, media: &Media<'_>) -> Written {
        let Span { ticks, clock_rate, .. } = media.span;
        self.clock_rate = Some(clock_rate);
        let (timestamp, after_pause) = if media.ticks_before {
            (self.pictures.packet(now, ticks, clock_rate), false)
        } else {
            let stamp = self.timeline.frame(now, media.span);
            (stamp.timestamp, stamp.after_pause)
        };
        let marker = media.marker || std::mem::take(&mut self.marker_due) || (media.marks_pauses && after_pause);
        let header = self.header(media.payload_type, marker, timestamp);
        self.write(header, media.payload, (timestamp, clock_rate))
    }

    /// Writes comfort noise at `level` (RFC 3389).
    pub fn write_comfort_noise(&mut self, now: Instant, payload_type: u8, level: u8) -> Written {
        let at = self.now_in_stream(now, rtp_code::CLOCK);
        let header = self.header(payload_type, false, at.0);
        self.write(header, &rtp::comfort_noise::payload(level), at)
    }

    /// Presses a key; `clock_rate` in Hz is that of the payload type.
    pub fn begin_digit(&mut self, now: Instant, key: telephone_event::Key, payload_type: u8, clock_rate: u32) {
        // Where the two differ, the stream's timestamps go on by the clock of its media.
        let (timestamp, _) = self.now_in_stream(now, clock_rate);
        self.digits.begin(now, key, timestamp, payload_type, clock_rate);
    }

    /// Writes a packet of the digit that is being sent.
    pub fn write_digit(&mut self, now: Instant, event: &telephone_event::Outgoing) -> Written {
        let clock_rate = self.digits.clock_rate();
        let at = self.now_in_stream(now, clock_rate);
        let header = self.header(self.digits.payload_type(), event.marker, event.timestamp);
        self.write(header, &event.payload, at)
    }

    /// Returns the packet that was written last.
    pub fn packet(&mut self) -> &mut [u8] {
        &mut self.packet
    }

    /// Counts a packet that went out. Digits and noise are packets of the stream too (RFC 3550 §6.4.1).
    pub fn count(&mut self, now: Instant, written: &Written) {
        let (timestamp, clock_rate) = written.at;
        self.statistics.sent(now, written.payload_len, timestamp, clock_rate);
    }

    /// Returns timestamp and clock rate of the stream at this moment; `otherwise` is the rate if no media was sent yet.
    fn now_in_stream(&mut self, now: Instant, otherwise: u32) -> (u32, u32) {
        let clock_rate = self.clock_rate.unwrap_or(otherwise);
        (self.timeline.at(now, clock_rate), clock_rate)
    }

    fn header(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Header {
        let header = Header { marker, payload_type, sequence_number: self.sequence_number, timestamp, ssrc: self.ssrc };
        self.sequence_number = self.sequence_number.wrapping_add(1);
        header
    }

    fn write(&mut self, header: Header, payload: &[u8], at: (u32, u32)) -> Written {
        // Takes memory for the first packet, and for one that is larger than any before.
        self.packet.clear();
        self.packet.extend_from_slice(&header.to_bytes());
        self.packet.extend_from_slice(payload);
        Written { header, payload_len: payload.len(), at }
    }
}
