//! Cisco's own DTMF payload (`cisco-telephone-event`, static payload type 121 in the host). It replaces the audio
//! packets while a key is pressed.
//!
//! ```text
//! | sequence | flags | power | digit | power | digit | ...
//! ```
//!
//! Power and digit of this packet come first, followed by those of the packets before it. The power rises from zero,
//! and falls back to zero when the key is released. The lowest flag changes from one press to the next, so that the same
//! key pressed again is told from one that is held, though the packet without power was lost.

use std::time::{Duration, Instant};

use super::{Key, Signal, Signals};

/// One payload, without the history at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    /// The number of the packet.
    pub sequence: u8,
    /// Whether the press is an odd one: it is of another press than a packet of which the opposite is true.
    pub odd: bool,
    /// Event code, as in RFC 4733.
    pub event: u8,
    /// The power of the tone, 0 once the key is released.
    pub power: u8,
}

impl Digit {
    /// Reads a payload of at least four octets.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [sequence, flags, power, digit] = *payload.first_chunk()?;
        Some(Self { sequence, odd: flags & 1 != 0, event: digit & 0x1F, power })
    }
}

/// Follows the digits of one stream.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    active: Option<Active>,
    newest: Option<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Active {
    key: Key,
    odd: bool,
    held: Duration,
    heard: Instant,
}

impl Receiver {
    /// Creates a receiver with no key pressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one payload.
    pub fn handle_digit(&mut self, now: Instant, digit: Digit) -> Signals {
        let Some(key) = Key::from_event(digit.event) else { return Signals::default() };
        if self.newest.replace(digit.sequence) == Some(digit.sequence) {
            return Signals::default();
        }
        let is_same = |active: &Active| active.key == key && (active.odd == digit.odd || digit.power == 0);
        let same = self.active.filter(is_same);
        let changed = if same.is_none() { self.end() } else { None };
        let signal = match (same, digit.power) {
            (Some(_), 0) => self.end(),
            (None, 0) => None,
            (same, _) => {
                let held = same.map_or(Duration::ZERO, |active| active.held) + STEP;
                self.active = Some(Active { key, odd: digit.odd, held, heard: now });
                Some(if same.is_some() { Signal::Continue(key) } else { Signal::Begin(key) })
            }
        };
        Signals([changed, signal])
    }

    /// Ends a digit whose end was lost, because media has come in place of it for `timeout`.
    pub fn handle_media(&mut self, now: Instant, timeout: Duration) -> Option<Signal> {
        let is_over = |active: Active| now.saturating_duration_since(active.heard) >= timeout;
        if self.active.is_some_and(is_over) { self.end() } else { None }
    }

    /// Ends a digit that is still pressed, because the source has gone.
    pub fn handle_gone(&mut self) -> Option<Signal> {
        self.newest = None;
        self.end()
    }

    fn end(&mut self) -> Option<Signal> {
        let Active { key, held, .. } = self.active.take()?;
        Some(Signal::End { key, held })
    }
}

/// The time from one payload to the next.
const STEP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    struct Stream {
        receiver: Receiver,
        now: Instant,
        sequence: u8,
    }

    impl Stream {
        fn feed(&mut self, flags: u8, power: u8) -> Vec<Signal> {
            self.sequence = self.sequence.wrapping_add(1);
            self.now += STEP;
            let digit = Digit::parse(&[self.sequence, flags, power, 2, 0x12, 2]).unwrap();
            self.receiver.handle_digit(self.now, digit).into_iter().collect()
        }
    }

    fn stream() -> (Stream, Key) {
        (Stream { receiver: Receiver::new(), now: Instant::now(), sequence: 250 }, Key::from_char('2').unwrap())
    }

    #[test]
    fn power_rises_and_falls() {
        let (mut stream, two) = stream();
        assert_eq!(stream.feed(7, 10), [Signal::Begin(two)]);
        assert_eq!(stream.feed(7, 32), [Signal::Continue(two)]);
        assert_eq!(stream.feed(7, 0), [Signal::End { key: two, held: 2 * STEP }]);
        assert_eq!(stream.feed(7, 0), []);
        assert_eq!(Digit::parse(&[1, 2, 3]), None);
    }

    #[test]
    fn the_same_key_pressed_again_changes_the_flag() {
        let (mut stream, two) = stream();
        stream.feed(7, 10);
        let ended = Signal::End { key: two, held: STEP };
        assert_eq!(stream.feed(6, 32), [ended, Signal::Begin(two)]);
        assert_eq!(stream.feed(6, 0), [ended]);
    }

    #[test]
    fn a_packet_that_comes_twice_counts_once() {
        let (mut stream, two) = stream();
        stream.feed(7, 10);
        stream.sequence -= 1;
        assert_eq!(stream.feed(7, 10), []);
        assert_eq!(stream.feed(7, 0), [Signal::End { key: two, held: STEP }]);
    }

    #[test]
    fn a_lost_end_is_made_up_when_media_goes_on_or_the_source_goes() {
        let (mut stream, two) = stream();
        let timeout = Duration::from_millis(375);
        stream.feed(7, 10);
        assert_eq!(stream.receiver.handle_media(stream.now + STEP, timeout), None);
        let ended = Some(Signal::End { key: two, held: STEP });
        assert_eq!(stream.receiver.handle_media(stream.now + timeout, timeout), ended);
        stream.feed(6, 10);
        assert_eq!(stream.receiver.handle_gone(), ended);
        assert_eq!(stream.receiver.handle_gone(), None);
    }
}
