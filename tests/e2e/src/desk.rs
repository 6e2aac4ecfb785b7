//! Desk phones: SIP over UDP and plain RTP, packet by packet as a test wants it. The phone answers what Asterisk asks by itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// The longest time until an answer, or an expected packet, comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A phone in one call.
pub struct Desk {
    account: String,
    line: Arc<Line>,
    rtp: UdpSocket,
    responses: Receiver<String>,
    threads: Vec<JoinHandle<()>>,
}

/// The part of a phone that its threads share.
struct Line {
    sip: UdpSocket,
    asterisk: SocketAddr,
    /// The lines of its description below `c=`.
    media: Mutex<String>,
    dialog: Mutex<Option<Dialog>>,
    /// The port that Asterisk's last description names.
    peer: Mutex<Option<u16>>,
    received: Mutex<Vec<Vec<u8>>>,
    version: Mutex<u32>,
    ended: AtomicBool,
    closed: AtomicBool,
}

#[derive(Clone)]
struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    number: u32,
}

impl Desk {
    /// Makes a phone of `account` for the Asterisk that will listen on this port. `media` has the lines of its description from
    /// `m=audio` on, in which `PORT` stands for the port of its media.
    pub fn new(account: &str, asterisk: u16, media: &str) -> io::Result<Self> {
        let [sip, rtp] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
        let (sip, rtp) = (sip?, rtp?);
        for socket in [&sip, &rtp] {
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        }
        let media = media.replace("PORT", &rtp.local_addr()?.port().to_string()).replace('\n', "\r\n");
        let line = Arc::new(Line {
            sip,
            asterisk: (Ipv4Addr::LOCALHOST, asterisk).into(),
            media: Mutex::new(media),
            dialog: Mutex::default(),
            peer: Mutex::default(),
            received: Mutex::default(),
            version: Mutex::new(1),
            ended: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let (responded, responses) = channel();
        let (signalling, listener) = (Arc::clone(&line), Arc::clone(&line));
        let ears = rtp.try_clone()?;
        let threads =
            vec![thread::spawn(move || signalling.speak(&responded)), thread::spawn(move || listener.listen(&ears))];
        Ok(Self { account: account.to_owned(), line, rtp, responses, threads })
    }

    /// The port of its SIP.
    pub fn sip(&self) -> io::Result<u16> {
        Ok(self.line.sip.local_addr()?.port())
    }

    /// The port of its media.
    pub fn media(&self) -> io::Result<u16> {
        Ok(self.rtp.local_addr()?.port())
    }

    /// The port to which it sends media, as Asterisk's last description has it.
    pub fn peer(&self) -> Option<u16> {
        *held(&self.line.peer)
    }

    /// Calls `number` and waits for the answer.
    pub fn call(&self, number: &str) -> Result {
        let dialog = Dialog {
            call_id: format!("{}-{}", self.account, self.sip()?),
            local: format!("<sip:{}@127.0.0.1>;tag={}", self.account, self.sip()?),
            remote: format!("<sip:{number}@127.0.0.1>"),
            number: 1,
        };
        *held(&self.line.dialog) = Some(dialog);
        self.describe_again("")
    }

    /// Sends an INVITE with its description, in which the direction is this line, and waits for the answer.
    pub fn describe_again(&self, direction: &str) -> Result {
        *held(&self.line.version) += 1;
        let body = self.line.description(direction);
        let response = self.request("INVITE", "", &body)?;
        self.line.learn(&response);
        self.line.acknowledge(&response).map_err(Failure::from)
    }

    /// Changes the lines of its description from `m=audio` on, for the next description.
    pub fn set_media(&self, change: impl FnOnce(&str) -> String) {
        let mut media = held(&self.line.media);
        *media = change(&media);
    }

    /// Sends a request within the call and waits for its final response, which has to be a success.
    pub fn request(&self, method: &str, more: &str, body: &str) -> Result<String> {
        let request = self.line.compose(method, more, body)?;
        self.line.send(&request)?;
        let end = Instant::now() + PATIENCE;
        while let Ok(response) = self.responses.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let status = response.get(8..11).and_then(|status| status.parse().ok()).unwrap_or(0);
            match status {
                _ if !header(&response, "CSeq").ends_with(method) => {}
                100..200 => {}
                200..300 => return Ok(response),
                _ => return Err(Failure::new(format!("{}: {method} is answered by {response}", self.account))),
            }
        }
        Err(Failure::new(format!("{}: no response to {method}", self.account)))
    }

    /// Ends the call.
    pub fn hang_up(&self) -> Result {
        self.request("BYE", "", "").map(drop)
    }

    /// Whether Asterisk has ended the call.
    pub fn has_ended(&self) -> bool {
        self.line.ended.load(Ordering::Relaxed)
    }

    /// Waits until it is in a call.
    pub fn until_called(&self) -> Result {
        self.until("a call", || held(&self.line.peer).is_some())
    }

    /// Waits until `holds`, which needs `what`.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) -> Result {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > end {
                return Err(Failure::new(format!("{} waits in vain for {what}", self.account)));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends a datagram to Asterisk's media port.
    pub fn send(&self, packet: &[u8]) -> Result {
        let port = held(&self.line.peer).ok_or_else(|| Failure::new(format!("{} is in no call", self.account)))?;
        self.rtp.send_to(packet, (Ipv4Addr::LOCALHOST, port))?;
        Ok(())
    }

    /// Takes the datagrams that its media port has received.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *held(&self.line.received))
    }

    /// The datagrams that its media port has received since [`Self::take`].
    pub fn heard(&self) -> Vec<Vec<u8>> {
        held(&self.line.received).clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.line.closed.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Line {
    fn listen(&self, rtp: &UdpSocket) {
        let mut buffer = [0; 2048];
        while !self.closed.load(Ordering::Relaxed) {
            if let Ok(len) = rtp.recv(&mut buffer) {
                held(&self.received).push(buffer[..len].to_vec());
            }
        }
    }

    fn speak(&self, responded: &Sender<String>) {
        let mut buffer = [0; 8192];
        while !self.closed.load(Ordering::Relaxed) {
            let Ok(len) = self.sip.recv(&mut buffer) else { continue };
            let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if message.starts_with("SIP/2.0") {
                // The test may have ended.
                let _ = responded.send(message);
            } else {
                let _ = self.answer(&message);
            }
        }
    }

    fn answer(&self, request: &str) -> io::Result<()> {
        let body = match request.split(' ').next() {
            Some("ACK") => return Ok(()),
            Some("INVITE") => {
                self.take_up(request);
                self.learn(request);
                *held(&self.version) += 1;
                self.description("")
            }
            Some("BYE") => {
                self.ended.store(true, Ordering::Relaxed);
                String::new()
            }
            _ => String::new(),
        };
        let to = header(request, "To");
        let tag = if to.contains("tag=") { String::new() } else { format!(";tag={}", self.port()) };
        let copied: String =
            request.lines().filter(|line| line.starts_with("Via:")).map(|line| format!("{line}\r\n")).collect();
        self.send(&format!(
            "SIP/2.0 200 OK\r\n{copied}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{}",
            header(request, "From"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
            self.tail("", &body),
        ))
    }

    /// Makes the dialog of an INVITE its own.
    fn take_up(&self, invite: &str) {
        held(&self.dialog).get_or_insert_with(|| Dialog {
            call_id: header(invite, "Call-ID").to_owned(),
            local: format!("{};tag={}", header(invite, "To"), self.port()),
            remote: header(invite, "From").to_owned(),
            number: 1,
        });
    }

    fn learn(&self, message: &str) {
        let media = message.lines().find_map(|line| line.strip_prefix("m=audio "));
        let port = media.and_then(|media| media.split(' ').next()?.parse().ok());
        if port.is_some() {
            *held(&self.peer) = port;
        }
    }

    fn acknowledge(&self, response: &str) -> io::Result<()> {
        if let Some(dialog) = &mut *held(&self.dialog) {
            header(response, "To").clone_into(&mut dialog.remote);
        }
        let acknowledged = self.compose("ACK", "", "").map_err(|failure| io::Error::other(failure.to_string()))?;
        self.send(&acknowledged)
    }

    /// Writes a request of the dialog; an ACK has the number of the request before.
    fn compose(&self, method: &str, more: &str, body: &str) -> Result<String> {
        let mut dialog = held(&self.dialog);
        let dialog = dialog.as_mut().ok_or_else(|| Failure::new("the phone is in no call"))?;
        dialog.number += u32::from(method != "ACK");
        let Dialog { call_id, local, remote, number } = dialog.clone();
        let (uri, port) = (uri_of(&remote, self.asterisk), self.port());
        Ok(format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{port}-{number}-{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{}",
            self.tail(more, body)
        ))
    }

    fn tail(&self, more: &str, body: &str) -> String {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (port, len) = (self.port(), body.len());
        format!("Contact: <sip:desk@127.0.0.1:{port}>\r\n{more}{kind}Content-Length: {len}\r\n\r\n{body}")
    }

    fn description(&self, direction: &str) -> String {
        let (media, version) = (held(&self.media), held(&self.version));
        format!(
            "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{}{direction}",
            media.trim_start()
        )
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.sip.send_to(message.as_bytes(), self.asterisk).map(drop)
    }

    fn port(&self) -> u16 {
        self.sip.local_addr().map_or(0, |address| address.port())
    }
}

/// The URI to send a request to: that of the other party, at Asterisk's port.
fn uri_of(party: &str, asterisk: SocketAddr) -> String {
    let user = party.split_once("sip:").and_then(|(_, rest)| rest.split(['@', '>', ':']).next()).unwrap_or_default();
    format!("sip:{user}@{asterisk}")
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let lines = message.split("\r\n\r\n").next().unwrap_or_default().lines();
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(known, _)| *known == name)
        .map_or("", |(_, value)| value.trim())
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
