//! A connection of TCP, or TLS over it, to a TURN server. It never blocks: what the system does not take at once waits in a bounded
//! buffer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use openssl::ssl::{ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslStream};
use turn::Frames;

use crate::transport::sockets;

/// A connection, and the octets that wait to be sent and to be cut into frames.
pub struct Stream {
    layer: Layer,
    frames: Frames,
    unsent: Vec<u8>,
    /// Frames that were dropped because the connection takes no more.
    dropped: u64,
}

enum Layer {
    Connecting(TcpStream, Option<Ssl>),
    Handshaking(MidHandshakeSslStream<TcpStream>),
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
    Closed,
}

impl Stream {
    /// Begins to connect. `tls` has the server's name.
    pub fn connect(server: SocketAddr, tls: Option<Ssl>) -> io::Result<Self> {
        let socket = TcpStream::from(sockets::connect_stream(server)?);
        let _ = socket.set_nodelay(true);
        Ok(Self { layer: Layer::Connecting(socket, tls), frames: Frames::default(), unsent: Vec::new(), dropped: 0 })
    }

    /// Returns the descriptor, for polling; `None` once the connection is closed.
    pub fn fd(&self) -> Option<RawFd> {
        self.socket().map(AsRawFd::as_raw_fd)
    }

    /// Returns our address.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket().ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }

    fn socket(&self) -> Option<&TcpStream> {
        match &self.layer {
            Layer::Connecting(socket, _) | Layer::Plain(socket) => Some(socket),
            Layer::Handshaking(stream) => Some(stream.get_ref()),
            Layer::Tls(stream) => Some(stream.get_ref()),
            Layer::Closed => None,
        }
    }

    /// Proceeds with connecting. Returns whether frames can be sent and received.
    pub fn proceed(&mut self) -> io::Result<bool> {
        self.layer = match std::mem::replace(&mut self.layer, Layer::Closed) {
            Layer::Connecting(socket, tls) => {
                if let Some(error) = socket.take_error()? {
                    return Err(error);
                }
                match (socket.peer_addr(), tls) {
                    (Err(_), tls) => Layer::Connecting(socket, tls),
                    (Ok(_), None) => Layer::Plain(socket),
                    (Ok(_), Some(tls)) => shaken(tls.connect(socket))?,
                }
            }
            Layer::Handshaking(stream) => shaken(stream.handshake())?,
            layer => layer,
        };
        Ok(matches!(self.layer, Layer::Plain(_) | Layer::Tls(_)))
    }

    /// Returns whether the socket's becoming writable has to be waited for.
    pub fn waits_to_write(&self) -> bool {
        match &self.layer {
            Layer::Connecting(..) => true,
            Layer::Handshaking(stream) => stream.error().code() == ErrorCode::WANT_WRITE,
            Layer::Plain(_) | Layer::Tls(_) => !self.unsent.is_empty(),
            Layer::Closed => false,
        }
    }

    /// Sends a whole frame, at once or later. Drops it if too much waits already.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.unsent.len() + frame.len() > MOST_UNSENT {
            self.dropped += 1;
            return self.flush();
        }
        self.unsent.extend_from_slice(frame);
        self.flush()
    }

    /// Sends what waits, as far as the connection takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let written = match &mut self.layer {
                Layer::Plain(socket) => socket.write(&self.unsent),
                Layer::Tls(stream) => stream.write(&self.unsent),
                _ => return Ok(()),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives the next frame into `buffer`; returns its length. An error ends the connection.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        for _ in 0..MOST_READS {
            let garbage = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            if let Some(len) = self.frames.poll_frame(buffer).map_err(garbage)? {
                return Ok(Some(len));
            }
            let mut octets = [0; 4096];
            let read = match &mut self.layer {
                Layer::Plain(socket) => socket.read(&mut octets),
                Layer::Tls(stream) => stream.read(&mut octets),
                _ => return Ok(None),
            };
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.frames.handle_octets(octets.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Returns the number of frames that were dropped because the connection takes no more.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn shaken(result: Result<SslStream<TcpStream>, HandshakeError<TcpStream>>) -> io::Result<Layer> {
    match result {
        Ok(stream) => Ok(Layer::Tls(stream)),
        Err(HandshakeError::WouldBlock(stream)) => Ok(Layer::Handshaking(stream)),
        Err(HandshakeError::SetupFailure(error)) => Err(io::Error::other(format!("TLS: {error}"))),
        Err(HandshakeError::Failure(stream)) => {
            let reason = stream.ssl().verify_result();
            let is_certificate = reason != openssl::x509::X509VerifyResult::OK;
            let text = if is_certificate { reason.error_string().to_owned() } else { stream.error().to_string() };
            Err(io::Error::other(format!("TLS: {text}")))
        }
    }
}

/// Octets that wait for the connection: a quarter of a second of a picture. What comes later would be too late.
const MOST_UNSENT: usize = 64 * 1024;

/// Reads in a row without a whole frame, before others have their turn.
const MOST_READS: usize = 32;
