//! Why a datagram was refused, as a type for the caller and as a count for whoever debugs a call.

use crate::CandidateKind;

/// Why a datagram was refused. It changed nothing but a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not STUN, cut short, longer than it says, or its FINGERPRINT is wrong.
    #[error("malformed STUN message")]
    Malformed,
    /// STUN, but no Binding request, response or indication.
    #[error("STUN method {0:#x} is not Binding")]
    NotBinding(u16),
    /// A request for other credentials than ours (RFC 8445 §7.3).
    #[error("USERNAME is not for us")]
    UnknownUsername,
    /// MESSAGE-INTEGRITY is missing or made with another password.
    #[error("MESSAGE-INTEGRITY missing or wrong")]
    BadIntegrity,
    /// An answer to a question that is not open.
    #[error("response to no request of ours")]
    UnknownTransaction,
    /// A genuine answer, from elsewhere than the request went to (RFC 8445 §7.2.5.2.1).
    #[error("response from elsewhere than its request went to")]
    Asymmetric,
    /// A comprehension-required attribute we do not know; answered with 420 (RFC 8489 §6.3.1).
    #[error("comprehension-required attribute {0:#x} is unknown")]
    UnknownAttribute(u16),
    /// Came in on an address that is no candidate of ours.
    #[error("no local candidate has this address")]
    UnknownLocalAddress,
    /// The agent is stopped.
    #[error("the agent is stopped")]
    Stopped,
}

/// What came in and what was made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Authenticated requests.
    pub requests: u64,
    /// Authenticated responses to requests of ours.
    pub responses: u64,
    /// Binding indications, the keepalives of RFC 5245 peers. They are not authenticated and mean nothing here.
    pub indications: u64,
    /// [`Error::Malformed`]
    pub malformed: u64,
    /// [`Error::NotBinding`]
    pub not_binding: u64,
    /// [`Error::UnknownUsername`]
    pub unknown_username: u64,
    /// [`Error::BadIntegrity`]
    pub bad_integrity: u64,
    /// [`Error::UnknownTransaction`]
    pub unknown_transaction: u64,
    /// [`Error::Asymmetric`]
    pub asymmetric: u64,
    /// [`Error::UnknownAttribute`]
    pub unknown_attribute: u64,
    /// [`Error::UnknownLocalAddress`]
    pub unknown_local_address: u64,
    /// Requests and 487 answers that showed both sides in the same role (RFC 8445 §7.3.1.1).
    pub role_conflicts: u64,
    /// Sources of authenticated requests that came before the remote credentials.
    pub early: u64,
    /// Candidates, pairs, early checks or credentials beyond what we keep.
    pub over_limit: u64,
    /// Remote candidates that cannot be an address to send to.
    pub unusable_candidates: u64,
    /// Peer-reflexive remote candidates learned.
    pub peer_reflexive: u64,
    /// Requests sent, retransmissions and consent checks included.
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
