//! Converts received media packets to frames of the host.

use std::time::{Duration, Instant};

use asterisk::format::{Codec, Kind};
use asterisk::rtp::{Instance, Payload, Property, rtp_code};
use asterisk::slot::Timing;
use asterisk::{Format, HostFrame};
use rtp::bridge::{Content, PassedDigits};
use rtp::comfort_noise::ComfortNoise;
use rtp::opus::Malformed;
use rtp::pictures::{self, Advance};
use rtp::telephone_event::{Event, Receiver, Reporting, cisco};
use rtp::timestamp::{DeliveryClock, duration};

use super::carried::Carried;
use super::clock_rates::ClockRates;
use super::frames::{DIGIT_BEFORE_MEDIA, Frames};
use super::native::{Bridge, InBuffer};
use super::text::IncomingText;
use crate::diagnosis::counters::Refused;
use crate::session::Session;
use crate::transport::arrived::Arrived;

/// The state of the received stream between packets. Only the channel's reading thread uses it.
pub struct Incoming {
    events: Receiver,
    cisco_events: cisco::Receiver,
    /// Longest duration of a digit whose end packet was lost (`dtmftimeout`).
    digit_timeout: Duration,
    delivery: DeliveryClock,
    ssrc: Option<u32>,
    text: IncomingText,
    pictures: Advance,
    /// The clock rates that have been reported as [`Learned`].
    clock_rates: ClockRates,
    /// The number of the stream within its channel, if the host supplied one.
    number: Option<i32>,
    /// Where packets go instead of the channel.
    bridge: Option<Box<Bridge>>,
    /// The digits that went by a bridge, this one or one before.
    passed_digits: PassedDigits,
    carried: Carried,
}

/// The result of reading a packet.
pub struct Read {
    /// The frames; `None` when the packet contains nothing new for the host.
    pub frames: Option<HostFrame>,
    /// The clock rate of the packet's payload type, if it was not known before.
    pub learned: Option<Learned>,
}

/// The clock rate of a payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The payload type.
    pub payload_type: u8,
    /// The RTP clock rate in Hz; 0 if the timestamps cannot be used for jitter.
    pub clock_rate: u32,
}

impl Incoming {
    /// Creates the state of a stream that has not begun. `dtmf_timeout` is the value of `rtp.conf`, in samples at 8000 Hz.
    pub fn new(dtmf_timeout: u32) -> Self {
        Self {
            events: Receiver::new(),
            cisco_events: cisco::Receiver::new(),
            digit_timeout: duration(dtmf_timeout.into(), rtp_code::CLOCK),
            delivery: DeliveryClock::default(),
            ssrc: None,
            text: IncomingText::default(),
            pictures: Advance::default(),
            clock_rates: ClockRates::default(),
            number: None,
            bridge: None,
            passed_digits: PassedDigits::default(),
            carried: Carried::default(),
        }
    }

    /// Passes packets on by `bridge` from now on, or to the channel again. Returns the bridge before, to be dropped without a lock.
    /// The channel does not hear the rest of a digit that went by it.
    pub fn set_bridge(&mut self, bridge: Option<Box<Bridge>>) -> Option<Box<Bridge>> {
        let former = std::mem::replace(&mut self.bridge, bridge);
        if former.is_some() {
            self.passed_digits.hide_from(&mut self.events);
        }
        former
    }

    /// Returns the bridge that packets are passed on by.
    pub fn bridge(&self) -> Option<&Bridge> {
        self.bridge.as_deref()
    }

    /// Passes the packet `arrived`, whose octets are at the beginning of `buffer`, on to a bridged session. Returns `None` if it has
    /// to go to the channel.
    pub fn pass_on(
        &mut self,
        buffer: &mut [u8],
        session: &Session,
        instance: Instance<'_>,
        now: Instant,
        arrived: &Arrived,
    ) -> Option<Read> {
        let octets = buffer.get_mut(..arrived.len)?;
        let event = octets.get(arrived.payload.clone()).and_then(Event::parse);
        let packet = InBuffer { octets, arrived };
        let (bridge, digits) = (self.bridge.as_mut()?, &mut self.passed_digits);
        let Some(passage) = bridge.pass_on(now, (session, instance), packet, &self.events, digits) else {
            // The other phone has heard the beginning, so the channel does not report the rest as a digit.
            if event.is_some_and(|event| digits.has(now, &arrived.header, event)) {
                digits.hide_from(&mut self.events);
            }
            return None;
        };
        let clock_rate = match passage.content {
            Content::Media { clock_rate } => clock_rate,
            Content::Event { .. } | Content::Noise => 0,
        };
        Some(Read { frames: None, learned: self.learn(arrived.header.payload_type, clock_rate) })
    }

    /// Sets the number of the stream within its channel.
    pub fn set_number(&mut self, number: i32) {
        self.number = Some(number);
    }

    /// Notes that the G.719 of the call is Opus.
    pub fn note_opus(&mut self) {
        self.carried.note_opus();
    }

    /// Ignores digits that begin before `until`, because they are echoes of a digit that we sent.
    pub fn mute_digits(&mut self, until: Instant) {
        self.events.mute_until(until);
    }

    /// Sets how digits are reported to the host (`rfc2833compensate`).
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.events.set_reporting(reporting);
    }

    /// Makes the frames of the packet `arrived`, whose octets are in the buffer of `frames`. Fails when its payload type was not
    /// negotiated or the host has no frame for it, and when the lengths in it do not add up.
    pub fn read(
        &mut self,
        frames: &mut Frames,
        instance: Instance<'_>,
        now: Instant,
        arrived: &Arrived,
    ) -> Result<Read, Refused> {
        let payload_type = arrived.header.payload_type;
        let payload = instance.payload(payload_type).filter(is_readable).ok_or(Refused::PayloadType)?;
        let first = self.note_source(frames, &payload, arrived.header.ssrc);
        let (clock_rate, frame) = match &payload {
            Payload::Media(format) => {
                let clock_rate = clock_rate(format);
                (clock_rate, self.media_frames(frames, now, format, arrived, clock_rate)?)
            }
            Payload::Code { code: rtp_code::DTMF, clock_rate } => {
                (0, self.event_frames(frames, now, arrived, *clock_rate))
            }
            Payload::Code { code: rtp_code::CISCO_DTMF, .. } => (0, self.cisco_frames(frames, now, arrived)),
            Payload::Code { .. } => (0, comfort_noise(frames, arrived)),
        };
        let learned = self.learn(payload_type, clock_rate);
        let all = match (first, frame) {
            (Some(first), Some(frame)) => Some(first.followed_by(frame)),
            (first, frame) => first.or(frame),
        };
        Ok(Read { frames: all.map(|frames| self.number.into_iter().fold(frames, HostFrame::in_stream)), learned })
    }

    fn learn(&mut self, payload_type: u8, clock_rate: u32) -> Option<Learned> {
        self.clock_rates.learn(payload_type, clock_rate).then_some(Learned { payload_type, clock_rate })
    }

    /// Returns the frame for a changed source of media. Digits and comfort noise may come under another SSRC beside it, which is
    /// no change.
    fn note_source(&mut self, frames: &mut Frames, payload: &Payload, ssrc: u32) -> Option<HostFrame> {
        if matches!(payload, Payload::Code { code: rtp_code::DTMF | rtp_code::CN, .. }) {
            return None;
        }
        let old = self.ssrc.replace(ssrc).filter(|old| *old != ssrc)?;
        self.delivery = DeliveryClock::default();
        self.text.change_source();
        self.pictures.handle_other_source();
        let ended = self.events.handle_gone(old).or_else(|| self.cisco_events.handle_gone());
        Some(frames.source_changed(ended))
    }

    fn media_frames(
        &mut self,
        frames: &mut Frames,
        now: Instant,
        format: &Format,
        arrived: &Arrived,
        clock_rate: u32,
    ) -> Result<Option<HostFrame>, Refused> {
        let ended = self.events.handle_media(now, &arrived.header, clock_rate, self.digit_timeout);
        let ended = ended.or_else(|| self.cisco_events.handle_media(now, self.digit_timeout));
        let digit = ended.and_then(|signal| frames.digit(DIGIT_BEFORE_MEDIA, signal));
        let frame = match format.kind() {
            Some(Kind::Audio) => self.voice(frames, format, arrived, clock_rate).map_err(|_| Refused::Malformed)?,
            Some(Kind::Video) => self.picture(frames, now, format, arrived),
            Some(Kind::Text) => self.text.frame(frames, format, arrived).map_err(|_| Refused::Malformed)?,
            Some(Kind::Image) | None => return Ok(digit),
        };
        Ok(Some(match digit {
            Some(digit) => digit.followed_by(frame),
            None => frame,
        }))
    }

    fn voice(
        &mut self,
        frames: &mut Frames,
        format: &Format,
        arrived: &Arrived,
        clock_rate: u32,
    ) -> Result<HostFrame, Malformed> {
        let samples = self.carried.samples(format, frames.payload(arrived.payload.clone())).transpose()?;
        let header = &arrived.header;
        let due = self.delivery.due(asterisk::time::wall(), header.timestamp, clock_rate, header.marker);
        let timing = Timing {
            timestamp_ms: i64::from(header.timestamp) / i64::from((clock_rate / 1000).max(1)),
            sequence_number: header.sequence_number,
            delivery: Some(due),
        };
        let (media, payload) = (frames.media(), arrived.payload.clone());
        Ok(match samples {
            Some(samples) => media.counted_voice(format, payload, timing, samples),
            None => media.voice(format, payload, timing),
        })
    }

    fn picture(&mut self, frames: &mut Frames, now: Instant, format: &Format, arrived: &Arrived) -> HostFrame {
        let header = &arrived.header;
        let advance = self.pictures.packet(now, header.timestamp);
        let timing = Timing { sequence_number: header.sequence_number, ..Timing::default() };
        frames.media().video(format, arrived.payload.clone(), timing, advance, header.marker)
    }

    fn event_frames(
        &mut self,
        frames: &mut Frames,
        now: Instant,
        arrived: &Arrived,
        clock_rate: u32,
    ) -> Option<HostFrame> {
        let event = Event::parse(frames.payload(arrived.payload.clone()))?;
        let signals = self.events.handle_event(now, &arrived.header, event, clock_rate);
        frames.signals(signals)
    }

    fn cisco_frames(&mut self, frames: &mut Frames, now: Instant, arrived: &Arrived) -> Option<HostFrame> {
        let digit = cisco::Digit::parse(frames.payload(arrived.payload.clone()))?;
        let signals = self.cisco_events.handle_digit(now, digit);
        frames.signals(signals)
    }
}

fn comfort_noise(frames: &mut Frames, arrived: &Arrived) -> Option<HostFrame> {
    let noise = ComfortNoise::parse(frames.payload(arrived.payload.clone()))?;
    let level = noise.level_in_minus_dbov;
    Some(frames.media().comfort_noise(level, arrived.payload.start + 1..arrived.payload.end))
}

/// Returns whether the host has a frame for the payload.
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

/// Returns the RTP clock rate of a format in Hz: its sampling rate for audio, but 8000 for G.722 (RFC 3551 §4.5.2), 90000 for
/// video, and 1000 for text (RFC 4103 §3).
pub fn clock_rate(format: &Format) -> u32 {
    match format.kind() {
        Some(Kind::Audio) if format.codec() == Some(Codec::G722) => 8000,
        Some(Kind::Audio) => format.rate().max(1),
        Some(Kind::Video | Kind::Image) => pictures::CLOCK,
        Some(Kind::Text) | None => 1000,
    }
}
