//! The way to a TURN server: a socket, and the allocation that is made over it. It belongs to a slot of the pool first, and to a
//! session from the moment that the session takes it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use asterisk::worker::{Id, Interest, OneShot, Tag, Tasks};
use openssl::ssl::Ssl;
use turn::{Allocation, Config, Credentials, Event, Failure, MAX_DATAGRAM, Sending, Transport};

use super::stream::Stream;

/// A socket and the allocation over it.
pub struct Link {
    wire: Wire,
    stage: Stage,
    server: SocketAddr,
    began: Instant,
    watched: Option<OneShot>,
    /// Errors of a UDP socket since it last received something.
    strikes: u32,
    /// Why the connection is of no use any more.
    broken: Option<Trouble>,
}

enum Wire {
    Datagrams(UdpSocket),
    Stream(Box<Stream>),
}

enum Stage {
    Connecting { credentials: Credentials, until: Instant },
    Connected(Box<Allocation>),
}

/// Why there is no relay.
#[derive(Debug)]
pub enum Trouble {
    /// The connection failed.
    Connection(io::Error),
    /// The server did not allocate, or has dropped the allocation.
    Server(Failure),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                formatter.write_str("it has closed the connection")
            }
            Self::Connection(error) => write!(formatter, "{error}"),
            Self::Server(failure) => write!(formatter, "{failure}"),
        }
    }
}

/// The outcome of [`Link::receive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromServer {
    /// A peer's data lies at the beginning of the buffer.
    Data {
        /// Its length in octets.
        len: usize,
        /// The peer.
        peer: SocketAddr,
    },
    /// A message for the allocation.
    Handled,
    /// Nothing waits.
    Nothing,
}

impl Link {
    /// Begins an allocation over UDP.
    pub fn over_udp(now: Instant, server: SocketAddr, credentials: Credentials) -> io::Result<Self> {
        let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(server)?;
        Ok(Self::begin(now, server, credentials, Wire::Datagrams(socket)))
    }

    /// Begins an allocation over TCP, or over TLS with a `tls` that knows the server's name.
    pub fn over_stream(
        now: Instant,
        server: SocketAddr,
        credentials: Credentials,
        tls: Option<Ssl>,
    ) -> io::Result<Self> {
        let stream = Stream::connect(server, tls)?;
        Ok(Self::begin(now, server, credentials, Wire::Stream(Box::new(stream))))
    }

    fn begin(now: Instant, server: SocketAddr, credentials: Credentials, wire: Wire) -> Self {
        let stage = Stage::Connecting { credentials, until: now + PATIENCE };
        let mut link = Self { wire, stage, server, began: now, watched: None, strikes: 0, broken: None };
        link.handle_timeout(now);
        link
    }

    /// Returns the relayed address, and our own as the server sees it, once there is an allocation.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.stage {
            Stage::Connected(allocation) if self.broken.is_none() => allocation.addresses(),
            _ => None,
        }
    }

    /// Returns whether the server has perhaps forgotten the allocation.
    pub fn is_doubtful(&self) -> bool {
        matches!(&self.stage, Stage::Connected(allocation) if allocation.is_doubtful())
    }

    /// Returns the next fact about the allocation. After an error the link is of no use.
    pub fn poll_event(&mut self) -> Option<Result<Event, Trouble>> {
        if let Some(trouble) = self.broken.take() {
            return Some(Err(trouble));
        }
        let Stage::Connected(allocation) = &mut self.stage else { return None };
        allocation.poll_event().map(|event| match event {
            Event::Failed(failure) => Err(Trouble::Server(failure)),
            event => Ok(event),
        })
    }

    /// Has the thread of `tasks` report, once, when something arrives or the connection takes more. A broken link has nothing to report:
    /// a connection that the server has closed would be ready for ever.
    pub fn watch<T>(&mut self, tasks: &Tasks<T>, id: Id, tag: Tag) {
        if self.broken.is_some() {
            return;
        }
        let (fd, interest) = match &self.wire {
            Wire::Datagrams(socket) => (socket.as_raw_fd(), Interest::Read),
            Wire::Stream(stream) => {
                let Some(fd) = stream.fd() else { return };
                (fd, if stream.waits_to_write() { Interest::ReadWrite } else { Interest::Read })
            }
        };
        let watched = self.watched.get_or_insert_with(|| OneShot::new(id, tag));
        // Fails only when memory is exhausted; the next timeout tries again.
        let _ = watched.ask(tasks, fd, interest);
    }

    /// Notes that readiness was reported.
    pub fn reported(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.reported();
        }
    }

    /// Forgets which thread waits for the socket. It may report once more.
    pub fn detach(&mut self) {
        self.watched = None;
    }

    /// Stops the thread of `tasks` from waiting for the socket.
    pub fn forget<T>(&mut self, tasks: &Tasks<T>) {
        if let (Some(mut watched), Some(fd)) = (self.watched.take(), self.fd()) {
            watched.forget(tasks, fd);
        }
    }

    fn fd(&self) -> Option<RawFd> {
        match &self.wire {
            Wire::Datagrams(socket) => Some(socket.as_raw_fd()),
            Wire::Stream(stream) => stream.fd(),
        }
    }

    /// Receives the next datagram or frame into `buffer`.
    pub fn receive(&mut self, now: Instant, buffer: &mut [u8]) -> FromServer {
        if self.broken.is_some() {
            return FromServer::Nothing;
        }
        self.proceed(now);
        let Stage::Connected(allocation) = &mut self.stage else { return FromServer::Nothing };
        let received = match &mut self.wire {
            Wire::Datagrams(socket) => datagram(socket, buffer),
            Wire::Stream(stream) => stream.receive(buffer),
        };
        let len = match received {
            Ok(Some(len)) => len,
            Ok(None) => return FromServer::Nothing,
            Err(error) => {
                self.fail(error);
                return FromServer::Nothing;
            }
        };
        self.strikes = 0;
        let Some(relayed) = allocation.handle_datagram(now, buffer.get(..len).unwrap_or_default()) else {
            self.transmit();
            return FromServer::Handled;
        };
        let data = relayed.data.len();
        buffer.copy_within(relayed.data, 0);
        FromServer::Data { len: data, peer: relayed.peer }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.proceed(now);
        match &mut self.stage {
            Stage::Connecting { until, .. } if *until <= now => self.fail(io::ErrorKind::TimedOut.into()),
            Stage::Connecting { .. } => {}
            Stage::Connected(allocation) => {
                allocation.handle_timeout(now);
                self.transmit();
            }
        }
    }

    /// Returns when [`Self::handle_timeout`] is due next. A broken link has been due all the time: [`Self::poll_event`] tells why.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            _ if self.broken.is_some() => Some(self.began),
            Stage::Connecting { until, .. } => Some(*until),
            Stage::Connected(allocation) => allocation.poll_timeout(),
        }
    }

    /// Sends `data` to a peer through the server. Returns whether it is on its way.
    pub fn send(&mut self, now: Instant, peer: SocketAddr, data: &[u8]) -> bool {
        let Stage::Connected(allocation) = &mut self.stage else { return false };
        let mut buffer = [0; MAX_DATAGRAM];
        match allocation.send(now, peer, data, &mut buffer) {
            Sending::Written(len) => self.write(buffer.get(..len).unwrap_or_default()),
            Sending::Held => {
                self.transmit();
                true
            }
            Sending::Dropped => false,
        }
    }

    /// Asks for a channel to `peer`.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) {
        if let Stage::Connected(allocation) = &mut self.stage {
            allocation.bind_channel(now, peer);
            self.transmit();
        }
    }

    /// Gives the allocation back. Returns whether the server's confirmation is worth waiting for.
    pub fn release(&mut self, now: Instant) -> bool {
        let Stage::Connected(allocation) = &mut self.stage else { return false };
        let had_one = allocation.addresses().is_some();
        allocation.release(now);
        self.transmit();
        had_one && self.broken.is_none()
    }

    /// Connects and begins the allocation, or sends what waits.
    fn proceed(&mut self, now: Instant) {
        let outcome = match (&mut self.wire, &self.stage) {
            _ if self.broken.is_some() => return,
            (Wire::Datagrams(_), Stage::Connected(_)) => return,
            (Wire::Datagrams(socket), Stage::Connecting { .. }) => {
                socket.local_addr().map(|local| Some((local, Transport::Datagram)))
            }
            (Wire::Stream(stream), Stage::Connecting { .. }) => {
                let connected = stream.proceed();
                connected.and_then(|is| is.then(|| Ok((stream.local()?, Transport::Stream))).transpose())
            }
            (Wire::Stream(stream), Stage::Connected(_)) => stream.flush().map(|()| None),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some((local, transport))) => self.allocate(now, local, transport),
            Err(error) => self.fail(error),
        }
    }

    fn allocate(&mut self, now: Instant, local: SocketAddr, transport: Transport) {
        if let Stage::Connecting { credentials, .. } = &self.stage {
            let config = Config { local, server: self.server, transport, credentials: credentials.clone() };
            self.stage = Stage::Connected(Box::new(Allocation::new(now, config)));
            self.transmit();
        }
    }

    /// Sends what the allocation has for the server.
    fn transmit(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        while let Stage::Connected(allocation) = &mut self.stage
            && let Some(len) = allocation.poll_transmit(&mut buffer)
        {
            self.write(buffer.get(..len).unwrap_or_default());
        }
    }

    fn write(&mut self, octets: &[u8]) -> bool {
        let written = match &mut self.wire {
            Wire::Datagrams(socket) => match socket.send(octets) {
                // A full buffer loses a datagram as the network does.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            },
            Wire::Stream(stream) => stream.send(octets),
        };
        written.map_err(|error| self.fail(error)).is_ok()
    }

    fn fail(&mut self, error: io::Error) {
        // The network may report an error for one datagram and deliver the next.
        self.strikes += 1;
        if matches!(self.wire, Wire::Datagrams(_))
            && self.strikes < MOST_STRIKES
            && error.kind() != io::ErrorKind::TimedOut
        {
            return;
        }
        self.broken.get_or_insert(Trouble::Connection(error));
    }
}

/// Receives one datagram.
fn datagram(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match socket.recv(buffer) {
        Ok(len) => Ok(Some(len)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Time within which a connection has to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// Errors in a row after which a UDP socket is of no use.
const MOST_STRIKES: u32 = 3;
