//! Sends digits as telephone-events (RFC 4733).

use std::time::{Duration, Instant};

use asterisk::limit::RateLimit;
use asterisk::rtp::rtp_code;
use rtp::telephone_event::{Key, Outgoing, Sender};

/// The log line about peers that cannot be sent digits.
static NOT_AGREED: RateLimit = RateLimit::new(Duration::from_secs(60 * 60), 1);

/// Logs that a digit is refused, because the peer agreed on no telephone-event (RFC 3264 §6.1).
pub fn note_not_agreed() {
    if let Some(more) = NOT_AGREED.allow() {
        asterisk::notice!(
            "RTP: a digit was not sent, its peer agreed on no telephone-event; dtmfmode=auto or inband sends tones \
             ({more} more since the last line)"
        );
    }
}

/// The digit that is being sent, with the payload type negotiated for telephone-events.
pub struct Digits {
    sender: Sender,
    payload_type: u8,
    clock_rate: u32,
}

impl Digits {
    /// Creates the state of a session that has sent no digit.
    pub fn new() -> Self {
        Self { sender: Sender::new(), payload_type: 101, clock_rate: rtp_code::CLOCK }
    }

    /// Starts a digit at the RTP `timestamp`. `clock_rate` is that of `payload_type` in Hz.
    pub fn begin(&mut self, now: Instant, key: Key, timestamp: u32, payload_type: u8, clock_rate: u32) {
        (self.payload_type, self.clock_rate) = (payload_type, clock_rate);
        self.sender.begin(now, key, timestamp, clock_rate);
    }

    /// Ends the digit. `held` is its duration, if the host supplies one.
    pub fn end(&mut self, now: Instant, held: Option<Duration>) {
        self.sender.end(now, held);
    }

    /// Drops the digit without sending its end, because media has been stopped.
    pub fn cancel(&mut self) {
        self.sender.cancel();
    }

    /// Runs the timer of the digit that is being sent.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sender.handle_timeout(now);
    }

    /// Returns when the next packet of the digit is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sender.poll_timeout()
    }

    /// Returns the next packet that is due, to be sent at once.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.sender.poll_transmit()
    }

    /// Returns whether a digit is being sent. Media is not sent meanwhile.
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
