//! Packets of a stream become frames of the host.

use std::time::{Duration, Instant};

use asterisk::format::{Codec, Kind};
use asterisk::rtp::{Instance, Payload, Property, rtp_code};
use asterisk::slot::Timing;
use asterisk::{Format, HostFrame};
use rtp::SequenceNumber;
use rtp::comfort_noise::ComfortNoise;
use rtp::red::Redundant;
use rtp::telephone_event::{Event, Receiver, Reporting, cisco};
use rtp::timestamp::{DeliveryClock, duration};

use super::clock_rates::ClockRates;
use super::frames::{DIGIT_BEFORE_MEDIA, Frames};
use crate::transport::arrived::Arrived;

/// The memory of a stream from packet to packet. It belongs to the channel's thread that reads.
pub struct Incoming {
    events: Receiver,
    cisco_events: cisco::Receiver,
    /// How long a digit may last whose end was lost (`dtmftimeout`).
    digit_timeout: Duration,
    delivery: DeliveryClock,
    ssrc: Option<u32>,
    sequence_number: Option<SequenceNumber>,
    picture_timestamp: Option<u32>,
    /// The clock rates that [`Learned`] has told of.
    clock_rates: ClockRates,
    /// The number of the stream within its channel, where the host tells.
    number: Option<i32>,
}

/// A packet has a payload type that was not negotiated, or that no frame is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPayload;

/// The frames of a packet.
pub struct Read {
    /// The frames; `None` when the packet says nothing new.
    pub frames: Option<HostFrame>,
    /// A clock rate that was not known before.
    pub learned: Option<Learned>,
}

/// The clock rate of a payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The payload type.
    pub payload_type: u8,
    /// The rate in Hz; 0 for one whose timestamps say nothing of jitter.
    pub clock_rate: u32,
}

impl Incoming {
    /// Makes the memory of a stream that has not begun. `dtmf_timeout` is that of `rtp.conf`, in samples at 8000 Hz.
    pub fn new(dtmf_timeout: u32) -> Self {
        Self {
            events: Receiver::new(),
            cisco_events: cisco::Receiver::new(),
            digit_timeout: duration(dtmf_timeout.into(), rtp_code::CLOCK),
            delivery: DeliveryClock::default(),
            ssrc: None,
            sequence_number: None,
            picture_timestamp: None,
            clock_rates: ClockRates::default(),
            number: None,
        }
    }

    /// Sets the number of the stream within its channel.
    pub fn set_number(&mut self, number: i32) {
        self.number = Some(number);
    }

    /// Ignores digits that begin before `until`: they are the echo of a digit of ours.
    pub fn mute_digits(&mut self, until: Instant) {
        self.events.mute_until(until);
    }

    /// Sets how digits are reported (`rfc2833compensate`).
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.events.set_reporting(reporting);
    }

    /// Makes frames of the packet `arrived`, which lies in the buffer of `frames`.
    pub fn read(
        &mut self,
        frames: &mut Frames,
        instance: Instance<'_>,
        now: Instant,
        arrived: &Arrived,
    ) -> Result<Read, UnknownPayload> {
        let payload_type = arrived.header.payload_type;
        let payload = instance.payload(payload_type).filter(is_readable).ok_or(UnknownPayload)?;
        let ssrc = arrived.header.ssrc;
        let changed = self.ssrc.replace(ssrc).is_some_and(|known| known != ssrc);
        let first = changed.then(|| self.source_changed(frames));
        let (clock_rate, frame) = match &payload {
            Payload::Media(format) => {
                let clock_rate = clock_rate(format);
                (clock_rate, self.media_frames(frames, format, arrived, clock_rate))
            }
            Payload::Code { code: rtp_code::DTMF, clock_rate } => {
                (0, self.event_frames(frames, now, arrived, *clock_rate))
            }
            Payload::Code { code: rtp_code::CISCO_DTMF, .. } => (0, self.cisco_frames(frames, arrived)),
            Payload::Code { .. } => (0, comfort_noise(frames, arrived)),
        };
        let learned = self.clock_rates.learn(payload_type, clock_rate).then_some(Learned { payload_type, clock_rate });
        let all = match (first, frame) {
            (Some(first), Some(frame)) => Some(first.followed_by(frame)),
            (first, frame) => first.or(frame),
        };
        Ok(Read { frames: all.map(|frames| self.number.into_iter().fold(frames, HostFrame::in_stream)), learned })
    }

    fn source_changed(&mut self, frames: &mut Frames) -> HostFrame {
        self.sequence_number = None;
        let ended = self.events.reset();
        frames.source_changed(ended)
    }

    fn media_frames(
        &mut self,
        frames: &mut Frames,
        format: &Format,
        arrived: &Arrived,
        clock_rate: u32,
    ) -> Option<HostFrame> {
        let ended = self.events.handle_media(arrived.header.timestamp, clock_rate, self.digit_timeout);
        let digit = ended.and_then(|signal| frames.digit(DIGIT_BEFORE_MEDIA, signal));
        let frame = match format.kind()? {
            Kind::Audio => self.voice(frames, format, arrived, clock_rate),
            Kind::Video => self.picture(frames, format, arrived),
            Kind::Text => self.text(frames, format, arrived),
            Kind::Image => return digit,
        };
        self.sequence_number = Some(SequenceNumber(arrived.header.sequence_number));
        Some(match digit {
            Some(digit) => digit.followed_by(frame),
            None => frame,
        })
    }

    fn voice(&mut self, frames: &mut Frames, format: &Format, arrived: &Arrived, clock_rate: u32) -> HostFrame {
        let header = &arrived.header;
        let due = self.delivery.due(asterisk::time::wall(), header.timestamp, clock_rate, header.marker);
        let timing = Timing {
            timestamp_ms: i64::from(header.timestamp) / i64::from((clock_rate / 1000).max(1)),
            sequence_number: header.sequence_number,
            delivery: Some(due),
        };
        frames.media().voice(format, arrived.payload.clone(), timing)
    }

    fn picture(&mut self, frames: &mut Frames, format: &Format, arrived: &Arrived) -> HostFrame {
        let header = &arrived.header;
        let last = self.picture_timestamp.replace(header.timestamp);
        let since = last.map_or(0, |last| header.timestamp.wrapping_sub(last));
        let timing = Timing { sequence_number: header.sequence_number, ..Timing::default() };
        frames.media().video(format, arrived.payload.clone(), timing, since, header.marker)
    }

    /// Makes a frame of T.140. Where packets are missing, the reader sees that.
    fn text(&mut self, frames: &mut Frames, format: &Format, arrived: &Arrived) -> HostFrame {
        let number = arrived.header.sequence_number;
        let missing = self.sequence_number.map_or(0, |last| SequenceNumber(number).distance_from(last) - 1);
        let mut payload = arrived.payload.clone();
        let timing = Timing { sequence_number: number, ..Timing::default() };
        if format.codec() == Some(Codec::T140Red) {
            // Older generations are not used yet.
            let Ok(redundant) = Redundant::parse(frames.payload(payload.clone())) else { return HostFrame::null() };
            payload.start += redundant.primary_offset();
            frames.mark_missing(&mut payload, missing);
            return match Format::of(Codec::T140) {
                Some(plain) if !payload.is_empty() => frames.media().text(&plain, payload, timing),
                _ => HostFrame::null(),
            };
        }
        frames.mark_missing(&mut payload, missing);
        frames.media().text(format, payload, timing)
    }

    fn event_frames(
        &mut self,
        frames: &mut Frames,
        now: Instant,
        arrived: &Arrived,
        clock_rate: u32,
    ) -> Option<HostFrame> {
        let event = Event::parse(frames.payload(arrived.payload.clone()))?;
        let header = &arrived.header;
        let (number, timestamp) = (header.sequence_number, header.timestamp);
        let signals = self.events.handle_event(now, number, timestamp, header.marker, event, clock_rate);
        frames.signals(signals)
    }

    fn cisco_frames(&mut self, frames: &mut Frames, arrived: &Arrived) -> Option<HostFrame> {
        let digit = cisco::Digit::parse(frames.payload(arrived.payload.clone()))?;
        let signals = self.cisco_events.handle_digit(digit);
        frames.signals(signals)
    }
}

fn comfort_noise(frames: &mut Frames, arrived: &Arrived) -> Option<HostFrame> {
    let noise = ComfortNoise::parse(frames.payload(arrived.payload.clone()))?;
    let level = noise.level_in_minus_dbov;
    Some(frames.media().comfort_noise(level, arrived.payload.start + 1..arrived.payload.end))
}

/// Whether frames are made of that payload.
fn is_readable(payload: &Payload) -> bool {
    match payload {
        Payload::Media(_) => true,
        Payload::Code { code, .. } => matches!(*code, rtp_code::DTMF | rtp_code::CISCO_DTMF | rtp_code::CN),
    }
}

/// Returns how the host wants digits reported.
pub fn reporting_of(instance: Instance<'_>) -> Reporting {
    if instance.property(Property::DtmfCompensate) != 0 { Reporting::EndOnly } else { Reporting::BeginAndEnd }
}

/// Returns the rate in Hz that a format's timestamps count: its sampling rate, except for G.722 (RFC 3551 §4.5.2),
/// pictures (90 kHz) and text (RFC 4103 §3: milliseconds).
pub fn clock_rate(format: &Format) -> u32 {
    match format.kind() {
        Some(Kind::Audio) if format.codec() == Some(Codec::G722) => 8000,
        Some(Kind::Audio) => format.rate().max(1),
        Some(Kind::Video | Kind::Image) => 90_000,
        Some(Kind::Text) | None => 1000,
    }
}
