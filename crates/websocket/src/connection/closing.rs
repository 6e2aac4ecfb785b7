//! The closing handshake (RFC 6455 §7).
//!
//! ```text
//!   state      entered when                          left for Done when
//!   ---------  ------------------------------------  --------------------------------------------
//!   Open       the opening handshake is over         a frame waits too long, the peer stays silent
//!   SentClose  our caller closes (§7.1.2)            the peer's Close frame is here, ours is written
//!   Answering  both Close frames exist (§5.5.1)      ours is written
//!   Failing    the peer broke a rule (§7.1.7)        the peer ends the stream
//!   HungUp     the stream ends without a Close       the input before that is reported
//!   Done       the connection is over
//! ```
//!
//! SentClose, Answering and Failing also have a deadline, so that a peer that does not answer does not keep a stream.

use std::fmt;
use std::time::Instant;

use super::{Connection, Event};
use crate::close::{CloseCode, CloseFrame};
use crate::error::FrameError;
use crate::frame::Opcode;

/// The state of the closing handshake (RFC 6455 §7.1.2 to §7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nobody has sent a Close frame.
    Open,
    /// The stream ended without a Close frame. The input that came before is still reported.
    HungUp,
    /// We have sent a Close frame; the peer's is awaited.
    SentClose {
        /// When we stop waiting.
        deadline: Instant,
    },
    /// Both have sent a Close frame; ours still has to be written.
    Answering {
        /// When we stop waiting.
        deadline: Instant,
    },
    /// We have sent a Close frame because the peer broke the protocol or a limit. Its input is not parsed any more.
    Failing {
        /// When we stop waiting.
        deadline: Instant,
    },
    /// The connection is over.
    Done,
}

impl Closing {
    /// Lets time pass: a closing handshake that takes too long is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            *self = Self::Done;
        }
    }

    /// Notes that the stream took output and `queued` bytes are left. The server closes the stream once both Close
    /// frames are sent (§7.1.1).
    pub(super) fn handle_transmitted(&mut self, queued: usize) {
        if matches!(self, Self::Answering { .. }) && queued == 0 {
            *self = Self::Done;
        }
    }

    /// When the handshake has taken too long.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::SentClose { deadline } | Self::Answering { deadline } | Self::Failing { deadline } => Some(deadline),
            Self::Open | Self::HungUp | Self::Done => None,
        }
    }

    /// Whether messages go in both directions.
    pub(super) fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Whether what the peer sent is still reported.
    pub(super) fn is_reporting(self) -> bool {
        matches!(self, Self::Open | Self::HungUp)
    }

    /// Whether input is searched for the peer's Close frame and otherwise ignored.
    pub(super) fn awaits_close(self) -> bool {
        matches!(self, Self::SentClose { .. })
    }

    /// Whether output may be written.
    pub(super) fn is_sending(self) -> bool {
        !matches!(self, Self::HungUp | Self::Done)
    }

    /// Tells what the stream is still needed for while `queued` bytes of output wait.
    fn state(self, queued: usize) -> State {
        match self {
            Self::Open => State::Open,
            Self::Failing { .. } if queued == 0 => State::Draining,
            Self::SentClose { .. } | Self::Answering { .. } | Self::Failing { .. } => State::Closing,
            Self::HungUp | Self::Done => State::Closed,
        }
    }
}

/// The use that the connection still has for the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The connection is open: read, write and keep the timer going.
    Open,
    /// A closing handshake is under way: read, write and keep the timer going.
    Closing,
    /// Our Close frame is written and the peer's input is ignored: stop sending, and read until the peer ends the
    /// stream (RFC 6455 §7.1.1). Closing at once could reset the stream and destroy the Close frame on its way.
    Draining,
    /// The connection is over: close the stream.
    Closed,
}

/// The reason why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The peer sent a Close frame with this payload; its code is echoed.
    ByPeer(Vec<u8>),
    /// Our caller closed the connection with this status code.
    ByUs(CloseCode),
    /// The peer broke the protocol.
    Broken(FrameError),
    /// The stream ended without a Close frame.
    StreamEnded,
    /// Nothing arrived from the peer, not even the PONG to our PING.
    PeerSilent,
    /// The peer does not read what is sent to it: too much output waits, or has waited for too long.
    PeerNotReading,
    /// The peer's first message did not arrive in time.
    NoMessage,
    /// The peer sent more messages per second than are accepted.
    TooManyMessages,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer(payload) => match CloseFrame::parse(payload) {
                Ok(Some(frame)) => write!(f, "the peer closed with {}", frame.code.get()),
                _ => f.write_str("the peer closed"),
            },
            Self::ByUs(code) => write!(f, "closed with {}", code.get()),
            Self::Broken(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::StreamEnded => f.write_str("the stream ended"),
            Self::PeerSilent => f.write_str("the peer is silent"),
            Self::PeerNotReading => f.write_str("the peer does not take what is sent"),
            Self::NoMessage => f.write_str("no message in the time for the first"),
            Self::TooManyMessages => f.write_str("too many messages a second"),
        }
    }
}

impl Ended {
    /// A short name of the reason, for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ByPeer(_) => "closed by the peer",
            Self::ByUs(_) => "closed here",
            Self::Broken(_) => "protocol broken",
            Self::StreamEnded => "stream ended",
            Self::PeerSilent => "silent",
            Self::PeerNotReading => "not reading",
            Self::NoMessage => "no message",
            Self::TooManyMessages => "too many messages",
        }
    }
}

impl Connection {
    /// Notes that the stream ended or failed.
    pub fn handle_end(&mut self) {
        match self.closing {
            Closing::Open if self.input.is_empty() => self.end(Closing::Done, Ended::StreamEnded),
            Closing::Open => {
                self.closing = Closing::HungUp;
                self.ended = Some(Ended::StreamEnded);
            }
            Closing::HungUp => {}
            _ => self.closing = Closing::Done,
        }
    }

    /// Starts the closing handshake with a Close frame (RFC 6455 §7.1.2). Nothing is sent after it, and nothing that
    /// arrives is reported.
    pub fn close(&mut self, now: Instant, code: CloseCode) {
        if self.closing.is_open() {
            self.push(now, Opcode::Close, &code.get().to_be_bytes());
            let deadline = now + self.config.close_timeout;
            self.end(Closing::SentClose { deadline }, Ended::ByUs(code));
            self.receiver.skip_data();
            // The peer's Close frame may be among the input that was not parsed yet.
            let input = std::mem::take(&mut self.input);
            self.advance(now, &mut input.rest());
        }
    }

    /// The use that the connection still has for the stream: whether to read, to write, or to close it.
    pub fn state(&self) -> State {
        self.closing.state(self.output.queued())
    }

    /// Handles the peer's Close frame: answers with its status code, unless we have sent a Close frame before (RFC 6455
    /// §5.5.1).
    pub(super) fn handle_close(&mut self, now: Instant, payload: Vec<u8>) {
        if !self.closing.is_reporting() {
            self.closing = self.when_written(now);
            return;
        }
        match CloseFrame::parse(&payload) {
            Ok(_) if self.closing == Closing::HungUp => self.end(Closing::Done, Ended::ByPeer(payload)),
            Ok(frame) => {
                let code = frame.map(|frame| frame.code.get().to_be_bytes());
                self.push(now, Opcode::Close, code.as_ref().map_or(&[][..], |code| code));
                let closing = self.when_written(now);
                self.end(closing, Ended::ByPeer(payload));
            }
            Err(error) => self.fail(now, error.close_code(), Ended::Broken(error)),
        }
    }

    /// Fails the connection (RFC 6455 §7.1.7). Sends a Close frame if the connection is open.
    pub(super) fn fail(&mut self, now: Instant, code: CloseCode, why: Ended) {
        if !self.closing.is_open() {
            return self.end(Closing::Done, why);
        }
        self.output.drop_waiting();
        self.push(now, Opcode::Close, &code.get().to_be_bytes());
        // A client waits for the server to end the stream (RFC 6455 §7.1.1). Over TLS it sees no end before we close. A
        // quarter of the timeout is less than a client with our own timeout waits.
        let deadline = now + self.config.close_timeout / 4;
        self.end(Closing::Failing { deadline }, why);
    }

    /// Ends the connection for its caller, who is told why once, and goes on to `closing`.
    pub(super) fn end(&mut self, closing: Closing, why: Ended) {
        if self.closing.is_reporting() {
            self.ended = Some(why.clone());
            self.events.push_back(Event::Ended(why));
        }
        self.closing = closing;
    }

    /// The state once both Close frames exist: the server closes the stream as soon as its own is written (RFC 6455
    /// §7.1.1).
    fn when_written(&self, now: Instant) -> Closing {
        match self.output.queued() {
            0 => Closing::Done,
            _ => Closing::Answering { deadline: now + self.config.close_timeout },
        }
    }
}
