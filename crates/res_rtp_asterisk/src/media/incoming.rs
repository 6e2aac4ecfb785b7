//! Media that was received becomes frames. All of this belongs to the channel's thread that reads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use asterisk::format::{Codec, Kind};
use asterisk::rtp::{Instance, InstancePtr, Payload, Property, rtp_code};
use asterisk::slot::{Digit, Timing};
use asterisk::{Format, FrameSlot, HostFrame, sys};
use ice::Component;
use rtp::comfort_noise::ComfortNoise;
use rtp::telephone_event::{Event, Receiver, Reporting, Signal, Signals, cisco};
use rtp::timestamp::{DeliveryClock, duration};
use rtp::{Packet, SequenceNumber};

use crate::bundle::Whose;
use crate::diagnosis::counters::Refused;
use crate::session::Session;
use crate::state::{LARGEST_DATAGRAM, State};
use crate::transport::receive::Taken;

/// What the thread that reads has to itself.
pub struct Reading {
    slots: Slots,
    stream: Stream,
    has_ended: bool,
}

/// The frames that are handed to the host, and where datagrams are received. They belong to whoever is
/// asked for a frame, also when it is of a stream that another session keeps count of.
struct Slots {
    media: FrameSlot,
    /// Frames that come along with one of media, or instead of it.
    control: FrameSlot,
    wish: FrameSlot,
    /// Two for the events of one packet, one for a digit that another source left behind: they may all
    /// be in one list, where no frame can be twice.
    digits: [FrameSlot; 3],
}

/// What is to be remembered of a stream from packet to packet.
pub struct Stream {
    events: Receiver,
    cisco_events: cisco::Receiver,
    delivery: DeliveryClock,
    ssrc: Option<u32>,
    sequence_number: Option<SequenceNumber>,
    picture_timestamp: Option<u32>,
    text_timestamp: Option<u32>,
    /// Which it is of its channel, where the host tells.
    number: Option<i32>,
}

/// Whose packet it is, and the instance that the host's call is about.
#[derive(Clone, Copy)]
struct Owner<'a> {
    session: &'a Session,
    instance: Instance<'a>,
    called: InstancePtr,
}

impl Owner<'_> {
    fn with<R>(&self, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.session.with_for(self.called, run)
    }
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
        let slots = Slots {
            media: FrameSlot::new(LARGEST_DATAGRAM),
            control: FrameSlot::new(0),
            wish: FrameSlot::new(0),
            digits: [FrameSlot::new(0), FrameSlot::new(0), FrameSlot::new(0)],
        };
        Self { slots, stream: Stream::new(), has_ended: false }
    }

    /// What begins before `until` is the echo of a digit of ours.
    pub fn mute_digits(&mut self, until: Instant) {
        self.stream.events.mute_until(until);
    }

    /// How digits are to be reported (`rfc2833compensate`).
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.stream.events.set_reporting(reporting);
    }

    /// The stream of the session.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The session ends: nothing is to be read for it.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether it has.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads one datagram, if there is one, and makes what frames of it there are to make.
    pub fn read(&mut self, session: &Session, instance: Instance<'_>, component: Component) -> Option<HostFrame> {
        let now = Instant::now();
        let called = instance.pointer();
        let buffer = self.slots.media.payload_buffer();
        let (taken, picture_wanted) = session.with(|state| {
            session.note_read(state, now);
            let taken = state.receive(now, component, buffer);
            (taken, state.take_picture_request())
        })?;
        let owner = Owner { session, instance, called };
        let frame = taken.and_then(|Taken { len, from, whose }| {
            let child = match whose {
                Whose::Own => None,
                Whose::Child(child) => Some(child),
                Whose::Unknown => self.settle(owner, now, from, len)?,
            };
            match child {
                None => {
                    let arrived = arrived(self.slots.media.payload_buffer().get(..len)?)?;
                    Some(self.stream.frames(&mut self.slots, owner, now, arrived))
                }
                Some(child) => self.frames_of_child(&child, called, now, len),
            }
        });
        let wanted = picture_wanted.map(|number| {
            let wish = self.slots.wish.control(sys::AST_CONTROL_VIDUPDATE as i32);
            number.into_iter().fold(wish, HostFrame::in_stream)
        });
        Some(match (wanted, frame) {
            (Some(wanted), Some(frame)) => wanted.followed_by(frame),
            (wanted, frame) => wanted.or(frame).unwrap_or_else(HostFrame::null),
        })
    }

    /// Finds the child whose packet it is: that whose description alone has its payload type (RFC 9143 §9.2). Inner `None`
    /// when it is our own; outer `None` when it is of no use.
    fn settle(
        &mut self,
        Owner { session, instance, .. }: Owner<'_>,
        now: Instant,
        from: SocketAddr,
        len: usize,
    ) -> Option<Option<Arc<Session>>> {
        let packet = Packet::parse(self.slots.media.payload_buffer().get(..len)?).ok()?;
        let children = session.with(|state| state.bundle.sessions())?;
        let has_it =
            |child: &Arc<Session>| child.lend(|_, child| child.is_described(packet.payload_type)) == Some(true);
        let mut with_it = children.into_iter().filter(has_it);
        match (with_it.next(), with_it.next()) {
            (Some(child), None) if !instance.is_described(packet.payload_type) => {
                session.with(|state| state.bundle.learn(child.id(), packet.ssrc))?;
                Some(Some(child))
            }
            _ => session.with(|state| state.take_as_own(now, from, &packet))?.then_some(None),
        }
    }

    /// Of a packet that the session whose thread this is has received for another.
    fn frames_of_child(&mut self, child: &Session, called: InstancePtr, now: Instant, len: usize) -> Option<HostFrame> {
        let slots = &mut self.slots;
        child
            .lend(|stream, instance| {
                let datagram = slots.media.payload_buffer().get(..len)?;
                let packet = Packet::parse(datagram).ok()?;
                if !child.with_for(called, |state| state.handle_from_parent(now, &packet))? {
                    return None;
                }
                let arrived = arrived(datagram)?;
                Some(stream.frames(slots, Owner { session: child, instance, called }, now, arrived))
            })
            .flatten()
    }
}

impl Slots {
    fn digit_frame(&mut self, slot: usize, signal: Signal) -> Option<HostFrame> {
        let (key, end) = match signal {
            Signal::Begin(key) => (key, Digit::Begin),
            Signal::End { key, held } => {
                (key, Digit::End { duration_ms: u32::try_from(held.as_millis()).unwrap_or(u32::MAX) })
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

    fn signal_frames(&mut self, signals: Signals) -> Option<HostFrame> {
        let mut frames = [None, None];
        for (slot, signal) in signals.into_iter().enumerate() {
            if let Some(frame) = frames.get_mut(slot) {
                *frame = self.digit_frame(slot, signal);
            }
        }
        match frames {
            [Some(first), Some(second)] => Some(first.followed_by(second)),
            [first, second] => first.or(second),
        }
    }
}

impl Stream {
    fn new() -> Self {
        Self {
            events: Receiver::new(),
            cisco_events: cisco::Receiver::new(),
            delivery: DeliveryClock::default(),
            ssrc: None,
            sequence_number: None,
            picture_timestamp: None,
            text_timestamp: None,
            number: None,
        }
    }

    /// The host says which stream of the channel it is.
    pub fn set_number(&mut self, number: i32) {
        self.number = Some(number);
    }

    fn frames(&mut self, slots: &mut Slots, owner: Owner<'_>, now: Instant, arrived: Arrived) -> HostFrame {
        let payload = owner.instance.payload(arrived.payload_type);
        let Some(payload) = payload.filter(is_readable) else {
            owner.with(|state| state.refuse(Refused::PayloadType));
            return HostFrame::null();
        };
        let changed = self.ssrc.replace(arrived.ssrc).is_some_and(|known| known != arrived.ssrc);
        let first = changed.then(|| self.source_changed(slots));
        if let Payload::Code { .. } = payload {
            // Their timestamps say nothing of jitter.
            owner.with(|state| state.clock_rates.learn(arrived.payload_type, 0));
        }
        let frame = match payload {
            Payload::Media(format) => self.media_frames(slots, owner, &format, arrived),
            Payload::Code { code: rtp_code::DTMF, clock_rate } => self.event_frames(slots, now, &arrived, clock_rate),
            Payload::Code { code: rtp_code::CISCO_DTMF, .. } => self.cisco_frames(slots, &arrived),
            Payload::Code { .. } => comfort_noise(slots, &arrived),
        };
        let frames = match (first, frame) {
            (Some(first), Some(frame)) => first.followed_by(frame),
            (Some(frame), None) | (None, Some(frame)) => frame,
            (None, None) => return HostFrame::null(),
        };
        self.number.into_iter().fold(frames, HostFrame::in_stream)
    }

    fn source_changed(&mut self, slots: &mut Slots) -> HostFrame {
        self.sequence_number = None;
        let ended = self.events.reset();
        let changed = slots.control.control(sys::AST_CONTROL_SRCCHANGE as i32);
        match ended.and_then(|signal| slots.digit_frame(2, signal)) {
            Some(digit) => changed.followed_by(digit),
            None => changed,
        }
    }

    fn media_frames(
        &mut self,
        slots: &mut Slots,
        owner: Owner<'_>,
        format: &Format,
        arrived: Arrived,
    ) -> Option<HostFrame> {
        let clock_rate = clock_rate(format);
        let dtmf_timeout = owner.with(|state| {
            state.clock_rates.learn(arrived.payload_type, clock_rate);
            state.settings.dtmf_timeout
        })?;
        let timeout = duration(dtmf_timeout.into(), rtp_code::CLOCK);
        let ended = self.events.handle_media(arrived.timestamp, clock_rate, timeout);
        let digit = ended.and_then(|signal| slots.digit_frame(1, signal));
        let frame = match format.kind()? {
            Kind::Audio => self.voice(slots, format, &arrived, clock_rate),
            Kind::Video => self.picture(slots, format, &arrived),
            Kind::Text => self.text(slots, format, &arrived),
            Kind::Image => return digit,
        };
        self.sequence_number = Some(SequenceNumber(arrived.sequence_number));
        Some(match digit {
            Some(digit) => digit.followed_by(frame),
            None => frame,
        })
    }

    fn voice(&mut self, slots: &mut Slots, format: &Format, arrived: &Arrived, clock_rate: u32) -> HostFrame {
        let due = self.delivery.due(asterisk::time::wall(), arrived.timestamp, clock_rate, arrived.marker);
        let timing = Timing {
            timestamp_ms: i64::from(arrived.timestamp) / i64::from((clock_rate / 1000).max(1)),
            sequence_number: arrived.sequence_number,
            delivery: Some(due),
        };
        slots.media.voice(format, arrived.payload.clone(), timing)
    }

    fn picture(&mut self, slots: &mut Slots, format: &Format, arrived: &Arrived) -> HostFrame {
        let since =
            self.picture_timestamp.replace(arrived.timestamp).map_or(0, |last| arrived.timestamp.wrapping_sub(last));
        let timing = Timing { sequence_number: arrived.sequence_number, ..Timing::default() };
        slots.media.video(format, arrived.payload.clone(), timing, since, arrived.marker)
    }

    /// T.140. Where packets are missing, the reader sees that (RFC 4103 §5.3: U+FFFD).
    fn text(&mut self, slots: &mut Slots, format: &Format, arrived: &Arrived) -> HostFrame {
        self.text_timestamp = Some(arrived.timestamp);
        let missing =
            self.sequence_number.map_or(0, |last| SequenceNumber(arrived.sequence_number).distance_from(last) - 1);
        let mut payload = arrived.payload.clone();
        let timing = Timing { sequence_number: arrived.sequence_number, ..Timing::default() };
        if format.codec() == Some(Codec::T140Red) {
            let primary = primary_of(slots.media.payload_buffer().get(payload.clone()).unwrap_or_default());
            payload.start = (payload.start + primary).min(payload.end);
            slots.mark_missing(&mut payload, missing);
            return match Format::of(Codec::T140) {
                Some(plain) if !payload.is_empty() => slots.media.text(&plain, payload, timing),
                _ => HostFrame::null(),
            };
        }
        slots.mark_missing(&mut payload, missing);
        slots.media.text(format, payload, timing)
    }

    fn event_frames(
        &mut self,
        slots: &mut Slots,
        now: Instant,
        arrived: &Arrived,
        clock_rate: u32,
    ) -> Option<HostFrame> {
        let event = Event::parse(slots.media.payload_buffer().get(arrived.payload.clone())?)?;
        let Arrived { sequence_number, timestamp, marker, .. } = *arrived;
        let signals = self.events.handle_event(now, sequence_number, timestamp, marker, event, clock_rate);
        slots.signal_frames(signals)
    }

    fn cisco_frames(&mut self, slots: &mut Slots, arrived: &Arrived) -> Option<HostFrame> {
        let digit = cisco::Digit::parse(slots.media.payload_buffer().get(arrived.payload.clone())?)?;
        let signals = self.cisco_events.handle_digit(digit);
        slots.signal_frames(signals)
    }
}

fn comfort_noise(slots: &mut Slots, arrived: &Arrived) -> Option<HostFrame> {
    let noise = ComfortNoise::parse(slots.media.payload_buffer().get(arrived.payload.clone())?)?;
    let level = noise.level_in_minus_dbov;
    Some(slots.media.comfort_noise(level, arrived.payload.start + 1..arrived.payload.end))
}

/// Whether we make frames of it.
fn is_readable(payload: &Payload) -> bool {
    match payload {
        Payload::Media(_) => true,
        Payload::Code { code, .. } => matches!(*code, rtp_code::DTMF | rtp_code::CISCO_DTMF | rtp_code::CN),
    }
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
