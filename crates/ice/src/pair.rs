//! Candidate pairs (RFC 8445 §6.1.2): one of our bases, one address of the peer's.
//!
//! The RFC keeps a checklist of pairs to be tried and a valid list of pairs that work, whose local
//! candidate is the address that the peer saw. On the wire a pair is a base and a remote address
//! either way, so there is one object here: when its check succeeds it takes the priority of the
//! valid pair, and that is the end of the second list.
//!
//! ```text
//!  Frozen ──▶ Waiting ──▶ InProgress ──▶ Succeeded ──▶ (nominated: see nominate.rs)
//!               ▲              │
//!               └── a check ───┴──▶ Failed            a check of the peer's thaws any of them
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::candidate::Candidate;
use crate::{Component, Path, Role};

/// Names a pair for as long as the session lasts; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PairId(pub u64);

/// How far the check of a candidate pair has come (RFC 8445 §6.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Another pair of its foundation is checked first.
    Frozen,
    /// To be checked.
    Waiting,
    /// Its check waits for an answer.
    InProgress,
    /// Its check was answered.
    Succeeded,
    /// Its check was refused, or never answered.
    Failed,
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub id: PairId,
    pub component: Component,
    /// Base of the local candidate.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// §6.1.2.6: the foundations of both candidates.
    pub foundation: (String, String),
    pub local_priority: u32,
    pub remote_priority: u32,
    /// PRIORITY of our checks: that of the peer-reflexive candidate they may discover (§7.1.1).
    pub reflexive_priority: u32,
    /// §6.1.2.3, of both priorities.
    pub priority: u64,
    pub state: State,
    /// The check under way: of a pair that is in progress, or of a succeeded one being nominated.
    pub transaction: Option<Transaction>,
    /// The peer's authenticated check came this way: it will take its media this way, and may send it.
    pub checked_by_peer: bool,
    /// The peer nominated it before our check was answered (§7.3.1.5).
    pub nominated_by_peer: bool,
}

impl Pair {
    pub fn path(&self) -> Path {
        Path { component: self.component, local: self.local, remote: self.remote }
    }

    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Frozen | State::Waiting | State::InProgress)
    }

    /// Datagrams from there come from the peer.
    pub fn is_valid(&self) -> bool {
        self.state == State::Succeeded || self.checked_by_peer
    }

    pub fn shares_foundation(&self, other: &Pair) -> bool {
        self.foundation == other.foundation
    }

    /// §6.1.2.3, G being the controlling side's priority.
    pub fn prioritise(&mut self, role: Role) {
        let (local, remote) = (u64::from(self.local_priority), u64::from(self.remote_priority));
        let (g, d) = match role {
            Role::Controlling => (local, remote),
            Role::Controlled => (remote, local),
        };
        self.priority = (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d);
    }

    /// §7.2.5.3.2: the valid pair's local candidate is the one with the address that the peer saw; if
    /// none has, a peer-reflexive one has been discovered (§7.2.5.3.1).
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
    /// In which role it was sent (§7.2.5.1 compares), with which tie-breaker. A retransmission says the same: an
    /// old role with a new tie-breaker would make the peer change its own.
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

    /// When to retransmit, or give up.
    pub fn due(&self) -> Instant {
        self.next.min(self.give_up)
    }

    /// Retransmits with a doubled interval; `false` when nothing is left to try.
    pub fn retransmit(&mut self, now: Instant, initial_rto: Duration) -> bool {
        if self.give_up <= now {
            return false;
        }
        self.last_sent = now;
        self.rto = (self.rto * 2).min(LONGEST_INTERVAL.max(initial_rto));
        self.next = now + self.rto;
        true
    }

    /// The peer is there: repeat the request soon and start over with the intervals, but not more often
    /// than every `pause`, or two agents that hear but do not understand each other would chase one another.
    pub fn hurry(&mut self, now: Instant, pause: Duration, initial_rto: Duration) {
        let soon = now.max(self.last_sent + pause);
        if soon < self.next {
            self.next = soon;
            self.rto = initial_rto / 2; // doubled when it is sent
        }
    }
}

/// Of RFC 8489 §6.2.1: requests 1 to 7 wait for 1, 2, 4, 8, 16, 32 and 16 (Rm) times the RTO.
const LIFETIME: u32 = 79;
/// The RFC goes on doubling and spends the half minute that a caller waits on seven requests; at a loss of
/// 20 % each way that leaves one call in a thousand without a path.
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
    fn a_check_of_the_peers_repeats_ours_but_not_without_pause() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut transaction = Transaction::begin(1, (Role::Controlled, 1), false, ms(500), start);
        transaction.hurry(start + ms(10), ms(50), ms(500));
        assert_eq!(transaction.due(), start + ms(50));
        assert!(transaction.retransmit(start + ms(50), ms(500)));
        assert_eq!(transaction.due(), start + ms(550));
    }
}
