//! Cisco's own DTMF payload (`cisco-telephone-event`, static payload type 121 in the host). It replaces the audio
//! packets while a key is pressed.
//!
//! ```text
//! | sequence | flags | power | digit | power | digit | ...
//! ```
//!
//! Power and digit of this packet come first, followed by those of the packets before it. The power rises from zero,
//! and falls back to zero when the key is released.

use std::time::Duration;

use super::{Key, Signal, Signals};

/// One payload, without the history at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    /// Event code, as in RFC 4733.
    pub event: u8,
    /// The power of the tone, 0 once the key is released.
    pub power: u8,
}

impl Digit {
    /// Reads a payload of at least four octets.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [_sequence, _flags, power, digit] = *payload.first_chunk()?;
        Some(Self { event: digit & 0x1F, power })
    }
}

/// Follows the digits of one stream.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    active: Option<(Key, Duration)>,
}

impl Receiver {
    /// Creates a receiver with no key pressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one payload.
    pub fn handle_digit(&mut self, digit: Digit) -> Signals {
        let Some(key) = Key::from_event(digit.event) else { return Signals::default() };
        let same = self.active.filter(|(active, _)| *active == key);
        let changed = if same.is_none() { self.end() } else { None };
        let signal = match (same, digit.power) {
            (Some(_), 0) => self.end(),
            (None, 0) => None,
            (same, _) => {
                self.active = Some((key, same.map_or(Duration::ZERO, |(_, held)| held) + STEP));
                Some(if same.is_some() { Signal::Continue(key) } else { Signal::Begin(key) })
            }
        };
        Signals([changed, signal])
    }

    fn end(&mut self) -> Option<Signal> {
        let (key, held) = self.active.take()?;
        Some(Signal::End { key, held })
    }
}

/// The time from one payload to the next.
const STEP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_rises_and_falls() {
        let mut receiver = Receiver::new();
        let two = Key::from_char('2').unwrap();
        let mut feed = |power, event| -> Vec<_> {
            let digit = Digit::parse(&[0x19, 7, power, event, 0x12, 2]).unwrap();
            receiver.handle_digit(digit).into_iter().collect()
        };
        assert_eq!(feed(10, 2), [Signal::Begin(two)]);
        assert_eq!(feed(32, 2), [Signal::Continue(two)]);
        assert_eq!(feed(0, 2), [Signal::End { key: two, held: 2 * STEP }]);
        assert_eq!(feed(0, 2), []);
        assert_eq!(Digit::parse(&[1, 2, 3]), None);
    }
}
