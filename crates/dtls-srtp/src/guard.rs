//! The guard in front of OpenSSL: the peer's flight is held until its signature proves that it is the peer's.
//!
//! OpenSSL takes the first message that has the right number, and ends the handshake when that does not fit what follows.
//! Anybody who forges the peer's address could send one first. But a flight is signed over what the other side has sent:
//!
//! ```text
//!   as a server we hold   Certificate, ClientKeyExchange, CertificateVerify   signed: all messages so far
//!   as a client we hold   ServerHello, Certificate, ServerKeyExchange,        signed: both randoms, the parameters
//!                         CertificateRequest, ServerHelloDone                 not signed
//! ```
//!
//! So of each message a few candidates are kept, and those go to OpenSSL of which the signature is right. Whoever does not
//! receive what we send cannot make one. (Whether the certificate is the peer's is for the fingerprint.) The peer repeats
//! its flight until we answer, so a forged datagram costs a repetition at most.
//!
//! There is nothing to verify before DTLS 1.2, where nobody asks for the client's certificate, and where RSA takes the
//! place of a signed key exchange. Then everything passes. A flight that nothing proves passes after three seconds, so that
//! OpenSSL says what is wrong with it.

use std::time::{Duration, Instant};

use crate::hello::CLIENT_HELLO;
use crate::messages::{Assembler, Fragment, Message};
use crate::proof;
use crate::record;
use crate::role::Role;

/// The messages for OpenSSL, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A record as it is.
    Record(&'a [u8]),
    /// A message, for a record of its own.
    Message(Message),
}

/// The guard of one handshake.
#[derive(Debug)]
pub(crate) struct Guard {
    role: Role,
    /// DTLS 1.0 is allowed.
    is_lax: bool,
    stage: Stage,
    received: Assembler,
    sent: Assembler,
    /// Our messages, in the order of their numbers.
    ours: Vec<Message>,
    /// A server's: the ClientHellos that OpenSSL has seen.
    hellos: Vec<Message>,
    held: Vec<Held>,
    since: Option<Instant>,
    /// A client's: the part of the flight that its signature has proven.
    signed: Option<Vec<Message>>,
    datagrams: u32,
    proofs: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The peer's flight is held.
    Holding,
    /// It is proven. No more plaintext messages are expected.
    Proven,
    /// Everything passes.
    Off,
}

/// A message, and the number of the datagram that completed it.
#[derive(Debug, Clone)]
struct Held {
    message: Message,
    datagram: u32,
}

impl Guard {
    /// Makes the guard of a handshake in which our role is `role`. `is_lax`: DTLS 1.0 is allowed.
    pub(crate) fn new(role: Role, is_lax: bool) -> Self {
        Self {
            role,
            is_lax,
            stage: Stage::Holding,
            received: Assembler::default(),
            sent: Assembler::default(),
            ours: Vec::new(),
            hellos: Vec::new(),
            held: Vec::new(),
            since: None,
            signed: None,
            datagrams: 0,
            proofs: 0,
        }
    }

    /// Takes in the records of one datagram, and returns what goes to OpenSSL.
    pub(crate) fn receive<'a>(&mut self, now: Instant, records: &'a [u8]) -> Vec<Piece<'a>> {
        self.datagrams = self.datagrams.saturating_add(1);
        let mut pieces = Vec::new();
        for (whole, messages) in record::split(records) {
            match messages.filter(|_| self.stage != Stage::Off) {
                Some(mut body) => {
                    while let Some((fragment, rest)) = Fragment::split(body) {
                        self.take(now, &fragment, &mut pieces);
                        body = rest;
                    }
                }
                None => pieces.push(Piece::Record(whole)),
            }
        }
        if self.role == Role::Client && self.stage == Stage::Holding && self.since.is_some() {
            pieces.extend(self.proven(now).into_iter().map(Piece::Message));
        }
        pieces
    }

    /// Takes note of a datagram of ours.
    pub(crate) fn note_sent(&mut self, datagram: &[u8]) {
        if self.stage != Stage::Holding {
            return;
        }
        for mut body in record::split(datagram).filter_map(|(_, messages)| messages) {
            while let Some((fragment, rest)) = Fragment::split(body) {
                let is_known = self.ours.iter().any(|ours| ours.number == fragment.number);
                self.ours.extend(self.sent.take(&fragment).filter(|_| !is_known));
                body = rest;
            }
        }
        self.ours.sort_by_key(|message| message.number);
        if self.role == Role::Server && !self.will_be_signed() {
            self.stage = Stage::Off;
        }
    }

    /// A server's: the random of the ClientHello that we have answered, and the number of that message.
    pub(crate) fn client_hello(&self) -> Option<(&[u8], u16)> {
        let hello = self.hellos.iter().find(|hello| hello.number == self.base())?;
        Some((hello.body().get(2..34)?, hello.number))
    }

    /// When something has been held for too long.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.since.filter(|_| self.stage == Stage::Holding).map(|since| since + PATIENCE)
    }

    /// Returns the newest of what has been held for too long. From then on everything passes.
    pub(crate) fn release_overdue(&mut self, now: Instant) -> Vec<Message> {
        if self.stage != Stage::Holding || self.since.is_none_or(|since| now < since + PATIENCE) {
            return Vec::new();
        }
        self.stage = Stage::Off;
        self.newest_of_all()
    }

    fn take(&mut self, now: Instant, fragment: &Fragment<'_>, pieces: &mut Vec<Piece<'_>>) {
        let passes = self.passes(fragment);
        if !passes && !self.is_expected(fragment) {
            return;
        }
        let Some(message) = self.received.take(fragment) else { return };
        if passes {
            self.note_hello(&message);
            pieces.push(Piece::Message(message));
        } else {
            self.hold(now, message);
            // Nothing follows a server's flight in its datagram, and its end is judged by what came with it.
            if self.role == Role::Server {
                pieces.extend(self.proven(now).into_iter().map(Piece::Message));
            } else {
                self.signed = self.signed.take().or_else(|| self.prove(now));
            }
        }
    }

    /// Whether a message needs no proof: a ClientHello to which we have not sent our answer, a request for a cookie.
    fn passes(&self, fragment: &Fragment<'_>) -> bool {
        match self.role {
            _ if self.stage == Stage::Off => true,
            _ if self.stage == Stage::Proven => false,
            Role::Server => fragment.kind == CLIENT_HELLO && self.ours.is_empty(),
            Role::Client => fragment.kind == HELLO_VERIFY_REQUEST && self.base() == 0 && fragment.number == 0,
        }
    }

    fn is_expected(&self, fragment: &Fragment<'_>) -> bool {
        let Some(place) = fragment.number.checked_sub(self.base()) else { return false };
        self.stage == Stage::Holding
            && !self.ours.is_empty()
            && match self.role {
                Role::Server => {
                    matches!((fragment.kind, place), (CERTIFICATE, 1) | (KEY_EXCHANGE_OF_CLIENT, 2) | (VERIFY, 3))
                }
                Role::Client => {
                    matches!(
                        (fragment.kind, place),
                        (SERVER_HELLO, 0) | (CERTIFICATE, 1) | (KEY_EXCHANGE, 2) | (REQUEST, 2..=3) | (DONE, 2..=4)
                    ) && (fragment.kind != DONE || fragment.is_empty())
                }
            }
    }

    fn note_hello(&mut self, message: &Message) {
        let is_known = self.hellos.iter().any(|hello| hello.number == message.number);
        // The second is the one that returns a cookie.
        if message.kind == CLIENT_HELLO && message.number <= 1 && !is_known {
            self.hellos.push(message.clone());
        }
    }

    /// The number of the ClientHello that the handshake goes on with, and of its answer.
    fn base(&self) -> u16 {
        match self.role {
            Role::Client => self.ours.iter().rfind(|ours| ours.kind == CLIENT_HELLO),
            Role::Server => self.ours.iter().find(|ours| ours.kind == SERVER_HELLO),
        }
        .map_or(0, |message| message.number)
    }

    /// Whether the client will sign: we ask for its certificate, and it is DTLS 1.2. Also true before we have answered it.
    fn will_be_signed(&self) -> bool {
        let Some(hello) = self.ours.iter().find(|ours| ours.kind == SERVER_HELLO) else { return true };
        let is_whole = self.ours.iter().any(|ours| ours.kind == DONE);
        hello.body().starts_with(&DTLS_1_2) && (!is_whole || self.ours.iter().any(|ours| ours.kind == REQUEST))
    }

    /// Keeps a candidate, as the newest.
    fn hold(&mut self, now: Instant, message: Message) {
        self.since.get_or_insert(now);
        self.held.retain(|held| held.message != message);
        let is_alike = |held: &Held| (held.message.kind, held.message.number) == (message.kind, message.number);
        if self.held.iter().filter(|held| is_alike(held)).count() == CANDIDATES_MAX
            && let Some(oldest) = self.held.iter().position(is_alike)
        {
            self.held.remove(oldest);
        }
        self.held.push(Held { message, datagram: self.datagrams });
    }

    /// Returns the flight if there is a whole one whose signature is right.
    fn proven(&mut self, now: Instant) -> Vec<Message> {
        if self.role == Role::Client && self.is_unsigned() {
            self.stage = Stage::Off;
            return self.newest_of_all();
        }
        self.signed = self.signed.take().or_else(|| self.prove(now));
        let tail = if self.role == Role::Client { self.tail() } else { Some(Vec::new()) };
        let (Some(signed), Some(tail)) = (&self.signed, tail) else { return Vec::new() };
        self.stage = Stage::Proven;
        self.held.clear();
        [&signed[..], &tail[..]].concat()
    }

    /// Finds messages that the signature in the third proves. One of them is the newest; the others are tried from the
    /// newest on.
    fn prove(&mut self, now: Instant) -> Option<Vec<Message>> {
        let [first, second, third] = match self.role {
            Role::Server => [CERTIFICATE, KEY_EXCHANGE_OF_CLIENT, VERIFY],
            Role::Client => [SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE],
        };
        let newest = self.held.last()?.message.kind;
        let of = |kind: u8| {
            let all = self.held.iter().rev().map(|held| &held.message).filter(move |message| message.kind == kind);
            all.take(if kind == newest { 1 } else { CANDIDATES_MAX })
        };
        let flights = of(third).flat_map(|c| of(second).flat_map(move |b| of(first).map(move |a| [a, b, c])));
        let left = self.allowed_proofs(now).saturating_sub(self.proofs) as usize;
        let mut tried = 0;
        let found =
            flights.take(left.min(PROOFS_AT_ONCE)).inspect(|_| tried += 1).find(|flight| self.is_right(*flight));
        let found = found.map(|flight| flight.map(Clone::clone).to_vec());
        self.proofs += tried;
        found
    }

    /// The number of signatures that may have been verified by now.
    fn allowed_proofs(&self, now: Instant) -> u32 {
        let held_for = self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        PROOFS_AT_FIRST + PROOFS_PER_SECOND * held_for.as_millis() as u32 / 1000
    }

    fn is_right(&self, [first, second, third]: [&Message; 3]) -> bool {
        match self.role {
            Role::Server => {
                let hello = self.hellos.iter().find(|hello| hello.number == self.base());
                let answer = self.ours.iter().filter(|ours| ours.kind != HELLO_VERIFY_REQUEST);
                let all = hello.into_iter().chain(answer).chain([first, second]);
                let transcript: Vec<&[u8]> = all.map(|message| &message.bytes[..]).collect();
                proof::is_signed(first.body(), &transcript, third.body())
            }
            Role::Client => {
                let hello = self.ours.iter().find(|ours| ours.number == self.base());
                let random = |hello: &Message| hello.body().get(2..34).map(<[u8]>::to_vec);
                let (ours, theirs) = (hello.and_then(random), random(first));
                let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
                let Some((parameters, signature)) = proof::split_key_exchange(third.body()) else { return false };
                proof::is_signed(second.body(), &[&ours, &theirs, parameters], signature)
            }
        }
    }

    /// The end of a server's flight, which nothing signs. Of several, the one that came in a datagram together with more
    /// of the flight is taken.
    fn tail(&self) -> Option<Vec<Message>> {
        let base = self.base();
        let find = |kind: u8, place: u16| {
            self.held.iter().filter(move |held| (held.message.kind, held.message.number) == (kind, base + place))
        };
        let company = |held: &Held| self.held.iter().filter(|other| other.datagram == held.datagram).count();
        let best = |kind, place| find(kind, place).max_by_key(|held| (company(held), held.datagram));
        let request = best(REQUEST, 3).zip(best(DONE, 4)).map(|(request, done)| vec![request, done]);
        let without = best(DONE, 3).map(|done| vec![done]);
        let weight = |tail: &Vec<&Held>| tail.iter().map(|held| (company(held), held.datagram)).max();
        let tail = [without, request].into_iter().flatten().max_by_key(weight)?;
        Some(tail.into_iter().map(|held| held.message.clone()).collect())
    }

    /// Whether the server's answer is one that it does not sign, as phones without elliptic curves or of DTLS 1.0 do.
    fn is_unsigned(&self) -> bool {
        let hello = self.held.iter().rfind(|held| held.message.kind == SERVER_HELLO);
        let is_old = hello.is_some_and(|hello| !hello.message.body().starts_with(&DTLS_1_2));
        let has = |kind, place| {
            self.held.iter().any(|held| (held.message.kind, held.message.number) == (kind, self.base() + place))
        };
        let is_plain = has(DONE, 2) || has(REQUEST, 2) && has(DONE, 3);
        self.is_lax && hello.is_some() && (is_old || is_plain)
    }

    fn newest_of_all(&mut self) -> Vec<Message> {
        let mut newest: Vec<Message> = Vec::new();
        for Held { message, .. } in std::mem::take(&mut self.held).into_iter().rev() {
            if newest.iter().all(|other| other.number != message.number) {
                newest.push(message);
            }
        }
        newest.sort_by_key(|message| message.number);
        newest
    }
}

/// The time after which a flight that nothing proves passes.
const PATIENCE: Duration = Duration::from_secs(3);
/// The candidates of one message.
const CANDIDATES_MAX: usize = 4;
/// The number of signatures that are verified for one message of the peer, and in all. Each takes 0.1 to 0.5 ms.
const PROOFS_AT_ONCE: usize = 8;
const PROOFS_AT_FIRST: u32 = 64;
const PROOFS_PER_SECOND: u32 = 200;
const DTLS_1_2: [u8; 2] = [0xfe, 0xfd];

const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
const CERTIFICATE: u8 = 11;
const KEY_EXCHANGE: u8 = 12;
const REQUEST: u8 = 13;
const DONE: u8 = 14;
const VERIFY: u8 = 15;
const KEY_EXCHANGE_OF_CLIENT: u8 = 16;
