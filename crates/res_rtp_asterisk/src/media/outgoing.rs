//! Converts frames of the host to media packets.

use std::time::{Duration, Instant};

use asterisk::format::{Codec, Framing, Kind};
use asterisk::frame::FrameType;
use asterisk::rtp::Instance;
use asterisk::smoother::{ByteOrder, Smoother};
use asterisk::{Failed, Format, FrameRef, sys};
use rtp::pictures::Origin;
use rtp::timestamp::{Span, Timing};

use super::carried::Carried;
use super::incoming::clock_rate;
use super::source::Media;

/// The functions of the session that [`Outgoing`] calls.
pub trait Sink {
    /// Returns whether media has a route. Fails after a panic poisoned the session.
    fn has_route(&mut self) -> Result<bool, Failed>;

    /// Sends a packet. Returns whether media has a route. Fails after a panic poisoned the session.
    fn send(&mut self, media: &Media<'_>) -> Result<bool, Failed>;

    /// Notes that a source of video begins. Fails after a panic poisoned the session.
    fn begin_pictures(&mut self) -> Result<(), Failed>;

    /// Asks the peer for a whole picture (RFC 5104 §4.3.1). Fails after a panic poisoned the session.
    fn ask_for_picture(&mut self) -> Result<(), Failed>;
}

/// The state of the sent stream between frames. Only the channel's writing thread uses it.
pub struct Outgoing {
    format: Option<Format>,
    /// The packets of `format`; `None` if frames are sent as they come.
    framing: Option<Framing>,
    /// Created for the first frame that is not one packet: the host's smoother takes 16 KiB.
    smoother: Option<Smoother>,
    /// Buffer for linear samples in network byte order.
    swapped: Vec<u8>,
    /// The numbers of the video packets that the frames were made from.
    origin: Origin,
    /// Whether the last packet had a route. If so, the next frame is sent without asking for the route first.
    had_route: bool,
    carried: Carried,
}

/// A frame's format and the payload type that was negotiated for it.
struct Negotiated<'a> {
    format: &'a Format,
    payload_type: u8,
    kind: Kind,
    /// The samples of the frame, if the host did not count them.
    samples: Option<u32>,
}

impl Outgoing {
    /// Creates the state of a stream that has not begun.
    pub fn new() -> Self {
        Self {
            format: None,
            framing: None,
            smoother: None,
            swapped: Vec::new(),
            origin: Origin::default(),
            had_route: false,
            carried: Carried::default(),
        }
    }

    /// Notes that the G.719 of the call is Opus.
    pub fn note_opus(&mut self) {
        self.carried.note_opus();
    }

    /// Sends a frame, split into packets of the negotiated length. Drops the frame while media has no route. Fails for a frame type
    /// that RTP does not carry, and for a format that was not negotiated.
    pub fn write(
        &mut self,
        now: Instant,
        sink: &mut impl Sink,
        instance: Instance<'_>,
        frame: FrameRef<'_>,
    ) -> Result<(), Failed> {
        let kind = match frame.frame_type() {
            FrameType::Voice => Kind::Audio,
            FrameType::Video => Kind::Video,
            FrameType::Text => Kind::Text,
            // The only field that is set in a control frame is its number.
            FrameType::Control if frame.integer() == sys::AST_CONTROL_VIDUPDATE as i32 => {
                return sink.ask_for_picture();
            }
            // A bandwidth estimate (REMB), which this module does not send.
            FrameType::Feedback => return Ok(()),
            other => {
                asterisk::warning!("RTP can only send voice, video, and text, not {other:?}");
                return Err(Failed);
            }
        };
        if frame.payload().is_empty() {
            return Ok(());
        }
        if !self.had_route {
            self.had_route = sink.has_route()?;
            if !self.had_route {
                return Ok(());
            }
        }
        let Some(format) = frame.format() else {
            return self.unsendable(sink, || asterisk::warning!("RTP: a frame without a format cannot be sent"));
        };
        let Some(payload_type) = instance.payload_type_of(&format) else {
            return self.unsendable(sink, || {
                asterisk::warning!(
                    "Don't know how to send format {} packets with RTP: no payload type was negotiated",
                    format.name().to_string_lossy()
                );
            });
        };
        // Another leg of the call may have counted the samples as those of G.719.
        let samples = self.carried.samples(&format, frame.payload()).and_then(Result::ok);
        let negotiated = Negotiated { format: &format, payload_type, kind, samples };
        match kind {
            Kind::Audio => self.note_format(instance, &format),
            // The number is that of a packet, in 16 bits.
            Kind::Video if self.origin.begins_with(frame.sequence_number() as u16) => sink.begin_pictures()?,
            _ => {}
        }
        self.had_route = self.send_negotiated(now, sink, &negotiated, frame)?;
        if !self.had_route {
            // The buffered rest of the frame would be sent late.
            self.reset_smoother();
        }
        Ok(())
    }

    /// Sends a frame through the smoother if it is not one packet of the negotiated length. Returns whether media has a route.
    fn send_negotiated(
        &mut self,
        now: Instant,
        sink: &mut impl Sink,
        negotiated: &Negotiated<'_>,
        frame: FrameRef<'_>,
    ) -> Result<bool, Failed> {
        if negotiated.kind == Kind::Audio {
            self.prepare_smoother(frame);
        }
        match &mut self.smoother {
            Some(smoother) if negotiated.kind == Kind::Audio => match feed(now, smoother, sink, negotiated, frame) {
                Ok(sent) => sent,
                Err(TooMuch) => {
                    // Drop the frame: a failure would make the host hang up.
                    self.reset_smoother();
                    Ok(true)
                }
            },
            _ => self.send_whole(now, sink, negotiated, frame),
        }
    }

    /// Discards the buffered rest of a frame, because packets of a bridge come next.
    pub fn forget_rest(&mut self) {
        self.reset_smoother();
    }

    /// Discards the smoother and what it holds. Before the next frame, the host is asked again for the length of packets, which a
    /// description in between may have changed.
    fn reset_smoother(&mut self) {
        (self.smoother, self.format) = (None, None);
    }

    /// Logs a warning and fails, unless media has no route; then the frame is dropped silently, as every other would be.
    fn unsendable(&mut self, sink: &mut impl Sink, warn: impl FnOnce()) -> Result<(), Failed> {
        self.had_route = sink.has_route()?;
        if !self.had_route {
            return Ok(());
        }
        warn();
        Err(Failed)
    }

    /// Notes how voice of this format is split into packets, if the format is another than before.
    fn note_format(&mut self, instance: Instance<'_>, format: &Format) {
        if !self.format.as_ref().is_some_and(|known| known.same_as(format)) {
            self.format = Some(format.clone());
            self.framing = instance.framing(format);
            self.smoother = None;
        }
    }

    /// Creates the smoother before the first frame that is not one packet. While it is empty, it returns a frame of that length
    /// as it is.
    fn prepare_smoother(&mut self, frame: FrameRef<'_>) {
        let Some(framing) = &self.framing else { return };
        if self.smoother.is_none() && frame.payload().len() != framing.packet_bytes as usize {
            self.smoother = Smoother::new(framing.packet_bytes);
            if let Some(smoother) = &mut self.smoother {
                smoother.set_flags(framing.smoother_flags);
            }
        }
    }

    /// Sends a frame as one packet. Returns whether media has a route.
    fn send_whole(
        &mut self,
        now: Instant,
        sink: &mut impl Sink,
        negotiated: &Negotiated<'_>,
        frame: FrameRef<'_>,
    ) -> Result<bool, Failed> {
        let payload = frame.payload();
        let is_swapped =
            negotiated.kind == Kind::Audio && negotiated.format.is_slinear() && cfg!(target_endian = "little");
        if is_swapped {
            self.swapped.clear();
            self.swapped.extend(payload.chunks_exact(2).flat_map(|sample| [sample[1], sample[0]]));
        }
        sink.send(&media(now, negotiated, frame, if is_swapped { &self.swapped } else { payload }))
    }
}

/// The host's smoother refused the frame.
struct TooMuch;

/// Sends a frame through the smoother, which splits and joins frames to packets of the negotiated length. Returns whether media has
/// a route.
fn feed(
    now: Instant,
    smoother: &mut Smoother,
    sink: &mut impl Sink,
    negotiated: &Negotiated<'_>,
    frame: FrameRef<'_>,
) -> Result<Result<bool, Failed>, TooMuch> {
    let network = smoother.has_flag(sys::AST_SMOOTHER_FLAG_BE as u32);
    smoother.feed(frame, if network { ByteOrder::Network } else { ByteOrder::Native }).map_err(|Failed| TooMuch)?;
    let mut has_route = true;
    while let Some(packet) = smoother.read() {
        if packet.payload().is_empty() {
            break;
        }
        match sink.send(&media(now, negotiated, packet, packet.payload())) {
            Ok(had_route) => has_route = had_route,
            failed => return Ok(failed),
        }
    }
    Ok(Ok(has_route))
}

fn media<'a>(now: Instant, negotiated: &Negotiated<'_>, frame: FrameRef<'_>, payload: &'a [u8]) -> Media<'a> {
    let Negotiated { format, payload_type, kind, samples } = *negotiated;
    let ticks = match kind {
        Kind::Video => frame.advance().cast_unsigned(),
        _ if let Some(samples) = samples => samples,
        // Two samples of G.722 are one tick of its 8000 Hz RTP clock (RFC 3551 §4.5.2).
        _ if format.codec() == Some(Codec::G722) => frame.samples() / 2,
        _ => frame.samples(),
    };
    let timing = match (frame.timestamp_ms(), frame.delivery()) {
        (Some(milliseconds), _) => Timing::Source { milliseconds },
        (None, Some(due)) => Timing::At(at_time_of_day(now, due)),
        (None, None) => Timing::Continuous,
    };
    Media {
        payload_type,
        marker: kind == Kind::Video && frame.is_marked(),
        marks_pauses: kind != Kind::Video,
        span: Span { ticks, clock_rate: clock_rate(format), timing },
        ticks_before: kind != Kind::Audio,
        payload,
    }
}

/// Converts a wall clock time of the host, since 1970, to the monotonic clock. Returns `now` for an implausible time.
fn at_time_of_day(now: Instant, due: Duration) -> Instant {
    let wall = asterisk::time::wall();
    let (earlier, later) = (wall.saturating_sub(due), due.saturating_sub(wall));
    if earlier.max(later) > PLAUSIBLE {
        return now;
    }
    now.checked_sub(earlier).unwrap_or(now) + later
}

/// Largest plausible distance between a frame's delivery time and the time it is written.
const PLAUSIBLE: Duration = Duration::from_secs(10);
