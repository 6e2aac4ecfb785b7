//! Makes the SIP messages of today's WebRTC clients and those of chan_sip in Asterisk 11 understandable to each other.
//!
//! chan_sip reads and prints session descriptions as of 2012. A [`Dialect`] stands between it and one client, sees every
//! message in both directions, and changes what one of the [rules](Rule) is about. It reads messages that carry
//! `application/sdp` (alone or in a multipart body), responses to INVITE, UPDATE, and INFO with candidates or for pictures,
//! and no other.
//!
//! ```
//! use sip_dialect::{Dialect, Outcome, Rules};
//!
//! let mut dialect = Dialect::new(Rules::DEFAULT);
//! let offer = "INVITE sip:echo@pbx SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n\
//!     v=0\r\na=sendrecv\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n";
//! let Outcome::Changed { message, .. } = dialect.handle_client(offer.as_bytes()) else { panic!() };
//! assert!(!String::from_utf8_lossy(&message).contains("a=sendrecv"));
//! ```
//!
//! Promises: bytes that no rule is about are the same on both sides, `Content-Length` included if the length stays; a
//! message that cannot be read passes unchanged, and the caller is told; a changed message is not changed again; the
//! memory of dialogs is bounded, and a message costs what its bytes cost.
//!
//! | file | content |
//! |---|---|
//! | `rules` | the rules, with client and RFC |
//! | `change` | what the rules do to a description |
//! | `carriers`, `payload_types`, `pictures`, `version`, `sipml`, `trickle`, `session_timer` | rules that need more than that |
//! | `message`, `body`, `sdp` | where the parts of a message are |
//! | [`drain`] | new calls refused |
//! | `edit` | changes by position; everything else is copied |
//! | `grouping` | which media sections share a transport (RFC 9143) |
//! | `memory` | dialogs |
//! | `places` | media sections that the host has declined, and leaves out of later descriptions |
//! | [`transport`] | the transport's part (RFC 7118): keepalives of CRLF, and INVITEs that nobody can answer any more |
//!
//! The parser of descriptions is our own, since those that were looked at give back a description that they have printed
//! anew. Left out: SIP over streams (a WebSocket message is one SIP message, RFC 7118 §5), descriptions in UPDATE, PRACK
//! and responses to them (chan_sip answers none, and sends UPDATE with a description with `directmedia = update` alone), compressed
//! bodies.
#![forbid(unsafe_code)]

mod body;
mod carriers;
mod change;
pub mod drain;
mod edit;
#[doc(hidden)]
pub mod fuzzing;
mod grouping;
mod memory;
mod message;
mod payload_types;
mod pictures;
mod places;
mod respond;
mod rules;
mod sdp;
mod session_timer;
mod sipml;
pub mod transport;
mod trickle;
mod version;

pub use rules::{Rule, Rules};

use std::collections::VecDeque;
use std::ops::Range;

use crate::change::Changes;
use crate::edit::Edits;
use crate::grouping::Transports;
use crate::memory::{Dialog, Dialogs};
use crate::message::{Message, Start};
use crate::sdp::Description;

/// The translation for one client.
#[derive(Debug)]
pub struct Dialect {
    rules: Rules,
    dialogs: Dialogs,
    /// The client's habit, in all its dialogs.
    transports: Transports,
    events: VecDeque<Event>,
}

/// The outcome of one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message passes as it is.
    Unchanged,
    /// The message passes as it is, because it cannot be read.
    Unreadable,
    /// This message passes instead.
    Changed {
        /// The message.
        message: Vec<u8>,
        /// The rules that changed it.
        rules: Rules,
    },
    /// The message does not pass: this is the answer to it.
    Answered {
        /// The response.
        response: Vec<u8>,
        /// The rule that answers.
        rule: Rule,
    },
}

/// A fact that the engine of a call wants to know. `ufrag` is the host's ICE user fragment, which names the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client has another candidate: `candidate:` and its fields (RFC 8839 §5.1).
    Candidate {
        /// The host's ICE user fragment.
        ufrag: String,
        /// The attribute.
        candidate: String,
    },
    /// The host asks the client for a whole picture.
    PictureWanted {
        /// The ICE user fragment of the video section.
        ufrag: String,
    },
    /// The G.719 of the host's audio section is Opus ([`Rule::Opus`]).
    Opus {
        /// The ICE user fragment of the section.
        ufrag: String,
    },
    /// The client has told all its candidates (RFC 8838 §13).
    EndOfCandidates {
        /// The host's ICE user fragment.
        ufrag: String,
    },
}

impl Dialect {
    /// Makes a translation by these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, dialogs: Dialogs::default(), transports: Transports::default(), events: VecDeque::new() }
    }

    /// Takes a message from the client to the host.
    pub fn handle_client(&mut self, bytes: &[u8]) -> Outcome {
        let Some(message) = Message::parse(bytes) else { return unreadable(bytes) };
        match message.start {
            Start::Request(b"BYE") => self.end(&message),
            Start::Request(b"UPDATE") => self.update(&message),
            Start::Request(b"INFO") => self.info(&message),
            Start::Request(b"INVITE") => self.describe(&message, Side::Client, Role::Offer),
            Start::Request(b"ACK") => self.describe(&message, Side::Client, Role::Answer),
            Start::Response(101..=299) if message.answers(b"INVITE") => {
                self.describe(&message, Side::Client, Role::Answer)
            }
            Start::Response(300..=699) if message.answers(b"INVITE") => {
                self.note_refusal(&message);
                self.refused(&message)
            }
            _ => Outcome::Unchanged,
        }
    }

    /// Takes a message from the host to the client.
    pub fn handle_host(&mut self, bytes: &[u8]) -> Outcome {
        let Some(message) = Message::parse(bytes) else { return unreadable(bytes) };
        match message.start {
            Start::Request(b"BYE") => self.end(&message),
            Start::Request(b"INFO") => self.host_informs(&message),
            Start::Request(b"INVITE") => self.describe(&message, Side::Host, Role::Offer),
            Start::Response(101..=299) if message.answers(b"INVITE") => {
                self.describe(&message, Side::Host, Role::Answer)
            }
            Start::Response(300..=699) if message.answers(b"INVITE") => self.refused(&message),
            _ => Outcome::Unchanged,
        }
    }

    /// Returns the next fact for the engine.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The host's ICE user fragments of all dialogs: the calls that lose their client when the connection is lost.
    pub fn calls(&self) -> impl Iterator<Item = &[u8]> {
        self.dialogs.host_ufrags()
    }

    /// The memory of dialogs, in bytes.
    pub fn memory(&self) -> usize {
        self.dialogs.bytes()
    }

    fn end(&mut self, bye: &Message<'_>) -> Outcome {
        self.dialogs.forget(bye.call_id);
        Outcome::Unchanged
    }

    /// An INVITE is refused. A dialog that was established goes on.
    fn refused(&mut self, response: &Message<'_>) -> Outcome {
        let comes_again = matches!(response.start, Start::Response(401 | 407 | 422));
        if !comes_again && self.dialogs.get(response.call_id).is_some_and(|dialog| !dialog.is_confirmed) {
            self.dialogs.forget(response.call_id);
        }
        Outcome::Unchanged
    }

    /// A client that shares one transport may refuse an offer of several sections for its lack of a group, as "not acceptable here"
    /// (RFC 3261 §21.4.26).
    fn note_refusal(&mut self, response: &Message<'_>) {
        let dialog = self.dialogs.get(response.call_id).filter(|_| response.start == Start::Response(488));
        if dialog.is_some_and(|dialog| dialog.host.len() > 1 && dialog.client.is_empty()) {
            self.transports = self.transports.after_a_refusal();
        }
    }

    fn update(&mut self, update: &Message<'_>) -> Outcome {
        let dialog = self.dialogs.get(update.call_id).filter(|_| self.rules.has(Rule::SessionTimer));
        match dialog.and_then(|dialog| session_timer::refresh(update, dialog)) {
            Some(response) => Outcome::Answered { response, rule: Rule::SessionTimer },
            None => Outcome::Unchanged,
        }
    }

    fn info(&mut self, info: &Message<'_>) -> Outcome {
        let is_ours = self.rules.has(Rule::Trickle) && info.has_to_tag && trickle::carries_candidates(info);
        if !is_ours || self.dialogs.get(info.call_id).is_none() {
            return Outcome::Unchanged;
        }
        let events = &mut self.events;
        self.dialogs.change(info.call_id, |dialog| trickle::take(info, dialog, events));
        Outcome::Answered { response: respond::ok(info, b""), rule: Rule::Trickle }
    }

    /// The INFO passes as well: the client answers it.
    fn host_informs(&mut self, info: &Message<'_>) -> Outcome {
        let dialog = self.dialogs.get(info.call_id).filter(|_| self.rules.has(Rule::Pictures));
        self.events.extend(dialog.and_then(|dialog| pictures::wanted(info, dialog)));
        Outcome::Unchanged
    }

    /// An INVITE or a response to one.
    fn describe(&mut self, message: &Message<'_>, side: Side, role: Role) -> Outcome {
        let mut changes = Changes::new(self.rules);
        let part = body::find(message, "application/sdp");
        let description = part.as_ref().and_then(|part| Description::parse(message.bytes, part.content.clone()));
        if part.is_some() && description.is_none() {
            return Outcome::Unreadable;
        }
        let lengths = part.and_then(|part| part.content_length.map(|value| (value, part.content.len())));
        let from_host = description.as_ref().filter(|_| side == Side::Host);
        let arranged = from_host.and_then(|description| self.arrange(message, description, role, lengths.clone()));
        if let Some(arranged) = arranged {
            return self.describe_arranged(arranged, role);
        }
        self.note(message, side, &mut changes);
        match (description, side) {
            (Some(description), Side::Client) => self.client_describes(message, description, role, &mut changes),
            (Some(description), Side::Host) => self.host_describes(message, &description, role, &mut changes),
            (None, Side::Client) if role == Role::Offer && message.body().is_empty() => self.ask_for_offer(message),
            (None, _) => {}
        }
        match changes.apply(message, lengths) {
            Some((message, rules)) => Outcome::Changed { message, rules },
            None => Outcome::Unchanged,
        }
    }

    /// [`Rule::Mid`], for a description of the host's: the message with the sections in their places in the session. `None` if they
    /// are there.
    fn arrange(
        &mut self,
        message: &Message<'_>,
        description: &Description<'_>,
        role: Role,
        lengths: Option<(Range<usize>, usize)>,
    ) -> Option<Vec<u8>> {
        let may = self.rules.has(Rule::Mid);
        let dialog = self.dialogs.get(message.call_id).filter(|dialog| may && !dialog.is_folded)?;
        let number = Some(message.sequence.number);
        let (session, role): (Vec<_>, _) = match role {
            Role::Answer if dialog.offer == number => (dialog.places().collect(), role),
            // The offer was not read, or is forgotten.
            Role::Answer if dialog.offerless != number => return None,
            _ => (dialog.agreed.iter().collect(), Role::Offer),
        };
        let (sections, arranged) = places::arrange(description, &session, role)?;
        let mut edits = Edits::default();
        edits.replace(sections, arranged);
        Some(edits.apply(message, lengths))
    }

    /// Takes a message of the host's whose sections are in their places now.
    fn describe_arranged(&mut self, arranged: Vec<u8>, role: Role) -> Outcome {
        let outcome = Message::parse(&arranged).map(|message| self.describe(&message, Side::Host, role));
        match outcome {
            Some(Outcome::Changed { message, rules }) => Outcome::Changed { message, rules: rules.with(Rule::Mid) },
            Some(Outcome::Unchanged) => Outcome::Changed { message: arranged, rules: Rule::Mid.into() },
            other => other.unwrap_or(Outcome::Unchanged),
        }
    }

    /// The client's INVITE has no description: the host's answer to it is an offer (RFC 3264 §5).
    fn ask_for_offer(&mut self, invite: &Message<'_>) {
        let number = invite.sequence.number;
        self.dialogs.change(invite.call_id, |dialog| (dialog.offer, dialog.offerless) = (None, Some(number)));
    }

    /// Notes in the dialog what the headers say, and hides the session timer that the host does not understand.
    fn note(&mut self, message: &Message<'_>, side: Side, changes: &mut Changes) {
        let is_accepted = matches!(message.start, Start::Response(200..=299));
        let hides = side == Side::Client && changes.may(Rule::SessionTimer) && self.hides_timer(message, changes);
        if hides {
            changes.made = changes.made.with(Rule::SessionTimer);
        }
        let contact = (side == Side::Host).then(|| message.value("contact")).flatten().and_then(memory::bounded);
        let host_counts = side == Side::Host && session_timer::host_counts(message);
        if !is_accepted && contact.is_none() {
            return;
        }
        self.dialogs.change(message.call_id, |dialog| {
            dialog.is_confirmed |= is_accepted;
            dialog.host_counts_refreshes |= host_counts;
            dialog.hides_refresh = (dialog.hides_refresh || hides) && !dialog.host_counts_refreshes;
            dialog.contact = contact.or(dialog.contact.take());
        });
    }

    fn hides_timer(&mut self, message: &Message<'_>, changes: &mut Changes) -> bool {
        let dialog = self.dialogs.get(message.call_id).map(|dialog| &*dialog);
        match message.start {
            Start::Response(200..=299) if dialog.is_some_and(|dialog| dialog.host_counts_refreshes) => false,
            Start::Response(200..=299) => session_timer::hide(message, &mut changes.edits),
            Start::Request(b"INVITE") => session_timer::hide_again(message, dialog, &mut changes.edits),
            _ => false,
        }
    }

    fn client_describes(
        &mut self,
        message: &Message<'_>,
        mut description: Description<'_>,
        role: Role,
        changes: &mut Changes,
    ) {
        if changes.may(Rule::Version) {
            let known = self.dialogs.get(message.call_id);
            changes.raise_version(&description, known.as_deref());
        }
        let is_folded = role == Role::Offer && changes.fold(&description);
        let offer = (role == Role::Offer).then_some(message.sequence.number);
        let is_sipml = changes.may(Rule::Sipml) && sipml::wrote(&description);
        self.dialogs.change(message.call_id, |dialog| {
            dialog.describe_client(&description, offer, is_sipml);
            dialog.is_folded = is_folded;
        });
        if is_folded {
            // The others are cut.
            description.sections.truncate(1);
        }
        if changes.may(Rule::Group) {
            self.share(message, &mut description, role, changes);
        }
        if changes.may(Rule::SessionDirection) {
            changes.move_direction(&description);
        }
        if changes.may(Rule::PayloadTypes) {
            changes.cut_misread_payload_types(&description);
        }
        changes.carry_formats(&description);
        if changes.may(Rule::Trickle) {
            changes.name_an_address(&description);
        }
        if changes.may(Rule::LongCandidates) {
            changes.carry_long_addresses(&description);
        }
    }

    /// [`Rule::Group`], for a description of the client's.
    fn share(&mut self, message: &Message<'_>, description: &mut Description<'_>, role: Role, changes: &mut Changes) {
        let known = self.transports;
        let learned = self.dialogs.change(message.call_id, |dialog| match role {
            Role::Offer => dialog.grouping.handle_offer(description, dialog.host.is_empty(), known),
            Role::Answer => {
                dialog.grouping.handle_answer(description);
                (known, Vec::new())
            }
        });
        let Some((transports, mut shared)) = learned else { return };
        let dialog = self.dialogs.get(message.call_id).filter(|_| role == Role::Offer);
        if dialog.is_some_and(|dialog| !dialog.host.is_empty() && !dialog.had_host_video) {
            let joins = |index: &usize| {
                let section = &description.sections[*index];
                section.media == b"video" && !section.is_refused && description.is_secure(section)
            };
            let joining: Vec<usize> =
                (0..description.sections.len()).filter(joins).filter(|index| !shared.contains(index)).collect();
            shared.extend(joining);
        }
        self.transports = transports;
        changes.refuse_shared(description, &shared);
        for section in shared {
            description.sections[section].is_refused = true;
        }
    }

    fn host_describes(
        &mut self,
        message: &Message<'_>,
        description: &Description<'_>,
        role: Role,
        changes: &mut Changes,
    ) {
        if changes.may(Rule::FingerprintCase) {
            changes.lower_fingerprints(description);
        }
        changes.name_carried_formats(description);
        let dialog: Option<&Dialog> = self.dialogs.get(message.call_id).map(|dialog| &*dialog);
        match (role, dialog) {
            (Role::Offer, dialog) => {
                changes.offer_feedback(description);
                changes.name_sections(description, dialog, self.transports);
            }
            (Role::Answer, Some(dialog)) if dialog.offer == Some(message.sequence.number) => {
                changes.fit_answer(description, dialog, self.transports);
            }
            (Role::Answer, Some(dialog)) if dialog.offerless == Some(message.sequence.number) => {
                changes.offer_feedback(description);
                changes.name_sections(description, Some(dialog), self.transports);
            }
            // The offer was not read, or is forgotten.
            (Role::Answer, _) => {}
        }
        if changes.may(Rule::Opus) {
            self.events.extend(carriers::sections_with_opus(description));
        }
        let events = &mut self.events;
        let grouped = changes.grouped.take();
        self.dialogs.change(message.call_id, |dialog| {
            if role == Role::Answer && dialog.offer == Some(message.sequence.number) {
                dialog.grouping.handle_our_answer(grouped, description);
                dialog.agree(description);
            }
            dialog.describe_host(description);
            trickle::release(dialog, events);
        });
    }
}

/// The sender of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Host,
}

/// The role of a description in offer and answer (RFC 3264), as the message that carries it suggests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Offer,
    Answer,
}

/// Line ends alone are a keep-alive (RFC 5626 §3.5.1).
fn unreadable(bytes: &[u8]) -> Outcome {
    if bytes.trim_ascii().is_empty() { Outcome::Unchanged } else { Outcome::Unreadable }
}
