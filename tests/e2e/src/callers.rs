//! Accounts in bulk that register over WebSocket and call: the load of a registrar or of a proxy. One thread has them all.
//!
//! Their calls have no media. An offer is a browser's, and names a socket that takes in what comes and answers nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::dialog::{Dialog, Fact, Over};
use crate::failure::{Failure, Result, ensure};
use crate::signalling::Signalling;
use crate::sip::{self, Message};

/// The domain of all accounts.
pub const DOMAIN: &str = "localhost";

/// The longest wait for the answer to a registration.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest sleep.
const NAP: Duration = Duration::from_millis(5);

/// The password of an account of the tests.
pub fn password(account: u32) -> String {
    format!("demo-{account}")
}

/// Accounts with a WebSocket each.
pub struct Callers {
    signalling: Signalling,
    // Nobody reads it: the kernel throws away what does not fit.
    _sink: UdpSocket,
    offer: String,
    callers: Vec<Caller>,
    /// Callers without a call, those that have waited longest first.
    idle: VecDeque<usize>,
    calls: Vec<Call>,
    by_call_id: HashMap<String, usize>,
    /// When which call is to end.
    ends: BTreeSet<(Instant, usize)>,
    /// When [`Callers::load`] places the next call.
    next: Option<Instant>,
}

struct Caller {
    user: String,
    secret: String,
    registration: Registration,
}

#[derive(Default)]
struct Registration {
    /// The CSeq of the last request.
    number: u32,
    is_challenged: bool,
    asked: Option<Instant>,
    /// The final response, and how long it took.
    done: Option<(Message, Duration)>,
}

/// A call so far.
#[derive(Debug)]
pub struct Call {
    caller: usize,
    dialog: Dialog,
    length: Option<Duration>,
    /// When its INVITE was sent.
    pub placed: Instant,
    /// When it was answered.
    pub answered: Option<Instant>,
    /// How far it is.
    pub state: State,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no answer.
    Placed,
    /// It is up.
    Up,
    /// Our BYE has no answer.
    Ending,
    /// We have ended it.
    Ended,
    /// It was refused, or the other side ended it.
    Failed(String),
}

impl Call {
    /// The time from the INVITE to the answer.
    pub fn took(&self) -> Option<Duration> {
        Some(self.answered? - self.placed)
    }

    /// The port of the node that has answered.
    pub fn node(&self) -> Option<u16> {
        self.answered?;
        let (_, port) = self.dialog.target().split_once('@')?.1.split_once(':')?;
        port.split(';').next()?.parse().ok()
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Ended | State::Failed(_))
    }
}

impl Callers {
    /// Connects `accounts` to the WebSocket port of a server of this machine.
    pub fn connect(port: u16, accounts: Range<u32>, secret: fn(u32) -> String) -> Result<Self> {
        let (udp, sink) = (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        udp.set_nonblocking(true)?;
        let mut signalling = Signalling::new(udp, 0, port)?;
        let callers: Vec<_> = accounts
            .map(|account| Caller {
                user: account.to_string(),
                secret: secret(account),
                registration: Registration::default(),
            })
            .collect();
        (0..callers.len()).try_for_each(|number| signalling.connect(number))?;
        Ok(Self {
            signalling,
            offer: offer(sink.local_addr()?.port()),
            _sink: sink,
            idle: (0..callers.len()).collect(),
            callers,
            calls: Vec::new(),
            by_call_id: HashMap::new(),
            ends: BTreeSet::new(),
            next: None,
        })
    }

    /// Registers all at this rate per second. Returns the final responses and how long they took.
    pub fn register(&mut self, rate: u32) -> Result<Vec<(Message, Duration)>> {
        let began = Instant::now();
        for number in 0..self.callers.len() {
            self.run_until(began + Duration::from_secs(1) * number as u32 / rate)?;
            let last = self.callers[number].registration.number;
            self.callers[number].registration =
                Registration { number: last, asked: Some(Instant::now()), ..Registration::default() };
            self.send_register(number, "")?;
        }
        let end = Instant::now() + PATIENCE;
        while self.callers.iter().any(|caller| caller.registration.done.is_none()) {
            ensure(Instant::now() < end, || "a registration has no answer".to_owned())?;
            self.run(NAP)?;
        }
        Ok(self.callers.iter_mut().filter_map(|caller| caller.registration.done.take()).collect())
    }

    /// Places `count` calls at once, which stay up.
    pub fn place(&mut self, count: usize, number: &str) -> Result {
        (0..count).try_for_each(|_| self.place_one(number, None))
    }

    /// Places calls at this rate per second for a while. Each is ended when it has been up for `length`.
    pub fn load(&mut self, rate: u32, number: &str, length: Duration, time: Duration) -> Result {
        let end = Instant::now() + time;
        let mut next = self.next.unwrap_or_else(Instant::now).max(Instant::now());
        while next < end {
            self.run_until(next)?;
            self.place_one(number, Some(length))?;
            next += Duration::from_secs(1) / rate;
        }
        self.next = Some(next);
        self.run_until(end)
    }

    /// Waits until no call is being set up.
    pub fn settle(&mut self, patience: Duration) -> Result {
        self.until(patience, |call| call.state != State::Placed)
    }

    /// Ends all calls that are up, and waits until the last is over.
    pub fn end_all(&mut self, patience: Duration) -> Result {
        for number in 0..self.calls.len() {
            if self.calls[number].state == State::Up {
                self.end(number)?;
            }
        }
        self.finish(patience)
    }

    /// Waits until all calls with a length are over.
    pub fn finish(&mut self, patience: Duration) -> Result {
        self.until(patience, |call| call.is_over() || call.length.is_none() && call.state == State::Up)
    }

    /// All calls so far, in the order of their INVITEs.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Those that were refused, or that the other side ended.
    pub fn failures(&self) -> Vec<&Call> {
        self.calls.iter().filter(|call| matches!(call.state, State::Failed(_))).collect()
    }

    /// Takes in messages and ends calls for a while.
    pub fn run(&mut self, time: Duration) -> Result {
        self.run_until(Instant::now() + time)
    }

    fn until(&mut self, patience: Duration, holds: impl Fn(&Call) -> bool) -> Result {
        let end = Instant::now() + patience;
        while let Some(call) = self.calls.iter().find(|call| !holds(call)) {
            ensure(Instant::now() < end, || {
                format!("the call of {} is {:?} after {patience:?}", self.callers[call.caller].user, call.state)
            })?;
            self.run(NAP)?;
        }
        Ok(())
    }

    fn run_until(&mut self, end: Instant) -> Result {
        loop {
            for message in self.signalling.receive()? {
                self.take(&message)?;
            }
            let now = Instant::now();
            while let Some((_, call)) = self.ends.first().copied().filter(|(due, _)| *due <= now) {
                self.ends.pop_first();
                if self.calls[call].state == State::Up {
                    self.end(call)?;
                }
            }
            if now >= end {
                return Ok(());
            }
            self.wait((end - now).min(NAP));
        }
    }

    fn wait(&self, time: Duration) {
        let fds = self.signalling.as_fds();
        let mut fds = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        let time = libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        // SAFETY: the kernel reads and writes the array and reads the time, which are locals.
        unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &raw const time, std::ptr::null()) };
    }

    fn place_one(&mut self, number: &str, length: Option<Duration>) -> Result {
        let caller = self.idle.pop_front().ok_or_else(|| Failure::new("all callers are in calls"))?;
        let Caller { user, secret, .. } = &self.callers[caller];
        let mut dialog = Dialog::of_account(user, DOMAIN, secret, caller, &host(user), Over::Ws);
        let placed = Instant::now();
        let invite = dialog.call(placed, number, DOMAIN, &self.offer);
        self.by_call_id.insert(dialog.call_id().to_owned(), self.calls.len());
        self.calls.push(Call { caller, dialog, length, placed, answered: None, state: State::Placed });
        self.signalling.send(caller, &invite)
    }

    fn end(&mut self, number: usize) -> Result {
        let call = &mut self.calls[number];
        call.state = State::Ending;
        let bye = call.dialog.end(Instant::now());
        self.signalling.send(call.caller, &bye)
    }

    fn take(&mut self, message: &Message) -> Result {
        if message.method() == "REGISTER" {
            return self.take_registration(message);
        }
        let Some(number) = self.by_call_id.get(message.header("call-id")).copied() else { return Ok(()) };
        let call = &mut self.calls[number];
        let (reply, fact) = call.dialog.handle(message);
        let now = Instant::now();
        let more = match fact {
            Some(Fact::Challenged(challenge)) => Some(call.dialog.call_again(now, &challenge)),
            Some(Fact::Answered(_)) => {
                (call.state, call.answered) = (State::Up, Some(now));
                self.ends.extend(call.length.map(|length| (now + length, number)));
                None
            }
            Some(Fact::Refused(status)) => {
                call.state = State::Failed(status);
                None
            }
            Some(Fact::Over) => {
                call.state = match (&call.state, message.status()) {
                    (State::Ending, Some(200)) => State::Ended,
                    (State::Ending, Some(status)) => State::Failed(format!("{status} to BYE")),
                    _ => State::Failed("the other side has ended it".to_owned()),
                };
                None
            }
            Some(Fact::Rings(_)) | None => None,
        };
        let caller = call.caller;
        if call.is_over() {
            self.by_call_id.remove(message.header("call-id"));
            self.idle.push_back(caller);
        }
        reply.into_iter().chain(more).try_for_each(|text| self.signalling.send(caller, &text))
    }

    fn take_registration(&mut self, message: &Message) -> Result {
        let number = message.header("call-id").rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
        let Some(number) = number else { return Ok(()) };
        let Some(caller) = self.callers.get_mut(number) else { return Ok(()) };
        let registration = &mut caller.registration;
        if message.status() == Some(401) && !registration.is_challenged {
            registration.is_challenged = true;
            let challenge = message.header("www-authenticate");
            let target = format!("sip:{DOMAIN}");
            let value = sip::credentials(challenge, &caller.user, &caller.secret, "REGISTER", &target);
            return self.send_register(number, &format!("Authorization: {value}\r\n"));
        }
        let took = registration.asked.map(|asked| asked.elapsed()).unwrap_or_default();
        registration.done = Some((message.clone(), took));
        Ok(())
    }

    fn send_register(&mut self, number: usize, credentials: &str) -> Result {
        let Caller { user, registration, .. } = &mut self.callers[number];
        registration.number += 1;
        let (sequence, host, process) = (registration.number, host(user), std::process::id());
        let text = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/WS {host};branch=z9hG4bK-register-{process}-{user}-{sequence};rport\r\n\
             From: <sip:{user}@{DOMAIN}>;tag=register{number}\r\nTo: <sip:{user}@{DOMAIN}>\r\n\
             Call-ID: register-{process}-{user}-{number}\r\nCSeq: {sequence} REGISTER\r\n\
             Contact: <sip:{user}@{host};transport=ws>;expires=600\r\nMax-Forwards: 70\r\n{credentials}Content-Length: 0\r\n\r\n"
        );
        self.signalling.send(number, &text)
    }
}

/// The host in a caller's Via and Contact (RFC 7118 §5).
fn host(user: &str) -> String {
    format!("caller{user}.invalid")
}

/// The offer of a browser with one candidate.
fn offer(port: u16) -> String {
    let fingerprint = vec!["AB"; 32].join(":");
    format!(
        "v=0\r\no=callers 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/SAVPF 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\na=rtcp-mux\r\na=setup:actpass\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=ice-ufrag:callers\r\na=ice-pwd:callerscallerscallerscallers\r\n\
         a=candidate:1 1 UDP 2130706431 127.0.0.1 {port} typ host\r\n"
    )
}
