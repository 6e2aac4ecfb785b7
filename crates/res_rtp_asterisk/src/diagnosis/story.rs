//! The stories of calls: what happened when, in words and as JSON, with the verdict.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::story::event::By;
use ::story::mos::{self, Codec};
use ::story::timeline::Line;
use ::story::{Driver, Event, Facts, Verdict, sip};
use asterisk::rtp::channel_names;
use asterisk::worker::Id;
use serde_json::{Value, json};

use super::account;
use super::calls::{Call, Ended};
use super::dialog::{Dialog, Named};
use super::drivers;
use crate::clock;
use crate::diagnosis::counters::Refused;
use crate::globals::{Globals, globals};
use crate::session::Session;
use crate::state::State;

/// One call, to be told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The channel's name, while there is one.
    pub channel: Option<String>,
    /// The Call-ID, if the call's SIP crossed a WebSocket of ours.
    pub call_id: Option<String>,
    /// The identifiers that only the two ends know, if the call's SIP crossed a WebSocket of ours.
    pub dialog: Option<Dialog>,
    /// The user at the client's end.
    pub user: Option<String>,
    /// The channel driver that the call's SIP over our WebSocket goes to.
    pub driver: Option<Driver>,
    /// The client's address.
    pub client: Option<std::net::SocketAddr>,
    /// Our port for media.
    pub port: Option<u16>,
    /// The events in the order of time.
    pub lines: Vec<Line>,
    /// The number of events in the middle that were left out.
    pub left_out: u32,
    /// The duration of the call.
    pub duration: Duration,
    /// The name of the codec.
    pub codec: Option<String>,
    /// The figures of the call's audio.
    pub figures: Figures,
    /// Refused packets in words and numbers.
    pub refused: Vec<(&'static str, u64)>,
    /// The facts at the time that the story was read.
    pub facts: Facts,
}

/// The figures of a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Packets received, and those that were lost on the way.
    pub received: (u64, i64),
    /// Packets sent, and those that the peer has lost.
    pub sent: (u64, i64),
    /// The jitter of what we receive and of what the peer receives, in seconds.
    pub jitter: (f64, f64),
    /// The round trip, if it is known.
    pub round_trip: Option<f64>,
}

/// Finds the calls that `wanted` names: a port, a channel or a Call-ID.
pub fn find(wanted: &str) -> Vec<Told> {
    let Some(globals) = globals() else { return Vec::new() };
    let told = named(&globals, wanted).into_iter().filter_map(|(session, channel)| {
        let call = globals.calls().of_session(session.id());
        let mut told = Told { channel, ..session.peek(|state| Told::of(state, clock::now()))? };
        if let Some(call) = &call {
            told.add(call);
        }
        told.find_driver();
        told.look_up();
        Some(told)
    });
    told.collect()
}

/// Finds the sessions that `wanted` names: a port, a channel or a Call-ID. The caller holds no lock.
pub fn sessions(globals: &Globals, wanted: &str) -> Vec<Arc<Session>> {
    named(globals, wanted).into_iter().map(|(session, _)| session).collect()
}

/// Finds the sessions that `wanted` names, with their channels.
fn named(globals: &Globals, wanted: &str) -> Vec<(Arc<Session>, Option<String>)> {
    let (port, channels) = (wanted.parse::<u16>().ok(), channel_names());
    let channel_of = |session: &Session| {
        channels.iter().find(|(instance, _)| *instance == session.instance()).map(|(_, name)| name.clone())
    };
    let call = globals.calls().find(wanted);
    let sessions = globals.worker().tasks().all().into_iter().filter_map(|session| {
        let channel = channel_of(&session);
        let is_wanted = channel.as_deref() == Some(wanted)
            || call.as_ref().is_some_and(|call| call.sessions.contains(&session.id()))
            || port.is_some() && session.peek(|state| state.transport().port()) == port;
        is_wanted.then_some((session, channel))
    });
    sessions.collect()
}

/// Returns the report of the call whose identifiers are all named, in JSON: of one that has ended or of one that is up. Reads no file.
pub fn report(globals: &Globals, named: Named<'_>) -> Option<Arc<str>> {
    let (ended, call) = (globals.history().report(named), globals.calls().of_dialog(named));
    ended.or_else(|| {
        let told = of_call(globals, &call?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(told.report(now).into())
    })
}

/// Handles a message of SIP that crossed a WebSocket.
pub fn handle_message(globals: &Globals, by: By, told: &str) {
    let now = clock::now();
    let next = globals.calls().handle(now, by, told);
    let call_id = told.split_once("\n\n").and_then(|(_, message)| sip::Message::parse(message.as_bytes()));
    if let Some(message) = call_id.filter(|_| next.ports.iter().any(|port| *port != 0)) {
        let named = globals.worker().tasks().all().into_iter().filter(|session| {
            session.peek(|state| state.transport().port()).is_some_and(|port| next.ports.contains(&port))
        });
        named.for_each(|session| globals.calls().bind(message.call_id, session.id()));
    }
    if let Some(call) = next.over {
        globals.history().add(of_call(globals, &call));
    }
}

/// Tells the history of a session that ends, unless its call is there already. The caller holds no lock of a session.
pub fn handle_end(globals: &Globals, session: &Arc<Session>) {
    if session.is_trial() {
        return;
    }
    let Some(told) = session.peek(|state| Told::of(state, clock::now())) else { return };
    match globals.calls().end_session(session.id()) {
        Ended::Told => {}
        Ended::Now(call) => globals.history().add(of_call(globals, &call)),
        // Chances are that it never was a call: a description that was not answered, or a session that waits.
        Ended::Unknown if told.figures.received.0 + told.figures.sent.0 == 0 && told.lines.len() < SHORT => {}
        Ended::Unknown => {
            let mut told = told;
            told.find_driver();
            globals.history().add(told);
        }
    }
}

/// Tells a call with its first session, which is that of its audio.
fn of_call(globals: &Globals, call: &Call) -> Told {
    let of = |id: &Id| globals.worker().tasks().get(*id)?.peek(|state| Told::of(state, clock::now()));
    let mut told = call.sessions.iter().find_map(of).unwrap_or_default();
    told.add(call);
    told.find_driver();
    told
}

impl Told {
    /// Reads the story of a session.
    fn of(state: &State, now: Instant) -> Self {
        let timeline = state.transport().story().timeline();
        let shown = state.shown(now);
        let trip = &state.source().statistics().remote().round_trip;
        let duration = timeline.first(|event| matches!(event, Event::FirstReceived(_) | Event::FirstSent(_)));
        let end = timeline.lines().filter(|line| line.event == Event::Stopped).last().map_or(now, |line| line.at);
        let payload_type = timeline.lines().find_map(|line| match line.event {
            Event::FirstReceived(payload_type) | Event::FirstSent(payload_type) => Some(payload_type),
            _ => None,
        });
        Self {
            port: Some(state.transport().port()),
            lines: timeline.lines().collect(),
            left_out: timeline.left_out(),
            duration: duration.map_or(Duration::ZERO, |began| end.saturating_duration_since(began)),
            codec: payload_type.and_then(sip::static_name).map(str::to_owned),
            figures: Figures {
                received: (shown.received.packets, shown.received.lost),
                sent: (shown.sent.packets, shown.sent.lost),
                jitter: (shown.received.jitter, shown.sent.jitter),
                round_trip: (trip.count() > 0).then(|| trip.last()),
            },
            refused: shown.refused.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
            facts: Facts { media: Some(state.facts(now)), ..Facts::default() },
            ..Self::default()
        }
    }

    /// Adds what the SIP of the call tells.
    fn add(&mut self, call: &Call) {
        self.call_id = Some(call.id.clone());
        self.dialog = Some(call.dialog.clone());
        self.user = Some(call.user.clone());
        self.driver = call.driver;
        self.client = call.client;
        self.lines.extend(call.timeline.lines());
        self.lines.sort_by_key(|line| line.at);
        self.left_out += call.timeline.left_out();
        self.duration = call.duration(clock::now());
        self.codec = call.codec.clone().or(self.codec.take());
        self.facts.signalling = Some(call.signalling.clone());
        self.facts.no_socket = call.no_socket();
    }

    /// Finds the channel driver, whose settings the verdict names.
    fn find_driver(&mut self) {
        self.facts.driver = drivers::of_call(self.channel.as_deref(), self.driver);
    }

    /// Looks up what the verdict needs besides: the account's settings, and the state of STUN and TURN. Reads files, so not for a thread
    /// that carries a call.
    pub fn look_up(&mut self) {
        let Some(globals) = globals() else { return };
        let is_healthy = self.figures.received.0 > 0 && self.figures.sent.0 > 0 && self.verdict().key.is_empty();
        if let Some(user) = self.user.as_ref().filter(|_| !is_healthy) {
            self.facts.account = account::find(self.facts.driver, user);
        }
        self.facts.stun = globals.gatherer().trouble();
        self.facts.turn = globals.relays().trouble();
    }

    /// Returns whether the call or registration was refused before there was a session. Anybody can cause such, without a password.
    pub fn is_refused(&self) -> bool {
        let refusal = self.facts.signalling.as_ref().and_then(|signalling| signalling.refusal);
        self.port.is_none() && refusal.is_some_and(|(by, _)| by != By::Client)
    }

    /// Returns the verdict.
    pub fn verdict(&self) -> Verdict {
        self.facts.verdict()
    }

    /// Returns the names that the call is found by.
    pub fn names(&self) -> Vec<String> {
        let port = self.port.map(|port| port.to_string());
        [self.channel.clone(), self.call_id.clone(), port].into_iter().flatten().collect()
    }

    /// Returns one line about the call.
    pub fn line(&self) -> String {
        let who = self.user.as_deref().unwrap_or("-");
        let port = self.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
        let id = self.call_id.as_deref().unwrap_or("-");
        format!("{who}, port {port}, {} s, Call-ID {id}: {}", self.duration.as_secs(), self.verdict())
    }

    /// Returns the story in words: a line for each event with the milliseconds since the first one, then the verdict.
    pub fn text(&self) -> String {
        let mut text = String::from("Call");
        for (what, value) in [
            (" of ", self.user.clone()),
            (", port ", self.port.map(|port| port.to_string())),
            (", channel ", self.channel.clone()),
            (", Call-ID ", self.call_id.clone()),
            (", client ", self.client.map(|client| client.to_string())),
        ] {
            if let Some(value) = value {
                let _ = write!(text, "{what}{value}");
            }
        }
        text.push('\n');
        for line in &self.lines {
            let _ = writeln!(text, "  {:>9} ms  {}", self.milliseconds(line.at), words(line));
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "  {} events in the middle are left out", self.left_out);
        }
        let _ = writeln!(text, "Verdict: {}", self.verdict());
        text
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        let began = self.lines.first().map_or(at, |line| line.at);
        u64::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the line of the call log. `at` is the time of day, since 1970.
    pub fn json(&self, at: Duration) -> String {
        self.value(at, &self.verdict()).to_string()
    }

    /// Returns the story as a line of JSON: the call log's, with the channel and the events. `at` is the time of day, since 1970.
    pub fn story(&self, at: Duration) -> String {
        let mut story = self.value(at, &self.verdict());
        let events: Vec<_> = self.lines.iter().map(|line| self.event(line)).collect();
        if let Some(members) = story.as_object_mut() {
            members.insert("channel".to_owned(), json!(self.channel));
            members.insert("events".to_owned(), json!(events));
            members.insert("events_left_out".to_owned(), json!(self.left_out));
        }
        story.to_string()
    }

    fn event(&self, line: &Line) -> Value {
        let address = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
        json!({
            "ms": self.milliseconds(line.at),
            "event": event_words(line.event),
            "from": address(line.from),
            "to": address(line.to),
        })
    }

    /// Returns the report of the call for its client: the line of the call log, and the events with the milliseconds since the first one.
    /// Addresses are those of the call's two ends. The verdict is from the call alone: the account's settings and the state of our servers
    /// are not for somebody who need not have a password, nor whether there is such an account.
    pub fn report(&self, at: Duration) -> String {
        let events =
            self.lines.iter().map(|line| json!({ "ms": self.milliseconds(line.at), "event": told_to_client(line) }));
        let mut value = self.value(at, &self.facts.of_call_alone().verdict());
        value["events"] = events.collect();
        value["left_out"] = json!(self.left_out);
        value.to_string()
    }

    fn value(&self, at: Duration, verdict: &Verdict) -> Value {
        let figures = &self.figures;
        let rounded = |number: f64| (number * 10_000.0).round() / 10_000.0;
        let setup = |is_it: fn(Event) -> bool| {
            let line = self.lines.iter().find(|line| is_it(line.event));
            line.map(|line| self.milliseconds(line.at))
        };
        let candidates = |ours: bool| -> Vec<&'static str> {
            let mut kinds: Vec<_> = self.lines.iter().filter_map(|line| kind(line.event, ours)).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        };
        let refused: serde_json::Map<_, _> =
            self.refused.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
        json!({
            "time": rounded(at.as_secs_f64()),
            "call_id": self.call_id,
            "user": self.user,
            "client": self.client.map(|client| client.to_string()),
            "port": self.port,
            "duration": rounded(self.duration.as_secs_f64()),
            "codec": self.codec,
            "candidates": { "ours": candidates(true), "theirs": candidates(false) },
            "setup_ms": {
                "offer": setup(|event| matches!(event, Event::Offer(..))),
                "answer": setup(|event| matches!(event, Event::Answer(..))),
                "ice": setup(|event| matches!(event, Event::Selected(1))),
                "dtls": setup(|event| matches!(event, Event::Keys(_))),
                "first_received": setup(|event| matches!(event, Event::FirstReceived(_))),
                "first_sent": setup(|event| matches!(event, Event::FirstSent(_))),
            },
            "received": { "packets": figures.received.0, "lost": figures.received.1, "jitter": rounded(figures.jitter.0) },
            "sent": { "packets": figures.sent.0, "lost": figures.sent.1, "jitter": rounded(figures.jitter.1) },
            "round_trip": figures.round_trip.map(rounded),
            "mos": self.mos().map(|mos| (mos * 100.0).round() / 100.0),
            "refused": refused,
            "verdict": verdict.to_string(),
            "setting": (!verdict.key.is_empty()).then_some(verdict.key),
        })
    }

    /// Estimates the quality of what we receive (ITU-T G.107). The delay is half the round trip and twice the jitter, for the peer's
    /// buffer.
    fn mos(&self) -> Option<f64> {
        let (packets, lost) = self.figures.received;
        let lost = u64::try_from(lost).unwrap_or(0);
        let loss = (packets > 0).then(|| lost as f64 / (packets + lost) as f64)?;
        let delay = self.figures.round_trip.unwrap_or(0.0) / 2.0 + 2.0 * self.figures.jitter.0;
        let delay = Duration::try_from_secs_f64(delay).unwrap_or_default();
        Some(mos::estimate(Codec::named(self.codec.as_deref().unwrap_or_default()), delay, loss))
    }
}

fn kind(event: Event, ours: bool) -> Option<&'static str> {
    match event {
        Event::OurCandidate(kind) if ours => Some(kind.name()),
        Event::PeerCandidate(kind) if !ours => Some(kind.name()),
        _ => None,
    }
}

/// Returns the event of a line in words, with its addresses.
fn words(line: &Line) -> String {
    let event = event_words(line.event);
    match (line.from, line.to) {
        (Some(from), Some(to)) => format!("{event}: {from} to {to}"),
        (Some(address), None) | (None, Some(address)) => format!("{event}: {address}"),
        (None, None) => event,
    }
}

fn event_words(event: Event) -> String {
    match event {
        Event::Refused(reason) => {
            let reason = Refused::numbered(reason).map_or("unknown", Refused::name);
            format!("RTP: first packet refused or not sent: {reason}")
        }
        event => event.to_string(),
    }
}

/// Returns the event of a line in words for the call's client. The first DTLS record may have come from a stranger.
fn told_to_client(line: &Line) -> String {
    match line.event {
        Event::FirstDtls => words(&Line { from: None, to: None, ..*line }),
        _ => words(line),
    }
}

/// A session with fewer events and no media has never been in use.
const SHORT: usize = 3;

#[cfg(test)]
mod tests {
    use ::story::event::Lacks;
    use ::story::verdict::{Account, Signalling};

    use super::*;

    fn refused(account: Account) -> Told {
        let signalling =
            Signalling { refusal: Some((By::Host, 488)), offer: Some(Lacks::default()), ..Signalling::default() };
        let facts = Facts { signalling: Some(signalling), account, ..Facts::default() };
        Told { user: Some("1001".to_owned()), facts, ..Told::default() }
    }

    #[test]
    fn a_client_does_not_learn_from_its_report_whether_there_is_an_account() {
        let settings = vec![("encryption".to_owned(), "no".to_owned())];
        let existing = refused(Account { name: Some("1001".to_owned()), settings, certificate: None });
        let missing = refused(Account::default());
        assert_ne!(
            existing.json(Duration::ZERO),
            missing.json(Duration::ZERO),
            "the log of the administrator tells it"
        );
        assert_eq!(existing.report(Duration::ZERO), missing.report(Duration::ZERO));
    }
}
