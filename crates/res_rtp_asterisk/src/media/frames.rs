//! Frames become packets. All of this belongs to the channel's thread that writes.

use std::time::{Duration, Instant};

use asterisk::format::{Codec, Kind};
use asterisk::frame::FrameType;
use asterisk::rtp::Instance;
use asterisk::smoother::{ByteOrder, Smoother};
use asterisk::{Failed, Format, FrameRef, sys};
use rtp::timestamp::{Span, Timing};

use crate::media::incoming::clock_rate;
use crate::media::outgoing::Media;
use crate::session::Session;

/// What writing needs to remember from frame to frame.
pub struct Writing {
    format: Option<Format>,
    smoother: Option<Smoother>,
    scratch: Vec<u8>,
}

impl Writing {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self { format: None, smoother: None, scratch: Vec::new() }
    }

    /// Sends a frame, cut into the packets that were negotiated.
    pub fn write(&mut self, session: &Session, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed> {
        let kind = match frame.frame_type() {
            FrameType::Voice => Kind::Audio,
            FrameType::Video => Kind::Video,
            FrameType::Text => Kind::Text,
            // Of a control frame nothing but this is filled in.
            FrameType::Control if frame.integer() == sys::AST_CONTROL_VIDUPDATE as i32 => {
                session.with(|state| state.ask_for_picture(Instant::now())).ok_or(Failed)?;
                return Ok(());
            }
            // An estimate of the bandwidth (REMB), which is not ours to make.
            FrameType::Feedback => return Ok(()),
            other => {
                asterisk::warning!("RTP carries voice, video and text, not {other:?}");
                return Err(Failed);
            }
        };
        let has_route = session.with(|state| state.media_route().is_some()).ok_or(Failed)?;
        if !has_route || frame.payload().is_empty() {
            return Ok(());
        }
        let Some(format) = frame.format() else {
            asterisk::warning!("RTP: a frame without a format cannot be sent");
            return Err(Failed);
        };
        let Some(payload_type) = instance.payload_type_of(&format) else {
            asterisk::warning!("no payload type was negotiated for format {:?}", format.name());
            return Err(Failed);
        };
        if kind == Kind::Audio {
            self.prepare_smoother(instance, &format);
            if let Some(smoother) = &mut self.smoother {
                if feed(smoother, session, &format, payload_type, frame).is_err() {
                    // Too much at once. A frame is lost; to fail would hang up.
                    (self.smoother, self.format) = (None, None);
                }
                return Ok(());
            }
        }
        self.send(session, &format, payload_type, kind, frame);
        Ok(())
    }

    fn prepare_smoother(&mut self, instance: Instance<'_>, format: &Format) {
        let same = self.format.as_ref().is_some_and(|known| known.same_as(format));
        if same {
            return;
        }
        self.format = Some(format.clone());
        self.smoother = None;
        if let Some(framing) = instance.framing(format) {
            self.smoother = Smoother::new(framing.packet_bytes);
            if let Some(smoother) = &mut self.smoother {
                smoother.set_flags(framing.smoother_flags);
            }
        }
    }

    /// A frame as it is: a packet.
    fn send(&mut self, session: &Session, format: &Format, payload_type: u8, kind: Kind, frame: FrameRef<'_>) {
        let payload = frame.payload();
        let swapped = kind == Kind::Audio && format.is_slinear() && cfg!(target_endian = "little");
        if swapped {
            self.scratch.clear();
            self.scratch.extend(payload.chunks_exact(2).flat_map(|sample| [sample[1], sample[0]]));
        }
        let payload = if swapped { &self.scratch } else { payload };
        send(session, format, payload_type, kind, frame, payload);
    }
}

fn feed(
    smoother: &mut Smoother,
    session: &Session,
    format: &Format,
    payload_type: u8,
    frame: FrameRef<'_>,
) -> Result<(), Failed> {
    let network = smoother.has_flag(sys::AST_SMOOTHER_FLAG_BE as u32);
    smoother.feed(frame, if network { ByteOrder::Network } else { ByteOrder::Native })?;
    while let Some(packet) = smoother.read() {
        if packet.payload().is_empty() {
            break;
        }
        send(session, format, payload_type, Kind::Audio, packet, packet.payload());
    }
    Ok(())
}

fn send(session: &Session, format: &Format, payload_type: u8, kind: Kind, frame: FrameRef<'_>, payload: &[u8]) {
    let now = Instant::now();
    let clock_rate = clock_rate(format);
    // Half of G.722's samples are one tick of its clock (RFC 3551 §4.5.2).
    let ticks = if format.codec() == Some(Codec::G722) { frame.samples() / 2 } else { frame.samples() };
    let timing = match (frame.timestamp_ms(), frame.delivery()) {
        (Some(milliseconds), _) => Timing::Source { milliseconds },
        (None, Some(due)) => Timing::At(at_time_of_day(now, due)),
        (None, None) => Timing::Continuous,
    };
    let media = Media {
        payload_type,
        marker: kind == Kind::Video && frame.is_marked(),
        marks_pauses: kind == Kind::Audio,
        span: Span { ticks, clock_rate, timing },
        ticks_before: kind != Kind::Audio,
        payload,
    };
    session.with(|state| state.send_media(now, &media));
}

/// A moment of the host's clock on ours.
fn at_time_of_day(now: Instant, due: Duration) -> Instant {
    let wall = asterisk::time::wall();
    let (earlier, later) = (wall.saturating_sub(due), due.saturating_sub(wall));
    if earlier.max(later) > PLAUSIBLE {
        return now;
    }
    now.checked_sub(earlier).unwrap_or(now) + later
}

/// No frame is due further from the moment that it is written.
const PLAUSIBLE: Duration = Duration::from_secs(10);
