//! Asks the server now and then whether it still knows the allocation, while nobody uses that: a Refresh request (RFC 8656 §7.1).
//!
//! `turn-client-proto` refreshes an allocation a minute before it expires, half an hour after it asked as a rule. A server that was
//! restarted has forgotten it by then, and the next call would be told of a relayed address that leads nowhere. Over TCP and TLS the end of the
//! connection tells.

use std::time::{Duration, Instant};

use stun_types::attribute::{ErrorCode, MessageIntegrity, Nonce, PasswordAlgorithm, Realm, Userhash, Username};
use stun_types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageType, MessageWriteExt, MessageWriteVec,
    Method, TransactionId,
};
use stun_types::prelude::*;
use turn_client_proto::types::attribute::Lifetime;

use crate::Credentials;

/// The probes of one allocation.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Realm and nonce of the last request; `None` while no request can be made like it.
    known: Option<(String, String)>,
    /// The lifetime that `turn-client-proto` asks for, in seconds. A probe asks for the same, because it knows nothing of the probe's
    /// answer and refreshes at its own time.
    lifetime: u32,
    due: Instant,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    id: TransactionId,
    request: Vec<u8>,
    sent: u32,
    again: Instant,
    /// The nonce was renewed for this request.
    is_second: bool,
}

/// The outcome of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server knows the allocation, or another answer is awaited.
    Alive,
    /// The server does not know the allocation.
    Dropped,
}

impl Probe {
    /// The first probe is due in a while.
    pub(crate) fn new(now: Instant) -> Self {
        Self { known: None, lifetime: LIFETIME, due: now + INTERVAL, pending: None }
    }

    /// Learns realm and nonce from a request of ours. There is no probe with what RFC 8489 has added to RFC 5389.
    pub(crate) fn handle_sent(&mut self, request: &[u8]) {
        let Ok(message) = Message::from_bytes(request) else { return };
        let asked = message.attribute::<Lifetime>().map_or(0, |lifetime| lifetime.seconds());
        self.lifetime = if asked > 0 { asked } else { self.lifetime };
        if let (Ok(realm), Ok(nonce)) = (message.attribute::<Realm>(), message.attribute::<Nonce>()) {
            let is_plain = message.has_attribute(MessageIntegrity::TYPE)
                && !message.has_attribute(PasswordAlgorithm::TYPE)
                && !message.has_attribute(Userhash::TYPE);
            self.known = is_plain.then(|| (realm.realm().to_owned(), nonce.nonce().to_owned()));
        }
    }

    /// Takes in a datagram of the server's. `None`: it is no answer to a probe.
    pub(crate) fn handle_received(&mut self, now: Instant, datagram: &[u8]) -> Option<Outcome> {
        let pending = self.pending.as_ref()?;
        let message = Message::from_bytes(datagram).ok()?;
        if message.transaction_id() != pending.id || !message.is_response() {
            return None;
        }
        let is_second = pending.is_second;
        (self.pending, self.due) = (None, now + INTERVAL);
        let code = message.attribute::<ErrorCode>().map(|error| error.code());
        match code {
            Ok(ErrorCode::ALLOCATION_MISMATCH) => return Some(Outcome::Dropped),
            Ok(ErrorCode::STALE_NONCE | ErrorCode::UNAUTHORIZED) if !is_second => {
                let realm = message.attribute::<Realm>().map(|realm| realm.realm().to_owned());
                let before = self.known.take().map(|(realm, _)| realm);
                let nonce = message.attribute::<Nonce>().map(|nonce| nonce.nonce().to_owned());
                self.known = realm.ok().or(before).zip(nonce.ok());
                // Now, and marked as the second: `due` is in the past.
                self.due = now - INTERVAL;
            }
            _ => {}
        }
        Some(Outcome::Alive)
    }

    /// Lets time pass. Returns whether the server has not answered in time.
    pub(crate) fn is_unanswered(&self, now: Instant) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.sent == TRANSMISSIONS && pending.again <= now)
    }

    /// Whether an answer is overdue, so that the allocation is perhaps gone.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.sent > 1)
    }

    /// When there is something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.pending {
            Some(pending) => Some(pending.again),
            None => self.known.as_ref().map(|_| self.due),
        }
    }

    /// Returns the request if it is due.
    pub(crate) fn poll_transmit(&mut self, now: Instant, credentials: &Credentials) -> Option<&[u8]> {
        if self.pending.is_none() && self.due <= now {
            let (realm, nonce) = self.known.as_ref()?;
            let (id, request) = refresh(credentials, realm, nonce, self.lifetime)?;
            let is_second = self.due + INTERVAL <= now;
            self.pending = Some(Pending { id, request, sent: 0, again: now, is_second });
        }
        let pending = self.pending.as_mut()?;
        if now < pending.again || pending.sent == TRANSMISSIONS {
            return None;
        }
        pending.again = now + RTO * (1 << pending.sent);
        pending.sent += 1;
        Some(&pending.request)
    }

    /// The allocation is used from now on: its traffic tells.
    pub(crate) fn put_off(&mut self, now: Instant) {
        (self.pending, self.due) = (None, now + INTERVAL);
    }
}

fn refresh(credentials: &Credentials, realm: &str, nonce: &str, lifetime: u32) -> Option<(TransactionId, Vec<u8>)> {
    let Credentials { username, password } = credentials;
    let kind = MessageType::from_class_method(MessageClass::Request, REFRESH);
    let id = TransactionId::generate();
    let mut message = Message::builder(kind, id, MessageWriteVec::new());
    message.add_attribute(&Lifetime::new(lifetime)).ok()?;
    message.add_attribute(&Username::new(username).ok()?).ok()?;
    message.add_attribute(&Realm::new(realm).ok()?).ok()?;
    message.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
    let key = LongTermKeyCredentials::new(username.clone(), password.clone(), realm.to_owned());
    message.add_message_integrity(&key.into(), IntegrityAlgorithm::Sha1).ok()?;
    Some((id, message.finish()))
}

const REFRESH: Method = Method::new(0x0004);
/// The lifetime of a request that names none, in seconds: an hour, which servers shorten (RFC 8656 §7.2).
const LIFETIME: u32 = 3600;
/// The time between two probes.
const INTERVAL: Duration = Duration::from_secs(30);
/// The first retransmission comes after this time, the next after twice as long.
const RTO: Duration = Duration::from_millis(500);
const TRANSMISSIONS: u32 = 4;
