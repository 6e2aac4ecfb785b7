//! Reads in the server's answers what `turn-client-proto` does not tell: why they are refused, and our
//! address as the server sees it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use stun_types::attribute::{AlternateServer, ErrorCode, XorMappedAddress};
use stun_types::message::{Message, MessageClass, MessageHeader, Method, TransactionId};
use turn_client_proto::types::attribute::XorPeerAddress;

/// Why there is no allocation, or none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No answer came in time.
    #[error("it does not answer")]
    Silent,
    /// Another server has to be used (RFC 8489 §10).
    #[error("it names {0} in its place (300)")]
    Redirected(SocketAddr),
    /// The credentials are wrong: the server has asked for them again (RFC 8489 §9.2.4).
    #[error("it refuses username and password (401)")]
    Unauthorised,
    /// Username or realm have too many allocations (RFC 8656 §7.2).
    #[error("the quota of allocations is used up (486)")]
    Quota,
    /// The server has no port or bandwidth left (RFC 8656 §7.2).
    #[error("it has no room for another allocation (508)")]
    Full,
    /// Another error code.
    #[error("it refuses with code {0}")]
    Refused(u16),
    /// An answer without what it has to have, or with credentials that are not the server's.
    #[error("its answer is not one of a TURN server with these credentials")]
    Malformed,
    /// The server does not know the allocation any more (RFC 8656 §7.3), or it has expired.
    #[error("it has dropped the allocation")]
    Dropped,
}

impl Failure {
    fn from_code(code: u16, alternate: Option<SocketAddr>) -> Self {
        match (code, alternate) {
            (ErrorCode::TRY_ALTERNATE, Some(server)) => Self::Redirected(server),
            (ErrorCode::ALLOCATION_QUOTA_REACHED, _) => Self::Quota,
            (ErrorCode::INSUFFICIENT_CAPACITY, _) => Self::Full,
            (code, _) => Self::Refused(code),
        }
    }
}

/// A request.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    id: TransactionId,
    method: Method,
    /// The peer that it is about.
    peer: Option<IpAddr>,
}

/// The last requests, and what their answers have told.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    asked: VecDeque<Asked>,
    /// The last peer that the server has forbidden.
    forbidden: Option<IpAddr>,
    refusal: Option<Failure>,
    mapped: Option<SocketAddr>,
    is_mismatch: bool,
    /// Requests that were answered with 401.
    challenges: u32,
}

impl Answers {
    /// Notes a message that we send.
    pub fn handle_sent(&mut self, message: &[u8]) {
        let Ok(header) = MessageHeader::from_bytes(message) else { return };
        if !header.get_type().has_class(MessageClass::Request) {
            return;
        }
        let (id, method) = (header.transaction_id(), header.get_type().method());
        let peer = Message::from_bytes(message).and_then(|message| message.attribute::<XorPeerAddress>());
        let sent = Asked { id, method, peer: peer.ok().map(|peer| peer.addr(id).ip()) };
        if self.asked.contains(&sent) {
            return;
        }
        if self.asked.len() == MOST_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(sent);
    }

    /// Looks at a message of the server's. Only answers to our own requests count: nobody off the path knows their transaction ids.
    pub fn handle_received(&mut self, datagram: &[u8]) {
        let Ok(message) = Message::from_bytes(datagram) else { return };
        let is_answered = |asked: &Asked| (asked.id, asked.method) == (message.transaction_id(), message.method());
        let Some(at) = self.asked.iter().position(is_answered).filter(|_| message.is_response()) else { return };
        if message.has_class(MessageClass::Success) {
            let mapped = message.attribute::<XorMappedAddress>().ok();
            self.mapped = mapped.map(|mapped| mapped.addr(message.transaction_id())).or(self.mapped);
            return;
        }
        let Ok(code) = message.attribute::<ErrorCode>().map(|error| error.code()) else { return };
        // Our retransmission may be answered twice.
        let peer = self.asked.remove(at).and_then(|asked| asked.peer);
        match (message.method(), code) {
            (ALLOCATE, ErrorCode::UNAUTHORIZED) => self.challenges += 1,
            (_, ErrorCode::STALE_NONCE) => {}
            (ALLOCATE, _) => {
                let alternate = message.attribute::<AlternateServer>().ok().map(|alternate| alternate.server());
                self.refusal = Some(Failure::from_code(code, alternate));
            }
            (_, ErrorCode::FORBIDDEN) => self.forbidden = peer.or(self.forbidden),
            (_, code) => self.is_mismatch |= code == ErrorCode::ALLOCATION_MISMATCH,
        }
    }

    /// Returns why the server refuses the allocation. Not every server signs these answers, so `turn-client-proto` drops them.
    pub fn refusal(&self) -> Option<Failure> {
        // It asks for credentials that it has got already.
        let is_challenged_again = self.challenges > 1;
        self.refusal.or(is_challenged_again.then_some(Failure::Unauthorised))
    }

    /// Returns whether the server has forbidden this peer, when a permission for it has just failed.
    pub fn is_forbidden(&self, peer: IpAddr) -> bool {
        self.forbidden == Some(peer)
    }

    /// Returns our address as the server sees it.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// Returns whether the server has said that it does not know the allocation.
    pub fn is_mismatch(&self) -> bool {
        self.is_mismatch
    }
}

const ALLOCATE: Method = Method::new(0x0003);

/// Requests whose answers are waited for; a stale nonce makes one of another.
const MOST_ASKED: usize = 12;
