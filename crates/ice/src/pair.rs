//! Candidate pairs (RFC 8445 §6.1.2): one of our bases and one address of the peer.
//!
//! The RFC keeps two lists: a checklist of pairs to be tried, and a valid list of pairs that work, whose local
//! candidate is the address that the peer saw. On the wire, a pair of either list is a base and a remote address.
//! So there is one object for both here: when its check succeeds, it takes the priority that the pair
//! would have in the valid list.
//!
//! ```text
//!  Frozen ──▶ Waiting ──▶ InProgress ──▶ Succeeded ──▶ (nominated: see nominate.rs)
//!               ▲              │
//!               └── a check ───┴──▶ Failed            a check from the peer moves any of them to Waiting
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::candidate::Candidate;
use crate::{Component, Path, Role};

/// Identifies a pair within its session; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId(pub u64);

/// The state of a candidate pair (RFC 8445 §6.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits until another pair with its foundation has been checked.
    Frozen,
    /// Waits for its turn to be checked.
    Waiting,
    /// A check was sent and is not answered yet.
    InProgress,
    /// A check succeeded.
    Succeeded,
    /// The check was refused or never answered.
    Failed,
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub id: PairId,
    pub component: Component,
    /// The base of the local candidate.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The foundations of the local and the remote candidate (§6.1.2.6).
    pub foundation: (String, String),
    pub local_priority: u32,
    pub remote_priority: u32,
    /// The PRIORITY attribute of our checks: the priority of a peer-reflexive candidate found by them (§7.1.1).
    pub reflexive_priority: u32,
    /// The pair priority, computed from both candidates' priorities (§6.1.2.3).
    pub priority: u64,
    pub state: State,
    /// When the last check of it began.
    pub checked: Option<Instant>,
    /// The current transaction: the check of a pair in progress, or the nomination of a succeeded one.
    pub transaction: Option<Transaction>,
    /// The peer has sent an authenticated check on this pair, so it may send and receive media on it.
    pub checked_by_peer: bool,
    /// The restart of ours by whose credentials the peer knows us on this pair (see `restart.rs`).
    pub addressed: Option<u32>,
    /// The peer nominated the pair before our own check was answered (§7.3.1.5).
    pub nominated_by_peer: bool,
    /// The number of that nomination (see `nominate.rs`); 0 without.
    pub nomination: u32,
}

impl Pair {
    pub fn path(&self) -> Path {
        Path { component: self.component, local: self.local, remote: self.remote }
    }

    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Frozen | State::Waiting | State::InProgress)
    }

    /// Whether datagrams received on this pair come from the peer.
    pub fn is_valid(&self) -> bool {
        self.state == State::Succeeded || self.checked_by_peer
    }

    pub fn shares_foundation(&self, other: &Pair) -> bool {
        self.foundation == other.foundation
    }

    /// Computes the pair priority (§6.1.2.3): G is the controlling agent's candidate priority, D the other one's.
    pub fn prioritise(&mut self, role: Role) {
        let (local, remote) = (u64::from(self.local_priority), u64::from(self.remote_priority));
        let (g, d) = match role {
            Role::Controlling => (local, remote),
            Role::Controlled => (remote, local),
        };
        self.priority = (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d);
    }

    /// §7.2.5.3.2: the local candidate of the valid pair is the one with the address that the peer saw; if there is
    /// none, a peer-reflexive candidate has been discovered (§7.2.5.3.1).
    pub fn succeed(&mut self, mapped: SocketAddr, locals: &[Candidate], role: Role) {
        let seen_as = locals.iter().find(|local| local.component == self.component && local.addr == mapped);
        self.local_priority = seen_as.map_or(self.reflexive_priority, |local| local.priority);
        self.prioritise(role);
        self.state = State::Succeeded;
    }
}

/// A Binding request that waits for its answer (RFC 8489 §6.2.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transaction {
    pub id: u128,
    /// The role and tie-breaker it was sent with (§7.2.5.1 compares the role). Retransmissions repeat both: the old
    /// role with a new tie-breaker would make the peer change its role.
    pub role: Role,
    pub tie_breaker: u64,
    pub use_candidate: bool,
    last_sent: Instant,
    next: Instant,
    rto: Duration,
    give_up: Instant,
}

impl Transaction {
    pub fn begin(id: u128, role: (Role, u64), use_candidate: bool, rto: Duration, now: Instant) -> Self {
        let (role, tie_breaker) = role;
        let give_up = now + rto * LIFETIME;
        Self { id, role, tie_breaker, use_candidate, last_sent: now, next: now + rto, rto, give_up }
    }

    /// When to retransmit or to give up.
    pub fn due(&self) -> Instant {
        self.next.min(self.give_up)
    }

    /// Schedules the next retransmission with a doubled interval; `false` when the transaction has timed out.
    pub fn retransmit(&mut self, now: Instant, initial_rto: Duration) -> bool {
        if self.give_up <= now {
            return false;
        }
        self.last_sent = now;
        self.rto = (self.rto * 2).min(LONGEST_INTERVAL.max(initial_rto));
        self.next = now + self.rto;
        true
    }

    /// The peer is reachable: retransmits soon and resets the interval. But not sooner than `pause` after the last
    /// request: otherwise two agents that cannot authenticate each other would trigger one another in a tight loop.
    pub fn hurry(&mut self, now: Instant, pause: Duration, initial_rto: Duration) {
        let soon = now.max(self.last_sent + pause);
        if soon < self.next {
            self.next = soon;
            self.rto = initial_rto / 2; // doubled when it is sent
        }
    }
}

/// The duration of a transaction in RTOs (RFC 8489 §6.2.1): requests 1 to 7 wait for 1, 2, 4, 8, 16, 32 and 16 (Rm).
const LIFETIME: u32 = 79;
/// The upper limit of the interval. The RFC doubles it without limit and so sends only seven requests in 39.5 s;
/// with 20 % loss each way, one call in a thousand would find no path.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8489_6_2_1_intervals_double_until_two_seconds() {
        let start = Instant::now();
        let rto = Duration::from_millis(500);
        let mut transaction = Transaction::begin(1, (Role::Controlled, 1), false, rto, start);
        let mut times = vec![0];
        loop {
            let due = transaction.due();
            times.push((due - start).as_millis());
            if !transaction.retransmit(due, rto) {
                break;
            }
        }
        assert_eq!(times[..6], [0, 500, 1500, 3500, 5500, 7500]);
        assert_eq!(times.last(), Some(&39500));
    }

    #[test]
    fn a_check_from_the_peer_makes_us_retransmit_after_a_pause() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut transaction = Transaction::begin(1, (Role::Controlled, 1), false, ms(500), start);
        transaction.hurry(start + ms(10), ms(50), ms(500));
        assert_eq!(transaction.due(), start + ms(50));
        assert!(transaction.retransmit(start + ms(50), ms(500)));
        assert_eq!(transaction.due(), start + ms(550));
    }
}
