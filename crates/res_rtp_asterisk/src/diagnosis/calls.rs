//! The calls whose SIP crosses our WebSockets, and their sessions: what the other module tells of its messages
//! ([`asterisk::signalling::Fact::Message`]).
//!
//! A session belongs to the call whose INVITE the same thread has just read, because chan_sip makes the session on that thread (chan_pjsip
//! does not); or to the call in whose description Asterisk names the session's port. No lock of a session is taken while the list is locked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ::story::event::By;
use ::story::sip::{Kind, LONGEST, Message};
use ::story::verdict::{NoSocket, Signalling};
use ::story::{Driver, Event, Timeline};
use asterisk::lock;
use asterisk::worker::Id;

use super::dialog::{Dialog, Named};
use super::drivers;

/// The calls of late, oldest first.
#[derive(Debug, Default)]
pub struct Calls(Mutex<VecDeque<Call>>);

/// A call, or a registration.
#[derive(Debug, Clone)]
pub struct Call {
    /// The `Call-ID`.
    pub id: String,
    /// The identifiers that only the two ends know.
    pub dialog: Dialog,
    /// The user at the client's end.
    pub user: String,
    /// The channel driver that the call's SIP goes to, if it is known.
    pub driver: Option<Driver>,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// The facts that SIP tells.
    pub signalling: Signalling,
    /// The name of the first format of the answer.
    pub codec: Option<String>,
    /// The events of the signalling.
    pub timeline: Timeline,
    /// The sessions of the call.
    pub sessions: Vec<Id>,
    no_socket: Option<NoSocket>,
    answered: Option<Instant>,
    has_credentials: bool,
    is_over: bool,
    reading: Option<Reading>,
}

/// The steps that follow from a message.
#[derive(Debug, Default)]
pub struct Next {
    /// The ports that a description of ours names.
    pub ports: Vec<u16>,
    /// The call, if it is over.
    pub over: Option<Call>,
}

/// The connection that a message came over.
#[derive(Debug, Clone, Default)]
pub struct Connection<'a> {
    is_secure: bool,
    /// The channel driver at our end.
    driver: Option<Driver>,
    /// The client's address.
    pub address: Option<SocketAddr>,
    /// Our address.
    pub local: Option<SocketAddr>,
    origin: Option<&'a str>,
}

impl Calls {
    /// Takes a message that `by` sent, with the lines about its connection before it.
    pub fn handle(&self, now: Instant, by: By, told: &str) -> Next {
        let Some((head, message)) = told.split_once("\n\n") else { return Next::default() };
        let Some(message) = Message::parse(message.as_bytes()) else { return Next::default() };
        if !matches!(message.method, "INVITE" | "REGISTER" | "BYE" | "CANCEL") {
            return Next::default();
        }
        let connection = Connection::of(head);
        let mut calls = lock(&self.0);
        let place = calls.iter().position(|call| call.id == message.call_id);
        let place = match (place, message.kind) {
            (Some(place), _) => place,
            (None, Kind::Request("INVITE" | "REGISTER")) => {
                if calls.len() == MOST_CALLS {
                    make_room(&mut calls);
                }
                if let Some(driver) = connection.driver {
                    drivers::note(driver);
                }
                calls.push_back(Call::new(now, by, &message, &connection));
                calls.len() - 1
            }
            (None, _) => return Next::default(),
        };
        if by == By::Client {
            let thread = asterisk::thread::id();
            let is_ours = |call: &&mut Call| call.reading.is_some_and(|reading| reading.thread == thread);
            calls.iter_mut().filter(is_ours).for_each(|call| call.reading = None);
        }
        let Some(call) = calls.get_mut(place) else { return Next::default() };
        call.reading = (by == By::Client && message.method == "INVITE").then(|| Reading::begin(now));
        call.handle(now, by, &message)
    }

    /// Notes that this thread has made a session, for the call whose INVITE it reads.
    pub fn note_session(&self, now: Instant, id: Id) {
        self.of_this_thread(now, |call| call.add(id));
    }

    /// Notes that a session got no sockets: of the call whose INVITE this thread reads, or of any call that chan_pjsip has not answered,
    /// because chan_pjsip makes sessions on other threads.
    pub fn note_no_socket(&self, now: Instant, missing: NoSocket) {
        let is_known = self.of_this_thread(now, |call| {
            call.no_socket = Some(missing);
            call.timeline.note_here(now, Event::NoSocket(missing.why));
        });
        if !is_known {
            lock(&self.0)
                .iter_mut()
                .filter(|call| call.may_lack_sockets())
                .for_each(|call| call.no_socket = Some(missing));
        }
    }

    /// Notes the session that a description of ours in this call names.
    pub fn bind(&self, call_id: &str, id: Id) {
        let mut calls = lock(&self.0);
        calls.iter_mut().filter(|call| call.id == call_id).for_each(|call| call.add(id));
    }

    /// Returns the call that a session belongs to.
    pub fn of_session(&self, id: Id) -> Option<Call> {
        lock(&self.0).iter().find(|call| call.sessions.contains(&id)).cloned()
    }

    /// Returns the call with this `Call-ID`.
    pub fn find(&self, call_id: &str) -> Option<Call> {
        lock(&self.0).iter().find(|call| call.id == call_id).cloned()
    }

    /// Returns the call whose identifiers are all named. Looks at all calls, so that the time does not tell which there are.
    pub fn of_dialog(&self, named: Named<'_>) -> Option<Call> {
        let calls = lock(&self.0);
        calls.iter().fold(None, |found, call| if call.dialog.is(named) { Some(call) } else { found }).cloned()
    }

    /// Notes that a session has ended. Returns its call if that was not over, and is now.
    pub fn end_session(&self, id: Id) -> Ended {
        let mut calls = lock(&self.0);
        let Some(call) = calls.iter_mut().find(|call| call.sessions.contains(&id)) else { return Ended::Unknown };
        let was_over = std::mem::replace(&mut call.is_over, true);
        let ended = if was_over { Ended::Told } else { Ended::Now(Box::new(call.clone())) };
        call.sessions.retain(|session| *session != id);
        ended
    }

    /// Changes the call whose INVITE this thread reads. Returns whether there is one.
    fn of_this_thread(&self, now: Instant, change: impl FnOnce(&mut Call)) -> bool {
        let mut calls = lock(&self.0);
        let is_ours = |call: &&mut Call| call.reading.is_some_and(|reading| reading.is_ours(now));
        calls.iter_mut().rev().find(is_ours).map(change).is_some()
    }
}

/// The call of a session that has ended.
#[derive(Debug)]
pub enum Ended {
    /// It ends with the session.
    Now(Box<Call>),
    /// It is over already.
    Told,
    /// Its SIP did not cross our WebSockets.
    Unknown,
}

impl Call {
    fn new(now: Instant, by: By, message: &Message<'_>, connection: &Connection<'_>) -> Self {
        let mut timeline = Timeline::new(now);
        let event = Event::WebSocket { is_secure: connection.is_secure };
        timeline.note(now, event, None, connection.address);
        let is_registration = message.method == "REGISTER";
        // Nobody asks for the report of a registration, which has no dialog.
        let dialog = if is_registration { Dialog::default() } else { Dialog::new(message.call_id, message.from_tag) };
        let user = if by == By::Client { message.from_user } else { message.to_user };
        let origin = connection.origin.filter(|origin| origin.len() <= LONGEST).map(str::to_owned);
        let signalling = Signalling { is_registration, offered_by: Some(by), origin, ..Signalling::default() };
        Self {
            id: message.call_id.to_owned(),
            dialog,
            user: user.to_owned(),
            driver: connection.driver,
            client: connection.address,
            signalling,
            no_socket: None,
            codec: None,
            timeline,
            sessions: Vec::new(),
            answered: None,
            has_credentials: false,
            is_over: false,
            reading: None,
        }
    }

    /// Returns the time from the answer to the BYE or, if there was none, to `now`.
    pub fn duration(&self, now: Instant) -> Duration {
        match (self.signalling.bye, self.answered) {
            (Some((_, after)), _) => after,
            (None, Some(answered)) => now.saturating_duration_since(answered),
            (None, None) => Duration::ZERO,
        }
    }

    /// Returns how much it would be missed: the less, the earlier it is forgotten.
    fn rank(&self) -> u8 {
        match (self.sessions.is_empty(), self.is_over || self.signalling.is_registration) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        }
    }

    /// Returns whether a session without sockets may be this call's.
    fn may_lack_sockets(&self) -> bool {
        let Signalling { is_registration, offered_by, .. } = self.signalling;
        let is_call = !is_registration && offered_by == Some(By::Client);
        let has_none = self.sessions.is_empty() && self.answered.is_none();
        is_call && has_none && self.driver == Some(Driver::ChanPjsip) && !self.is_over
    }

    /// Returns the sockets that a session of the call did not get, if it failed because of them.
    pub fn no_socket(&self) -> Option<NoSocket> {
        let is_refused = matches!(self.signalling.refusal, Some((By::Host, 488 | 500)));
        let is_certain = self.driver != Some(Driver::ChanPjsip) || self.sessions.is_empty() && is_refused;
        self.no_socket.filter(|_| is_certain)
    }

    fn add(&mut self, id: Id) {
        if !self.sessions.contains(&id) {
            self.sessions.push(id);
        }
    }

    fn handle(&mut self, now: Instant, by: By, message: &Message<'_>) -> Next {
        if let Kind::Response(_) = message.kind {
            self.dialog.note(message.from_tag, message.to_tag);
        }
        let is_over = match (message.kind, message.method) {
            (Kind::Request("INVITE" | "REGISTER"), _) => {
                self.begin_again(by, message);
                self.has_credentials |= message.has_credentials;
                self.describe(now, by, message);
                false
            }
            (Kind::Request("CANCEL"), _) => {
                self.signalling.cancel = Some(by);
                self.timeline.note_here(now, Event::Cancel(by));
                false
            }
            (Kind::Request("BYE"), _) => {
                let after = self.answered.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
                self.signalling.bye = Some((by, after));
                self.signalling.cause = message.cause;
                self.timeline.note_here(now, Event::Bye(by, message.cause));
                true
            }
            (Kind::Response(status), "INVITE" | "REGISTER") => self.respond(now, by, status, message),
            _ => false,
        };
        let ports = match &message.description {
            Some(description) if by == By::Host => description.ports.clone(),
            _ => Vec::new(),
        };
        let is_new = is_over && !std::mem::replace(&mut self.is_over, true);
        Next { ports, over: is_new.then(|| self.clone()) }
    }

    /// Forgets the first attempt of a call that was refused and is tried again, as a client may under the same Call-ID (RFC 3261
    /// §8.1.3.5), but for its events.
    fn begin_again(&mut self, by: By, message: &Message<'_>) {
        let is_again = by == By::Client && message.method == "INVITE" && self.answered.is_none() && self.is_over;
        if !is_again || self.signalling.bye.is_some() {
            return;
        }
        let origin = self.signalling.origin.take();
        self.signalling = Signalling { offered_by: Some(by), origin, ..Signalling::default() };
        self.dialog = Dialog::new(message.call_id, message.from_tag);
        // Sessions of the first attempt may end later than the second one begins.
        self.sessions.clear();
        (self.no_socket, self.codec, self.has_credentials, self.is_over) = (None, None, false, false);
    }

    /// Returns whether the response ends the call.
    fn respond(&mut self, now: Instant, by: By, status: u16, message: &Message<'_>) -> bool {
        match status {
            0..=100 => false,
            101..=299 => {
                self.describe(now, by, message);
                // A client that sends a response to its own request answers nothing.
                if status >= 200 && Some(by) != self.signalling.offered_by {
                    self.answered.get_or_insert(now);
                }
                // A registration that is accepted is a story only if its page can make no call.
                let origin =
                    self.signalling.origin.as_deref().filter(|_| self.signalling.is_registration && status == 200);
                origin.and_then(::story::verdict::insecure).is_some()
            }
            401 | 407 if !self.has_credentials => false,
            422 => false,
            status => {
                self.signalling.wrong_credentials += u32::from(matches!(status, 401 | 407));
                // A call that is up goes on when a later offer is refused.
                if self.answered.is_some() {
                    self.timeline.note_here(now, Event::Refusal(by, status));
                    return false;
                }
                self.signalling.refusal = Some((by, status));
                self.timeline.note_here(now, Event::Refusal(by, status));
                true
            }
        }
    }

    fn describe(&mut self, now: Instant, by: By, message: &Message<'_>) {
        let Some(description) = &message.description else { return };
        let lacks = description.lacks;
        let is_request = matches!(message.kind, Kind::Request(_));
        let event = if is_request { Event::Offer(by, lacks) } else { Event::Answer(by, lacks) };
        self.timeline.note_here(now, event);
        if is_request && self.signalling.offer.is_none() {
            self.signalling.offer = Some(lacks);
            let names = description.formats.iter().map(|(_, name)| *name).take(8);
            self.signalling.formats = names.collect::<Vec<_>>().join(", ");
        } else if !is_request {
            self.signalling.answer.get_or_insert(lacks);
            let first = description.formats.first().map(|(_, name)| (*name).to_owned());
            self.codec = first.or(self.codec.take());
        }
    }
}

impl<'a> Connection<'a> {
    /// Reads the lines before a message.
    pub fn of(head: &'a str) -> Self {
        let mut connection = Self::default();
        for (name, value) in head.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "secure" => connection.is_secure = value == "1",
                "module" => connection.driver = Driver::of_module(value),
                "address" => connection.address = value.parse().ok(),
                "local" => connection.local = value.parse().ok(),
                "origin" => connection.origin = Some(value),
                _ => {}
            }
        }
        connection
    }
}

/// Forgets the oldest of those that are missed least: registrations and what is over, then calls without a session, which a client without a
/// password may have sent. The youngest are spared: their session is about to be made.
fn make_room(calls: &mut VecDeque<Call>) {
    let old = calls.len() - calls.len() / 10;
    let least = calls.iter().enumerate().take(old).min_by_key(|(_, call)| call.rank()).map(|(place, _)| place);
    least.and_then(|place| calls.remove(place));
}

/// The reading of an INVITE by a thread.
#[derive(Debug, Clone, Copy)]
struct Reading {
    thread: libc::pid_t,
    since: Instant,
}

impl Reading {
    fn begin(now: Instant) -> Self {
        Self { thread: asterisk::thread::id(), since: now }
    }

    /// Returns whether this thread is still at it. The system gives the number of a thread that has ended to another in the end.
    fn is_ours(self, now: Instant) -> bool {
        self.thread == asterisk::thread::id() && now.saturating_duration_since(self.since) < LONGEST_READING
    }
}

/// The longest time in which the host makes the sessions of an INVITE that it has read.
const LONGEST_READING: Duration = Duration::from_secs(10);

/// Most calls and registrations that are kept.
const MOST_CALLS: usize = 1000;

#[cfg(test)]
mod tests {
    use ::story::event::Unbound;

    use super::*;

    const HEAD: &str = "secure 0\naddress 192.0.2.7:4000\norigin http://pbx.example\n\n";

    fn invite(extra: &str) -> String {
        format!(
            "{HEAD}INVITE sip:echo@pbx SIP/2.0\r\nCall-ID: 7\r\nFrom: <sip:1001@pbx>;tag=1\r\nCSeq: 1 INVITE\r\n{extra}\r\n\
             v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:sha-256 AA\r\n"
        )
    }

    fn response(status: u16) -> String {
        format!("{HEAD}SIP/2.0 {status} X\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\n\r\n")
    }

    fn missing(why: Unbound) -> NoSocket {
        NoSocket { why, ip: [0; 4].into(), ports: (10_000, 10_001) }
    }

    #[expect(clippy::disallowed_methods, reason = "the test program is never unmapped")]
    fn note_no_socket_on_another_thread(calls: &Calls, now: Instant) {
        std::thread::scope(|scope| {
            scope.spawn(|| calls.note_no_socket(now, missing(Unbound::PortsInUse)));
        });
    }

    #[test]
    fn a_refused_call_is_over_once_and_a_challenge_ends_nothing() {
        let (calls, now) = (Calls::default(), Instant::now());
        assert!(calls.handle(now, By::Client, &invite("")).over.is_none());
        assert!(calls.handle(now, By::Host, &response(401)).over.is_none());
        assert!(calls.handle(now, By::Client, &invite("Authorization: x\r\n")).over.is_none());
        let over = calls.handle(now, By::Host, &response(488)).over.unwrap();
        assert_eq!((over.user.as_str(), over.signalling.refusal), ("1001", Some((By::Host, 488))));
        assert_eq!(over.client, Some(SocketAddr::from(([192, 0, 2, 7], 4000))));
        assert!(calls.handle(now, By::Host, &response(488)).over.is_none());
    }

    #[test]
    fn a_call_that_a_drain_refused_is_over() {
        let (calls, now) = (Calls::default(), Instant::now());
        assert!(calls.handle(now, By::Client, &invite("")).over.is_none());
        let over = calls.handle(now, By::Drain, &response(503)).over.unwrap();
        assert_eq!(over.signalling.refusal, Some((By::Drain, 503)));
        calls.handle(now, By::Client, &invite(""));
        assert_eq!(calls.find("7").unwrap().signalling.refusal, None, "it is tried again");
        assert!(calls.handle(now, By::Host, &response(488)).over.is_some(), "and refused again");
    }

    #[test]
    fn what_the_first_attempt_left_does_not_end_the_second() {
        let (calls, now) = (Calls::default(), Instant::now());
        calls.handle(now, By::Client, &invite("Authorization: x\r\n"));
        calls.note_session(now, 1);
        assert!(calls.handle(now, By::Host, &response(488)).over.is_some());
        calls.handle(now, By::Client, &invite(""));
        assert!(matches!(calls.end_session(1), Ended::Unknown));
        assert!(calls.handle(now, By::Host, &response(401)).over.is_none(), "a challenge, as the first time");
        let bye = format!("{HEAD}BYE sip:a SIP/2.0\r\nCall-ID: 7\r\nCSeq: 2 BYE\r\n\r\n");
        assert!(calls.handle(now, By::Client, &bye).over.is_some());
    }

    #[test]
    fn a_session_belongs_to_the_call_whose_invite_its_thread_reads() {
        let (calls, now) = (Calls::default(), Instant::now());
        calls.handle(now, By::Client, &invite(""));
        calls.note_no_socket(now, missing(Unbound::NoDescriptors));
        assert_eq!(calls.find("7").unwrap().no_socket(), Some(missing(Unbound::NoDescriptors)));
        let other = format!("{HEAD}BYE sip:a SIP/2.0\r\nCall-ID: 7\r\nCSeq: 2 BYE\r\n\r\n");
        let over = calls.handle(now, By::Client, &other).over.unwrap();
        assert_eq!(over.signalling.bye, Some((By::Client, Duration::ZERO)));
        calls.note_no_socket(now, missing(Unbound::PortsInUse));
        assert_eq!(calls.find("7").unwrap().no_socket(), Some(missing(Unbound::NoDescriptors)));
    }

    #[test]
    fn with_chan_pjsip_a_session_without_sockets_is_of_a_call_that_is_refused() {
        let (calls, now) = (Calls::default(), Instant::now());
        let pjsip = invite("").replace("origin", "module res_pjsip_transport_websocket.so\norigin");
        calls.handle(now, By::Client, &pjsip);
        note_no_socket_on_another_thread(&calls, now);
        assert_eq!(calls.find("7").unwrap().no_socket(), None);
        let over = calls.handle(now, By::Host, &response(488)).over.unwrap();
        assert_eq!((over.driver, over.no_socket()), (Some(Driver::ChanPjsip), Some(missing(Unbound::PortsInUse))));
        let calls = Calls::default();
        calls.handle(now, By::Client, &pjsip);
        note_no_socket_on_another_thread(&calls, now);
        let over = calls.handle(now, By::Host, &response(486)).over.unwrap();
        assert_eq!(over.no_socket(), None, "it has rung, so it had its sockets");
        let calls = Calls::default();
        calls.handle(now, By::Client, &invite(""));
        note_no_socket_on_another_thread(&calls, now);
        let over = calls.handle(now, By::Host, &response(488)).over.unwrap();
        assert_eq!((over.driver, over.no_socket()), (None, None), "chan_sip makes sessions on the thread that reads");
    }

    #[test]
    fn a_call_is_found_by_the_tags_of_both_ends_and_a_registration_is_not() {
        let (calls, now) = (Calls::default(), Instant::now());
        let named = |from_tag, to_tag| Named { call_id: "7", from_tag, to_tag };
        calls.handle(now, By::Client, &invite(""));
        assert!(calls.of_dialog(named("1", "")).is_some() && calls.of_dialog(named("1", "2")).is_none());
        let ringing = response(180).replace("CSeq", "From: <sip:1001@pbx>;tag=1\r\nTo: <sip:echo@pbx>;tag=2\r\nCSeq");
        calls.handle(now, By::Host, &ringing);
        assert!(calls.of_dialog(named("1", "")).is_none() && calls.of_dialog(named("1", "2")).is_some());
        let register = invite("").replace("INVITE", "REGISTER").replace("Call-ID: 7", "Call-ID: 8");
        calls.handle(now, By::Client, &register);
        assert!(calls.of_dialog(Named { call_id: "8", ..named("1", "") }).is_none());
    }

    #[test]
    fn strangers_and_registrations_push_no_call_out() {
        let (calls, now) = (Calls::default(), Instant::now());
        calls.handle(now, By::Client, &invite(""));
        calls.note_session(now, 1);
        let register = invite("").replace("INVITE", "REGISTER");
        for (number, message) in (0..2 * MOST_CALLS).zip([&register, &invite("")].into_iter().cycle()) {
            let of = |message: &str| message.replace("Call-ID: 7", &format!("Call-ID: stranger-{number}"));
            calls.handle(now, By::Client, &of(message));
            calls.handle(now, By::Client, &of(&response(200)));
        }
        assert!(calls.find("7").is_some());
        calls.handle(now, By::Client, &invite("").replace("Call-ID: 7", "Call-ID: later"));
        calls.handle(now, By::Client, &register.replace("Call-ID: 7", "Call-ID: next"));
        assert!(calls.find("later").is_some(), "its session is about to be made");
        assert!(calls.find("stranger-0").is_none(), "the list has an end");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test program is never unmapped")]
    fn a_session_of_another_thread_is_not_of_a_call_whose_thread_has_ended() {
        let (calls, now) = (Calls::default(), Instant::now());
        std::thread::scope(|scope| {
            scope.spawn(|| calls.handle(now, By::Client, &invite(""))).join().unwrap();
            // A new thread gets the `pthread_t` of one that has ended.
            scope.spawn(|| calls.note_session(now, 1)).join().unwrap();
        });
        assert!(calls.find("7").unwrap().sessions.is_empty());
        calls.handle(now, By::Client, &invite(""));
        calls.note_session(now + LONGEST_READING, 2);
        assert!(calls.find("7").unwrap().sessions.is_empty(), "its INVITE has long been read");
    }

    #[test]
    fn a_registration_with_a_wrong_password_is_a_story() {
        let (calls, now) = (Calls::default(), Instant::now());
        let register = |extra: &str| {
            let head = HEAD.replace("http:", "https:");
            format!(
                "{head}REGISTER sip:pbx SIP/2.0\r\nCall-ID: 8\r\nFrom: <sip:1001@pbx>\r\nCSeq: 1 REGISTER\r\n{extra}\r\n"
            )
        };
        let refused = response(403).replace("Call-ID: 7", "Call-ID: 8").replace("INVITE", "REGISTER");
        calls.handle(now, By::Client, &register(""));
        calls.handle(now, By::Client, &register("Authorization: x\r\n"));
        assert!(calls.handle(now, By::Host, &refused).over.is_some());
    }
}
