//! SIP messages made understandable on their way between a client and the host, by the rules of `sip-dialect`; and the facts
//! in them that the RTP engine is told.

use asterisk::signalling::{self, Fact};
use sip_dialect::{Dialect, Event, Outcome, Rule, Rules};

/// The translation between one client and the host.
pub struct Mender {
    dialect: Dialect,
    /// The longest message that the host takes, in bytes.
    max_message_len: usize,
}

/// The outcome of one message, for whoever passes it on.
pub enum Mended {
    /// It passes as it is.
    Not,
    /// It passes as it is, because it could not be read, or would be too long for the host.
    Unreadable,
    /// This passes instead.
    Changed(Vec<u8>, Rules),
    /// It does not pass: this is the response to it.
    Answered(Vec<u8>, Rule),
}

/// A fact about a call, to be told once no lock is held.
pub struct Told {
    ufrag: String,
    fact: Fact,
    value: String,
}

impl Told {
    /// Makes a fact. `ufrag` names the call, or is what [`Fact`] says.
    pub fn new(ufrag: String, fact: Fact, value: String) -> Self {
        Self { ufrag, fact, value }
    }
}

impl Mender {
    /// Makes a translation by these rules; `None` without any.
    pub fn new(rules: Rules, max_message_len: usize) -> Option<Self> {
        (rules != Rules::NONE).then(|| Self { dialect: Dialect::new(rules), max_message_len })
    }

    /// Takes a message from the client.
    pub fn handle_client(&mut self, message: &[u8]) -> Mended {
        match self.dialect.handle_client(message) {
            Outcome::Changed { message, .. } if message.len() > self.max_message_len => Mended::Unreadable,
            outcome => outcome.into(),
        }
    }

    /// Takes a message from the host.
    pub fn handle_host(&mut self, message: &[u8]) -> Mended {
        self.dialect.handle_host(message).into()
    }

    /// Returns the facts that the last message brought.
    pub fn facts(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.dialect.poll_event()).map(Told::from).collect()
    }

    /// Returns what the calls of this client are told when its connection is closed.
    pub fn farewell(&self, why: &str) -> Vec<Told> {
        let calls = self.dialect.calls().map(String::from_utf8_lossy);
        calls
            .map(|ufrag| Told { ufrag: ufrag.into_owned(), fact: Fact::SignallingClosed, value: why.to_owned() })
            .collect()
    }
}

impl From<Outcome> for Mended {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Changed { message, rules } => Self::Changed(message, rules),
            Outcome::Answered { response, rule } => Self::Answered(response, rule),
            Outcome::Unreadable => Self::Unreadable,
            Outcome::Unchanged => Self::Not,
        }
    }
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Candidate { ufrag, candidate } => Self { ufrag, fact: Fact::Candidate, value: candidate },
            Event::PictureWanted { ufrag } => Self { ufrag, fact: Fact::PictureWanted, value: String::new() },
            Event::Opus { ufrag } => Self { ufrag, fact: Fact::Opus, value: String::new() },
            Event::EndOfCandidates { ufrag } => Self { ufrag, fact: Fact::EndOfCandidates, value: String::new() },
        }
    }
}

/// Tells the engine. Call it without a lock: the engine takes its own.
pub fn tell(facts: Vec<Told>) {
    for Told { ufrag, fact, value } in facts {
        if !signalling::tell(fact, &ufrag, &value) && fact != Fact::Message {
            asterisk::debug!(
                1,
                "WebSocket: no call of the RTP engine has the ICE user fragment '{ufrag}' for: {fact:?}"
            );
        }
    }
}
