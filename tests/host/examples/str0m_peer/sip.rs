//! A small SIP phone over WebSocket (RFC 3261, RFC 7118): one account, one call.
//!
//! It carries descriptions as str0m writes them, and hands on those of Asterisk as they arrive.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, process};

use e2e::failure::{Failure, Result};
use serde_json::json;

use crate::common::{Client, TEXT};

/// A SIP message: start line, headers in their order, body.
#[derive(Clone, Debug)]
pub struct Message {
    pub start: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n").map(str::to_owned);
        let start = lines.next().unwrap_or_default();
        let header =
            |line: String| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self { start, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }

    /// The first header of this name, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Whether it is within a dialog.
    pub fn is_in_call(&self) -> bool {
        self.get("To").contains("tag=")
    }

    fn sequence(&self) -> u32 {
        self.get("CSeq").split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    fn lines(&self, names: &[&str]) -> String {
        let wanted = self.headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
        wanted.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }
}

/// The phone.
pub struct Phone {
    socket: Client,
    account: String,
    password: String,
    contact: String,
    saved: Option<(PathBuf, usize)>,
    sequence: u32,
    call_id: String,
    local: String,
    remote: String,
    target: String,
}

impl Phone {
    pub fn connect(port: u16, account: &str, password: &str, save: Option<PathBuf>) -> Result<Self> {
        let socket = Client::connect(port, "sip", "")?;
        socket.socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        Ok(Self {
            socket,
            account: account.to_owned(),
            password: password.to_owned(),
            contact: format!("<sip:{account}@{}.invalid;transport=ws>", token()),
            saved: save.map(|directory| (directory, 0)),
            sequence: 0,
            call_id: token(),
            local: format!("<sip:{account}@localhost>;tag={}", token()),
            remote: String::new(),
            target: String::new(),
        })
    }

    /// The next message; none if nothing has arrived.
    pub fn receive(&mut self) -> Option<Message> {
        let text = String::from_utf8_lossy(&self.socket.message().ok()?).into_owned();
        self.record("in", &text);
        Some(Message::parse(&text))
    }

    /// Sends REGISTER, again with credentials if `challenge` is there; returns its number.
    pub fn register(&mut self, challenge: Option<&Message>) -> Result<u32> {
        let (uri, to) = ("sip:localhost", format!("<sip:{}@localhost>", self.account));
        self.request("REGISTER", uri, &to, "", challenge)
    }

    /// Begins a call to this number.
    pub fn dial(&mut self, number: &str) {
        self.call_id = token();
        self.local = format!("<sip:{}@localhost>;tag={}", self.account, token());
        self.target = format!("sip:{number}@localhost");
        self.remote = format!("<{}>", self.target);
    }

    /// Sends INVITE, also within the call; returns its number.
    pub fn invite(&mut self, sdp: &str, challenge: Option<&Message>) -> Result<u32> {
        let (uri, to) = (self.target.clone(), self.remote.clone());
        self.request("INVITE", &uri, &to, sdp, challenge)
    }

    pub fn bye(&mut self) -> Result<u32> {
        let (uri, to) = (self.target.clone(), self.remote.clone());
        self.request("BYE", &uri, &to, "", None)
    }

    /// Learns the dialog from the answer to our INVITE.
    pub fn established(&mut self, answer: &Message) -> Result {
        self.remote = answer.get("To").to_owned();
        self.target = uri_of(answer.get("Contact")).to_owned();
        self.acknowledge(answer, "")
    }

    pub fn acknowledge(&mut self, answer: &Message, sdp: &str) -> Result {
        let dialog = self.dialog("ACK", answer.get("To"), answer.sequence());
        self.send(&format!("ACK {} SIP/2.0", self.target), &dialog, sdp)
    }

    /// Answers the INVITE that begins a call.
    pub fn accept(&mut self, invite: &Message, sdp: &str) -> Result {
        let tag = token();
        self.call_id = invite.get("Call-ID").to_owned();
        self.local = format!("{};tag={tag}", invite.get("To"));
        self.remote = invite.get("From").to_owned();
        self.target = uri_of(invite.get("Contact")).to_owned();
        self.respond(invite, "200 OK", sdp, &tag)
    }

    /// Answers any request; `tag` is ours, where the request has none.
    pub fn respond(&mut self, request: &Message, status: &str, sdp: &str, tag: &str) -> Result {
        let tag = if request.is_in_call() { String::new() } else { format!(";tag={tag}") };
        let copied = request.lines(&["Via", "From", "Call-ID", "CSeq", "Record-Route"]);
        let headers = format!("{copied}To: {}{tag}\r\nContact: {}\r\n", request.get("To"), self.contact);
        self.send(&format!("SIP/2.0 {status}"), &headers, sdp)
    }

    fn request(&mut self, method: &str, uri: &str, to: &str, sdp: &str, challenge: Option<&Message>) -> Result<u32> {
        self.sequence += 1;
        let dialog = self.dialog(method, to, self.sequence);
        let credentials = challenge.map(|challenge| self.authorization(method, uri, challenge)).unwrap_or_default();
        let contact = format!("Contact: {}\r\n", self.contact);
        self.send(&format!("{method} {uri} SIP/2.0"), &format!("{dialog}{contact}{credentials}"), sdp)?;
        Ok(self.sequence)
    }

    fn dialog(&self, method: &str, to: &str, sequence: u32) -> String {
        format!(
            "Via: SIP/2.0/WS str0m.invalid;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\nTo: {to}\r\nFrom: {}\r\n\
             Call-ID: {}\r\nCSeq: {sequence} {method}\r\n",
            token(),
            self.local,
            self.call_id
        )
    }

    /// Digest of RFC 2617 without qop, which `chan_sip` does not use.
    fn authorization(&self, method: &str, uri: &str, challenge: &Message) -> String {
        let asked = challenge.get("WWW-Authenticate");
        let part = |name: &str| asked.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        let (realm, nonce) = (part("realm").unwrap_or_default(), part("nonce").unwrap_or_default());
        let md5 = |text: String| format!("{:x}", md5::compute(text));
        let first = md5(format!("{}:{realm}:{}", self.account, self.password));
        let response = md5(format!("{first}:{nonce}:{}", md5(format!("{method}:{uri}"))));
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=MD5\r\n",
            self.account
        )
    }

    fn send(&mut self, start: &str, headers: &str, body: &str) -> Result {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!("{start}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        self.record("out", &text);
        self.socket.send(TEXT, text.as_bytes())
    }

    /// Logs a message; a directory for messages gets its exact bytes.
    fn record(&mut self, direction: &str, text: &str) {
        println!("{}", json!({ "log": format!("{direction}\n{text}") }));
        if let Some((directory, number)) = &mut self.saved {
            *number += 1;
            let method = Message::parse(text).start.replace(|letter: char| !letter.is_alphanumeric(), "-");
            let name = format!("{number:02}-{direction}-{}.sip", method.get(..20).unwrap_or(&method));
            // It is for the reader only.
            let _ = fs::write(directory.join(name), text);
        }
    }
}

/// The number of the request that a response answers.
pub fn answered(message: &Message) -> u32 {
    message.sequence()
}

/// A failure that names the response.
pub fn refused(method: &str, answer: &Message) -> Failure {
    Failure::new(format!("{method} got {}", answer.start))
}

fn uri_of(header: &str) -> &str {
    header.split('<').nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_default()
}

/// A word that was not used before.
fn token() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    format!("{:x}{:x}{}", process::id(), now, COUNT.fetch_add(1, Ordering::Relaxed))
}
