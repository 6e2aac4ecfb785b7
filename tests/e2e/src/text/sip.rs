//! As much of SIP (RFC 3261) as one call over loopback wants: no authentication, and retransmission of the first INVITE alone.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// One call.
pub struct Call<'a> {
    socket: &'a UdpSocket,
    host: SocketAddr,
    local: SocketAddr,
    description: String,
    id: String,
    /// The other party's `To` or `From`, with its tag.
    remote: String,
    /// Our `From` or `To`, with our tag.
    ours: String,
    target: String,
    invite: Option<(Instant, String)>,
    number: u32,
    state: State,
    transcript: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Up,
    Ending,
    Over,
}

impl<'a> Call<'a> {
    /// A call that has not begun, with the description that we offer or answer.
    pub fn new(socket: &'a UdpSocket, host: SocketAddr, description: String) -> Result<Self> {
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            host,
            local,
            description,
            id: format!("text-{}", local.port()),
            remote: String::new(),
            ours: String::new(),
            target: String::new(),
            invite: None,
            number: 1,
            state: State::Idle,
            transcript: String::new(),
        })
    }

    /// Calls `number`.
    pub fn invite(&mut self, number: &str) -> Result {
        self.target = format!("sip:{number}@{}", self.host);
        self.remote = format!("<{}>", self.target);
        self.ours = format!("<sip:phone@{}>;tag=ours", self.local);
        let invite = self.request("INVITE", &self.description);
        self.send(&invite)?;
        self.invite = Some((Instant::now(), invite));
        Ok(())
    }

    /// Ends the call.
    pub fn bye(&mut self) -> Result {
        self.number += 1;
        self.state = State::Ending;
        let bye = self.request("BYE", "");
        self.send(&bye)
    }

    /// Whether the call is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// What was said, for messages.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Takes in a message, if there is one. Returns the other party's description when the call comes up.
    pub fn handle(&mut self) -> Result<Option<String>> {
        let mut buffer = [0; 4096];
        let len = match self.socket.recv(&mut buffer) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return self.repeat().map(|()| None);
            }
            Err(error) => return Err(error.into()),
        };
        let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
        self.transcript.push_str(&message);
        match message.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)) {
            Some(status) => self.response(status, &message),
            None => self.handle_request(&message),
        }
    }

    fn repeat(&mut self) -> Result {
        if let Some((sent, invite)) = self.invite.take() {
            let again = sent.elapsed() > Duration::from_millis(500);
            if again {
                self.send(&invite)?;
            }
            self.invite = Some((if again { Instant::now() } else { sent }, invite));
        }
        Ok(())
    }

    fn response(&mut self, status: &str, message: &str) -> Result<Option<String>> {
        self.invite = None;
        let is_invite = header(message, "CSeq").ends_with("INVITE");
        match status {
            "200" if is_invite => {
                self.remote = header(message, "To").to_owned();
                if let Some(uri) = header(message, "Contact").split(['<', '>']).nth(1) {
                    self.target = uri.to_owned();
                }
                let ack = self.request("ACK", "");
                self.send(&ack)?;
                let is_new = self.state == State::Idle;
                self.state = State::Up;
                Ok(is_new.then(|| body(message)))
            }
            "200" if self.state == State::Ending => {
                self.state = State::Over;
                Ok(None)
            }
            "100" | "180" | "183" | "200" => Ok(None),
            _ => Err(Failure::new(format!("the text phone's call failed: {message}"))),
        }
    }

    fn handle_request(&mut self, message: &str) -> Result<Option<String>> {
        if message.starts_with("ACK ") {
            return Ok(None);
        }
        let is_new = message.starts_with("INVITE ") && self.state == State::Idle;
        if is_new {
            self.id = header(message, "Call-ID").to_owned();
            self.remote = header(message, "From").to_owned();
            self.ours = format!("{};tag=ours", header(message, "To"));
            self.target = header(message, "Contact").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            self.number = 100;
            self.state = State::Up;
        }
        let description = if message.starts_with("INVITE ") { self.description.as_str() } else { "" };
        let answer = self.answer(message, description);
        self.send(&answer)?;
        if message.starts_with("BYE ") {
            self.state = State::Over;
        }
        Ok(is_new.then(|| body(message)))
    }

    fn send(&mut self, message: &str) -> Result {
        self.transcript.push_str(message);
        self.socket.send_to(message.as_bytes(), self.host)?;
        Ok(())
    }

    fn request(&self, method: &str, description: &str) -> String {
        let Self { target, local, ours, remote, id, number, .. } = self;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n\
             From: {ours}\r\nTo: {remote}\r\nCall-ID: {id}\r\nCSeq: {number} {method}\r\n{}",
            self.rest(description)
        )
    }

    fn answer(&self, request: &str, description: &str) -> String {
        let [via, from, id, number] = ["Via", "From", "Call-ID", "CSeq"].map(|name| header(request, name));
        let to = if header(request, "To").contains(";tag=") { header(request, "To") } else { &self.ours };
        format!(
            "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {number}\r\n{}",
            self.rest(description)
        )
    }

    fn rest(&self, description: &str) -> String {
        let kind = if description.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (local, len) = (self.local, description.len());
        format!("Contact: <sip:phone@{local}>\r\n{kind}Content-Length: {len}\r\n\r\n{description}")
    }
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':').map(str::trim);
    message.lines().take_while(|line| !line.is_empty()).find_map(value).unwrap_or_default()
}

fn body(message: &str) -> String {
    message.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}
