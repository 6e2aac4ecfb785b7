//! One connection after the handshake: PING and PONG (RFC 6455 §5.5), and the deadlines that a peer has to meet. The
//! closing handshake (§7) is in `closing`.

mod closing;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::close::CloseCode;
use crate::deflate::Deflate;
use crate::error::SendError;
use crate::frame::{MAX_CONTROL_LEN, Opcode};
use crate::output::Output;
use crate::rate::Rate;
use crate::receiver::{Incoming, Message, Peer, Reassembly, Receiver};
use closing::Closing;

pub use closing::{Ended, State};

/// The limits of a connection.
#[derive(Debug, Clone)]
pub struct Config {
    /// The longest message that is accepted, in bytes, or the longest fragment if fragments are not joined. A longer
    /// one ends the connection with 1009.
    pub max_message_len: usize,
    /// The parameters of permessage-deflate that the handshake agreed on; `None` if messages are not compressed.
    pub deflate: Option<Deflate>,
    /// The memory in bytes that output may take up while it waits for the peer to read, including the overhead of each
    /// frame. More ends the connection with 1013. A single frame may always wait.
    pub max_queued_output: usize,
    /// The time that a frame may wait to be written.
    pub write_timeout: Duration,
    /// A PING is sent when nothing has arrived for this long; `None` sends none.
    pub ping_after: Option<Duration>,
    /// The time after a PING within which something has to arrive.
    pub pong_timeout: Duration,
    /// The time that a closing handshake may take.
    pub close_timeout: Duration,
    /// The time within which the first message has to arrive. If it does not, the connection ends with 1008.
    pub first_message_timeout: Option<Duration>,
    /// The number of messages and control frames that are accepted per second, averaged over ten seconds. More end the
    /// connection with 1008. A thousand fragments of a message count as one more message.
    pub max_messages_per_second: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_len: 64 * 1024,
            deflate: None,
            max_queued_output: 256 * 1024,
            write_timeout: Duration::from_secs(30),
            ping_after: Some(Duration::from_secs(30)),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(1),
            first_message_timeout: None,
            max_messages_per_second: None,
        }
    }
}

/// A fact about the connection, from [`Connection::poll_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer sent a message, or a part of one (see [`Reassembly`]).
    Message(Message),
    /// The peer sent a PING with this payload. The PONG is queued already.
    Ping(Vec<u8>),
    /// The peer sent a PONG with this payload: the answer to a PING of our caller, or a heartbeat (RFC 6455 §5.5.3).
    Pong(Vec<u8>),
    /// The connection has ended. This is the last event: no message is received or sent any more. The stream may still
    /// be needed, see [`State`].
    Ended(Ended),
}

/// One WebSocket connection (RFC 6455), after its handshake.
pub struct Connection {
    config: Config,
    receiver: Receiver,
    /// Bytes that arrived behind the last event that the caller was told, not parsed yet.
    input: Input,
    output: Output,
    /// The time since which the stream has not been able to write data of its own.
    stream_stuck: Option<Instant>,
    events: VecDeque<Event>,
    closing: Closing,
    /// When to send a PING or, if `ping_sent`, when to give the connection up.
    idle: Option<Instant>,
    ping_sent: bool,
    /// The deadline of the first message; `None` once it has arrived.
    first_message: Option<Instant>,
    rate: Option<Rate>,
    ended: Option<Ended>,
    masking_keys: Option<MaskingKeys>,
}

/// The source of a client's masking keys. They have to be unpredictable, except in tests (RFC 6455 §10.3).
pub type MaskingKeys = Box<dyn FnMut() -> [u8; 4] + Send>;

impl Connection {
    /// Creates the server's end of a connection.
    pub fn server(now: Instant, config: Config) -> Self {
        Self::new(now, config, Peer::Client, None)
    }

    /// Creates the client's end of a connection.
    pub fn client(now: Instant, config: Config, masking_keys: MaskingKeys) -> Self {
        Self::new(now, config, Peer::Server, Some(masking_keys))
    }

    fn new(now: Instant, config: Config, peer: Peer, masking_keys: Option<MaskingKeys>) -> Self {
        Self {
            receiver: Receiver::new(peer, config.max_message_len, config.deflate.is_some()),
            input: Input::default(),
            output: Output::default(),
            stream_stuck: None,
            events: VecDeque::new(),
            closing: Closing::Open,
            idle: config.ping_after.map(|after| now + after),
            ping_sent: false,
            first_message: config.first_message_timeout.map(|timeout| now + timeout),
            rate: config.max_messages_per_second.map(|most| Rate::new(now, most)),
            ended: None,
            masking_keys,
            config,
        }
    }

    /// Takes in bytes that were read from the stream. Bytes behind an event are not parsed before the event has been
    /// polled, so that the caller can answer a message before an error behind it ends the connection.
    pub fn handle_data(&mut self, now: Instant, mut data: &[u8]) {
        self.heard(now);
        if self.input.is_empty() {
            self.advance(now, &mut data);
        }
        if self.closing.is_open() {
            self.input.keep(data);
        }
    }

    /// Notes that the stream cannot write data of its own, and cannot be read before it has: TLS during a key update.
    /// The data may wait as long as a frame.
    pub fn handle_stuck(&mut self, now: Instant) {
        self.stream_stuck.get_or_insert(now);
    }

    /// Notes that the stream has written its own data, or can do so again.
    pub fn handle_unstuck(&mut self) {
        self.stream_stuck = None;
    }

    /// Lets time pass. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closing.is_open() {
            self.check_write_deadline(now);
            self.check_first_message(now);
            self.check_idle(now);
        } else {
            self.closing.handle_timeout(now);
        }
    }

    /// When `handle_timeout` next has something to do. May change after any other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closing.is_open() {
            [self.idle, self.first_message, self.write_deadline()].into_iter().flatten().min()
        } else {
            self.closing.deadline()
        }
    }

    /// Returns the bytes to write next. They are lent, not copied: a TLS stream that could not take them wants the same
    /// bytes at the same address again, so they stay in place until [`Connection::handle_transmitted`].
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        if self.closing.is_sending() { self.output.front() } else { None }
    }

    /// Notes that the stream has taken the first `len` bytes of [`Connection::poll_transmit`].
    pub fn handle_transmitted(&mut self, len: usize) {
        self.output.advance(len);
        self.closing.handle_transmitted(self.output.queued());
    }

    /// Returns the oldest event that was not returned yet.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        if self.events.is_empty() && !self.input.is_empty() {
            let input = std::mem::take(&mut self.input);
            let mut rest = input.rest();
            self.advance(now, &mut rest);
            let left = rest.len();
            if self.closing.is_reporting() {
                self.input = input.last(left);
            }
        }
        if self.events.is_empty() && self.closing == Closing::HungUp {
            self.end(Closing::Done, Ended::StreamEnded);
        }
        self.events.pop_front()
    }

    /// Whether `poll_event` may return an event.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty() || !self.input.is_empty()
    }

    /// Queues one message, PING or PONG. `opcode` says which.
    pub fn send(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        if !self.closing.is_open() {
            return Err(SendError::Closed);
        }
        match opcode {
            Opcode::Text if std::str::from_utf8(payload).is_err() => return Err(SendError::NotUtf8),
            Opcode::Ping | Opcode::Pong if payload.len() > MAX_CONTROL_LEN => {
                return Err(SendError::ControlTooLong(payload.len()));
            }
            Opcode::Close | Opcode::Continuation => return Err(SendError::Opcode(opcode)),
            Opcode::Text | Opcode::Binary | Opcode::Ping | Opcode::Pong => {}
        }
        self.queue(now, opcode, payload)
    }

    /// Queues one message: as text if all of it is UTF-8, else as binary. A SIP message may be either (RFC 7118 §4.2).
    pub fn send_text_or_binary(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        if !self.closing.is_open() {
            return Err(SendError::Closed);
        }
        let opcode = if std::str::from_utf8(payload).is_ok() { Opcode::Text } else { Opcode::Binary };
        self.queue(now, opcode, payload)
    }

    /// Chooses whether fragments are joined before they are reported.
    pub fn set_reassembly(&mut self, reassembly: Reassembly) {
        self.receiver.set_reassembly(reassembly);
    }

    /// Changes the time that a frame may wait to be written.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.config.write_timeout = timeout;
    }

    /// The reason why the connection ended; `None` if it has not. [`Event::Ended`] reports it too, after the events
    /// before it.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The number of bytes that wait to be written.
    pub fn queued_output(&self) -> usize {
        self.output.queued()
    }

    /// The parameters of permessage-deflate; `None` if messages are not compressed.
    pub fn deflate(&self) -> Option<Deflate> {
        self.config.deflate
    }

    /// Parses from the front of `data` until there is an event, or no data is left.
    fn advance(&mut self, now: Instant, data: &mut &[u8]) {
        while self.events.is_empty() && self.closing.is_reporting() || self.closing.awaits_close() {
            match self.receiver.take(data) {
                Ok(Some(incoming)) => self.handle_incoming(now, incoming),
                Ok(None) => return,
                Err(error) => self.fail(now, error.close_code(), Ended::Broken(error)),
            }
        }
    }

    fn handle_incoming(&mut self, now: Instant, incoming: Incoming) {
        if let Incoming::Close(payload) = incoming {
            return self.handle_close(now, payload);
        }
        if !self.closing.is_reporting() {
            // After our Close frame nothing is sent any more, and nothing is reported (RFC 6455 §5.5.1).
            return;
        }
        let is_allowed = match (&mut self.rate, &incoming) {
            (None, _) => true,
            (Some(rate), Incoming::Fragment) => rate.allow_fragment(now),
            (Some(rate), _) => rate.allow_message(now),
        };
        if !is_allowed {
            return self.fail(now, CloseCode::POLICY_VIOLATION, Ended::TooManyMessages);
        }
        if matches!(incoming, Incoming::Message(_)) {
            self.first_message = None;
        }
        match incoming {
            Incoming::Message(message) => self.events.push_back(Event::Message(message)),
            Incoming::Ping(payload) => {
                self.output.limit_waiting_pongs();
                if self.closing == Closing::HungUp || self.queue(now, Opcode::Pong, &payload).is_ok() {
                    self.events.push_back(Event::Ping(payload));
                }
            }
            Incoming::Pong(payload) if payload == KEEPALIVE => {}
            Incoming::Pong(payload) => self.events.push_back(Event::Pong(payload)),
            Incoming::Fragment | Incoming::Close(_) => {}
        }
    }

    fn queue(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        let (held, max) = (self.output.held(), self.config.max_queued_output);
        if held != 0 && held.saturating_add(payload.len()) > max {
            let queued = self.output.queued();
            self.fail(now, CloseCode::TRY_AGAIN_LATER, Ended::PeerNotReading);
            return Err(SendError::OutputFull { queued, max });
        }
        self.push(now, opcode, payload);
        Ok(())
    }

    fn push(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) {
        let masking_key = self.masking_keys.as_mut().map(|next| next());
        self.output.push(now, opcode, masking_key, self.config.deflate, payload);
    }

    fn heard(&mut self, now: Instant) {
        self.ping_sent = false;
        self.idle = self.config.ping_after.map(|after| now + after);
    }

    fn write_deadline(&self) -> Option<Instant> {
        let oldest = [self.output.oldest(), self.stream_stuck].into_iter().flatten().min();
        oldest.map(|since| since + self.config.write_timeout)
    }

    fn check_write_deadline(&mut self, now: Instant) {
        if self.write_deadline().is_some_and(|deadline| now >= deadline) {
            // A Close frame would wait behind the frames that the peer does not read.
            self.end(Closing::Done, Ended::PeerNotReading);
        }
    }

    fn check_first_message(&mut self, now: Instant) {
        let is_late = self.first_message.is_some_and(|deadline| now >= deadline);
        if is_late && self.closing.is_open() {
            self.first_message = None;
            // If our caller has not polled yet, the message may have arrived, and the peer is not at fault.
            if !self.has_event() {
                self.fail(now, CloseCode::POLICY_VIOLATION, Ended::NoMessage);
            }
        }
    }

    fn check_idle(&mut self, now: Instant) {
        if !self.closing.is_open() || self.idle.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.has_event() {
            // If our caller has not polled yet, the PONG may have arrived, and the peer is not at fault.
            self.heard(now);
        } else if self.ping_sent {
            self.end(Closing::Done, Ended::PeerSilent);
        } else {
            self.ping_sent = true;
            self.idle = Some(now + self.config.pong_timeout);
            // If the queue is full, the write deadline ends the connection.
            let _ = self.queue(now, Opcode::Ping, KEEPALIVE);
        }
    }
}

/// The payload of our own PINGs. It tells their PONGs from those that the caller wants to see.
const KEEPALIVE: &[u8] = b"keepalive";

/// Bytes of the stream that are kept until the caller has polled the events before them.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    taken: usize,
}

impl Input {
    fn keep(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Keeps only the last `left` bytes. Frees the memory if that is none.
    fn last(self, left: usize) -> Self {
        match left {
            0 => Self::default(),
            left => Self { taken: self.bytes.len().saturating_sub(left), bytes: self.bytes },
        }
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }
}
