//! Recovers digits from streams of event packets, any of which may be lost (RFC 4733 §2.5.2).
//!
//! If the begin is lost, the first packet that arrives begins the digit. If that is an end packet, the digit is
//! reported as ended, with its duration. If the end is lost, the digit ends when the next one begins, or when media has
//! gone on for `dtmftimeout` after it (RFC 2833 §3.6 leaves that time to the implementation).
//!
//! A digit is known by its source, its timestamp and its event, so packets of a digit that has ended press nothing,
//! however late they come. Senders have habits that the RFC does not know, and their digits count once as well:
//!
//! - digits come under an SSRC of their own, beside the media;
//! - the sequence number stands still, or the end packets repeat it;
//! - the timestamp moves from packet to packet, or the end has the timestamp of the end;
//! - the end says less than the update before it; its duration counts, as the newest;
//! - the duration wraps after 0xFFFF ticks (RFC 2833) in place of a new segment.

use std::time::{Duration, Instant};

use super::arrival::Arrival;
use super::ended::History;
use super::pressed::Pressed;
use super::{Event, Key};
use crate::packet::Header;
use crate::timestamp::{RtpTimestamp, SequenceNumber};

/// A fact about a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The key was pressed.
    Begin(Key),
    /// The key is still pressed.
    Continue(Key),
    /// The key was released. If there was no [`Signal::Begin`] before, every packet but the end was lost.
    End {
        /// The key.
        key: Key,
        /// The time for which the key was pressed; zero with [`Reporting::EndOnly`].
        held: Duration,
    },
}

/// The signals of one packet, an iterator: at most a lost end, and the signal of the packet itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals(pub(super) [Option<Signal>; 2]);

/// The signals that the host wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reporting {
    /// Begin and end of each digit.
    #[default]
    BeginAndEnd,
    /// One end for each digit as soon as its first packet arrives, for peers that send wrong durations
    /// (`rfc2833compensate=yes`).
    EndOnly,
}

/// Follows the events of all sources of one session.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    reporting: Reporting,
    pressed: Option<Pressed>,
    /// A digit whose begin went another way. Its rest is not reported.
    hidden: Option<Pressed>,
    sources: Sources,
    mute_until: Option<Instant>,
}

impl Receiver {
    /// Creates a receiver that reports begin and end of each digit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the signals that are reported.
    pub fn set_reporting(&mut self, reporting: Reporting) {
        self.reporting = reporting;
    }

    /// Ignores what comes of events before `until`, and with [`Reporting::EndOnly`] all of an event that begins before: it is the echo of
    /// a digit that we sent ourselves.
    pub fn mute_until(&mut self, until: Instant) {
        self.mute_until = Some(until);
    }

    /// Takes in one event packet. `clock_rate` is the clock of its payload type in hertz.
    pub fn handle_event(&mut self, now: Instant, header: &Header, event: Event, clock_rate: u32) -> Signals {
        let Some(packet) = Arrival::new(now, header, event, clock_rate) else { return Signals::default() };
        if !self.sources.of(packet.ssrc).admits(&packet) {
            return Signals::default();
        }
        if self.hides(&packet) {
            return Signals::default();
        }
        let goes_on = self.goes_on(&packet);
        let lost_end = if goes_on { None } else { self.end() };
        Signals([lost_end, if event.end { self.ended(&packet, goes_on) } else { self.lasts(&packet, goes_on) }])
    }

    /// Takes in the header of a media packet, whose clock has `clock_rate` hertz. A digit whose end was lost ends once
    /// media has gone on for `timeout` after it.
    pub fn handle_media(
        &mut self,
        now: Instant,
        header: &Header,
        clock_rate: u32,
        timeout: Duration,
    ) -> Option<Signal> {
        let is_over = self.pressed.is_some_and(|pressed| pressed.is_over(now, header, clock_rate, timeout));
        if is_over { self.end() } else { None }
    }

    /// Ends a digit that the source `ssrc` still presses, because it has gone.
    pub fn handle_gone(&mut self, ssrc: u32) -> Option<Signal> {
        if self.pressed.is_some_and(|pressed| pressed.is_of(ssrc)) { self.end() } else { None }
    }

    /// Whether a packet belongs to an event that has ended.
    pub fn has_ended(&self, now: Instant, header: &Header, event: Event, clock_rate: u32) -> bool {
        let source = self.sources.0.iter().flatten().find(|source| source.ssrc == header.ssrc);
        let packet = Arrival::new(now, header, event, clock_rate);
        source.zip(packet).is_some_and(|(source, packet)| source.history.is_repeated_by(&packet))
    }

    /// Ignores the rest of an event that went another way than by this receiver so far.
    pub(super) fn pass_over(&mut self, digit: Pressed, has_ended: bool) {
        let source = self.sources.of(digit.ssrc());
        source.newest = Some((digit.end().number, digit.end().timestamp));
        match has_ended {
            true => source.history.add(digit.end()),
            false => self.hidden = Some(digit),
        }
    }

    /// The key that is pressed; `None` if there is none.
    pub fn active(&self) -> Option<Key> {
        self.pressed.map(|pressed| pressed.key())
    }

    /// Whether a packet belongs to the digit that is pressed, which then takes it in.
    fn goes_on(&mut self, packet: &Arrival) -> bool {
        let source = self.sources.of(packet.ssrc);
        self.pressed.as_mut().is_some_and(|pressed| pressed.take(packet, |segment| source.history.add(segment)))
    }

    /// Whether a packet belongs to the digit that is not reported.
    fn hides(&mut self, packet: &Arrival) -> bool {
        let Some(mut hidden) = self.hidden.take() else { return false };
        let source = self.sources.of(packet.ssrc);
        let is_part = hidden.take(packet, |segment| source.history.add(segment));
        if is_part && !packet.event.end {
            self.hidden = Some(hidden);
        } else {
            self.sources.note_end(&hidden);
        }
        is_part
    }

    fn ended(&mut self, packet: &Arrival, goes_on: bool) -> Option<Signal> {
        if goes_on {
            return self.end();
        }
        let pressed = Pressed::new(packet);
        self.sources.of(packet.ssrc).history.add(pressed.end());
        let held = pressed.held();
        match self.reporting {
            Reporting::BeginAndEnd => Some(Signal::End { key: packet.key, held }),
            Reporting::EndOnly => self.end_only(packet),
        }
    }

    fn lasts(&mut self, packet: &Arrival, goes_on: bool) -> Option<Signal> {
        if goes_on {
            return (self.reporting == Reporting::BeginAndEnd).then_some(Signal::Continue(packet.key));
        }
        if self.is_muted(packet.now) {
            if self.reporting == Reporting::EndOnly {
                self.sources.of(packet.ssrc).history.add(Pressed::new(packet).end());
            }
            return None;
        }
        self.pressed = Some(Pressed::new(packet));
        match self.reporting {
            Reporting::BeginAndEnd => Some(Signal::Begin(packet.key)),
            Reporting::EndOnly => self.end_only(packet),
        }
    }

    fn end_only(&self, packet: &Arrival) -> Option<Signal> {
        (!self.is_muted(packet.now)).then_some(Signal::End { key: packet.key, held: Duration::ZERO })
    }

    /// Ends the digit that is pressed. With [`Reporting::EndOnly`] it has been reported when it began.
    fn end(&mut self) -> Option<Signal> {
        let pressed = self.pressed.take()?;
        self.sources.note_end(&pressed);
        let ended = Signal::End { key: pressed.key(), held: pressed.held() };
        (self.reporting == Reporting::BeginAndEnd).then_some(ended)
    }

    fn is_muted(&self, now: Instant) -> bool {
        self.mute_until.is_some_and(|until| now < until)
    }
}

/// One state per source: media and digits may come under different SSRCs.
#[derive(Debug, Clone, Default)]
struct Sources([Option<Source>; SOURCES]);

#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    newest: Option<(SequenceNumber, RtpTimestamp)>,
    history: History,
}

impl Sources {
    /// The state of a source. A new source replaces the one that was silent for longest.
    fn of(&mut self, ssrc: u32) -> &mut Source {
        let known = |source: &Option<Source>| source.as_ref().is_some_and(|source| source.ssrc == ssrc);
        let at = self.0.iter().position(known).unwrap_or(SOURCES - 1);
        self.0[..=at].rotate_right(1);
        let first = &mut self.0[0];
        if !known(first) {
            *first = None;
        }
        first.get_or_insert_with(|| Source { ssrc, newest: None, history: History::default() })
    }

    fn note_end(&mut self, pressed: &Pressed) {
        let source = self.0.iter_mut().flatten().find(|source| pressed.is_of(source.ssrc));
        if let Some(source) = source {
            source.history.add(pressed.end());
        }
    }
}

impl Source {
    /// Takes in the numbers of a packet. Returns false if it belongs to an event that has ended, or later packets have
    /// overtaken it. A lower number with a later timestamp begins a new count.
    fn admits(&mut self, packet: &Arrival) -> bool {
        let overtaken = self.newest.is_some_and(|(number, timestamp)| {
            (-MAX_MISORDER..0).contains(&packet.number.distance_from(number)) && !packet.timestamp.is_after(timestamp)
        });
        if overtaken || self.history.has(packet) {
            return false;
        }
        self.newest = Some((packet.number, packet.timestamp));
        true
    }
}

impl IntoIterator for Signals {
    type Item = Signal;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Signal>, 2>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// A sequence number further behind than this belongs to a new count, as with media (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;

/// The number of sources that are followed: that of the media, one of digits, and those before and after a change.
const SOURCES: usize = 4;

#[cfg(test)]
mod tests;
