//! SIP of one leg, bytes and time in, messages out (RFC 3261). Thousands of legs share a socket and a thread;
//! [`crate::plain_phone`] has a thread for each phone, and does more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::sip::{self, Message};

/// T1, and the longest interval between retransmissions, T2 (RFC 3261 §17.1.1.1).
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// The transport of a leg's SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// One socket of UDP for all.
    Udp,
    /// A WebSocket for each (RFC 7118).
    Ws,
}

impl Over {
    /// Its name in Via.
    pub fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Ws => "WS",
        }
    }

    /// Its parameter of URIs.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Ws => ";transport=ws",
        }
    }
}

/// The call of a leg.
#[derive(Debug)]
pub struct Dialog {
    state: State,
    call_id: String,
    /// From and To of our requests.
    local: String,
    remote: String,
    target: String,
    /// The values of Route in our requests (RFC 3261 §12.1).
    routes: Vec<String>,
    /// The password of the caller's account; empty for a server that asks for none.
    secret: String,
    /// The header field that answers the server's challenge, with its line end.
    credentials: String,
    /// The description of our INVITE.
    offer: String,
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
    /// The server asks for the account's password.
    Challenged(Box<Message>),
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
            routes: Vec::new(),
            secret: String::new(),
            credentials: String::new(),
            offer: String::new(),
            at: at.to_owned(),
            over,
            number: 0,
            pending: None,
        }
    }

    /// A leg of the account `user` of a domain, which answers a challenge with this password.
    pub fn of_account(user: &str, domain: &str, secret: &str, leg: usize, at: &str, over: Over) -> Self {
        let local = format!("<sip:{user}@{domain}>;tag=leg{leg}");
        Self { local, secret: secret.to_owned(), ..Self::new(user, leg, at, over) }
    }

    /// Its Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Whether there is nothing more to do for its call.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Idle)
    }

    /// The URI that requests of the call go to: the Contact of the other side, once that has answered.
    pub fn target(&self) -> &str {
        &self.target
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
        description.clone_into(&mut self.offer);
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
        self.routes = routes(invite);
        self.state = State::Answering;
        let text = self.response(invite, description);
        self.pending = self.repeated(now, &text);
        text
    }

    /// The INVITE again, with the account's password (RFC 3261 §22.2).
    pub fn call_again(&mut self, now: Instant, challenge: &Message) -> String {
        let (name, field) = match challenge.status() {
            Some(407) => ("proxy-authenticate", "Proxy-Authorization"),
            _ => ("www-authenticate", "Authorization"),
        };
        let user = self.local.trim_start_matches("<sip:").split('@').next().unwrap_or_default();
        let value = sip::credentials(challenge.header(name), user, &self.secret, "INVITE", &self.target);
        self.credentials = format!("{field}: {value}\r\n");
        let offer = self.offer.clone();
        self.request(now, "INVITE", &offer)
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
            // The call is another's already (RFC 3261 §13.2.2.4): a node that stood still takes an INVITE late. It gives up by itself.
            ("INVITE", 200, State::Up) if response.header("to") != self.remote => (None, None),
            ("INVITE", 200, State::Calling | State::Up) => {
                response.header("to").clone_into(&mut self.remote);
                self.target = response.contact().unwrap_or_default();
                self.routes = routes(response);
                self.routes.reverse();
                let is_news = self.state == State::Calling;
                self.state = State::Up;
                let fact = is_news.then(|| Fact::Answered(Box::new(response.clone())));
                (Some(self.message("ACK", "")), fact)
            }
            ("INVITE", 401 | 407, State::Calling) if !self.secret.is_empty() && self.credentials.is_empty() => {
                (Some(self.acknowledge_refusal(response)), Some(Fact::Challenged(Box::new(response.clone()))))
            }
            ("INVITE", _, State::Calling) => {
                self.state = State::Over;
                (Some(self.acknowledge_refusal(response)), Some(Fact::Refused(response.first.clone())))
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
        self.pending = self.repeated(now, &text);
        text
    }

    /// A message that is sent again until it is answered, unless the transport is reliable (RFC 3261 §17.1.1.2).
    fn repeated(&self, now: Instant, text: &str) -> Option<Pending> {
        (self.over == Over::Udp).then(|| Pending { text: text.to_owned(), due: now + T1, interval: T1 })
    }

    /// The ACK of a refusal, which belongs to the transaction of the INVITE (RFC 3261 §17.1.1.3).
    fn acknowledge_refusal(&self, response: &Message) -> String {
        self.text("ACK", "INVITE", response.header("to"), "")
    }

    fn message(&self, method: &str, body: &str) -> String {
        // The ACK of a 200 is a transaction of its own (RFC 3261 §13.2.2.4).
        self.text(method, method, &self.remote, body)
    }

    fn text(&self, method: &str, transaction: &str, remote: &str, body: &str) -> String {
        let Self { call_id, local, target, at, over, number, .. } = self;
        let via = over.via();
        let branch = format!("z9hG4bK-{call_id}-{number}-{transaction}");
        let routes: String = self.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let credentials = if method == "INVITE" { self.credentials.as_str() } else { "" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{via} {at};branch={branch};rport\r\nFrom: {local}\r\nTo: {remote}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:load@{at}{}>\r\nMax-Forwards: 70\r\n{routes}{credentials}\
             {kind}Content-Length: {}\r\n\r\n{body}",
            over.parameter(),
            body.len()
        )
    }

    fn response(&self, request: &Message, body: &str) -> String {
        let vias: String = request.all("via").map(|via| format!("Via: {via}\r\n")).collect();
        let routes: String = request.all("record-route").map(|route| format!("Record-Route: {route}\r\n")).collect();
        let tag = if request.is_in_dialog() { "" } else { ";tag=callee" };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "SIP/2.0 200 OK\r\n{vias}{routes}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:load@{}{}>\r\n{kind}\
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

/// The route set that a message records, in its order.
fn routes(message: &Message) -> Vec<String> {
    message.all("record-route").flat_map(|value| value.split(',')).map(|route| route.trim().to_owned()).collect()
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

    #[test]
    fn a_challenge_is_answered_once_and_the_call_goes_the_way_that_proxies_recorded() {
        let now = Instant::now();
        let mut caller = Dialog::of_account("1001", "phone.example", "secret", 0, "[::1]:1", Over::Ws);
        let invite = caller.call(now, "echo", "phone.example", "v=0\r\n");
        let line = "INVITE sip:echo@phone.example SIP/2.0";
        let challenge = "SIP/2.0 407 No\r\nProxy-Authenticate: Digest realm=\"phone.example\", nonce=\"n\"";
        let (Some(_), Some(Fact::Challenged(challenge))) = caller.handle(&parsed(&invite.replacen(line, challenge, 1)))
        else {
            panic!("the password is not asked for")
        };
        let again = caller.call_again(now, &challenge);
        assert!(
            again.contains("\r\nProxy-Authorization: Digest username=\"1001\", ") && again.ends_with("\r\nv=0\r\n")
        );
        assert_eq!(caller.handle_timeout(now + T2), None, "a WebSocket loses nothing");
        let answer = "SIP/2.0 200 OK\r\nRecord-Route: <sip:a;lr>, <sip:b;lr>\r\nRecord-Route: <sip:c;lr>";
        let (Some(ack), Some(Fact::Answered(_))) = caller.handle(&parsed(&again.replacen(line, answer, 1))) else {
            panic!("no ACK")
        };
        let routes: Vec<_> = parsed(&ack).all("route").map(str::to_owned).collect();
        assert_eq!(routes, ["<sip:c;lr>", "<sip:b;lr>", "<sip:a;lr>"]);
        assert!(!ack.contains("Authorization"));
    }

    #[test]
    fn a_wrong_password_ends_the_call() {
        let now = Instant::now();
        let mut caller = Dialog::of_account("1001", "phone.example", "wrong", 0, "[::1]:1", Over::Ws);
        let invite = caller.call(now, "echo", "phone.example", "");
        let challenged =
            |request: &str| parsed(&request.replacen("INVITE sip:echo@phone.example SIP/2.0", "SIP/2.0 401 No", 1));
        let (_, Some(Fact::Challenged(challenge))) = caller.handle(&challenged(&invite)) else { panic!("not asked") };
        let again = caller.call_again(now, &challenge);
        assert!(matches!(caller.handle(&challenged(&again)), (Some(_), Some(Fact::Refused(_)))));
        assert!(caller.is_over());
    }
}
