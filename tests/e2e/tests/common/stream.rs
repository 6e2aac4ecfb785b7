//! The transport of a WebSocket in a test.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use e2e::failure::{Failure, Result, ensure};

use super::{Client, handshake, parse};

/// A client over TCP, or over TLS by `openssl s_client`: one write of ours is one record.
pub enum Stream {
    Plain(Client),
    Tls { tls: Child, received: Vec<u8> },
}

impl Stream {
    pub fn connect(port: u16) -> Result<Self> {
        Client::connect(port, "sip", "").map(Self::Plain)
    }

    /// Connects from this address of the machine; `more` are further headers, each with its line end.
    pub fn over_tls(port: u16, from: &str, more: &str) -> Result<Self> {
        let tls = Command::new("openssl")
            .args(["s_client", "-quiet", "-bind", &format!("{from}:0"), "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stream = Self::Tls { tls, received: Vec::new() };
        stream.write(handshake("sip", more).as_bytes())?;
        let Self::Tls { tls, .. } = &mut stream else { return Ok(stream) };
        let (mut head, mut byte) = (Vec::new(), [0]);
        let output = tls.stdout.as_mut().ok_or_else(|| Failure::new("no output"))?;
        while !head.ends_with(b"\r\n\r\n") {
            output.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        ensure(head.starts_with(b"HTTP/1.1 101 "), || String::from_utf8_lossy(&head).into_owned())?;
        Ok(stream)
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result {
        match self {
            Self::Plain(client) => Ok(client.socket.write_all(bytes)?),
            Self::Tls { tls, .. } => {
                let input = tls.stdin.as_mut().ok_or_else(|| Failure::new("no input"))?;
                Ok(input.write_all(bytes).and_then(|()| input.flush())?)
            }
        }
    }

    pub fn message(&mut self) -> Result<Vec<u8>> {
        let (tls, received) = match self {
            Self::Plain(client) => return client.message(),
            Self::Tls { tls, received } => (tls, received),
        };
        let mut buffer = [0; 4096];
        loop {
            if let Some((_, payload, len)) = parse(received) {
                let payload = payload.to_vec();
                received.drain(..len);
                return Ok(payload);
            }
            let output = tls.stdout.as_mut().ok_or_else(|| Failure::new("no output"))?;
            let len = output.read(&mut buffer)?;
            ensure(len > 0, || "the server hung up".to_owned())?;
            received.extend_from_slice(&buffer[..len]);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Self::Tls { tls, .. } = self {
            // It may have ended by itself.
            let _ = tls.kill();
            let _ = tls.wait();
        }
    }
}
