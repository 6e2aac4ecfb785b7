//! One session: the protocol, the stream, and the descriptor that the consumer polls, under one lock.
//!
//! The consumer reads, and any thread writes; the worker does the rest. The lock is held for the length of one call and never
//! while something is waited for. A method that changes the state ends with [`State::settle`]: output that the stream takes is
//! written, the worker knows what to wait for, and the descriptor is readable if there is something to read.

mod mending;
mod speak;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::http;
use asterisk::lock;
use asterisk::pollable::Pollable;
use asterisk::sockaddr::SockAddr;
use asterisk::worker::{Id, Interest, OneShot, Tag, Task, Tasks, Timer};
use sip_dialect::transport::Sip;
use websocket::{CloseCode, Config, Connection, Ended, Event, Message, Opcode, Reassembly, SendError};

use crate::buffers::Buffers;
use crate::counters::{Counters, Sums, Traffic};
use crate::host::SPEAKS_FOR_CLIENTS;
use crate::limits::Place;
use crate::mend::{self, Mended, Mender, Told};
use crate::protocols::Protocol;
use crate::report::{self, Peer, SHOWN, Way};
use crate::running::Running;

pub use speak::{Left, Spoken};
use waiting::Reader;

/// One WebSocket connection. C holds references to it ([`crate::exports::Handle`]), and so does the worker until the stream is
/// closed.
pub struct Session {
    id: Id,
    protocol: Arc<Protocol>,
    client: Client,
    /// The client's address in the host's form.
    remote_address: SockAddr,
    local_address: SockAddr,
    is_secure: bool,
    /// A copy of the number of `State::descriptor`, readable without the lock.
    descriptor: AtomicI32,
    reader: Reader,
    tasks: Arc<Tasks<Session>>,
    buffers: Arc<Buffers>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

/// The client, as far as its request and its connection tell.
pub struct Client {
    /// The address that chan_sip sees: the connection's, or the one that a trusted proxy names.
    pub address: Option<SocketAddr>,
    /// The address that the connection comes from.
    pub connection: Option<SocketAddr>,
    pub origin: Option<String>,
    pub user_agent: Option<String>,
}

/// A session's state as the console shows it.
pub struct Snapshot {
    pub traffic: Traffic,
    /// Output that waits for the stream, in bytes.
    pub queued: usize,
    /// Whether permessage-deflate (RFC 7692) is in use.
    pub compressed: bool,
    /// `open`, or the state of the closing handshake and why the session ended.
    pub state: String,
}

/// The answer of [`Session::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A message, or a part of one. `payload` points to `len` bytes and a NUL, and is valid until the next call.
    Frame { opcode: Opcode, more_follows: bool, payload: *mut u8, len: usize },
    /// Nothing to deliver yet: a part of a frame came, or bytes that concern TLS only.
    NothingYet,
    /// The session has ended.
    Ended,
}

struct State {
    connection: Connection,
    /// `None` once it is closed.
    stream: Option<http::Connection>,
    descriptor: Pollable,
    /// The protocol's callback has not returned: its thread may be polling the descriptor.
    attended: bool,
    /// Wakes the worker for the socket.
    watch: OneShot,
    /// Wakes the worker for the deadlines of `connection`.
    timer: Timer,
    /// The stream may hold bytes that the socket does not show.
    may_hold_more: bool,
    /// TLS has to write before it reads on: bytes in the socket stay there, so nobody is woken for them.
    stuck: bool,
    /// Our direction of the stream is shut down.
    stopped_sending: bool,
    /// The payload lent by the last [`Session::read`].
    delivered: Vec<u8>,
    /// For the protocol `sip`, on hosts where we speak for clients.
    sip: Option<Sip>,
    /// Mends messages of the subprotocol `sip`.
    mender: Option<Mender>,
    /// Facts for the RTP engine, to be told once the lock is released.
    told: Vec<Told>,
    traffic: Traffic,
    /// Counts the session, until the stream is closed.
    place: Option<Place>,
    /// Why the session ended, to be reported once the lock is released.
    farewell: Option<Ended>,
}

/// The tag of a session's only descriptor.
const SOCKET: Tag = 0;

/// The most reads from the stream for one [`Session::read`], and the most reads that discard input before the stream is
/// closed.
const MAX_READS: usize = 8;

/// The largest payload, in bytes, that an idle session may keep. A payload stays lent to the consumer until it reads again, so
/// after a larger one the descriptor is readable: the consumer reads again at once, and the payload is freed.
const MAX_KEPT: usize = 4096;

/// The most bytes passed to one write. TLS wants an interrupted write repeated with the same length, so the length must not
/// grow with the queue.
const WRITE_LEN: usize = 16 * 1024;

impl Session {
    /// Begins a session by writing `greeting`, the answer to the opening handshake (RFC 6455 §4.2.2).
    pub fn start(
        running: &Running,
        protocol: Arc<Protocol>,
        stream: http::Connection,
        (client, place): (Client, Place),
        config: Config,
        mender: Option<Mender>,
        greeting: &[u8],
    ) -> io::Result<Arc<Self>> {
        let now = Instant::now();
        let tasks = running.worker.tasks();
        let descriptor = Pollable::new(stream.fd(), running.always.clone()).inspect_err(|_| {
            // Out of descriptors. The connection ends whether or not this answer gets through.
            let _ = stream.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        })?;
        // The send buffer of a new connection is empty: if it does not take the whole answer, the connection is broken.
        if stream.write(greeting)? < greeting.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let is_sip = SPEAKS_FOR_CLIENTS && protocol.name().eq_ignore_ascii_case("sip");
        let id = tasks.next_id();
        let session = Arc::new(Self {
            id,
            protocol,
            remote_address: client.address.map_or_else(|| stream.remote_address(), SockAddr::from),
            local_address: stream.local_address(),
            client,
            is_secure: stream.is_secure(),
            descriptor: descriptor.as_raw_fd().into(),
            reader: Reader::default(),
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
                // TLS may have decrypted bytes that came right behind the handshake.
                may_hold_more: true,
                stuck: false,
                stopped_sending: false,
                delivered: Vec::new(),
                sip: is_sip.then(Sip::default),
                mender,
                told: Vec::new(),
                traffic: Traffic::new(now),
                place: Some(place),
                farewell: None,
            }),
        });
        tasks.add(id, session.clone());
        session.locked(|state, _| state.settle(&session));
        Ok(session)
    }

    /// Returns the next message or control frame from the client. Never waits.
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
            let (mut event, spoken) = state.speak(now, event);
            state.tell_incoming(self, event.as_ref());
            let mended = state.mend_incoming(now, self, &mut event);
            let read = state.deliver(event);
            state.settle(self);
            (read, shown, spoken, mended)
        });
        let (read, shown, spoken, mended) = read.unwrap_or((Read::Ended, None, None, Mended::Not));
        if let Some((opcode, payload)) = &shown {
            report::show(Way::From, self, *opcode, payload);
        }
        if let Some(spoken) = spoken {
            report::spoken(self, &spoken, wants_show);
        }
        report::mended(Way::From, self, &mended, shown.is_some());
        read
    }

    /// Sends one message. Never waits: output that the stream does not take is queued, up to `maxqueuedoutput`.
    pub fn write(&self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        let wants_show = self.client.address.is_some_and(|address| SHOWN.wants(address));
        if wants_show {
            report::show(Way::To, self, opcode, payload);
        }
        let sent = self.locked(|state, now| {
            if !state.is_open() && state.sip.is_some() && Sip::is_for_us(payload) {
                return (Ok(()), Mended::Not);
            }
            let mended = state.mend_outgoing(opcode, payload);
            let payload = if let Mended::Changed(message, _) = &mended { message } else { payload };
            let sent = match opcode {
                Opcode::Text => state.connection.send_text_or_binary(now, payload),
                opcode => state.connection.send(now, opcode, payload),
            };
            if sent.is_ok() {
                state.traffic.count_out(payload.len());
                state.tell_outgoing(self, payload);
            }
            if let Some(sip) = &mut state.sip {
                sip.handle_outgoing(payload);
            }
            state.settle(self);
            (if state.is_open() { sent } else { Err(SendError::Closed) }, mended)
        });
        let (sent, mended) = sent.unwrap_or((Err(SendError::Closed), Mended::Not));
        report::mended(Way::To, self, &mended, wants_show);
        sent
    }

    /// Starts the closing handshake (RFC 6455 §7.1.2); the worker finishes it.
    pub fn close(&self, code: CloseCode) {
        self.locked(|state, now| {
            state.connection.close(now, code);
            state.settle(self);
        });
    }

    /// Notes that the protocol's callback has returned. If the session has ended, nobody polls it any more, however long C keeps
    /// references to it: its own descriptor is closed. If it is open, the callback has handed it to another thread, as
    /// chan_websocket of Asterisk 22 does. If it has ended and there is something left to read, the caller has to call the
    /// callback once more.
    pub fn leave(&self) -> Left {
        let mut state = lock(&self.state);
        let left = if state.has_unread_response() { Left::Unread } else { Left::Nothing };
        state.attended = state.is_open() || left == Left::Unread;
        state.give_back_descriptor();
        self.unlock(state);
        left
    }

    /// Whether the session has ended with something left to read, and the protocol's callback has returned: then the caller
    /// has to call the callback once more, or to call [`Self::leave`].
    pub fn wants_to_be_attended(&self) -> bool {
        let attend = self.locked(|state, _| {
            let wants = state.has_unread_response() && !state.attended;
            state.attended |= wants;
            wants
        });
        attend.unwrap_or(false)
    }

    /// Ends the session, because C has released its last reference and nobody is left to read.
    pub fn abandon(&self) {
        match self.state.is_poisoned() {
            true => self.cut(CloseCode::INTERNAL_ERROR),
            false => self.close(CloseCode::NORMAL),
        }
    }

    /// Ends the session at once: sends a Close frame if the stream takes it now, and closes the stream.
    pub fn cut(&self, code: CloseCode) {
        // Locks in spite of an earlier panic, which may have left the state in pieces: the stream has to be closed.
        let mut state = lock(&self.state);
        let now = Instant::now();
        state.connection.close(now, code);
        state.transmit();
        state.close_stream(self);
        self.unlock(state);
    }

    /// The session's state for the console; `None` after a panic.
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

    /// Adds the session's traffic to `sums`, unless it has been reported as ended. Returns the octets of output that wait; `None` after a
    /// panic.
    pub fn measure(&self, sums: &mut Sums) -> Option<usize> {
        self.locked(|state, _| {
            if state.connection.ended().is_none() {
                sums.add(&state.traffic);
            }
            state.connection.queued_output()
        })
    }

    /// Sets whether fragments are delivered one by one or joined into messages.
    pub fn set_reassembly(&self, reassembly: Reassembly) {
        self.locked(|state, _| state.connection.set_reassembly(reassembly));
    }

    /// Sets how long output may wait for the stream before the session ends.
    pub fn set_write_timeout(&self, timeout: Duration) {
        self.locked(|state, _| {
            state.connection.set_write_timeout(timeout);
            // Output that waits already may be overdue by the new timeout.
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

    pub fn remote_address(&self) -> &SockAddr {
        &self.remote_address
    }

    #[allow(dead_code, reason = "not every host asks")]
    pub fn local_address(&self) -> &SockAddr {
        &self.local_address
    }

    /// Whether the messages are SIP.
    pub fn is_sip(&self) -> bool {
        self.protocol.name().eq_ignore_ascii_case("sip")
    }

    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Runs `body` under the lock, with a time read under it. `None` after a panic: from then on the session answers "ended"
    /// until it is dropped.
    fn locked<T>(&self, body: impl FnOnce(&mut State, Instant) -> T) -> Option<T> {
        let mut state: MutexGuard<'_, State> = self.state.lock().ok()?;
        let answer = body(&mut state, Instant::now());
        self.unlock(state);
        Some(answer)
    }

    /// Releases the lock, then tells the RTP engine what it has to know, and reports the end of the session; both call into the
    /// host.
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let (farewell, traffic, told) = (state.farewell.take(), state.traffic, std::mem::take(&mut state.told));
        self.descriptor.store(state.descriptor.as_raw_fd(), Ordering::Relaxed);
        drop(state);
        mend::tell(told);
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
                // The consumer may read on.
                state.connection.handle_unstuck();
                state.may_hold_more = true;
            }
            state.settle(self);
        });
    }

    /// A deadline of the connection has come, or had been set for now and moved since.
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

    /// Reads from the stream and passes the bytes to the connection.
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

    /// Turns an event of the connection into an answer for the consumer.
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
                // The consumer is done with the payload that was lent last.
                self.delivered = Vec::new();
                Read::NothingYet
            }
            None => Read::Ended,
        }
    }

    /// Lends a payload to the consumer until its next read.
    fn lend(&mut self, opcode: Opcode, more_follows: bool, payload: Vec<u8>) -> Read {
        self.delivered = payload;
        let len = self.delivered.len();
        // A NUL, for consumers that use the payload as a string.
        self.delivered.reserve_exact(1);
        self.delivered.push(0);
        Read::Frame { opcode, more_follows, payload: self.delivered.as_mut_ptr(), len }
    }

    /// Writes output, and tells the worker and the descriptor what to wait for; closes the stream of a closed connection.
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
        // While TLS has to write first, a readable socket gives nothing to read.
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
        // Even when this fails, the session ends: its deadlines are served all the same.
        report(stream, self.watch.ask(&session.tasks, stream.fd(), interest));
        if let Some(deadline) = self.connection.poll_timeout() {
            self.timer.set(&session.tasks, session.id, deadline);
        }
    }

    /// Writes queued output until there is none, or the stream takes no more.
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

    /// Closes the stream, whoever still holds a reference to the session, and makes the descriptor readable for good.
    fn close_stream(&mut self, session: &Session) {
        let Some(stream) = self.stream.take() else { return };
        self.connection.handle_end();
        self.farewell = self.connection.ended().cloned();
        if let Some(mender) = self.mender.take() {
            let why = self.farewell.as_ref().map(ToString::to_string).unwrap_or_default();
            self.told.extend(mender.farewell(&why));
        }
        self.place = None;
        // Closing a socket that holds unread input sends a reset (RFC 9293 §3.10.4), by which the peer may lose our Close frame.
        let mut discarded = session.buffers.take();
        for _ in 0..MAX_READS {
            if !matches!(stream.read(&mut discarded), Ok(1..)) {
                break;
            }
        }
        report(&stream, self.descriptor.end(stream.fd()));
        self.watch.forget(&session.tasks, stream.fd());
        session.tasks.remove(session.id);
        self.give_back_descriptor();
    }

    /// Closes the session's own descriptor if the session has ended and nobody polls it.
    fn give_back_descriptor(&mut self) {
        if self.stream.is_none() && !self.attended {
            self.descriptor.give_back();
        }
    }
}

/// Logs that the kernel refused to watch a socket, for lack of memory: the session may react late, or not at all.
fn report(stream: &http::Connection, waiting: io::Result<()>) {
    if let Err(error) = waiting {
        let peer = Peer(stream.remote_address().to_std());
        asterisk::error!("WebSocket: connection from {peer}: its socket cannot be watched, so it may hang: {error}");
    }
}
