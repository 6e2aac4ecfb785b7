//! SIP messages made understandable on their way between a client and the host, by the rules of `sip-dialect`; and the facts
//! in them that the RTP engine is told.

use asterisk::signalling::{self, Fact};
use sip_dialect::{Dialect, Event, Outcome, Rule, Rules};

/// The translation between one client and the host.
pub struct Mender {
    dialect: Dialect,
    /// A longer message would not reach the host.
    max_message_len: usize,
}

/// The outcome of one message, for whoever passes it on.
pub enum Mended {
    /// It passes as it is.
    Not,
    /// It passes as it is, and could not be read.
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

impl Mender {
    /// Makes a translation by these rules; `None` without any.
    pub fn new(rules: Rules, max_message_len: usize) -> Option<Self> {
        (rules != Rules::NONE).then(|| Self { dialect: Dialect::new(rules), max_message_len })
    }

    /// Takes a message from the client.
    pub fn handle_client(&mut self, message: &[u8]) -> Mended {
        let outcome = self.dialect.handle_client(message);
        self.judge(outcome)
    }

    /// Takes a message from the host.
    pub fn handle_host(&mut self, message: &[u8]) -> Mended {
        let outcome = self.dialect.handle_host(message);
        self.judge(outcome)
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

    fn judge(&self, outcome: Outcome) -> Mended {
        match outcome {
            Outcome::Changed { message, .. } if message.len() > self.max_message_len => Mended::Unreadable,
            Outcome::Changed { message, rules } => Mended::Changed(message, rules),
            Outcome::Answered { response, rule } => Mended::Answered(response, rule),
            Outcome::Unreadable => Mended::Unreadable,
            Outcome::Unchanged => Mended::Not,
        }
    }
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Candidate { ufrag, candidate } => Self { ufrag, fact: Fact::Candidate, value: candidate },
            Event::EndOfCandidates { ufrag } => Self { ufrag, fact: Fact::EndOfCandidates, value: String::new() },
        }
    }
}

/// Tells the engine. Call it without a lock: the engine takes its own.
pub fn tell(facts: Vec<Told>) {
    for Told { ufrag, fact, value } in facts {
        if !signalling::tell(fact, &ufrag, &value) {
            asterisk::debug!(
                1,
                "WebSocket: no call of the RTP engine has the ICE user fragment '{ufrag}' for: {fact:?}"
            );
        }
    }
}
