//! Offer and answer for one media section (RFC 4568 §5.1, §7.1).
//!
//! ```text
//!            offer                   conclude (the answer)
//!    Fresh ─────────► Offered ─────────────────────────────► Agreed ─┐ conclude (a later
//!      └────────────────────────────────────────────────────►  ▲     │ offer or answer)
//!                     conclude (the peer's offer)              └─────┘
//! ```
//!
//! A repeated key continues its rollover counter, a new one starts from zero (§7.1.4). So we keep our key unless the
//! suite changes: our caller sees only lines and cannot tell whether a later line of the peer is an offer or the
//! answer to ours, and for an answer we must not change a key that the peer has already agreed to.

use super::attribute::CryptoAttribute;
use super::key::InlineKey;
use super::param::SessionParam;
use super::refusal::Refusal;
use super::suite::CryptoSuite;
use super::tag::Tag;
use crate::master::MasterKey;
use crate::policy::Suite;

/// The state of offer and answer for one media section.
#[derive(Debug, Default)]
pub struct Negotiation(State);

#[derive(Debug, Default)]
enum State {
    /// Neither side has sent a line.
    #[default]
    Fresh,
    /// We have offered lines, in order of preference (§5.1.1).
    Offered(Vec<Line>),
    /// An offer was answered: both keys are known (§5.1.2, §5.1.3).
    Agreed {
        line: Line,
        remote: MasterKey,
        /// The other lines of our offer. Another branch of a forked call may accept one of them (§7.3).
        spare: Vec<Line>,
    },
}

/// One of our lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tag: Tag,
    suite: CryptoSuite,
    master: MasterKey,
}

/// An acceptable line of the peer, with our own line for it. Nothing has changed yet: if this is dropped, the previous
/// keys stay in force (§7.1.4).
#[derive(Debug)]
pub struct Accepted {
    line: Line,
    remote: MasterKey,
    is_change: bool,
}

/// The keys for RTP and RTCP from now on.
#[derive(Debug)]
pub struct Keys {
    /// The suite of both directions.
    pub suite: Suite,
    /// The key of what we send.
    pub local: MasterKey,
    /// The key of what the peer sends.
    pub remote: MasterKey,
}

impl Negotiation {
    /// The state before the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers these suites in order of preference (§5.1.1), with keys from `fill`, which writes random bytes. An
    /// earlier offer, or what was agreed, is offered again unchanged.
    pub fn offer(&mut self, suites: &[Suite], mut fill: impl FnMut(&mut [u8])) {
        if matches!(self.0, State::Fresh) {
            let tags = (1..).map_while(Tag::new);
            let line = |(tag, suite)| Line::new(tag, CryptoSuite::registered(suite), &mut fill);
            self.0 = State::Offered(tags.zip(suites.iter().copied()).map(line).collect());
        }
    }

    /// Checks a line of the peer and changes nothing. In an offer, the first accepted line is the one to
    /// conclude (§5.1.2). An answer has one line, with tag and suite of a line of ours (§5.1.3). `fill`
    /// writes random bytes for our key.
    pub fn consider(&self, line: &str, fill: impl FnMut(&mut [u8])) -> Result<Accepted, Refusal> {
        let CryptoAttribute { tag, suite, keys, params } = CryptoAttribute::parse(line)?;
        if let Some(name) = params.iter().find_map(SessionParam::unsupported) {
            return Err(Refusal::UnsupportedParam(name));
        }
        // Several keys would have identifiers, so this must be the only one.
        let [InlineKey { master: remote, mki: None, .. }] = &keys[..] else { return Err(Refusal::KeyIdentifier) };
        let line = self.line_for(tag, suite, fill)?;
        let is_change = !self.is_agreed(&line, remote);
        Ok(Accepted { line, remote: remote.clone(), is_change })
    }

    /// Agrees to a line that [`consider`](Self::consider) accepted.
    pub fn conclude(&mut self, Accepted { line, remote, .. }: Accepted) {
        let mut spare = match std::mem::take(&mut self.0) {
            State::Fresh => Vec::new(),
            State::Offered(lines) | State::Agreed { spare: lines, .. } => lines,
        };
        spare.retain(|spare| spare.master != line.master);
        self.0 = State::Agreed { line, remote, spare };
    }

    /// Our lines for SDP: the offer, or what was agreed.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let lines = match &self.0 {
            State::Fresh => &[],
            State::Offered(lines) => &lines[..],
            State::Agreed { line, .. } => std::slice::from_ref(line),
        };
        lines.iter().map(Line::to_sdp)
    }

    /// Our line for this line of the peer.
    fn line_for(&self, tag: Tag, suite: CryptoSuite, fill: impl FnMut(&mut [u8])) -> Result<Line, Refusal> {
        match &self.0 {
            State::Fresh => Ok(Line::new(tag, suite, fill)),
            State::Offered(lines) => {
                let offered = lines.iter().find(|line| line.tag == tag).ok_or(Refusal::NotOffered(tag))?;
                if offered.suite != suite {
                    let (offered, answered) = (offered.suite.name(), suite.name());
                    return Err(Refusal::OtherSuite { tag, offered, answered });
                }
                Ok(offered.clone())
            }
            State::Agreed { line, .. } if line.suite.suite() == suite.suite() => {
                Ok(Line { tag, suite, master: line.master.clone() })
            }
            State::Agreed { spare, .. } => {
                let offered = spare.iter().find(|line| line.tag == tag && line.suite == suite);
                Ok(offered.cloned().unwrap_or_else(|| Line::new(tag, suite, fill)))
            }
        }
    }

    fn is_agreed(&self, with: &Line, key: &MasterKey) -> bool {
        let State::Agreed { line, remote, .. } = &self.0 else { return false };
        line.master == with.master && remote == key
    }
}

impl Accepted {
    /// The new keys; `None` if both sides repeat their keys.
    pub fn keys(&self) -> Option<Keys> {
        self.is_change.then(|| Keys {
            suite: self.line.suite.suite(),
            local: self.line.master.clone(),
            remote: self.remote.clone(),
        })
    }
}

impl Line {
    fn new(tag: Tag, suite: CryptoSuite, fill: impl FnMut(&mut [u8])) -> Self {
        Self { tag, suite, master: MasterKey::fill_with(suite.suite(), fill) }
    }

    fn to_sdp(&self) -> String {
        let key = InlineKey { master: self.master.clone(), lifetime: None, mki: None };
        CryptoAttribute { tag: self.tag, suite: self.suite, keys: vec![key], params: Vec::new() }.to_sdp()
    }
}
