//! The sockets of SIP: one of UDP for all legs, and a WebSocket for each leg that is a browser's (RFC 7118).

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, WebSocket};

use crate::failure::{Failure, Result};
use crate::sip::Message;

/// The sockets.
pub struct Signalling {
    udp: UdpSocket,
    server: SocketAddrV4,
    web_port: u16,
    /// The WebSockets, by the number of their leg.
    web: Vec<Option<WebSocket<TcpStream>>>,
    /// Tells which of them can be read (epoll(7)).
    readable: OwnedFd,
    buffer: Vec<u8>,
}

impl Signalling {
    /// Sockets towards a server's ports of SIP over UDP and of HTTP.
    pub fn new(udp: UdpSocket, sip_port: u16, web_port: u16) -> Result<Self> {
        let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, sip_port);
        // SAFETY: a descriptor that is not negative is new, and ours.
        let readable = unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                ..0 => return Err(io::Error::last_os_error().into()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(Self { udp, server, web_port, web: Vec::new(), readable, buffer: vec![0; 1 << 16] })
    }

    /// The address of our SIP.
    pub fn address(&self) -> io::Result<String> {
        self.udp.local_addr().map(|address| address.to_string())
    }

    /// The address of the server.
    pub fn server(&self) -> String {
        self.server.to_string()
    }

    /// Gives this leg a WebSocket.
    pub fn connect(&mut self, leg: usize) -> Result {
        let socket = connect(self.web_port, "sip")?;
        socket.get_ref().set_nonblocking(true)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: leg as u64 };
        let (epoll, fd) = (self.readable.as_raw_fd(), socket.get_ref().as_raw_fd());
        // SAFETY: the event is read during the call. A descriptor that is closed leaves the set.
        if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
        if self.web.len() <= leg {
            self.web.resize_with(leg + 1, || None);
        }
        self.web[leg] = Some(socket);
        Ok(())
    }

    /// Sends a message of this leg.
    pub fn send(&mut self, leg: usize, message: &str) -> Result {
        match self.web.get_mut(leg) {
            Some(Some(socket)) => Ok(socket.send(tungstenite::Message::text(message))?),
            _ => Ok(self.udp.send_to(message.as_bytes(), self.server).map(drop)?),
        }
    }

    /// The messages that have come.
    pub fn receive(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            match self.udp.recv_from(&mut self.buffer) {
                Ok((len, _)) => messages.extend(Message::parse(&String::from_utf8_lossy(&self.buffer[..len]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        for leg in self.readable_legs() {
            let Some(Some(socket)) = self.web.get_mut(leg) else { continue };
            read(socket, &mut messages)
                .map_err(|failure| Failure::new(format!("the WebSocket of leg {leg}: {failure}")))?;
        }
        Ok(messages)
    }

    /// The descriptors to wait for.
    pub fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.udp.as_fd(), self.readable.as_fd()]
    }

    fn readable_legs(&self) -> Vec<usize> {
        if self.web.is_empty() {
            return Vec::new();
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let (epoll, most) = (self.readable.as_raw_fd(), events.len() as libc::c_int);
        // SAFETY: the kernel writes no more events than there is space for.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), most, 0) };
        events.iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64 as usize).collect()
    }
}

/// A session of this protocol at `/ws` of a port of this machine; without one if it is empty.
pub fn connect(port: u16, protocol: &'static str) -> Result<WebSocket<TcpStream>> {
    let mut request = format!("ws://127.0.0.1:{port}/ws").into_client_request()?;
    if !protocol.is_empty() {
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (socket, _) = tungstenite::client(request, stream).map_err(|error| Failure::new(error.to_string()))?;
    Ok(socket)
}

/// Reads what is there.
fn read(socket: &mut WebSocket<TcpStream>, messages: &mut Vec<Message>) -> Result {
    loop {
        match socket.read() {
            Ok(tungstenite::Message::Text(text)) => messages.extend(Message::parse(&text)),
            // The library answers a ping itself.
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Failure::new(error.to_string())),
        }
    }
}
