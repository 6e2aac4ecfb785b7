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
    /// The longest message, or fragment if fragments are not joined, that is taken; beyond it 1009.
    pub max_message_len: usize,
    /// Messages may be compressed: what the handshake agreed on.
    pub deflate: Option<Deflate>,
    /// How much output may wait for a peer that does not take it, with what each frame takes up beside its bytes; beyond it
    /// 1013. One frame always may.
    pub max_queued_output: usize,
    /// How long a frame may wait to be written.
    pub write_timeout: Duration,
    /// A PING goes out when nothing was heard for this long.
    pub ping_after: Option<Duration>,
    /// Then something has to be heard within this time.
    pub pong_timeout: Duration,
    /// How long a closing handshake may take.
    pub close_timeout: Duration,
    /// The first message has to be there within this time; else 1008.
    pub first_message_timeout: Option<Duration>,
    /// How many messages and control frames a second are taken, on average over ten seconds; beyond it 1008. A thousand
    /// fragments of a message count as one more.
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
    /// The peer said something.
    Message(Message),
    /// The peer asked whether we are there; the answer is queued already.
    Ping(Vec<u8>),
    /// The peer answered a PING of our caller, or sends PONGs as a heartbeat.
    Pong(Vec<u8>),
    /// The last event: nothing more is received or sent. The stream may still be needed, see [`State`].
    Ended(Ended),
}

/// One WebSocket connection (RFC 6455), after its handshake.
pub struct Connection {
    config: Config,
    receiver: Receiver,
    /// Bytes that arrived behind the last event that the caller was told, not parsed yet.
    input: Input,
    output: Output,
    /// Since when the stream has something of its own to write, and cannot.
    stream_stuck: Option<Instant>,
    events: VecDeque<Event>,
    closing: Closing,
    /// When to send a PING, or with `ping_sent` when to give up.
    idle: Option<Instant>,
    ping_sent: bool,
    /// When the first message has to be there, until it is.
    first_message: Option<Instant>,
    rate: Option<Rate>,
    ended: Option<Ended>,
    masking_keys: Option<MaskingKeys>,
}

/// Where a client's masking keys come from: unpredictable ones, if the client is a real one (RFC 6455 §10.3).
pub type MaskingKeys = Box<dyn FnMut() -> [u8; 4] + Send>;

impl Connection {
    /// The server's side.
    pub fn server(now: Instant, config: Config) -> Self {
        Self::new(now, config, Peer::Client, None)
    }

    /// The client's side.
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

    /// Takes in what the stream gave. One thing is reported at a time, and only then is looked at what came behind it:
    /// our caller answers a message before a mistake behind it ends the connection.
    pub fn handle_data(&mut self, now: Instant, mut data: &[u8]) {
        self.heard(now);
        if self.input.is_empty() {
            self.advance(now, &mut data);
        }
        if self.closing.is_open() {
            self.input.keep(data);
        }
    }

    /// The stream has something of its own to write before it can be read on, as TLS on a key update, and the peer does
    /// not take it: that may wait as long as a frame.
    pub fn handle_stuck(&mut self, now: Instant) {
        self.stream_stuck.get_or_insert(now);
    }

    /// It was written, or may be now.
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

    /// The stream took the first `len` bytes of them.
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

    /// Whether `poll_event` has something, or may have.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty() || !self.input.is_empty()
    }

    /// Queues one message, PING or PONG.
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

    /// Queues one message as text if it is UTF-8 as a whole, else as binary: a SIP message may be either (RFC 7118 §4.2).
    pub fn send_text_or_binary(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        let opcode = if std::str::from_utf8(payload).is_ok() { Opcode::Text } else { Opcode::Binary };
        self.send(now, opcode, payload)
    }

    /// Whether fragments are joined before they are reported.
    pub fn set_reassembly(&mut self, reassembly: Reassembly) {
        self.receiver.set_reassembly(reassembly);
    }

    /// How long a frame may wait to be written from now on.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.config.write_timeout = timeout;
    }

    /// Why it ended, if it has: the same that the last event tells, which may be behind others.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// How much waits to be written.
    pub fn queued_output(&self) -> usize {
        self.output.queued()
    }

    /// How messages are compressed, if they are.
    pub fn deflate(&self) -> Option<Deflate> {
        self.config.deflate
    }

    /// Takes from the front of `data` until there is something to tell, or nothing left.
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
            // After our Close frame nothing is sent any more, and nobody listens (RFC 6455 §5.5.1).
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
            // A Close frame would wait behind what already does not get through.
            self.end(Closing::Done, Ended::PeerNotReading);
        }
    }

    fn check_first_message(&mut self, now: Instant) {
        let is_late = self.first_message.is_some_and(|deadline| now >= deadline);
        if is_late && self.closing.is_open() {
            self.first_message = None;
            // It may be here and unread: not the peer's fault.
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
            // Whoever reads us is behind, and the answer may wait unread: not the peer's fault.
            self.heard(now);
        } else if self.ping_sent {
            self.end(Closing::Done, Ended::PeerSilent);
        } else {
            self.ping_sent = true;
            self.idle = Some(now + self.config.pong_timeout);
            // A full queue has its own deadline.
            let _ = self.queue(now, Opcode::Ping, KEEPALIVE);
        }
    }
}

/// The payload of our own PINGs. It tells their PONGs from those that the caller wants to see.
const KEEPALIVE: &[u8] = b"keepalive";

/// Bytes of the stream that are kept until the caller has been told of what came before them.
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

    /// Only the last `left` bytes of it. What is used up gives its memory back.
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
