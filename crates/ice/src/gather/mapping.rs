//! The address that a NAT has given to a socket, as a STUN server sees it: Binding requests without authentication
//! (RFC 8489 §2, §6), repeated for as long as the answer is wanted.
//!
//! A response counts if it comes from the server's address and has the transaction id of the pending request, which nobody else
//! knows. Everything else changes nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::attribute::MappedSocketAddr;
use stun_types::attribute::{AttributeType, RawAttribute};
use stun_types::message::{
    BINDING, Message, MessageClass, MessageHeader, MessageType, MessageWrite, MessageWriteMutSlice,
};

use crate::config::Seed;
use crate::message;
use crate::path::canonical;
use crate::random::Random;

/// Keeps the mapped address of one socket up to date.
#[derive(Debug)]
pub struct Mapping {
    server: SocketAddr,
    interval: Duration,
    random: Random,
    phase: Phase,
    /// A request is to be sent.
    owes_request: bool,
    failures: u32,
    event: Option<Event>,
}

#[derive(Debug)]
enum Phase {
    /// The next transaction begins at this time.
    Waiting(Instant),
    Asking(Transaction),
}

/// A request and its retransmissions (RFC 8489 §6.2.1).
#[derive(Debug)]
struct Transaction {
    id: u128,
    sent: usize,
    due: Instant,
    /// Datagrams of the server that are no answer to this request.
    strange: u32,
}

/// The result of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The NAT maps the socket to this address; without a NAT it is the socket's own.
    Mapped(SocketAddr),
    /// There is no usable answer. Another attempt follows by itself.
    Failed(Failure),
}

/// Why a server gave no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing came back in 39.5 s.
    #[error("it does not answer")]
    Silent,
    /// The system reports that nobody listens there, or that there is no way (ICMP).
    #[error("nobody listens there, or no route leads there")]
    Unreachable,
    /// Something came back that is no answer to the request.
    #[error("what it sends is no answer to a Binding request")]
    Garbage,
    /// An error response (RFC 8489 §14.8).
    #[error("it answers with error {0}")]
    Error(u16),
    /// The response has no mapped address, or one that nobody can send to.
    #[error("its answer has no usable address")]
    Useless,
}

/// Why a datagram was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// It does not come from the server.
    #[error("not from the server")]
    Stranger,
    /// It is not a Binding response to the pending request.
    #[error("no answer to the pending request")]
    NoAnswer,
}

impl Mapping {
    /// Asks `server` from `now` on, and again `interval` after each answer. `seed` is random, and used for nothing else.
    pub fn new(now: Instant, server: SocketAddr, interval: Duration, seed: [u8; 32]) -> Self {
        Self {
            server: canonical(server),
            interval,
            random: Random::from_seed(&Seed(seed)),
            phase: Phase::Waiting(now),
            owes_request: false,
            failures: 0,
            event: None,
        }
    }

    /// Returns the server's address.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns whether an answer is awaited.
    pub fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking(_))
    }

    /// Starts the next transaction now instead of later.
    pub fn hurry(&mut self, now: Instant) {
        if let Phase::Waiting(at) = &mut self.phase {
            *at = now.min(*at);
        }
    }

    /// Asks another server from the next transaction on. Has no effect while an answer is awaited.
    pub fn ask_instead(&mut self, server: SocketAddr) {
        if !self.is_asking() {
            self.server = canonical(server);
        }
    }

    /// Takes in a datagram that the socket has received.
    ///
    /// # Errors
    /// Returns why the datagram was ignored.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Ignored> {
        if canonical(from) != self.server {
            return Err(Ignored::Stranger);
        }
        let Phase::Asking(transaction) = &mut self.phase else { return Err(Ignored::NoAnswer) };
        let Some(response) = answer(datagram, transaction.id) else {
            transaction.strange = transaction.strange.saturating_add(1);
            return Err(Ignored::NoAnswer);
        };
        let event = match response.class() {
            MessageClass::Success => {
                let mapped = mapped_address(&response).filter(|mapped| is_usable(*mapped, self.server));
                mapped.map_or(Event::Failed(Failure::Useless), Event::Mapped)
            }
            _ => Event::Failed(message::error_code(&response).map_or(Failure::Garbage, Failure::Error)),
        };
        self.end(now, event);
        Ok(())
    }

    /// Takes in that the system reports an error of ICMP for a request (RFC 8489 §6.2.1).
    pub fn handle_unreachable(&mut self, now: Instant) {
        if self.is_asking() {
            self.end(now, Event::Failed(Failure::Unreachable));
        }
    }

    /// Begins a transaction that is due, repeats its request, or ends it without an answer.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Waiting(at) if *at <= now => {
                let id = self.random.transaction_id();
                self.phase = Phase::Asking(Transaction { id, sent: 1, due: now + RTO, strange: 0 });
                self.owes_request = true;
            }
            Phase::Asking(transaction) if transaction.due <= now => match WAITS.get(transaction.sent) {
                Some(wait) => {
                    transaction.sent += 1;
                    transaction.due = now + RTO * *wait;
                    self.owes_request = true;
                }
                None => {
                    let failure = if transaction.strange > 0 { Failure::Garbage } else { Failure::Silent };
                    self.end(now, Event::Failed(failure));
                }
            },
            _ => {}
        }
    }

    /// Returns when [`Self::handle_timeout`] is due next.
    pub fn poll_timeout(&self) -> Instant {
        match &self.phase {
            Phase::Waiting(at) => *at,
            Phase::Asking(transaction) => transaction.due,
        }
    }

    /// Writes a request for the server into `buffer`, which needs [`REQUEST_LEN`] bytes; returns its length.
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let Phase::Asking(transaction) = &self.phase else { return None };
        let owes = std::mem::take(&mut self.owes_request);
        let room = buffer.get_mut(..REQUEST_LEN).filter(|_| owes)?;
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        Some(Message::builder(kind, transaction.id.into(), MessageWriteMutSlice::new(room)).finish())
    }

    /// Returns the result of the last transaction, once.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    fn end(&mut self, now: Instant, event: Event) {
        let pause = match event {
            Event::Mapped(_) => {
                self.failures = 0;
                self.interval
            }
            Event::Failed(_) => {
                self.failures = self.failures.saturating_add(1);
                FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_PAUSE)
            }
        };
        self.owes_request = false;
        self.phase = Phase::Waiting(now + self.random.around(pause));
        self.event = Some(event);
    }
}

/// Parses a response to the request with this id.
fn answer(datagram: &[u8], id: u128) -> Option<Message<'_>> {
    let message = message::parse(datagram).ok()?;
    let is_response = matches!(message.class(), MessageClass::Success | MessageClass::Error);
    (is_response && message.transaction_id() == id.into()).then_some(message)
}

/// Returns XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of a server that knows RFC 3489 alone.
fn mapped_address(response: &Message<'_>) -> Option<SocketAddr> {
    let plain = || {
        let raw: RawAttribute<'_> = response.raw_attribute(MAPPED_ADDRESS)?;
        MappedSocketAddr::from_raw(&raw).ok().map(|mapped| mapped.addr())
    };
    message::mapped_address(response).ok().or_else(plain).map(canonical)
}

/// Returns whether a peer could send to the address that `server` has told.
fn is_usable(mapped: SocketAddr, server: SocketAddr) -> bool {
    let ip = mapped.ip();
    let is_of_the_machine = |ip: std::net::IpAddr| ip.is_loopback();
    let broadcast = matches!(ip, std::net::IpAddr::V4(v4) if v4.is_broadcast() || v4.is_link_local());
    mapped.port() != 0
        && mapped.is_ipv4() == server.is_ipv4()
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && !broadcast
        && (!is_of_the_machine(ip) || is_of_the_machine(server.ip()))
}

/// Length of a request in bytes: a header without attributes.
pub const REQUEST_LEN: usize = MessageHeader::LENGTH;

/// The initial retransmission timeout (RFC 8489 §6.2.1).
const RTO: Duration = Duration::from_millis(500);

/// How long each of the seven requests waits, in RTOs (RFC 8489 §6.2.1: Rc = 7, Rm = 16).
const WAITS: [u32; 7] = [1, 2, 4, 8, 16, 32, 16];

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const MAPPED_ADDRESS: AttributeType = AttributeType::new(0x0001);

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
