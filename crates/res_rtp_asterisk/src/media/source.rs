//! Our synchronization source (RFC 3550 §3): writes media, comfort noise and digits with one SSRC and one sequence of numbers.

use std::time::Instant;

use asterisk::rtp::rtp_code;
use rtp::statistics::SenderStatistics;
use rtp::timestamp::{PictureTimeline, Span, Timeline};
use rtp::{Header, telephone_event};

use super::digits::Digits;

/// Our synchronization source: the RTP state of the stream that we send, and its statistics.
pub struct Source {
    ssrc: u32,
    sequence_number: u16,
    timeline: Timeline,
    pictures: PictureTimeline,
    digits: Digits,
    /// RTP clock rate of the media that was sent last, in Hz.
    clock_rate: Option<u32>,
    marker_due: bool,
    /// Our description names the SSRC (RFC 5576), so it stays.
    is_announced: bool,
    statistics: SenderStatistics,
    /// The last written packet.
    packet: Vec<u8>,
}

/// The payload of a media packet, and what its header is made from.
pub struct Media<'a> {
    /// The negotiated payload type.
    pub payload_type: u8,
    /// Whether the frame requests the marker bit, as the last one of a picture does.
    pub marker: bool,
    /// Whether the marker bit is set after a pause and where a source begins, as for audio (RFC 3551 §4.1) and text
    /// (RFC 4103). In video it would end a picture (RFC 3551 §5).
    pub marks_pauses: bool,
    /// The duration and time of the frame.
    pub span: Span,
    /// Whether `span.ticks` is the time before the frame (video, text) rather than its duration (audio).
    pub ticks_before: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// The content of a packet of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Audio, video or text.
    Media,
    /// A telephone-event (RFC 4733).
    Digit,
    /// Comfort noise (RFC 3389).
    ComfortNoise,
}

/// Describes the packet in [`Source::packet`], for [`Source::count`].
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// The packet's content.
    pub content: Content,
    /// The packet's header.
    pub header: Header,
    /// Length of the payload in octets.
    pub payload_len: usize,
    /// The stream's current RTP timestamp and clock rate in Hz, for sender reports (RFC 3550 §6.4.1).
    at: (u32, u32),
}

impl Written {
    /// Describes a packet of no stream.
    #[cfg(test)]
    pub fn of(header: Header, payload_len: usize, content: Content) -> Self {
        Self { content, header, payload_len, at: (header.timestamp, rtp_code::CLOCK) }
    }
}

impl Source {
    /// Creates a source with random SSRC, sequence number and timestamps (RFC 3550 §5.1). The first sequence number is below 32768:
    /// if packets around an early wrap were lost, the receiver's SRTP rollover counter would be wrong (RFC 3711 §3.3.1).
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
            is_announced: false,
            statistics: SenderStatistics::new(ssrc),
            packet: Vec::new(),
        }
    }

    /// Returns our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Returns the RTP clock rate of the media sent last, in Hz; `None` before the first media packet.
    pub fn clock_rate(&self) -> Option<u32> {
        self.clock_rate
    }

    /// Returns the state of the digit that is being sent.
    pub fn digits(&self) -> &Digits {
        &self.digits
    }

    /// Returns the state of the digit that is being sent, to change it.
    pub fn digits_mut(&mut self) -> &mut Digits {
        &mut self.digits
    }

    /// Returns the statistics of the sent stream, including the peer's reports about it.
    pub fn statistics(&self) -> &SenderStatistics {
        &self.statistics
    }

    /// Returns the statistics of the sent stream, to change them.
    pub fn statistics_mut(&mut self) -> &mut SenderStatistics {
        &mut self.statistics
    }

    /// Sets the marker bit of the next media packet.
    pub fn mark_next(&mut self) {
        self.marker_due = true;
    }

    /// Returns whether the next media packet has to have the marker bit, once.
    pub fn take_mark(&mut self) -> bool {
        std::mem::take(&mut self.marker_due)
    }

    /// Returns whether a description names our SSRC.
    pub fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// Returns our SSRC for a description (RFC 5576 §4.1). From now on it does not change: some peers drop packets of any other
    /// (werift, str0m).
    pub fn announce_ssrc(&mut self) -> u32 {
        self.is_announced = true;
        self.ssrc
    }

    /// Changes to a new random SSRC. Returns the old and the new one; `None` if the SSRC stays, because nothing was sent yet or a
    /// description names it. A described source goes on with its timestamps and sequence numbers, and marks the next packet.
    pub fn change_ssrc(&mut self) -> Option<(u32, u32)> {
        if self.statistics.packets() == 0 {
            return None;
        }
        if self.is_announced {
            self.marker_due = true;
            return None;
        }
        let (old, new) = (self.ssrc, asterisk::random::u32());
        if !self.passes_on() {
            self.statistics.change_ssrc(new);
        }
        self.ssrc = new;
        self.marker_due = true;
        Some((old, new))
    }

    /// Writes a media packet to [`Self::packet`].
    pub fn write_media(&mut self, now: Instant, media: &Media<'_>) -> Written {
        let Span { ticks, clock_rate, .. } = media.span;
        self.clock_rate = Some(clock_rate);
        let (timestamp, after_pause) = if media.ticks_before {
            // Text that the host makes itself does not say how much time has passed.
            let advance = (ticks > 0 || clock_rate != rtp::text::CLOCK_RATE).then_some(ticks);
            (self.pictures.packet(now, advance, clock_rate), false)
        } else {
            let stamp = self.timeline.frame(now, media.span);
            (stamp.timestamp, stamp.after_pause)
        };
        let begins = std::mem::take(&mut self.marker_due) || after_pause;
        let marker = media.marker || (media.marks_pauses && begins);
        let header = self.header(media.payload_type, marker, timestamp);
        self.write(Content::Media, header, media.payload, (timestamp, clock_rate))
    }

    /// Writes a comfort noise packet to [`Self::packet`]. `level` is in -dBov (RFC 3389).
    pub fn write_comfort_noise(&mut self, now: Instant, payload_type: u8, level: u8) -> Written {
        let at = self.now_in_stream(now, rtp_code::CLOCK);
        let header = self.header(payload_type, false, at.0);
        self.write(Content::ComfortNoise, header, &rtp::comfort_noise::payload(level), at)
    }

    /// Starts a digit (RFC 4733). `clock_rate` is that of `payload_type` in Hz.
    pub fn begin_digit(&mut self, now: Instant, key: telephone_event::Key, payload_type: u8, clock_rate: u32) {
        // If its clock rate differs from the media's, the timestamp still follows the media's clock.
        let (timestamp, _) = self.now_in_stream(now, clock_rate);
        self.digits.begin(now, key, timestamp, payload_type, clock_rate);
    }

    /// Writes a packet of the digit that is being sent to [`Self::packet`].
    pub fn write_digit(&mut self, now: Instant, event: &telephone_event::Outgoing) -> Written {
        let clock_rate = self.digits.clock_rate();
        let at = self.now_in_stream(now, clock_rate);
        if event.marker {
            self.timeline.begin_event(now, event.timestamp, at.1);
        }
        self.timeline.covered(now, at.1);
        let header = self.header(self.digits.payload_type(), event.marker, event.timestamp);
        self.write(Content::Digit, header, &event.payload, at)
    }

    /// Returns the last written packet, header included.
    pub fn packet(&mut self) -> &mut [u8] {
        &mut self.packet
    }

    /// Counts a sent packet. Digits and comfort noise count as well (RFC 3550 §6.4.1).
    pub fn count(&mut self, now: Instant, written: &Written) {
        let (timestamp, clock_rate) = written.at;
        self.resume();
        self.statistics.sent(now, written.payload_len, timestamp, clock_rate);
    }

    /// Counts a packet of another session that was sent as it is. `clock_rate` is that of its timestamp in Hz; `None` if the
    /// timestamp is not of this moment.
    pub fn count_passed_on(&mut self, now: Instant, header: &Header, payload_len: usize, clock_rate: Option<u32>) {
        self.statistics.passed_on(now, payload_len, header, clock_rate);
    }

    /// Returns when the last packet was passed on; `None` if we have sent one of our own since.
    pub fn last_passed_on(&self) -> Option<Instant> {
        self.statistics.last_packet().filter(|_| self.passes_on())
    }

    /// Reports on our own SSRC again, after packets of another were passed on.
    pub fn resume(&mut self) {
        if self.passes_on() {
            self.statistics.change_ssrc(self.ssrc);
        }
    }

    fn passes_on(&self) -> bool {
        self.statistics.ssrc() != self.ssrc
    }

    /// Returns the stream's current RTP timestamp and clock rate in Hz. `otherwise` is the rate before the first media packet.
    fn now_in_stream(&mut self, now: Instant, otherwise: u32) -> (u32, u32) {
        let clock_rate = self.clock_rate.unwrap_or(otherwise);
        (self.timeline.at(now, clock_rate), clock_rate)
    }

    fn header(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Header {
        let header = Header { marker, payload_type, sequence_number: self.sequence_number, timestamp, ssrc: self.ssrc };
        self.sequence_number = self.sequence_number.wrapping_add(1);
        header
    }

    fn write(&mut self, content: Content, header: Header, payload: &[u8], at: (u32, u32)) -> Written {
        // Allocates only for the first packet, and for one that is larger than all before.
        self.packet.clear();
        self.packet.extend_from_slice(&header.to_bytes());
        self.packet.extend_from_slice(payload);
        Written { content, header, payload_len: payload.len(), at }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rtp::timestamp::Timing;

    use super::*;

    fn send(source: &mut Source, now: Instant) -> Header {
        send_timed(source, now, Timing::Continuous)
    }

    fn send_timed(source: &mut Source, now: Instant, timing: Timing) -> Header {
        let span = Span { ticks: 160, clock_rate: 8000, timing };
        let media =
            Media { payload_type: 0, marker: false, marks_pauses: true, span, ticks_before: false, payload: &[0; 160] };
        let written = source.write_media(now, &media);
        source.count(now, &written);
        written.header
    }

    #[test]
    fn a_new_source_has_a_new_ssrc_unless_a_description_names_it() {
        let (mut source, now) = (Source::new(), Instant::now());
        send(&mut source, now);
        let (old, new) = source.change_ssrc().unwrap();
        assert_ne!(old, new);
        assert_eq!(source.statistics_mut().ssrc(), new, "reports are of the new one before it sends");
        assert_eq!(send(&mut source, now + Duration::from_millis(20)).ssrc, new);
        assert_eq!(source.announce_ssrc(), new);
        let before = send(&mut source, now + Duration::from_millis(40));
        assert_eq!(source.change_ssrc(), None);
        let after = send(&mut source, now + Duration::from_millis(60));
        assert_eq!((after.ssrc, after.marker, before.marker), (new, true, false));
        assert_eq!(after.sequence_number, before.sequence_number.wrapping_add(1));
        assert_eq!(after.timestamp, before.timestamp.wrapping_add(160));
    }

    #[test]
    fn audio_that_was_due_during_a_digit_does_not_go_out_before_it() {
        let (mut source, start) = (Source::new(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let press = |source: &mut Source, now| {
            while let Some(event) = source.digits_mut().poll_transmit() {
                source.write_digit(now, &event);
            }
        };
        let first = send_timed(&mut source, at(0), Timing::At(at(0)));
        source.begin_digit(at(100), telephone_event::Key::from_char('5').unwrap(), 101, 8000);
        press(&mut source, at(100));
        source.digits_mut().end(at(200), None);
        press(&mut source, at(200));
        let late = send_timed(&mut source, at(210), Timing::At(at(20)));
        assert_eq!(late.timestamp.wrapping_sub(first.timestamp), 800, "the digit began then");
        assert!(!late.marker);
    }
}
