//! Why datagrams were refused: an error for the caller, and counters for diagnosing a call.

use crate::CandidateKind;

/// Why a datagram was refused. The datagram changed nothing but a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a STUN message, wrong length, or wrong FINGERPRINT.
    #[error("malformed STUN message")]
    Malformed,
    /// A STUN message of another method than Binding.
    #[error("STUN method {0:#x} is not Binding")]
    NotBinding(u16),
    /// A request whose USERNAME does not name our username fragment (RFC 8445 §7.3).
    #[error("USERNAME does not name our username fragment")]
    UnknownUsername,
    /// MESSAGE-INTEGRITY is missing or was computed with another password.
    #[error("MESSAGE-INTEGRITY is missing or wrong")]
    BadIntegrity,
    /// A response to no pending request of ours.
    #[error("response to no request of ours")]
    UnknownTransaction,
    /// An authentic response from another address than the request was sent to (RFC 8445 §7.2.5.2.1).
    #[error("response from another address than its request was sent to")]
    Asymmetric,
    /// A comprehension-required attribute that we do not know; answered with 420 (RFC 8489 §6.3.1).
    #[error("comprehension-required attribute {0:#x} is unknown")]
    UnknownAttribute(u16),
    /// The datagram arrived on an address that is none of our candidates' bases.
    #[error("the address it arrived on is not a local candidate")]
    UnknownLocalAddress,
    /// [`crate::Agent::stop`] was called.
    #[error("the agent is stopped")]
    Stopped,
}

/// Counters of received messages by result, and of limits reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Authenticated requests received.
    pub requests: u64,
    /// Authenticated responses received.
    pub responses: u64,
    /// Binding indications received. RFC 5245 peers send them as keepalives; they are not authenticated and ignored.
    pub indications: u64,
    /// Datagrams refused with [`Error::Malformed`].
    pub malformed: u64,
    /// Datagrams refused with [`Error::NotBinding`].
    pub not_binding: u64,
    /// Requests refused with [`Error::UnknownUsername`].
    pub unknown_username: u64,
    /// Messages refused with [`Error::BadIntegrity`].
    pub bad_integrity: u64,
    /// Responses refused with [`Error::UnknownTransaction`].
    pub unknown_transaction: u64,
    /// Responses refused with [`Error::Asymmetric`].
    pub asymmetric: u64,
    /// Requests refused with [`Error::UnknownAttribute`].
    pub unknown_attribute: u64,
    /// Requests refused with [`Error::UnknownLocalAddress`].
    pub unknown_local_address: u64,
    /// Role conflicts found: requests that claim our role, and 487 responses (RFC 8445 §7.3.1.1).
    pub role_conflicts: u64,
    /// Sources of authenticated requests that arrived before the peer's credentials.
    pub early: u64,
    /// Candidates, pairs, early checks and credentials dropped because a limit was reached.
    pub over_limit: u64,
    /// Remote candidates ignored because nothing can be sent to their address.
    pub unusable_candidates: u64,
    /// Peer-reflexive remote candidates learned.
    pub peer_reflexive: u64,
    /// Requests sent, including retransmissions and consent checks.
    pub sent_requests: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, error: Error) {
        let counter = match error {
            Error::Malformed => &mut self.malformed,
            Error::NotBinding(_) => &mut self.not_binding,
            Error::UnknownUsername => &mut self.unknown_username,
            Error::BadIntegrity => &mut self.bad_integrity,
            Error::UnknownTransaction => &mut self.unknown_transaction,
            Error::Asymmetric => &mut self.asymmetric,
            Error::UnknownAttribute(_) => &mut self.unknown_attribute,
            Error::UnknownLocalAddress => &mut self.unknown_local_address,
            Error::Stopped => return,
        };
        *counter += 1;
    }

    pub(crate) fn learned(&mut self, kind: CandidateKind) {
        self.peer_reflexive += u64::from(kind == CandidateKind::PeerReflexive);
    }
}
