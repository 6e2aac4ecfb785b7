//! A SIP phone over UDP whose media the test makes itself: calls, is called, holds, transfers, hangs up (RFC 3261).
//!
//! It has one dialog at a time. Requests of the other side within the dialog are answered with 200 as they come, an INVITE with
//! the phone's current description. [`crate::rtp::Media`] has the sockets of a stream.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::sip::{self, Message};

/// The longest time to wait for a response.
const PATIENCE: Duration = Duration::from_secs(20);

/// A phone.
#[derive(Debug)]
pub struct SipPhone {
    line: Arc<Line>,
    secret: String,
    dialog: Dialog,
    reader: Option<JoinHandle<()>>,
}

/// The parts that the reading thread shares.
#[derive(Debug)]
struct Line {
    socket: UdpSocket,
    server: SocketAddr,
    local: SocketAddr,
    user: String,
    tag: String,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Inbox {
    responses: VecDeque<Message>,
    /// Requests that nobody has taken yet.
    requests: VecDeque<Message>,
    /// The methods of all requests.
    methods: Vec<String>,
    /// The description that answers re-INVITEs.
    description: String,
    /// The phone rejects new descriptions with this status.
    refuses: Option<u16>,
}

/// The one dialog (RFC 3261 §12), `Default` before the first.
#[derive(Debug, Default)]
struct Dialog {
    call_id: String,
    /// From and To of our requests.
    local: String,
    remote: String,
    target: String,
    number: u32,
    /// The INVITE that is to be answered.
    invite: Option<Message>,
}

impl SipPhone {
    /// A phone with this account at a free port of loopback, for an Asterisk at `server`.
    pub fn new(server: SocketAddr, user: &str) -> Result<Self> {
        let socket = match server {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?,
        };
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let local = socket.local_addr()?;
        let line = Arc::new(Line {
            socket,
            server,
            local,
            user: user.to_owned(),
            tag: unique("tag"),
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let reading = Arc::clone(&line);
        let reader = Some(thread::spawn(move || reading.read()));
        Ok(Self { line, secret: String::new(), dialog: Dialog::default(), reader })
    }

    /// Answers challenges with this secret (RFC 2617, MD5 without qop).
    pub fn with_secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// Its port of SIP.
    pub fn port(&self) -> u16 {
        self.line.local.port()
    }

    /// Registers for five minutes.
    pub fn register(&mut self) -> Result {
        let address = format!("<sip:{}@{}>", self.line.user, self.line.server);
        self.begin(&address, format!("sip:{}", self.line.server));
        let response = self.request("REGISTER", "", "Expires: 300\r\n", "")?;
        ensure(response.status() == Some(200), || format!("REGISTER was answered: {}", response.first))
    }

    /// Calls `number` with this description, and returns the 200 with the answer.
    pub fn call(&mut self, number: &str, description: &str) -> Result<Message> {
        let response = self.dial(number, description)?;
        ensure(response.status() == Some(200), || format!("{number} answered: {}", response.first))?;
        Ok(response)
    }

    /// Calls `number` and returns the final response, whatever it is.
    pub fn dial(&mut self, number: &str, description: &str) -> Result<Message> {
        let target = format!("sip:{number}@{}", self.line.server);
        self.begin(&format!("<{target}>"), target);
        self.offer(description)
    }

    /// Sends another description within the call, and returns the final response.
    pub fn re_invite(&mut self, description: &str) -> Result<Message> {
        self.offer(description)
    }

    /// Waits for a call and returns its INVITE.
    pub fn rung(&mut self, patience: Duration) -> Result<Message> {
        let invite = self.received("INVITE", patience)?;
        self.dialog = Dialog {
            call_id: invite.header("call-id").to_owned(),
            local: format!("{};tag={}", invite.header("to"), self.line.tag),
            remote: invite.header("from").to_owned(),
            target: invite.contact().unwrap_or_default(),
            number: 0,
            invite: Some(invite.clone()),
        };
        Ok(invite)
    }

    /// Responds to the call that rings: 180, 183 with a description, 486.
    pub fn respond(&mut self, status: &str, description: &str) -> Result {
        let invite = self.dialog.invite.as_ref().ok_or_else(|| Failure::new("no call rings"))?;
        self.line.respond(invite, status, description)?;
        Ok(())
    }

    /// Answers the call that rings.
    pub fn answer(&mut self, description: &str) -> Result {
        self.set_description(description);
        self.respond("200 OK", description)?;
        self.received("ACK", PATIENCE)?;
        self.dialog.invite = None;
        Ok(())
    }

    /// The description that answers later INVITEs of the other side.
    pub fn set_description(&mut self, description: &str) {
        description.clone_into(&mut self.line.lock().description);
    }

    /// Rejects later INVITEs of the other side with this status, or takes them again.
    pub fn refuse(&mut self, status: Option<u16>) {
        self.line.lock().refuses = status;
    }

    /// Sends a request within the call, with more header fields (each with its line break) and a body.
    pub fn send(&mut self, method: &str, headers: &str, body: &str) -> Result<Message> {
        let target = self.dialog.target.clone();
        self.request(method, &target, headers, body)
    }

    /// Transfers the other side (RFC 3515). `to` is a URI.
    pub fn refer(&mut self, to: &str) -> Result<Message> {
        let by = format!("<sip:{}@{}>", self.line.user, self.line.local);
        self.send("REFER", &format!("Refer-To: <{to}>\r\nReferred-By: {by}\r\n"), "")
    }

    /// Call-ID, our tag and the other side's, for a transfer that replaces this call (RFC 3891).
    pub fn dialog(&self) -> (&str, &str, &str) {
        let tag = |value: &'_ str| value.rfind(";tag=").map_or(0, |at| at + 5);
        let (local, remote) = (self.dialog.local.as_str(), self.dialog.remote.as_str());
        (&self.dialog.call_id, &local[tag(local)..], &remote[tag(remote)..])
    }

    /// Hangs up.
    pub fn bye(&mut self) -> Result {
        let response = self.send("BYE", "", "")?;
        ensure(response.status() == Some(200), || format!("BYE was answered: {}", response.first))
    }

    /// Waits for a request with this method, which has been answered already, and returns it. Forgets earlier ones with other
    /// methods.
    pub fn received(&mut self, method: &str, patience: Duration) -> Result<Message> {
        let end = Instant::now() + patience;
        let mut inbox = self.line.lock();
        loop {
            while let Some(request) = inbox.requests.pop_front() {
                if request.method() == method {
                    return Ok(request);
                }
            }
            inbox = self.line.wait(inbox, end).ok_or_else(|| Failure::new(format!("no {method} came")))?;
        }
    }

    /// The methods of all requests that came in, in their order.
    pub fn methods(&self) -> Vec<String> {
        self.line.lock().methods.clone()
    }

    /// The requests that nobody has waited for.
    pub fn requests(&mut self) -> Vec<Message> {
        self.line.lock().requests.drain(..).collect()
    }

    fn begin(&mut self, remote: &str, target: String) {
        let local = format!("<sip:{}@{}>;tag={}", self.line.user, self.line.local, self.line.tag);
        self.dialog =
            Dialog { call_id: unique("call"), local, remote: remote.to_owned(), target, number: 0, invite: None };
    }

    fn offer(&mut self, description: &str) -> Result<Message> {
        self.set_description(description);
        let target = self.dialog.target.clone();
        let response = self.request("INVITE", &target, "", description)?;
        if let Some(contact) = response.contact() {
            self.dialog.target = contact;
        }
        let acknowledgement = self.message("ACK", &self.dialog.target, "", "");
        self.line.send(&acknowledgement)?;
        Ok(response)
    }

    /// Sends a request until it has a final response, with credentials if they are asked for.
    fn request(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Result<Message> {
        let target = if target.is_empty() { self.dialog.target.clone() } else { target.to_owned() };
        let response = self.transaction(method, &target, headers, body)?;
        let (challenge, field) = match response.status() {
            Some(401) => (response.header("www-authenticate"), "Authorization"),
            Some(407) => (response.header("proxy-authenticate"), "Proxy-Authorization"),
            _ => return Ok(response),
        };
        if method == "INVITE" {
            self.line.send(&self.message("ACK", &target, "", ""))?;
        }
        let credentials = sip::credentials(challenge, &self.line.user, &self.secret, method, &target);
        self.transaction(method, &target, &format!("{headers}{field}: {credentials}\r\n"), body)
    }

    fn transaction(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Result<Message> {
        self.dialog.number += 1;
        let (request, number) = (self.message(method, target, headers, body), self.dialog.number);
        let (began, mut interval) = (Instant::now(), Duration::from_millis(500));
        let mut is_known = false;
        while began.elapsed() < PATIENCE {
            if !is_known {
                self.line.send(&request)?;
            }
            let end = Instant::now() + interval;
            while let Some(response) = self.response(method, number, end) {
                is_known = true;
                if response.status().is_some_and(|status| status >= 200) {
                    self.learn(&response);
                    return Ok(response);
                }
            }
            interval = (interval * 2).min(Duration::from_secs(4));
        }
        Err(Failure::new(format!("{method} was not answered")))
    }

    /// Takes the other side's tag from the response that begins the dialog.
    fn learn(&mut self, response: &Message) {
        if response.method() == "INVITE" && response.is_in_dialog() && !self.dialog.remote.contains(";tag=") {
            response.header("to").clone_into(&mut self.dialog.remote);
        }
    }

    fn response(&self, method: &str, number: u32, end: Instant) -> Option<Message> {
        let mut inbox = self.line.lock();
        loop {
            while let Some(response) = inbox.responses.pop_front() {
                let is_ours = response.header("call-id") == self.dialog.call_id;
                if is_ours && response.method() == method && response.number() == number {
                    return Some(response);
                }
            }
            inbox = self.line.wait(inbox, end)?;
        }
    }

    fn message(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let Dialog { call_id, local, remote, number, .. } = &self.dialog;
        let (at, user) = (self.line.local, &self.line.user);
        let kind = match method {
            "INVITE" | "ACK" => "Content-Type: application/sdp\r\n",
            _ => "",
        };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK-{};rport\r\nFrom: {local}\r\nTo: {remote}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:{user}@{at}>\r\nMax-Forwards: 70\r\n\
             {}{headers}Content-Length: {}\r\n\r\n{body}",
            unique("branch"),
            if body.is_empty() { "" } else { kind },
            body.len()
        )
    }
}

impl Drop for SipPhone {
    fn drop(&mut self) {
        self.line.ended.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Line {
    fn read(&self) {
        let mut buffer = [0; 65_536];
        while !self.ended.load(Ordering::Relaxed) {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let Some(message) = Message::parse(&String::from_utf8_lossy(&buffer[..length])) else { continue };
            if message.status().is_some() {
                self.lock().responses.push_back(message);
            } else if self.is_new(&message) {
                let mut inbox = self.lock();
                inbox.methods.push(message.method().to_owned());
                inbox.requests.push_back(message);
            }
            self.arrived.notify_all();
        }
    }

    /// Answers a request of the other side where that needs nobody's decision, and says whether it is news.
    fn is_new(&self, request: &Message) -> bool {
        let (description, refuses) = {
            let inbox = self.lock();
            (inbox.description.clone(), inbox.refuses)
        };
        let sent = match (request.method(), request.is_in_dialog()) {
            ("ACK", _) => Ok(()),
            ("INVITE", false) => {
                let inbox = self.lock();
                let again = |known: &Message| known.header("via") == request.header("via");
                return !inbox.requests.iter().any(again);
            }
            ("INVITE", true) => match refuses {
                Some(status) => self.respond(request, &format!("{status} No"), ""),
                None => self.respond(request, "200 OK", &description),
            },
            _ => self.respond(request, "200 OK", ""),
        };
        sent.is_ok()
    }

    fn respond(&self, request: &Message, status: &str, body: &str) -> io::Result<()> {
        let vias: String = request.all("via").map(|via| format!("Via: {via}\r\n")).collect();
        let tag = if request.is_in_dialog() { String::new() } else { format!(";tag={}", self.tag) };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let response = format!(
            "SIP/2.0 {status}\r\n{vias}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{}@{}>\r\n\
             {kind}Content-Length: {}\r\n\r\n{body}",
            request.header("from"),
            request.header("to"),
            request.header("call-id"),
            request.header("cseq"),
            self.user,
            self.local,
            body.len()
        );
        // RFC 3261 §18.2.2.
        let sender = request.header("via").split([' ', ';']).nth(1).and_then(|sender| sender.parse().ok());
        self.socket.send_to(response.as_bytes(), sender.unwrap_or(self.server)).map(drop)
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to(message.as_bytes(), self.server).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next message; `None` when the time is over.
    fn wait<'a>(&self, inbox: MutexGuard<'a, Inbox>, end: Instant) -> Option<MutexGuard<'a, Inbox>> {
        let left = end.checked_duration_since(Instant::now())?;
        Some(self.arrived.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// A word that no other call in this run has, nor one of another process at the same time.
fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_calls_another_and_hangs_up() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut called = SipPhone::new(nowhere, "called").unwrap();
        let server = SocketAddr::from(([127, 0, 0, 1], called.port()));
        let calling = thread::spawn(move || {
            let mut phone = SipPhone::new(server, "calling")?;
            let answer = phone.call("100", "v=0\r\n")?;
            phone.bye().map(|()| answer.body)
        });
        called.rung(PATIENCE).unwrap();
        called.answer("v=0\r\ns=answer\r\n").unwrap();
        called.received("BYE", PATIENCE).unwrap();
        assert_eq!(calling.join().unwrap().unwrap(), "v=0\r\ns=answer\r\n");
    }
}
