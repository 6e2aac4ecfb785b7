//! SIP of one leg, bytes and time in, messages out (RFC 3261). Thousands of legs share a socket and a thread; [`e2e::plain_phone`]
//! has a thread for each phone, and does more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use e2e::sip::Message;

use crate::options::Over;

/// T1, and the longest interval between retransmissions, T2 (RFC 3261 §17.1.1.1).
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// The call of a leg.
#[derive(Debug)]
pub struct Dialog {
    state: State,
    call_id: String,
    /// From and To of our requests.
    local: String,
    remote: String,
    target: String,
    /// The address of our SIP.
    at: String,
    over: Over,
    number: u32,
    /// Sent again until it is answered.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    text: String,
    due: Instant,
    interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is no call yet.
    Idle,
    /// Our INVITE has no final response.
    Calling,
    /// Our 200 has no ACK.
    Answering,
    /// The call is up.
    Up,
    /// Our BYE has no response.
    Ending,
    /// The call is over, or has failed.
    Over,
}

/// A fact about a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Fact {
    /// It is answered, with this description.
    Answered(Box<Message>),
    /// It rings, with this description.
    Rings(Box<Message>),
    /// It was refused with this status.
    Refused(String),
    /// It is over.
    Over,
}

impl Dialog {
    /// A leg without a call. `account` names it to the server, `at` is the address of our SIP.
    pub fn new(account: &str, leg: usize, at: &str, over: Over) -> Self {
        // The server remembers calls that have ended, and refuses others with their Call-ID.
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        Self {
            state: State::Idle,
            call_id: format!("load-{leg}-{}-{call}", std::process::id()),
            local: format!("<sip:{account}@{at}>;tag=leg{leg}"),
            remote: String::new(),
            target: String::new(),
            at: at.to_owned(),
            over,
            number: 0,
            pending: None,
        }
    }

    /// Its Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Whether there is nothing more to do for its call.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Idle)
    }

    /// Whether its call is up.
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Calls a number of the server with this description; the INVITE.
    pub fn call(&mut self, now: Instant, number: &str, server: &str, description: &str) -> String {
        self.target = format!("sip:{number}@{server}");
        self.remote = format!("<{}>", self.target);
        self.state = State::Calling;
        self.request(now, "INVITE", description)
    }

    /// Ends the call; the BYE.
    pub fn end(&mut self, now: Instant) -> String {
        self.state = State::Ending;
        self.request(now, "BYE", "")
    }

    /// Answers the call that rings; the 200.
    pub fn answer(&mut self, now: Instant, invite: &Message, description: &str) -> String {
        self.call_id = invite.header("call-id").to_owned();
        self.local = format!("{};tag=callee", invite.header("to"));
        self.remote = invite.header("from").to_owned();
        self.target = invite.contact().unwrap_or_default();
        self.state = State::Answering;
        let text = self.response(invite, description);
        self.pending = Some(Pending { text: text.clone(), due: now + T1, interval: T1 });
        text
    }

    /// Takes a message of the server; what is to be sent, and what it means.
    pub fn handle(&mut self, message: &Message) -> (Option<String>, Option<Fact>) {
        match message.status() {
            Some(status) => self.handle_response(status, message),
            None => self.handle_request(message),
        }
    }

    fn handle_response(&mut self, status: u16, response: &Message) -> (Option<String>, Option<Fact>) {
        if response.number() != self.number {
            return (None, None);
        }
        // Any response ends retransmission (RFC 3261 §17.1.1.2).
        self.pending = None;
        match (response.method(), status, self.state) {
            (_, ..200, _) => (None, None),
            ("INVITE", 200, State::Calling | State::Up) => {
                response.header("to").clone_into(&mut self.remote);
                self.target = response.contact().unwrap_or_default();
                let is_news = self.state == State::Calling;
                self.state = State::Up;
                let fact = is_news.then(|| Fact::Answered(Box::new(response.clone())));
                (Some(self.message("ACK", "")), fact)
            }
            ("INVITE", _, State::Calling) => {
                response.header("to").clone_into(&mut self.remote);
                self.state = State::Over;
                (Some(self.message("ACK", "")), Some(Fact::Refused(response.first.clone())))
            }
            ("BYE", _, State::Ending) => {
                self.state = State::Over;
                (None, Some(Fact::Over))
            }
            _ => (None, None),
        }
    }

    fn handle_request(&mut self, request: &Message) -> (Option<String>, Option<Fact>) {
        match (request.method(), self.state) {
            ("ACK", State::Answering) => {
                (self.state, self.pending) = (State::Up, None);
                (None, None)
            }
            ("ACK", _) => (None, None),
            ("INVITE", State::Idle) => (None, Some(Fact::Rings(Box::new(request.clone())))),
            // It is repeated; the 200 is on its way.
            ("INVITE", State::Answering) => (None, None),
            ("BYE" | "CANCEL", _) => {
                (self.state, self.pending) = (State::Over, None);
                (Some(self.response(request, "")), Some(Fact::Over))
            }
            _ => (Some(self.response(request, "")), None),
        }
    }

    /// The message that has to be sent again by now.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<&str> {
        let pending = self.pending.as_mut().filter(|pending| pending.due <= now)?;
        pending.interval = (pending.interval * 2).min(T2);
        pending.due = now + pending.interval;
        Some(&pending.text)
    }

    fn request(&mut self, now: Instant, method: &str, body: &str) -> String {
        self.number += 1;
        let text = self.message(method, body);
        self.pending = Some(Pending { text: text.clone(), due: now + T1, interval: T1 });
        text
    }

    fn message(&self, method: &str, body: &str) -> String {
        let Self { call_id, local, remote, target, at, over, number, .. } = self;
        let via = over.via();
        // The ACK of a 200 is a transaction of its own (RFC 3261 §13.2.2.4).
        let branch = format!("z9hG4bK-{call_id}-{number}-{method}");
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{via} {at};branch={branch};rport\r\nFrom: {local}\r\nTo: {remote}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:load@{at}{}>\r\nMax-Forwards: 70\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            over.parameter(),
            body.len()
        )
    }

    fn response(&self, request: &Message, body: &str) -> String {
        let vias: String = request.all("via").map(|via| format!("Via: {via}\r\n")).collect();
        let tag = if request.is_in_dialog() { "" } else { ";tag=callee" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "SIP/2.0 200 OK\r\n{vias}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:load@{}{}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            request.header("from"),
            request.header("to"),
            request.header("call-id"),
            request.header("cseq"),
            self.at,
            self.over.parameter(),
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Message {
        Message::parse(text).unwrap()
    }

    #[test]
    fn one_leg_calls_another_and_hangs_up() {
        let now = Instant::now();
        let (mut caller, mut callee) =
            (Dialog::new("plain", 0, "[::1]:1", Over::Udp), Dialog::new("plain", 1, "[::1]:2", Over::Udp));
        let invite = parsed(&caller.call(now, "echo", "[::1]:2", "v=0\r\n"));
        let (None, Some(Fact::Rings(rung))) = callee.handle(&invite) else { panic!("it does not ring") };
        let answer = parsed(&callee.answer(now, &rung, "v=0\r\ns=callee\r\n"));
        let (Some(acknowledgement), Some(Fact::Answered(answered))) = caller.handle(&answer) else { panic!("no ACK") };
        assert_eq!(answered.body, "v=0\r\ns=callee\r\n");
        assert_eq!(callee.handle(&parsed(&acknowledgement)), (None, None));
        assert!(caller.is_up() && callee.is_up());
        let bye = parsed(&caller.end(now));
        let (Some(ended), Some(Fact::Over)) = callee.handle(&bye) else { panic!("the BYE was not answered") };
        assert_eq!(caller.handle(&parsed(&ended)), (None, Some(Fact::Over)));
        assert!(caller.is_over() && callee.is_over());
    }

    #[test]
    fn a_request_is_repeated_until_it_is_answered() {
        let now = Instant::now();
        let mut caller = Dialog::new("plain", 0, "[::1]:1", Over::Udp);
        let invite = caller.call(now, "echo", "[::1]:2", "");
        assert_eq!(caller.handle_timeout(now), None);
        assert_eq!(caller.handle_timeout(now + T1), Some(invite.as_str()));
        assert_eq!(caller.handle_timeout(now + 2 * T1), None);
        assert_eq!(caller.handle_timeout(now + 3 * T1), Some(invite.as_str()));
        let trying = invite.replacen("INVITE sip:echo@[::1]:2 SIP/2.0", "SIP/2.0 100 Trying", 1);
        assert_eq!(caller.handle(&parsed(&trying)), (None, None));
        assert_eq!(caller.handle_timeout(now + 60 * T1), None);
    }

    #[test]
    fn a_refusal_is_acknowledged() {
        let now = Instant::now();
        let mut caller = Dialog::new("plain", 0, "[::1]:1", Over::Udp);
        let invite = caller.call(now, "echo", "[::1]:2", "");
        let busy = parsed(&invite.replacen("INVITE sip:echo@[::1]:2 SIP/2.0", "SIP/2.0 486 Busy Here", 1));
        let (Some(_), Some(Fact::Refused(status))) = caller.handle(&busy) else { panic!("no ACK") };
        assert_eq!(status, "SIP/2.0 486 Busy Here");
        assert!(caller.is_over());
    }
}
