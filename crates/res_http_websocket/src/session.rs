//! One session: the protocol, the stream, and the descriptor, under one short lock.
//!
//! The consumer reads and anybody writes; the worker does the rest. Whoever had the lock leaves with
//! [`State::settle`]: what could be written is written, the worker knows what to wait for, and the descriptor tells
//! the truth.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::http;
use asterisk::lock;
use asterisk::pollable::Pollable;
use asterisk::sockaddr::SockAddr;
use asterisk::worker::{Id, Interest, OneShot, Tag, Task, Tasks, Timer};
use websocket::{CloseCode, Config, Connection, Ended, Event, Message, Opcode, Reassembly, SendError};

use crate::admission::Place;
use crate::buffers::Buffers;
use crate::counters::{Counters, Traffic};
use crate::protocols::Protocol;
use crate::report::{self, Peer, SHOWN, Way};
use crate::running::Running;

pub struct Session {
    id: Id,
    protocol: Arc<Protocol>,
    client: Client,
    /// The client's, as C wants it.
    remote_address: SockAddr,
    local_address: SockAddr,
    is_secure: bool,
    /// That of the state, to be had without its lock.
    descriptor: AtomicI32,
    tasks: Arc<Tasks<Session>>,
    buffers: Arc<Buffers>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

/// Who is at the other end.
pub struct Client {
    /// What chan_sip sees: with a trusted proxy in between, what that says.
    pub address: Option<SocketAddr>,
    /// Where the connection comes from.
    pub connection: Option<SocketAddr>,
    pub origin: Option<String>,
    pub user_agent: Option<String>,
}

/// What a console shows of a session.
pub struct Snapshot {
    pub traffic: Traffic,
    /// What waits to be sent.
    pub queued: usize,
    pub compressed: bool,
    pub state: String,
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
    descriptor: Pollable,
    /// The protocol's callback is not back: somebody may be polling.
    attended: bool,
    /// What the worker waits for on the socket.
    watch: OneShot,
    timer: Timer,
    /// The stream may hold bytes that the socket does not show.
    may_hold_more: bool,
    /// TLS has to write before it reads on: what is in the socket stays there, and is nothing to wake anybody for.
    stuck: bool,
    /// Half of the stream is closed already.
    stopped_sending: bool,
    delivered: Vec<u8>,
    traffic: Traffic,
    /// Its place in the count of sessions, until the stream is closed.
    place: Option<Place>,
    /// What has to be told once the lock is free.
    farewell: Option<Ended>,
}

/// The tag of a session's only descriptor.
const SOCKET: Tag = 0;

/// How often a consumer reads before it looks at what it has; how often rubbish is read before a stream is closed.
const MAX_READS: usize = 8;

/// What was lent to a consumer is kept until it reads again. If that is more than this, it is called once more at once, so
/// that a session that is idle afterwards keeps nothing of it.
const MAX_KEPT: usize = 4096;

/// A TLS write that was interrupted is repeated with the same length, so it is one that does not depend on the queue.
const WRITE_LEN: usize = 16 * 1024;

impl Session {
    /// Begins a session: `greeting` is the answer to the opening handshake.
    pub fn start(
        running: &Running,
        protocol: Arc<Protocol>,
        stream: http::Connection,
        (client, place): (Client, Place),
        config: Config,
        greeting: &[u8],
    ) -> io::Result<Arc<Self>> {
        let now = Instant::now();
        let tasks = running.worker.tasks();
        let descriptor = Pollable::new(stream.fd(), running.always.clone()).inspect_err(|_| {
            // Out of descriptors: say so as well as possible.
            let _ = stream.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        })?;
        // A new connection takes that much at once, or it is none.
        if stream.write(greeting)? < greeting.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let id = tasks.next_id();
        let session = Arc::new(Self {
            id,
            protocol,
            remote_address: client.address.map_or_else(|| stream.remote_address(), SockAddr::from),
            local_address: stream.local_address(),
            client,
            is_secure: stream.is_secure(),
            descriptor: descriptor.as_raw_fd().into(),
            tasks: tasks.clone(),
            buffers: running.buffers.clone(),
            counters: running.counters.clone(),
            state: Mutex::new(State {
                connection: Connection::server(now, config),
                watch: OneShot::new(id, SOCKET),
                timer: Timer::default(),
                stream: Some(stream),
                descriptor,
                attended: true,
                // What came behind the handshake may be with TLS already.
                may_hold_more: true,
                stuck: false,
                stopped_sending: false,
                delivered: Vec::new(),
                traffic: Traffic::new(now),
                place: Some(place),
                farewell: None,
            }),
        });
        tasks.add(id, session.clone());
        session.locked(|state, _| state.settle(&session));
        Ok(session)
    }

    /// The next thing that the peer said. Never waits.
    pub fn read(&self) -> Read {
        let wants_show = self.client.address.is_some_and(|address| SHOWN.wants(address));
        let read = self.locked(|state, now| {
            let mut event = state.connection.poll_event(now);
            if event.is_none() && state.is_open() {
                state.receive(now, &self.buffers);
                event = state.connection.poll_event(now);
            }
            let shown = match &event {
                Some(Event::Message(message)) if wants_show => Some((message.opcode, message.payload.clone())),
                _ => None,
            };
            let read = state.deliver(event);
            state.settle(self);
            (read, shown)
        });
        let (read, shown) = read.unwrap_or((Read::Ended, None));
        if let Some((opcode, payload)) = shown {
            report::show(Way::From, self, opcode, &payload);
        }
        read
    }

    /// Sends one message. Never waits: what the stream does not take is queued.
    pub fn write(&self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        if self.client.address.is_some_and(|address| SHOWN.wants(address)) {
            report::show(Way::To, self, opcode, payload);
        }
        self.locked(|state, now| {
            let sent = match opcode {
                Opcode::Text => state.connection.send_text_or_binary(now, payload),
                opcode => state.connection.send(now, opcode, payload),
            };
            if sent.is_ok() {
                state.traffic.count_out(payload.len());
            }
            state.settle(self);
            if state.is_open() { sent } else { Err(SendError::Closed) }
        })
        .unwrap_or(Err(SendError::Closed))
    }

    /// Starts the closing handshake; the worker sees it through.
    pub fn close(&self, code: CloseCode) {
        self.locked(|state, now| {
            state.connection.close(now, code);
            state.settle(self);
        });
    }

    /// The protocol's callback is back. If the session has ended, whoever polled it is gone, however long references to it
    /// stay; if not, the callback has handed it on (Asterisk 22's chan_websocket does).
    pub fn leave(&self) {
        let mut state = lock(&self.state);
        state.attended = state.is_open();
        state.give_back_descriptor();
        self.unlock(state);
    }

    /// The last reference is gone, and with it whoever would read.
    pub fn abandon(&self) {
        match self.state.is_poisoned() {
            true => self.cut(CloseCode::INTERNAL_ERROR),
            false => self.close(CloseCode::NORMAL),
        }
    }

    /// Ends it here and now: a Close frame if the stream takes it at once, then the stream is closed.
    pub fn cut(&self, code: CloseCode) {
        // A panic may have left anything behind; the stream has to go all the same.
        let mut state = lock(&self.state);
        let now = Instant::now();
        state.connection.close(now, code);
        state.transmit();
        state.close_stream(self);
        self.unlock(state);
    }

    /// What a console shows; `None` after a panic.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.locked(|state, _| Snapshot {
            traffic: state.traffic,
            queued: state.connection.queued_output(),
            compressed: state.connection.deflate().is_some(),
            state: match state.connection.ended() {
                None => "open".to_owned(),
                Some(ended) => format!("{:?}: {ended}", state.connection.state()).to_lowercase(),
            },
        })
    }

    pub fn set_reassembly(&self, reassembly: Reassembly) {
        self.locked(|state, _| state.connection.set_reassembly(reassembly));
    }

    pub fn set_write_timeout(&self, timeout: Duration) {
        self.locked(|state, _| {
            state.connection.set_write_timeout(timeout);
            // What waits already may be late by now.
            state.settle(self);
        });
    }

    pub fn id(&self) -> Id {
        self.id
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn protocol(&self) -> &Arc<Protocol> {
        &self.protocol
    }

    /// Never -1, and valid as long as the session is.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor.load(Ordering::Relaxed)
    }

    pub fn remote_address(&self) -> &SockAddr {
        &self.remote_address
    }

    #[allow(dead_code, reason = "not every host asks")]
    pub fn local_address(&self) -> &SockAddr {
        &self.local_address
    }

    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// `None` after a panic: from then on the session answers "ended" until it goes.
    fn locked<T>(&self, body: impl FnOnce(&mut State, Instant) -> T) -> Option<T> {
        let mut state: MutexGuard<'_, State> = self.state.lock().ok()?;
        let answer = body(&mut state, Instant::now());
        self.unlock(state);
        Some(answer)
    }

    /// The host is told of the end with no lock of ours held.
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let (farewell, traffic) = (state.farewell.take(), state.traffic);
        self.descriptor.store(state.descriptor.as_raw_fd(), Ordering::Relaxed);
        drop(state);
        if let Some(ended) = farewell {
            report::closed(&self.counters, self, &ended, &traffic);
        }
    }
}

impl Task for Session {
    /// The socket is ready for what [`State::settle`] asked for.
    fn handle_ready(&self, _now: Instant, _tag: Tag) {
        self.locked(|state, now| {
            state.watch.reported();
            if !state.is_open() {
                state.receive(now, &self.buffers);
            } else if std::mem::take(&mut state.stuck) {
                // The consumer reads on, when it likes.
                state.connection.handle_unstuck();
                state.may_hold_more = true;
            }
            state.settle(self);
        });
    }

    /// A deadline of the connection is there, or was once.
    fn handle_timeout(&self, _now: Instant) {
        self.locked(|state, now| {
            state.timer.fired();
            // The peer's PONG may wait in the socket while the consumer is busy elsewhere.
            if state.connection.poll_timeout().is_some_and(|deadline| now >= deadline) && !state.connection.has_event()
            {
                state.receive(now, &self.buffers);
            }
            state.connection.handle_timeout(now);
            state.settle(self);
        });
    }

    fn handle_panic(&self) {
        self.cut(CloseCode::INTERNAL_ERROR);
    }
}

impl State {
    fn is_open(&self) -> bool {
        self.connection.state() == websocket::State::Open
    }

    /// Reads what is there, in bulk.
    fn receive(&mut self, now: Instant, buffers: &Buffers) {
        let Some(stream) = &self.stream else { return };
        let mut buffer = buffers.take();
        self.may_hold_more = true;
        self.stuck = false;
        for _ in 0..MAX_READS {
            match stream.read(&mut buffer) {
                Ok(0) => return self.connection.handle_end(),
                Ok(len) => {
                    self.traffic.heard = now;
                    self.connection.handle_unstuck();
                    self.connection.handle_data(now, buffer.get(..len).unwrap_or_default());
                    // TLS may have decrypted more than it gave; a socket shows what it still has.
                    if !stream.is_secure() && len < buffer.len() {
                        self.may_hold_more = false;
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.connection.handle_unstuck();
                    self.may_hold_more = false;
                    return;
                }
                Err(error) if error.kind() == http::MUST_WRITE => {
                    self.connection.handle_stuck(now);
                    self.stuck = true;
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
            Some(Event::Message(Message { opcode, payload, more_follows })) => {
                self.traffic.count_in(payload.len());
                self.lend(opcode, more_follows, payload)
            }
            Some(Event::Ping(payload)) => self.lend(Opcode::Ping, false, payload),
            Some(Event::Pong(payload)) => self.lend(Opcode::Pong, false, payload),
            Some(Event::Ended(Ended::ByPeer(payload))) => self.lend(Opcode::Close, false, payload),
            Some(Event::Ended(_)) => Read::Ended,
            None if self.is_open() => {
                // What was lent last is over with.
                self.delivered = Vec::new();
                Read::NothingYet
            }
            None => Read::Ended,
        }
    }

    fn lend(&mut self, opcode: Opcode, more_follows: bool, payload: Vec<u8>) -> Read {
        self.delivered = payload;
        let len = self.delivered.len();
        // For consumers that take it for a string.
        self.delivered.reserve_exact(1);
        self.delivered.push(0);
        Read::Frame { opcode, more_follows, payload: self.delivered.as_mut_ptr(), len }
    }

    fn settle(&mut self, session: &Session) {
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
            websocket::State::Closed => return self.close_stream(session),
        };
        // It may be readable all the while, and reading gives nothing.
        let interest = if self.stuck { Interest::Write } else { interest };
        let shown = match self.is_open() {
            true => {
                let lends_much = self.delivered.capacity() > MAX_KEPT;
                let shows = self.connection.has_event() || self.may_hold_more || lends_much;
                let listening = self.descriptor.set_listening(stream.fd(), !self.stuck);
                listening.and_then(|()| self.descriptor.set_ready(shows))
            }
            false => self.descriptor.end(stream.fd()),
        };
        report(stream, shown);
        // Without it deadlines still run, so the session ends.
        report(stream, self.watch.ask(&session.tasks, stream.fd(), interest));
        if let Some(deadline) = self.connection.poll_timeout() {
            self.timer.set(&session.tasks, session.id, deadline);
        }
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
    fn close_stream(&mut self, session: &Session) {
        let Some(stream) = self.stream.take() else { return };
        self.connection.handle_end();
        self.farewell = self.connection.ended().cloned();
        self.place = None;
        // Unread bytes would turn the end of the stream into a reset, and our Close frame might be lost by it.
        let mut rubbish = session.buffers.take();
        for _ in 0..MAX_READS {
            if !matches!(stream.read(&mut rubbish), Ok(1..)) {
                break;
            }
        }
        report(&stream, self.descriptor.end(stream.fd()));
        self.watch.forget(&session.tasks, stream.fd());
        session.tasks.remove(session.id);
        self.give_back_descriptor();
    }

    fn give_back_descriptor(&mut self) {
        if self.stream.is_none() && !self.attended {
            self.descriptor.give_back();
        }
    }
}

/// The kernel has no memory for its part: somebody may miss something, and only the log can say so.
fn report(stream: &http::Connection, waiting: io::Result<()>) {
    if let Err(error) = waiting {
        let peer = Peer(stream.remote_address().to_std());
        asterisk::error!("WebSocket: connection from {peer}: cannot wait for its socket: {error}");
    }
}
