//! A WebSocket client for the host's own server (RFC 6455 §4.1), which waits for answers for a limited time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use openssl::base64;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};
use websocket::Opcode;
use websocket::frame::Header;

/// The connection under the WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// TCP.
    Plain,
    /// TLS. The name in the certificate is not compared: the address that is tried is not the one that browsers know.
    Tls,
}

/// A WebSocket server.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// The path of the request.
    pub path: String,
    /// The page that a browser would say that it comes from.
    pub origin: Option<String>,
}

/// Why a WebSocket could not be used.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody listens at the address.
    Refused,
    /// There is no connection, for another reason.
    Connect(io::Error),
    /// The TLS handshake failed.
    Tls(String),
    /// The server answered with this status instead of 101: the number, and its line.
    Status(u16, String),
    /// No answer came in time.
    Silent,
    /// The WebSocket was opened and did not send the message back.
    NoEcho,
}

/// Opens a WebSocket of the protocol `echo`, sends a message, reads it back and closes.
pub fn echo(target: &Target, layer: Layer) -> Result<(), Trouble> {
    let mut client = Client::open(target, layer, "echo")?;
    let mut message = [0; 16];
    asterisk::random::fill(&mut message);
    client.send(Opcode::Binary, &message).map_err(|_| Trouble::NoEcho)?;
    let echoed = client.receive().map_err(|_| Trouble::NoEcho)?;
    client.close();
    if echoed == message { Ok(()) } else { Err(Trouble::NoEcho) }
}

/// Opens a WebSocket of a protocol, and closes it.
pub fn open(target: &Target, layer: Layer, protocol: &str) -> Result<(), Trouble> {
    Client::open(target, layer, protocol).map(Client::close)
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

struct Client {
    stream: Box<dyn Stream>,
    end: Instant,
    /// Octets that were read and not used yet.
    read: Vec<u8>,
}

impl Client {
    fn open(target: &Target, layer: Layer, protocol: &str) -> Result<Self, Trouble> {
        let socket = TcpStream::connect_timeout(&target.address, CONNECTING).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => Trouble::Refused,
            _ => Trouble::Connect(error),
        })?;
        set_timeouts(&socket, ANSWERING)?;
        let stream: Box<dyn Stream> = match layer {
            Layer::Plain => {
                set_timeouts(&socket, READING)?;
                Box::new(socket)
            }
            Layer::Tls => {
                let stream = secured(socket)?;
                set_timeouts(stream.get_ref(), READING)?;
                Box::new(stream)
            }
        };
        let mut client = Self { stream, end: Instant::now() + ANSWERING, read: Vec::new() };
        client.shake_hands(target, protocol)?;
        Ok(client)
    }

    fn shake_hands(&mut self, target: &Target, protocol: &str) -> Result<(), Trouble> {
        let request = request(target, protocol);
        self.stream.write_all(request.as_bytes()).map_err(|_| Trouble::Silent)?;
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break self.read.drain(..end + 4).collect::<Vec<_>>();
            }
            if self.read.len() > LONGEST_HEAD || self.fill().is_err() {
                // The host ends the lines of some errors by closing the connection.
                break std::mem::take(&mut self.read);
            }
        };
        match status(&head) {
            Some((101, _)) => Ok(()),
            Some((number, line)) => Err(Trouble::Status(number, line)),
            None => Err(Trouble::Silent),
        }
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mut key = [0; 4];
        asterisk::random::fill(&mut key);
        self.stream.write_all(&frame(opcode, key, payload))
    }

    /// Receives the payload of the next frame that is not a PING or PONG.
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let header = Header::parse(&self.read).map_err(io::Error::other)?;
            let whole = header.and_then(|header| {
                let begins = Header::len_from(&self.read);
                let ends = begins.checked_add(usize::try_from(header.payload_len).ok()?)?;
                let payload = self.read.get(begins..ends)?.to_vec();
                self.read.drain(..ends);
                Some((header.opcode, payload))
            });
            match whole {
                Some((Opcode::Ping | Opcode::Pong, _)) => {}
                Some((_, payload)) => return Ok(payload),
                None if self.read.len() > LONGEST_HEAD => return Err(ErrorKind::InvalidData.into()),
                None => self.fill()?,
            }
        }
    }

    /// Closes with 1000, and waits for the server's Close so that it does not see a connection that broke.
    fn close(mut self) {
        if self.send(Opcode::Close, &1000_u16.to_be_bytes()).is_ok() {
            let _ = self.receive();
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            if Instant::now() >= self.end {
                return Err(ErrorKind::TimedOut.into());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    self.read.extend_from_slice(buffer.get(..len).unwrap_or_default());
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted || error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn set_timeouts(socket: &TcpStream, time: Duration) -> Result<(), Trouble> {
    let set = socket.set_read_timeout(Some(time)).and_then(|()| socket.set_write_timeout(Some(time)));
    set.map_err(Trouble::Connect)
}

fn secured(socket: TcpStream) -> Result<SslStream<TcpStream>, Trouble> {
    let told = |error: &dyn std::fmt::Display| Trouble::Tls(error.to_string());
    let mut context = SslContext::builder(SslMethod::tls_client()).map_err(|error| told(&error))?;
    context.set_verify(SslVerifyMode::NONE);
    let ssl = Ssl::new(&context.build()).map_err(|error| told(&error))?;
    ssl.connect(socket).map_err(|error| told(&error))
}

fn request(target: &Target, protocol: &str) -> String {
    let Target { address, path, origin } = target;
    let origin = origin.as_ref().map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    let mut key = [0; 16];
    asterisk::random::fill(&mut key);
    let key = base64::encode_block(&key);
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\nSec-WebSocket-Key: {key}\r\n{origin}User-Agent: webrtc selftest\r\n\r\n"
    )
}

/// Returns the status of a response, and its line without the version.
fn status(head: &[u8]) -> Option<(u16, String)> {
    let line = head.split(|octet| *octet == b'\r' || *octet == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/")?.split_once(' ')?.1.trim();
    let number = line.split(' ').next()?.parse().ok()?;
    Some((number, line.chars().filter(|character| !character.is_control()).take(80).collect()))
}

/// Makes a masked frame, as every one of a client has to be (RFC 6455 §5.3).
fn frame(opcode: Opcode, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let payload_len = payload.len() as u64;
    let mut frame = Vec::with_capacity(payload.len() + 14);
    Header { fin: true, compressed: false, opcode, masking_key: Some(key), payload_len }.write(&mut frame);
    let begins = frame.len();
    frame.extend_from_slice(payload);
    if let Some(masked) = frame.get_mut(begins..) {
        websocket::mask::apply(key, 0, masked);
    }
    frame
}

const CONNECTING: Duration = Duration::from_millis(500);

/// Time for one read or write.
const READING: Duration = Duration::from_millis(100);

/// Time for the handshake and the echo together.
const ANSWERING: Duration = Duration::from_millis(1000);

/// The most octets that are kept of an answer.
const LONGEST_HEAD: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_section_5_7_a_single_frame_masked_text_message() {
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(frame(Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello"), hello);
    }

    #[test]
    fn the_status_of_an_answer_is_read_with_its_line() {
        assert_eq!(status(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").unwrap().0, 101);
        assert_eq!(status(b"HTTP/1.1 404 Not Found\r\n").unwrap(), (404, "404 Not Found".to_owned()));
        for garbage in [&b""[..], b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 \xff\r\n", b"HTTP/1.1\r\n", b"HTTP/1.1 many\r\n"] {
            assert_eq!(status(garbage), None);
        }
    }

    #[test]
    fn nobody_who_listens_is_told_from_a_server_that_is_silent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = Target { address, path: "/ws".to_owned(), origin: None };
        // The backlog takes the connection, and nobody serves it.
        assert!(matches!(echo(&target, Layer::Plain), Err(Trouble::Silent)));
        drop(listener);
        assert!(matches!(echo(&target, Layer::Plain), Err(Trouble::Refused)));
    }
}
