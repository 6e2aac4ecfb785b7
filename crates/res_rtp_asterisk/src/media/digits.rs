//! Digits that we send as telephone-events (RFC 4733).

use std::time::{Duration, Instant};

use asterisk::rtp::rtp_code;
use rtp::telephone_event::{Key, Outgoing, Sender};

/// The key that is being sent, with the payload type that was negotiated for it.
pub struct Digits {
    sender: Sender,
    payload_type: u8,
    clock_rate: u32,
}

impl Digits {
    /// Makes the state of a session that has sent no digit.
    pub fn new() -> Self {
        Self { sender: Sender::new(), payload_type: 101, clock_rate: rtp_code::CLOCK }
    }

    /// Presses a key at `timestamp` of the stream; `clock_rate` in Hz is that of the payload type.
    pub fn begin(&mut self, now: Instant, key: Key, timestamp: u32, payload_type: u8, clock_rate: u32) {
        (self.payload_type, self.clock_rate) = (payload_type, clock_rate);
        self.sender.begin(now, key, timestamp, clock_rate);
    }

    /// Releases the key, which was held for so long if the host says it.
    pub fn end(&mut self, now: Instant, held: Option<Duration>) {
        self.sender.end(now, held);
    }

    /// Ends the digit at once: there is no way to the peer any more.
    pub fn cancel(&mut self) {
        self.sender.cancel();
    }

    /// Lets time pass for a key that is down.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sender.handle_timeout(now);
    }

    /// Returns when the digit wants its next packet.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sender.poll_timeout()
    }

    /// Returns the next packet, to be sent at once.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.sender.poll_transmit()
    }

    /// Returns whether a digit is being sent, which media waits for.
    pub fn is_active(&self) -> bool {
        self.sender.active().is_some()
    }

    /// Returns the payload type of the last digit.
    pub fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// Returns the clock rate of the last digit in Hz.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }
}
