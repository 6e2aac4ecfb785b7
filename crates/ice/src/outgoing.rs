//! Datagrams that wait to be written, and checks of the peer that wait for its credentials.

use std::collections::VecDeque;
use std::net::SocketAddr;

use stun_types::message::IntegrityAlgorithm;

use crate::message::Answer;
use crate::pair::PairId;
use crate::{Component, Path};

/// A datagram to be written when the caller asks for it.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// The request of this pair's current transaction.
    Check(PairId),
    /// A consent check (RFC 7675 §5.1).
    Consent {
        component: Component,
        id: u128,
    },
    Answer {
        path: Path,
        id: u128,
        answer: Answer,
        algorithm: IntegrityAlgorithm,
        generation: Generation,
    },
}

/// Which of our passwords protects a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    Current,
    /// The password from before the restart (§9), used as long as the path selected before it is in use.
    Old,
    /// The password from before the restart, used by the peer's new generation (see `restart.rs`).
    Previous,
}

/// An authenticated check that arrived before the peer's credentials were known.
#[derive(Debug)]
pub(crate) struct EarlyCheck {
    pub(crate) from: String,
    pub(crate) check: Check,
}

/// An authenticated check from the peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    pub(crate) component: Component,
    /// The base on which it arrived.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) priority: Option<u32>,
    pub(crate) use_candidate: bool,
    pub(crate) tie_breaker: Option<u64>,
    /// The value of the NOMINATION attribute (see `nominate.rs`).
    pub(crate) nomination: Option<u32>,
    /// How often we had restarted when we signalled the credentials that it was addressed to.
    pub(crate) restarts: u32,
}

/// Queues a datagram. If the caller does not collect them, the oldest are dropped.
pub(crate) fn push_bounded(queue: &mut VecDeque<Outgoing>, outgoing: Outgoing) {
    if queue.len() >= MAX_OUTGOING {
        queue.pop_front();
    }
    queue.push_back(outgoing);
}

/// The most datagrams that wait.
pub(crate) const MAX_OUTGOING: usize = 256;
