//! Sequence numbers and timestamps that wrap (RFC 3550 §5.1), and the timelines built on them: the timestamps of
//! packets that we send, and the time of day at which received frames are due.

use std::time::{Duration, Instant};

/// An RTP sequence number, which counts packets and wraps at 65536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The number of packets from `earlier` to `self`; negative if `self` is before it. Unambiguous within half the
    /// number space.
    pub fn distance_from(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Whether `self` comes after `other`.
    pub fn is_after(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }
}

/// An RTP timestamp, which counts ticks of the payload's clock and wraps at 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// This timestamp, moved by `ticks`.
    pub fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// Ticks from `earlier` to `self`; negative when `self` is before it.
    pub fn distance_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Whether `self` comes after `other`.
    pub fn is_after(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }
}

/// Ticks of a clock of `clock_rate` hertz in `duration`, rounded down. Pass the RTP clock, not the sampling rate: G.722
/// is sampled at 16000 Hz, but its clock has 8000 Hz (RFC 3551 §4.5.2).
pub fn ticks(duration: Duration, clock_rate: u32) -> u64 {
    let ticks = duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The time that `ticks` of a clock of `clock_rate` hertz take; zero if `clock_rate` is zero.
pub fn duration(ticks: u64, clock_rate: u32) -> Duration {
    if clock_rate == 0 {
        return Duration::ZERO;
    }
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(clock_rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The information that a frame to be sent carries about its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// None. The frame follows the one before, unless there was a pause.
    Continuous,
    /// The moment at which the frame was due (its delivery time).
    At(Instant),
    /// The frame's place on the timeline of the stream that it comes from, which is not ours.
    Source {
        /// Milliseconds on that timeline.
        milliseconds: i64,
    },
}

/// The length and the time of one frame to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The frame's length in ticks of the RTP clock (for G.722, half its samples).
    pub ticks: u32,
    /// The RTP clock in hertz.
    pub clock_rate: u32,
    /// The information about the frame's time.
    pub timing: Timing,
}

/// The place of a frame on our timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The RTP timestamp to send.
    pub timestamp: u32,
    /// Whether the frame is the first one, or follows a pause: audio sets the marker bit then (RFC 3551 §4.1).
    pub after_pause: bool,
}

/// The timestamps of one outgoing stream.
///
/// Timestamps advance by the length of the frames sent, so that the jitter of our own scheduling does not show. If the
/// clock disagrees by more than the tolerance, there was a pause, and the timestamps follow the clock. They never
/// follow the source's timeline blindly: it jumps when a bridge changes its source, and a receiver drops packets whose
/// timestamps lie in the past.
#[derive(Debug, Clone)]
pub struct Timeline {
    last: Option<Sent>,
    start: RtpTimestamp,
    has_frames: bool,
    source: Option<SourceOffset>,
    /// The end of what was sent, telephone-events included: after that there is a pause.
    covered: Option<RtpTimestamp>,
    /// The begin of the newest telephone-event, until a frame follows it.
    event: Option<RtpTimestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    /// The moment of sending: from here on the clock counts.
    at: Instant,
    /// The moment at which the frame was due, which may be hundreds of milliseconds before that.
    due: Instant,
    timestamp: RtpTimestamp,
    ticks: u32,
}

/// The positions on the source's timeline and on ours when the two were last tied together.
#[derive(Debug, Clone, Copy)]
struct SourceOffset {
    milliseconds: i64,
    timestamp: RtpTimestamp,
}

impl Timeline {
    /// Creates a timeline for audio or text that starts at `start`, which should be random (RFC 3550 §5.1).
    pub fn new(start: u32) -> Self {
        Self { last: None, start: RtpTimestamp(start), has_frames: false, source: None, covered: None, event: None }
    }

    /// Places a frame that is sent `now`.
    pub fn frame(&mut self, now: Instant, span: Span) -> Stamp {
        let is_first = !std::mem::replace(&mut self.has_frames, true);
        let last = self.begin(now);
        let (due, timestamp) = match span.timing {
            _ if is_first => (now, last.timestamp.plus(ticks_since(last.at, now, span.clock_rate))),
            Timing::Continuous => (now, continuous(last, now, span.clock_rate)),
            Timing::At(due) => due_at(last, due, span.clock_rate),
            Timing::Source { milliseconds } => (now, self.on_source(milliseconds, last, now, span.clock_rate)),
        };
        let is_late = is_behind(timestamp, last.timestamp, SOURCE_REORDERING, span.clock_rate);
        let timestamp = if is_late { timestamp } else { self.after_event(timestamp, span.clock_rate) };
        let after_pause = is_first || self.follows_pause(timestamp, span.clock_rate);
        self.source = match span.timing {
            Timing::Source { milliseconds } => Some(SourceOffset { milliseconds, timestamp }),
            Timing::Continuous | Timing::At(_) => None,
        };
        if !is_late {
            self.last = Some(Sent { at: now, due, timestamp, ticks: span.ticks });
        }
        self.cover(timestamp.plus(span.ticks), span.clock_rate);
        Stamp { timestamp: timestamp.0, after_pause }
    }

    /// The timestamp of this moment, for packets that are not frames: a telephone-event, comfort noise, a sender
    /// report. The timeline begins with it if nothing was sent before.
    pub fn at(&mut self, now: Instant, clock_rate: u32) -> u32 {
        let last = self.begin(now);
        last.timestamp.plus(ticks_since(last.at, now, clock_rate)).0
    }

    /// Notes that a telephone-event is sent in place of frames `now`: no pause precedes the frame that follows.
    pub fn covered(&mut self, now: Instant, clock_rate: u32) {
        let now = RtpTimestamp(self.at(now, clock_rate));
        self.cover(now, clock_rate);
    }

    /// Notes the `timestamp` of a telephone-event that begins `now`: the frames that follow do not go back behind it. One that
    /// lies further ahead than the durations of presses explain is left alone.
    pub fn begin_event(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        let (event, now) = (RtpTimestamp(timestamp), RtpTimestamp(self.at(now, clock_rate)));
        if !event.is_after(now) || within(event.distance_from(now), EVENT_AHEAD, clock_rate) {
            self.event = Some(event);
        }
    }

    /// Moves a frame that a telephone-event has overtaken to the begin of the event.
    fn after_event(&mut self, timestamp: RtpTimestamp, clock_rate: u32) -> RtpTimestamp {
        self.event.take().filter(|event| is_behind(timestamp, *event, STALL, clock_rate)).unwrap_or(timestamp)
    }

    /// Moves the end of what was sent. A late frame does not move it back; another source's timeline may.
    fn cover(&mut self, end: RtpTimestamp, clock_rate: u32) {
        let is_late = |known: &RtpTimestamp| is_behind(end, *known, SOURCE_REORDERING, clock_rate);
        self.covered = Some(self.covered.filter(is_late).unwrap_or(end));
    }

    /// Whether there is a pause between the end of what was sent and a frame with `timestamp`.
    fn follows_pause(&self, timestamp: RtpTimestamp, clock_rate: u32) -> bool {
        let gap = self.covered.map_or(0, |end| timestamp.distance_from(end));
        gap > 0 && !within(gap, PAUSE, clock_rate)
    }

    /// The reference for the next timestamp: the last frame, or the beginning.
    fn begin(&mut self, now: Instant) -> Sent {
        *self.last.get_or_insert(Sent { at: now, due: now, timestamp: self.start, ticks: 0 })
    }

    fn on_source(&self, milliseconds: i64, last: Sent, now: Instant, clock_rate: u32) -> RtpTimestamp {
        let position = self.source.map(|offset| {
            let moved = milliseconds.wrapping_sub(offset.milliseconds).saturating_mul(i64::from(clock_rate)) / 1000;
            // The low 32 bits are the wrapped timestamp, in either direction.
            offset.timestamp.plus(moved as u32)
        });
        let by_clock = last.timestamp.plus(ticks_since(last.at, now, clock_rate));
        let is_plausible = |position: &RtpTimestamp| {
            let goes_back = last.timestamp.is_after(*position);
            within(position.distance_from(by_clock), SOURCE_JUMP, clock_rate)
                && (!goes_back || is_behind(*position, last.timestamp, SOURCE_REORDERING, clock_rate))
        };
        position.filter(is_plausible).unwrap_or_else(|| continuous(last, now, clock_rate))
    }
}

/// Places a frame without timing: it follows the last frame, unless the clock shows that there was a pause. The timeline never
/// goes back, even if frames are sent faster than they last.
fn continuous(last: Sent, now: Instant, clock_rate: u32) -> RtpTimestamp {
    let predicted = last.timestamp.plus(last.ticks);
    let by_clock = last.timestamp.plus(ticks_since(last.at, now, clock_rate));
    let gap = by_clock.distance_from(predicted);
    if gap > 0 && !within(gap, PAUSE, clock_rate) { by_clock } else { predicted }
}

/// Places a frame by the moment at which it is due, computed from another stream's timestamps: a gap there is a gap
/// here. The timeline never goes back, even if the source does. Returns the due time as well, without what was rounded.
fn due_at(last: Sent, due: Instant, clock_rate: u32) -> (Instant, RtpTimestamp) {
    let predicted = last.timestamp.plus(last.ticks);
    let by_clock = last.timestamp.plus(ticks_since(last.due, due, clock_rate));
    let gap = by_clock.distance_from(predicted);
    if within(gap, ROUNDING, clock_rate) {
        // The remainder of rounding counts for the next frame.
        (last.due + duration(last.ticks.into(), clock_rate), predicted)
    } else {
        (due, if gap > 0 { by_clock } else { predicted })
    }
}

/// Whether `timestamp` lies before `other`, by less than `limit`.
fn is_behind(timestamp: RtpTimestamp, other: RtpTimestamp, limit: Duration, clock_rate: u32) -> bool {
    other.is_after(timestamp) && within(other.distance_from(timestamp), limit, clock_rate)
}

fn within(ticks_apart: i32, limit: Duration, clock_rate: u32) -> bool {
    u64::from(ticks_apart.unsigned_abs()) < ticks(limit, clock_rate)
}

fn ticks_since(earlier: Instant, now: Instant, clock_rate: u32) -> u32 {
    // Truncation to 32 bits is how a timestamp wraps.
    ticks(now.saturating_duration_since(earlier), clock_rate) as u32
}

/// The timestamps of outgoing video and text. The packets of one picture share a timestamp: for each packet, the host says by
/// how much the clock has advanced since the packet before.
#[derive(Debug, Clone)]
pub struct PictureTimeline {
    last: Option<(Instant, RtpTimestamp)>,
    start: RtpTimestamp,
}

impl PictureTimeline {
    /// Creates a timeline for video that starts at `start`, which should be random (RFC 3550 §5.1).
    pub fn new(start: u32) -> Self {
        Self { last: None, start: RtpTimestamp(start) }
    }

    /// Returns the timestamp of a packet that is sent `now`, `advance` ticks after the one before. If that is not known, the timestamp
    /// follows the clock. An advance that goes back wraps, as timestamps do.
    pub fn packet(&mut self, now: Instant, advance: Option<u32>, clock_rate: u32) -> u32 {
        let timestamp = match self.last {
            None => self.start,
            Some((at, last)) => {
                let by_clock = last.plus(ticks_since(at, now, clock_rate));
                // A changed source may claim any advance.
                let is_plausible =
                    |predicted: &RtpTimestamp| within(predicted.distance_from(by_clock), PICTURE_PAUSE, clock_rate);
                advance.map(|advance| last.plus(advance)).filter(is_plausible).unwrap_or(by_clock)
            }
        };
        self.last = Some((now, timestamp));
        timestamp.0
    }
}

/// Maps the timestamps of a received stream to the time of day at which each frame is due. The host wants it for every
/// audio frame.
#[derive(Debug, Clone, Default)]
pub struct DeliveryClock {
    origin: Option<Origin>,
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    due: Duration,
    timestamp: RtpTimestamp,
}

impl DeliveryClock {
    /// Returns the time of day (since 1970) at which the packet with `timestamp`, which arrived at `time_of_day`, is
    /// due. The mapping starts at the first packet, and over again at each marker and whenever it is off by more than a
    /// second.
    pub fn due(&mut self, time_of_day: Duration, timestamp: u32, clock_rate: u32, marker: bool) -> Duration {
        let timestamp = RtpTimestamp(timestamp);
        if let Some(origin) = self.origin.filter(|_| !marker && clock_rate > 0) {
            let distance = timestamp.distance_from(origin.timestamp);
            let length = duration(u64::from(distance.unsigned_abs()), clock_rate);
            let due = if distance < 0 { origin.due.saturating_sub(length) } else { origin.due + length };
            if due.abs_diff(time_of_day) < DELIVERY_JUMP {
                return due;
            }
        }
        self.origin = Some(Origin { due: time_of_day, timestamp });
        time_of_day
    }
}

/// A disagreement with the clock of more than this is a pause: four frames of 20 ms.
const PAUSE: Duration = Duration::from_millis(80);

/// The tolerance for delivery times, which are rounded and contain a few milliseconds of jitter when they start over.
const ROUNDING: Duration = Duration::from_millis(10);

/// A source whose timeline is this far from the clock is another source. Less may be a network that stalled and then
/// delivered everything.
const SOURCE_JUMP: Duration = Duration::from_secs(2);

/// A step back on the source's timeline by less than this is reordering in the network, and not another source.
const SOURCE_REORDERING: Duration = Duration::from_millis(500);

/// An event lies ahead of the clock by less than this if the digits before it were pressed one shortly after the other.
const EVENT_AHEAD: Duration = Duration::from_secs(1);

/// A frame that lies further behind an event was not held back for so long: the timestamps have come half round.
const STALL: Duration = Duration::from_secs(60);

/// A disagreement with the clock of more than this is a pause in video. Encoders send pictures in bursts.
const PICTURE_PAUSE: Duration = Duration::from_millis(500);

const DELIVERY_JUMP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
