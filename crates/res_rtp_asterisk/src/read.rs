//! Media that was received becomes frames. All of this belongs to the channel's thread that reads.

use std::time::Instant;

use asterisk::format::{Codec, Kind};
use asterisk::rtp::{Instance, Payload, Property, rtp_code};
use asterisk::slot::{Digit, Timing};
use asterisk::{Format, FrameSlot, HostFrame, sys};
use ice::Component;
use rtp::comfort_noise::ComfortNoise;
use rtp::telephone_event::{Event, Receiver, Reporting, Signal, Signals, cisco};
use rtp::timestamp::{DeliveryClock, duration};
use rtp::{Packet, SequenceNumber};

use crate::counters::Refused;
use crate::session::Session;
use crate::state::LARGEST_DATAGRAM;

/// What reading needs to remember from packet to packet.
pub struct Reading {
    media: FrameSlot,
    /// Frames that come along with one of media, or instead of it.
    control: FrameSlot,
    wish: FrameSlot,
    /// Two for the events of one packet, one for a digit that another source left behind: they may all
    /// be in one list, where no frame can be twice.
    digits: [FrameSlot; 3],
    events: Receiver,
    cisco_events: cisco::Receiver,
    delivery: DeliveryClock,
    ssrc: Option<u32>,
    sequence_number: Option<SequenceNumber>,
    picture_timestamp: Option<u32>,
    text_timestamp: Option<u32>,
}

/// A packet, taken apart and still lying in the slot's buffer.
struct Arrived {
    marker: bool,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
    ssrc: u32,
    payload: std::ops::Range<usize>,
}

impl Reading {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self {
            media: FrameSlot::new(LARGEST_DATAGRAM),
            control: FrameSlot::new(0),
            wish: FrameSlot::new(0),
            digits: [FrameSlot::new(0), FrameSlot::new(0), FrameSlot::new(0)],
            events: Receiver::new(),
            cisco_events: cisco::Receiver::new(),
            delivery: DeliveryClock::default(),
            ssrc: None,
            sequence_number: None,
            picture_timestamp: None,
            text_timestamp: None,
        }
    }

    /// What begins before `until` is the echo of a digit of ours.
    pub fn mute_digits(&mut self, until: Instant) {
        self.events.mute_until(until);
    }

    /// How digits are to be reported (`rfc2833compensate`).
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.events.set_reporting(reporting);
    }

    /// Reads one datagram, if there is one, and makes what frames of it there are to make.
    pub fn read(&mut self, session: &Session, instance: Instance<'_>, component: Component) -> Option<HostFrame> {
        let now = Instant::now();
        let buffer = self.media.payload_buffer();
        let (len, picture_wanted) = session.with(|state| {
            session.note_read(state, now);
            let len = state.receive(now, component, buffer);
            (len, std::mem::take(&mut state.rtcp.picture_wanted))
        })?;
        let arrived = len.and_then(|len| arrived(self.media.payload_buffer().get(..len)?));
        let frame = arrived.map(|arrived| self.frames(session, instance, now, arrived));
        let wanted = picture_wanted.then(|| self.wish.control(sys::AST_CONTROL_VIDUPDATE as i32));
        Some(match (wanted, frame) {
            (Some(wanted), Some(frame)) => wanted.followed_by(frame),
            (wanted, frame) => wanted.or(frame).unwrap_or_else(HostFrame::null),
        })
    }

    fn frames(&mut self, session: &Session, instance: Instance<'_>, now: Instant, arrived: Arrived) -> HostFrame {
        let payload = instance.payload(arrived.payload_type);
        let Some(payload) = payload.filter(is_readable) else {
            session.with(|state| state.refuse(Refused::PayloadType));
            return HostFrame::null();
        };
        let changed = self.ssrc.replace(arrived.ssrc).is_some_and(|known| known != arrived.ssrc);
        let first = changed.then(|| self.source_changed());
        if let Payload::Code(_) = payload {
            // Their timestamps say nothing of jitter.
            session.with(|state| state.clock_rates.learn(arrived.payload_type, 0));
        }
        let frame = match payload {
            Payload::Media(format) => self.media_frames(session, now, &format, arrived),
            Payload::Code(rtp_code::DTMF) => self.event_frames(now, &arrived),
            Payload::Code(rtp_code::CISCO_DTMF) => self.cisco_frames(&arrived),
            Payload::Code(_) => self.comfort_noise(&arrived),
        };
        match (first, frame) {
            (Some(first), Some(frame)) => first.followed_by(frame),
            (Some(frame), None) | (None, Some(frame)) => frame,
            (None, None) => HostFrame::null(),
        }
    }

    fn source_changed(&mut self) -> HostFrame {
        self.sequence_number = None;
        let ended = self.events.reset();
        let changed = self.control.control(sys::AST_CONTROL_SRCCHANGE as i32);
        match ended.and_then(|signal| self.digit_frame(2, signal, EVENT_CLOCK)) {
            Some(digit) => changed.followed_by(digit),
            None => changed,
        }
    }

    fn media_frames(
        &mut self,
        session: &Session,
        now: Instant,
        format: &Format,
        arrived: Arrived,
    ) -> Option<HostFrame> {
        let clock_rate = clock_rate(format);
        let (dtmf_timeout, _) = session.with(|state| {
            state.clock_rates.learn(arrived.payload_type, clock_rate);
            (state.settings.dtmf_timeout, ())
        })?;
        let _ = now;
        let timeout = u64::from(dtmf_timeout) * u64::from(clock_rate) / u64::from(EVENT_CLOCK);
        let ended = self.events.handle_media(arrived.timestamp, u32::try_from(timeout).unwrap_or(u32::MAX));
        let digit = ended.and_then(|signal| self.digit_frame(1, signal, clock_rate));
        let frame = match format.kind()? {
            Kind::Audio => self.voice(format, &arrived, clock_rate),
            Kind::Video => self.picture(format, &arrived),
            Kind::Text => self.text(format, &arrived),
            Kind::Image => return digit,
        };
        self.sequence_number = Some(SequenceNumber(arrived.sequence_number));
        Some(match digit {
            Some(digit) => digit.followed_by(frame),
            None => frame,
        })
    }

    fn voice(&mut self, format: &Format, arrived: &Arrived, clock_rate: u32) -> HostFrame {
        let due = self.delivery.due(asterisk::time::wall(), arrived.timestamp, clock_rate, arrived.marker);
        let timing = Timing {
            timestamp_ms: i64::from(arrived.timestamp) / i64::from((clock_rate / 1000).max(1)),
            sequence_number: arrived.sequence_number,
            delivery: Some(due),
        };
        self.media.voice(format, arrived.payload.clone(), timing)
    }

    fn picture(&mut self, format: &Format, arrived: &Arrived) -> HostFrame {
        let since =
            self.picture_timestamp.replace(arrived.timestamp).map_or(0, |last| arrived.timestamp.wrapping_sub(last));
        let timing = Timing { sequence_number: arrived.sequence_number, ..Timing::default() };
        self.media.video(format, arrived.payload.clone(), timing, since, arrived.marker)
    }

    /// T.140. Where packets are missing, the reader sees that (RFC 4103 §5.3: U+FFFD).
    fn text(&mut self, format: &Format, arrived: &Arrived) -> HostFrame {
        self.text_timestamp = Some(arrived.timestamp);
        let missing =
            self.sequence_number.map_or(0, |last| SequenceNumber(arrived.sequence_number).distance_from(last) - 1);
        let mut payload = arrived.payload.clone();
        let timing = Timing { sequence_number: arrived.sequence_number, ..Timing::default() };
        if format.codec() == Some(Codec::T140Red) {
            let primary = primary_of(self.media.payload_buffer().get(payload.clone()).unwrap_or_default());
            payload.start = (payload.start + primary).min(payload.end);
            self.mark_missing(&mut payload, missing);
            return match Format::of(Codec::T140) {
                Some(plain) if !payload.is_empty() => self.media.text(&plain, payload, timing),
                _ => HostFrame::null(),
            };
        }
        self.mark_missing(&mut payload, missing);
        self.media.text(format, payload, timing)
    }

    fn mark_missing(&mut self, payload: &mut std::ops::Range<usize>, missing: i16) {
        let room = self.media.payload_buffer();
        if (1..10).contains(&missing)
            && let Some(mark) =
                payload.start.checked_sub(MISSING.len()).and_then(|start| room.get_mut(start..payload.start))
        {
            mark.copy_from_slice(&MISSING);
            payload.start -= MISSING.len();
        }
    }

    fn event_frames(&mut self, now: Instant, arrived: &Arrived) -> Option<HostFrame> {
        let event = Event::parse(self.media.payload_buffer().get(arrived.payload.clone())?)?;
        let signals = self.events.handle_event(now, arrived.sequence_number, arrived.timestamp, arrived.marker, event);
        self.signal_frames(signals)
    }

    fn cisco_frames(&mut self, arrived: &Arrived) -> Option<HostFrame> {
        let digit = cisco::Digit::parse(self.media.payload_buffer().get(arrived.payload.clone())?)?;
        let signals = self.cisco_events.handle_digit(digit, EVENT_CLOCK / 50);
        self.signal_frames(signals)
    }

    fn signal_frames(&mut self, signals: Signals) -> Option<HostFrame> {
        let mut frames = [None, None];
        for (slot, signal) in signals.into_iter().enumerate() {
            if let Some(frame) = frames.get_mut(slot) {
                *frame = self.digit_frame(slot, signal, EVENT_CLOCK);
            }
        }
        match frames {
            [Some(first), Some(second)] => Some(first.followed_by(second)),
            [first, second] => first.or(second),
        }
    }

    fn digit_frame(&mut self, slot: usize, signal: Signal, clock_rate: u32) -> Option<HostFrame> {
        let (key, end) = match signal {
            Signal::Begin(key) => (key, Digit::Begin),
            Signal::End { key, duration_in_timestamp_units } => {
                let held = duration(duration_in_timestamp_units.into(), clock_rate).as_millis();
                (key, Digit::End { duration_ms: u32::try_from(held).unwrap_or(u32::MAX) })
            }
            Signal::Continue(_) => return None,
        };
        let slot = self.digits.get_mut(slot)?;
        match key.to_char() {
            Some(letter) => Some(slot.digit(letter as u8, end)),
            // A hook flash is a control of the host, once.
            None => matches!(end, Digit::End { .. }).then(|| slot.control(sys::AST_CONTROL_FLASH as i32)),
        }
    }

    fn comfort_noise(&mut self, arrived: &Arrived) -> Option<HostFrame> {
        let noise = ComfortNoise::parse(self.media.payload_buffer().get(arrived.payload.clone())?)?;
        let level = noise.level_in_minus_dbov;
        Some(self.media.comfort_noise(level, arrived.payload.start + 1..arrived.payload.end))
    }
}

/// Whether we make frames of it.
fn is_readable(payload: &Payload) -> bool {
    matches!(payload, Payload::Media(_) | Payload::Code(rtp_code::DTMF | rtp_code::CISCO_DTMF | rtp_code::CN))
}

/// Tells the session what a property says about reading.
pub fn reporting_of(instance: Instance<'_>) -> Reporting {
    if instance.property(Property::DtmfCompensate) != 0 { Reporting::EndOnly } else { Reporting::BeginAndEnd }
}

/// The clock that a format's timestamps count: its sampling rate, but for G.722 (RFC 3551 §4.5.2),
/// pictures (90 kHz) and text (RFC 4103 §3: milliseconds).
pub fn clock_rate(format: &Format) -> u32 {
    match format.kind() {
        Some(Kind::Audio) if format.codec() == Some(Codec::G722) => 8000,
        Some(Kind::Audio) => format.rate().max(1),
        Some(Kind::Video | Kind::Image) => 90_000,
        Some(Kind::Text) | None => 1000,
    }
}

fn arrived(datagram: &[u8]) -> Option<Arrived> {
    let packet = Packet::parse(datagram).ok()?;
    Some(Arrived {
        marker: packet.marker,
        payload_type: packet.payload_type,
        sequence_number: packet.sequence_number,
        timestamp: packet.timestamp,
        ssrc: packet.ssrc,
        payload: packet.payload_range(),
    })
}

/// Where the primary data of a redundant packet begins (RFC 2198 §3): behind the headers and the
/// older generations, which are not used yet.
fn primary_of(payload: &[u8]) -> usize {
    let (mut headers, mut older) = (0, 0);
    while let Some([block, _, high, low]) = payload.get(headers..headers + 4) {
        if block & 0x80 == 0 {
            break;
        }
        older += usize::from(u16::from_be_bytes([*high, *low]) & 0x3FF);
        headers += 4;
    }
    headers + 1 + older
}

/// U+FFFD, the replacement character.
const MISSING: [u8; 3] = [0xEF, 0xBF, 0xBD];

/// telephone-event as chan_sip describes it.
const EVENT_CLOCK: u32 = 8000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2198_section_3_primary_data_lies_behind_the_older_generations() {
        let two_generations = [0x80 | 98, 0, 0, 2, 0x80 | 98, 0, 0, 1, 98, b'a', b'b', b'c', b'd', b'e'];
        assert_eq!(primary_of(&two_generations), 12);
        assert_eq!(primary_of(&[98, b'a']), 1);
    }
}
