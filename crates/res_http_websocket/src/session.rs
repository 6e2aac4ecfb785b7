//! One session: the protocol, the stream, and the descriptor, under one short lock.
//!
//! The consumer reads and anybody writes; the driver does the rest. Whoever had the lock leaves with
//! [`State::settle`]: what could be written is written, the driver knows what to wait for, and the descriptor tells
//! the truth.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use asterisk::http;
use asterisk::sockaddr::SockAddr;
use websocket::{CloseCode, Config, Connection, Ended, Event, Message, Opcode, Reassembly, SendError};

use crate::accept::Peer;
use crate::descriptor::Descriptor;
use crate::driver::{Driver, Interest, Watch};
use crate::protocols::Protocol;
use crate::running::Running;

pub struct Session {
    id: u64,
    protocol: Arc<Protocol>,
    remote_address: SockAddr,
    is_secure: bool,
    descriptor: RawFd,
    driver: Arc<Driver>,
    state: Mutex<State>,
}

/// What a consumer gets from [`Session::read`]; `payload` is lent until its next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Frame {
        opcode: Opcode,
        more_follows: bool,
        payload: *mut u8,
        len: usize,
    },
    /// A part of something, or bytes that only TLS cares about.
    NothingYet,
    Ended,
}

struct State {
    connection: Connection,
    /// `None` once it is closed.
    stream: Option<http::Connection>,
    descriptor: Descriptor,
    watch: Watch,
    /// The stream may hold bytes that the socket does not show.
    may_hold_more: bool,
    /// Half of the stream is closed already.
    stopped_sending: bool,
    delivered: Vec<u8>,
    /// What `read` has to log once the lock is free.
    ended: Option<Ended>,
}

/// How much is read at once: what a TLS record holds, and one more for hosts that read one less than they may.
const READ_LEN: usize = 16 * 1024 + 1;

/// How often a consumer reads before it looks at what it has; how often rubbish is read before a stream is closed.
const MAX_READS: usize = 8;

/// A TLS write that was interrupted is repeated with the same length, so it is one that does not depend on the queue.
const WRITE_LEN: usize = 16 * 1024;

impl Session {
    /// Begins a session: `greeting` is the answer to the opening handshake.
    pub fn start(
        running: &Running,
        protocol: Arc<Protocol>,
        stream: http::Connection,
        config: Config,
        greeting: &[u8],
    ) -> io::Result<Arc<Self>> {
        let now = Instant::now();
        let driver = &running.driver;
        let descriptor = Descriptor::new(stream.fd(), running.always.clone()).inspect_err(|_| {
            // Out of descriptors: say so as well as possible.
            let _ = stream.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        })?;
        // A new connection takes that much at once, or it is none.
        if stream.write(greeting)? < greeting.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let id = driver.next_id();
        let session = Arc::new(Self {
            id,
            protocol,
            remote_address: stream.remote_address(),
            is_secure: stream.is_secure(),
            descriptor: descriptor.as_raw_fd(),
            driver: driver.clone(),
            state: Mutex::new(State {
                connection: Connection::server(now, config),
                watch: Watch::new(id),
                stream: Some(stream),
                descriptor,
                // What came behind the handshake may be with TLS already.
                may_hold_more: true,
                stopped_sending: false,
                delivered: Vec::new(),
                ended: None,
            }),
        });
        driver.adopt(session.clone());
        session.locked(|state, now| state.settle(now, &session.driver));
        Ok(session)
    }

    /// The next thing that the peer said. Never waits.
    pub fn read(&self) -> Read {
        let read = self.locked(|state, now| {
            let mut event = state.connection.poll_event(now);
            if event.is_none() && state.is_open() {
                state.receive(now);
                event = state.connection.poll_event(now);
            }
            let read = state.deliver(event);
            state.settle(now, &self.driver);
            (read, state.ended.take())
        });
        let (read, ended) = read.unwrap_or((Read::Ended, None));
        if let Some(ended) = ended {
            asterisk::verbose!(2, "WebSocket: connection from {}: {ended}", Peer(self.remote_address.to_std()));
        }
        read
    }

    /// Sends one message. Never waits: what the stream does not take is queued.
    pub fn write(&self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        self.locked(|state, now| {
            let sent = match state.connection.send(now, opcode, payload) {
                // RFC 7118 §5.1: a SIP message that is not UTF-8 as a whole travels as binary.
                Err(SendError::NotUtf8) => state.connection.send(now, Opcode::Binary, payload),
                sent => sent,
            };
            state.settle(now, &self.driver);
            if state.is_open() { sent } else { Err(SendError::Closed) }
        })
        .unwrap_or(Err(SendError::Closed))
    }

    /// Starts the closing handshake; the driver sees it through.
    pub fn close(&self, code: CloseCode) {
        self.locked(|state, now| {
            state.connection.close(now, code);
            state.settle(now, &self.driver);
        });
    }

    /// The last reference is gone, and with it whoever would read.
    pub fn abandon(&self) {
        match self.state.is_poisoned() {
            true => self.cut(CloseCode::INTERNAL_ERROR),
            false => self.close(CloseCode::NORMAL),
        }
    }

    /// What is ready on the socket, while the driver watches it.
    pub fn handle_ready(&self) {
        self.locked(|state, now| {
            state.watch.fired();
            if !state.is_open() {
                state.receive(now);
            }
            state.settle(now, &self.driver);
        });
    }

    /// A deadline of the connection is there, or was once.
    pub fn handle_timeout(&self) {
        self.locked(|state, now| {
            state.watch.timer_fired();
            // The peer's PONG may wait in the socket while the consumer is busy elsewhere.
            if state.connection.poll_timeout().is_some_and(|deadline| now >= deadline) && !state.connection.has_event()
            {
                state.receive(now);
            }
            state.connection.handle_timeout(now);
            state.settle(now, &self.driver);
        });
    }

    /// Ends it here and now: a Close frame if the stream takes it at once, then the stream is closed.
    pub fn cut(&self, code: CloseCode) {
        // A panic may have left anything behind; the stream has to go all the same.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.connection.close(now, code);
        state.transmit();
        state.close_stream(&self.driver);
    }

    pub fn set_reassembly(&self, reassembly: Reassembly) {
        self.locked(|state, _| state.connection.set_reassembly(reassembly));
    }

    pub fn set_write_timeout(&self, timeout: Duration) {
        self.locked(|state, _| state.connection.set_write_timeout(timeout));
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn protocol(&self) -> &Arc<Protocol> {
        &self.protocol
    }

    /// Never -1, and valid as long as the session is.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    pub fn remote_address(&self) -> &SockAddr {
        &self.remote_address
    }

    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// `None` after a panic: from then on the session answers "ended" until it goes.
    fn locked<T>(&self, body: impl FnOnce(&mut State, Instant) -> T) -> Option<T> {
        let mut state: MutexGuard<'_, State> = self.state.lock().ok()?;
        Some(body(&mut state, Instant::now()))
    }
}

impl State {
    fn is_open(&self) -> bool {
        self.connection.state() == websocket::State::Open
    }

    /// Reads what is there, in bulk.
    fn receive(&mut self, now: Instant) {
        let Some(stream) = &self.stream else { return };
        let mut buffer = [0; READ_LEN];
        self.may_hold_more = true;
        for _ in 0..MAX_READS {
            match stream.read(&mut buffer) {
                Ok(0) => return self.connection.handle_end(),
                Ok(len) => {
                    self.connection.handle_data(now, buffer.get(..len).unwrap_or_default());
                    // TLS may have decrypted more than it gave; a socket shows what it still has.
                    if !stream.is_secure() && len < buffer.len() {
                        self.may_hold_more = false;
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_hold_more = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.connection.handle_end(),
            }
        }
    }

    fn deliver(&mut self, event: Option<Event>) -> Read {
        match event {
            Some(Event::Message(Message { opcode, payload, more_follows })) => self.lend(opcode, more_follows, payload),
            Some(Event::Ping(payload)) => self.lend(Opcode::Ping, false, payload),
            Some(Event::Pong(payload)) => self.lend(Opcode::Pong, false, payload),
            Some(Event::Ended(ended)) => {
                let read = match &ended {
                    Ended::ByPeer(payload) => self.lend(Opcode::Close, false, payload.clone()),
                    _ => Read::Ended,
                };
                self.ended = Some(ended);
                read
            }
            None if self.is_open() => Read::NothingYet,
            None => Read::Ended,
        }
    }

    fn lend(&mut self, opcode: Opcode, more_follows: bool, payload: Vec<u8>) -> Read {
        self.delivered = payload;
        let len = self.delivered.len();
        // For consumers that take it for a string.
        self.delivered.push(0);
        Read::Frame { opcode, more_follows, payload: self.delivered.as_mut_ptr(), len }
    }

    fn settle(&mut self, now: Instant, driver: &Driver) {
        self.transmit();
        let Some(stream) = &self.stream else { return };
        let wants_out = if self.connection.poll_transmit().is_some() { Interest::Write } else { Interest::Nothing };
        let interest = match self.connection.state() {
            websocket::State::Open => wants_out,
            websocket::State::Closing => wants_out.and_read(),
            websocket::State::Draining => {
                if !std::mem::replace(&mut self.stopped_sending, true) {
                    stream.shutdown_write();
                }
                Interest::Read
            }
            websocket::State::Closed => return self.close_stream(driver),
        };
        let shown = match self.is_open() {
            true => self.descriptor.set_ready(self.connection.has_event() || self.may_hold_more),
            false => self.descriptor.end(stream.fd()),
        };
        report(stream, shown);
        // Without it deadlines still run, so the session ends.
        report(stream, driver.watch(&mut self.watch, stream.fd(), interest));
        driver.arm(&mut self.watch, now, self.connection.poll_timeout());
    }

    /// Writes what the stream takes.
    fn transmit(&mut self) {
        let Some(stream) = &self.stream else { return };
        while let Some(front) = self.connection.poll_transmit() {
            match stream.write(front.get(..WRITE_LEN).unwrap_or(front)) {
                Ok(0) => return,
                Ok(len) => self.connection.handle_transmitted(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.connection.handle_end(),
            }
        }
    }

    /// Closes the stream, whoever still holds a reference to the session.
    fn close_stream(&mut self, driver: &Driver) {
        let Some(stream) = self.stream.take() else { return };
        self.connection.handle_end();
        // Unread bytes would turn the end of the stream into a reset, and our Close frame might be lost by it.
        let mut rubbish = [0; 4096];
        for _ in 0..MAX_READS {
            if !matches!(stream.read(&mut rubbish), Ok(1..)) {
                break;
            }
        }
        report(&stream, self.descriptor.end(stream.fd()));
        driver.forget(&mut self.watch, stream.fd());
    }
}

/// The kernel has no memory for its part: somebody may miss something, and only the log can say so.
fn report(stream: &http::Connection, waiting: io::Result<()>) {
    if let Err(error) = waiting {
        let peer = Peer(stream.remote_address().to_std());
        asterisk::error!("WebSocket: connection from {peer}: cannot wait for its socket: {error}");
    }
}
