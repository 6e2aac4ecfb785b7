//! One connection after the handshake: PING and PONG (RFC 6455 §5.5), the closing handshake (§7), and the deadlines
//! that a peer has to meet.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::close::{CloseCode, CloseFrame};
use crate::deflate::Deflate;
use crate::error::{FrameError, SendError};
use crate::frame::{MAX_CONTROL_LEN, Opcode};
use crate::output::Output;
use crate::rate::Rate;
use crate::receiver::{Incoming, Message, Peer, Reassembly, Receiver};

/// What a connection puts up with.
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

/// What happened.
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

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The peer sent a Close frame with this payload; its code is echoed.
    ByPeer(Vec<u8>),
    /// Our caller closed.
    ByUs(CloseCode),
    /// The peer broke the protocol.
    Broken(FrameError),
    /// The stream ended without a Close frame.
    StreamEnded,
    /// Nothing was heard from the peer, not even a PONG.
    PeerSilent,
    /// The peer does not take what is sent to it: too much waits, or has waited too long.
    PeerNotReading,
    /// The peer has not said anything in the time that it had for its first message.
    NoMessage,
    /// The peer says more than it may.
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
    /// In a word or two, to count by.
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

/// What the stream is still needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Both directions carry messages.
    Open,
    /// A closing handshake is under way: read, write and keep the timer going.
    Closing,
    /// Our Close frame is written and the peer is not listened to any more: stop sending, read on until the peer ends
    /// the stream (RFC 6455 §7.1.1). Closing at once could reset the stream and destroy that frame on its way.
    Draining,
    /// Close the stream now.
    Closed,
}

/// One WebSocket connection (RFC 6455), after its handshake.
pub struct Connection {
    config: Config,
    receiver: Receiver,
    /// What came behind the thing that the caller was told last, not looked at yet.
    input: Input,
    output: Output,
    /// Since when the stream has something of its own to write, and cannot.
    stream_stuck: Option<Instant>,
    events: VecDeque<Event>,
    phase: Phase,
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

/// Who has sent a Close frame (RFC 6455 §7.1.2 to §7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nobody did, and the stream has ended: what came before is still reported.
    HungUp,
    /// We did; the peer's is awaited.
    SentClose {
        deadline: Instant,
    },
    /// Both did; ours has to be written still.
    Answering {
        deadline: Instant,
    },
    /// We did, because the peer cannot be understood: nothing more is parsed.
    Failing {
        deadline: Instant,
    },
    Done,
}

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
            phase: Phase::Open,
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
        if matches!(self.phase, Phase::Open) {
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

    /// The stream ended or failed.
    pub fn handle_end(&mut self) {
        match self.phase {
            Phase::Open if self.input.is_empty() => self.end(Phase::Done, Ended::StreamEnded),
            Phase::Open => {
                self.phase = Phase::HungUp;
                self.ended = Some(Ended::StreamEnded);
            }
            Phase::HungUp => {}
            _ => self.phase = Phase::Done,
        }
    }

    /// Lets time pass. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Open => {
                self.check_write_deadline(now);
                self.check_first_message(now);
                self.check_idle(now);
            }
            Phase::SentClose { deadline } | Phase::Answering { deadline } | Phase::Failing { deadline } => {
                if now >= deadline {
                    self.phase = Phase::Done;
                }
            }
            Phase::HungUp | Phase::Done => {}
        }
    }

    /// When `handle_timeout` next has something to do. May change after any other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => [self.idle, self.first_message, self.write_deadline()].into_iter().flatten().min(),
            Phase::SentClose { deadline } | Phase::Answering { deadline } | Phase::Failing { deadline } => {
                Some(deadline)
            }
            Phase::HungUp | Phase::Done => None,
        }
    }

    /// What the stream should take next. It is lent and not copied out, because a TLS stream that could not take it
    /// wants the very same bytes at the very same place again: they stay until [`Connection::handle_transmitted`].
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        if matches!(self.phase, Phase::HungUp | Phase::Done) { None } else { self.output.front() }
    }

    /// The stream took the first `len` bytes of them.
    pub fn handle_transmitted(&mut self, len: usize) {
        self.output.advance(len);
        if matches!(self.phase, Phase::Answering { .. }) && self.output.queued() == 0 {
            self.phase = Phase::Done;
        }
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        if self.events.is_empty() && !self.input.is_empty() {
            let input = std::mem::take(&mut self.input);
            let mut rest = input.rest();
            self.advance(now, &mut rest);
            let left = rest.len();
            if matches!(self.phase, Phase::Open | Phase::HungUp) {
                self.input = input.last(left);
            }
        }
        if self.events.is_empty() && self.phase == Phase::HungUp {
            self.end(Phase::Done, Ended::StreamEnded);
        }
        self.events.pop_front()
    }

    /// Whether `poll_event` has something, or may have.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty() || !self.input.is_empty()
    }

    /// Queues one message, PING or PONG.
    pub fn send(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        if self.phase != Phase::Open {
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

    /// Starts the closing handshake (RFC 6455 §7.1.2). Nothing is sent after it, nothing received is reported.
    pub fn close(&mut self, now: Instant, code: CloseCode) {
        if self.phase == Phase::Open {
            self.push(now, Opcode::Close, &code.get().to_be_bytes());
            let deadline = now + self.config.close_timeout;
            self.end(Phase::SentClose { deadline }, Ended::ByUs(code));
            self.receiver.skip_data();
            // The peer's Close frame may be among it.
            let input = std::mem::take(&mut self.input);
            self.advance(now, &mut input.rest());
        }
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

    /// What the stream is still needed for.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Open => State::Open,
            Phase::Failing { .. } if self.output.queued() == 0 => State::Draining,
            Phase::SentClose { .. } | Phase::Answering { .. } | Phase::Failing { .. } => State::Closing,
            Phase::HungUp | Phase::Done => State::Closed,
        }
    }

    /// Takes from the front of `data` until there is something to tell, or nothing left.
    fn advance(&mut self, now: Instant, data: &mut &[u8]) {
        while self.events.is_empty() && matches!(self.phase, Phase::Open | Phase::HungUp)
            || matches!(self.phase, Phase::SentClose { .. })
        {
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
        if !matches!(self.phase, Phase::Open | Phase::HungUp) {
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
                if self.phase == Phase::HungUp || self.queue(now, Opcode::Pong, &payload).is_ok() {
                    self.events.push_back(Event::Ping(payload));
                }
            }
            Incoming::Pong(payload) if payload == KEEPALIVE => {}
            Incoming::Pong(payload) => self.events.push_back(Event::Pong(payload)),
            Incoming::Fragment | Incoming::Close(_) => {}
        }
    }

    /// RFC 6455 §5.5.1: answer with the code that came, unless we sent a Close frame before.
    fn handle_close(&mut self, now: Instant, payload: Vec<u8>) {
        if !matches!(self.phase, Phase::Open | Phase::HungUp) {
            self.phase = self.when_written(now);
            return;
        }
        match CloseFrame::parse(&payload) {
            Ok(_) if self.phase == Phase::HungUp => self.end(Phase::Done, Ended::ByPeer(payload)),
            Ok(frame) => {
                let code = frame.map(|frame| frame.code.get().to_be_bytes());
                self.push(now, Opcode::Close, code.as_ref().map_or(&[][..], |code| code));
                let phase = self.when_written(now);
                self.end(phase, Ended::ByPeer(payload));
            }
            Err(error) => self.fail(now, error.close_code(), Ended::Broken(error)),
        }
    }

    /// RFC 6455 §7.1.7, "Fail the WebSocket Connection": with a Close frame, if none was sent.
    fn fail(&mut self, now: Instant, code: CloseCode, why: Ended) {
        if self.phase != Phase::Open {
            return self.end(Phase::Done, why);
        }
        self.output.drop_waiting();
        self.push(now, Opcode::Close, &code.get().to_be_bytes());
        // A client leaves the end of the stream to the server (RFC 6455 §7.1.1), and over TLS it sees none before we close:
        // sooner than one that is as patient as we are gives up.
        let deadline = now + self.config.close_timeout / 4;
        self.end(Phase::Failing { deadline }, why);
    }

    fn end(&mut self, phase: Phase, why: Ended) {
        if matches!(self.phase, Phase::Open | Phase::HungUp) {
            self.ended = Some(why.clone());
            self.events.push_back(Event::Ended(why));
        }
        self.phase = phase;
    }

    /// Both Close frames are there: the server closes the stream as soon as its own is written (RFC 6455 §7.1.1).
    fn when_written(&self, now: Instant) -> Phase {
        match self.output.queued() {
            0 => Phase::Done,
            _ => Phase::Answering { deadline: now + self.config.close_timeout },
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
            self.end(Phase::Done, Ended::PeerNotReading);
        }
    }

    fn check_first_message(&mut self, now: Instant) {
        let is_late = self.first_message.is_some_and(|deadline| now >= deadline);
        if is_late && self.phase == Phase::Open {
            self.first_message = None;
            // It may be here and unread: not the peer's fault.
            if !self.has_event() {
                self.fail(now, CloseCode::POLICY_VIOLATION, Ended::NoMessage);
            }
        }
    }

    fn check_idle(&mut self, now: Instant) {
        if self.phase != Phase::Open || self.idle.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.has_event() {
            // Whoever reads us is behind, and the answer may wait unread: not the peer's fault.
            self.heard(now);
        } else if self.ping_sent {
            self.end(Phase::Done, Ended::PeerSilent);
        } else {
            self.ping_sent = true;
            self.idle = Some(now + self.config.pong_timeout);
            // A full queue has its own deadline.
            let _ = self.queue(now, Opcode::Ping, KEEPALIVE);
        }
    }
}

/// What our own PINGs carry, to tell their PONGs from those that our caller wants to see.
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
