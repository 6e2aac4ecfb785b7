//! The checklist (RFC 8445 §6.1.2): the pairs of both components, highest priority first, and the queue of
//! triggered checks (§6.1.4.1).

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::candidate::{Candidate, CandidateKind, can_reach, priority};
use crate::pair::{Pair, PairId, State};
use crate::{Component, Path, Role};

#[derive(Debug, Default)]
pub(crate) struct Checklist {
    /// Highest priority first; component 1 before component 2.
    pairs: Vec<Pair>,
    triggered: VecDeque<PairId>,
    last_id: u64,
}

impl Checklist {
    /// Adds the pair of two candidates, unless they cannot be paired (§6.1.2.2), are paired already (§6.1.2.4) or the
    /// list is full of better pairs (§6.1.2.5). A pair that the peer checks takes the place of a better one.
    pub fn add(&mut self, local: &Candidate, remote: &Candidate, role: Role, wanted: Wanted) -> Added {
        let base = local.base();
        if local.component != remote.component || !can_reach(base, remote.addr) {
            return Added::Unpairable;
        }
        if let Some(known) = self.find(local.component, base, remote.addr) {
            return Added::Redundant(known.id);
        }
        let pair = self.pair(local, remote, role);
        if self.pairs.len() >= MAX_PAIRS && !self.make_room(&pair, wanted) {
            return Added::OverLimit;
        }
        let id = pair.id;
        let at = self.pairs.partition_point(|other| rank(other) <= rank(&pair));
        self.pairs.insert(at, pair);
        Added::New(id)
    }

    fn pair(&mut self, local: &Candidate, remote: &Candidate, role: Role) -> Pair {
        self.last_id += 1;
        let mut pair = Pair {
            id: PairId(self.last_id),
            component: local.component,
            local: local.base(),
            remote: remote.addr,
            foundation: (local.foundation.clone(), remote.foundation.clone()),
            local_priority: local.priority,
            remote_priority: remote.priority,
            reflexive_priority: priority(CandidateKind::PeerReflexive, local.local_preference(), local.component),
            priority: 0,
            state: State::Frozen,
            checked: None,
            transaction: None,
            checked_by_peer: false,
            addressed: None,
            nominated_by_peer: false,
            nomination: 0,
        };
        pair.prioritise(role);
        pair
    }

    /// §6.1.2.5: removes the pair of lowest priority. Keeps pairs that work or that the peer checks.
    fn make_room(&mut self, newcomer: &Pair, wanted: Wanted) -> bool {
        let dispensable = |pair: &Pair| pair.state == State::Failed || !pair.is_valid();
        let Some(lowest) = self.pairs.iter().rposition(dispensable) else { return false };
        let gives_way = wanted == Wanted::ByPeer || self.pairs[lowest].priority < newcomer.priority;
        if gives_way {
            let gone = self.pairs.remove(lowest).id;
            self.triggered.retain(|id| *id != gone);
        }
        gives_way
    }

    /// §6.1.2.6: unfreezes one pair of each foundation: of the lowest component, and there the one with the highest
    /// priority. The other pairs follow when it succeeds, or when nothing else is left to check.
    pub fn thaw_foundations(&mut self) {
        for component in Component::ALL {
            for at in 0..self.pairs.len() {
                let pair = &self.pairs[at];
                if pair.component == component && pair.state == State::Frozen && !self.is_foundation_busy(pair) {
                    self.pairs[at].state = State::Waiting;
                }
            }
        }
    }

    fn is_foundation_busy(&self, pair: &Pair) -> bool {
        let busy = |other: &Pair| matches!(other.state, State::Waiting | State::InProgress);
        self.pairs.iter().any(|other| busy(other) && other.shares_foundation(pair))
    }

    /// §7.2.5.3.3: unfreezes the pairs with the foundation of pair `id`, which has succeeded.
    pub fn thaw_like(&mut self, id: PairId) {
        let Some(foundation) = self.get(id).map(|pair| pair.foundation.clone()) else { return };
        for pair in self.pairs.iter_mut().filter(|pair| pair.state == State::Frozen) {
            if pair.foundation == foundation {
                pair.state = State::Waiting;
            }
        }
    }

    /// Has the component's pairs in states for which `wanted` returns true checked again, in their turn.
    pub fn check_again(&mut self, component: Component, wanted: impl Fn(State) -> bool) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.component == component && wanted(pair.state)) {
            (pair.state, pair.transaction) = (State::Waiting, None);
        }
    }

    /// §7.3.1.4: appends a pair to the queue of triggered checks.
    pub fn trigger(&mut self, id: PairId) {
        if !self.triggered.contains(&id) && self.get(id).is_some() {
            self.triggered.push_back(id);
        }
    }

    /// Takes the first triggered pair for which `wanted` returns true.
    pub fn next_triggered(&mut self, wanted: impl Fn(&Pair) -> bool) -> Option<PairId> {
        let at = self.triggered.iter().position(|id| self.get(*id).is_some_and(&wanted))?;
        self.triggered.remove(at)
    }

    /// §6.1.4.2: the next pair to check: the first triggered pair, or the best waiting one, or the best frozen one of
    /// a foundation of which no pair is being checked.
    pub fn next(&mut self) -> Option<PairId> {
        if let Some(id) = self.triggered.pop_front() {
            return Some(id);
        }
        self.waiting().or_else(|| {
            self.thaw_foundations();
            self.waiting()
        })
    }

    fn waiting(&self) -> Option<PairId> {
        self.pairs.iter().find(|pair| pair.state == State::Waiting).map(|pair| pair.id)
    }

    /// Whether [`Self::next`] would return a pair.
    pub fn has_next(&self) -> bool {
        let thawable = |pair: &Pair| pair.state == State::Frozen && !self.is_foundation_busy(pair);
        !self.triggered.is_empty() || self.waiting().is_some() || self.pairs.iter().any(thawable)
    }

    /// Recomputes all pair priorities (§6.1.2.3) and sorts by them, after a role or a candidate priority changed.
    pub fn reprioritise(&mut self, role: Role) {
        self.pairs.iter_mut().for_each(|pair| pair.prioritise(role));
        self.pairs.sort_by_key(rank);
    }

    /// Removes the pairs for which `keep` returns false.
    pub fn retain(&mut self, keep: impl FnMut(&Pair) -> bool) {
        self.pairs.retain(keep);
        let pairs = &self.pairs;
        self.triggered.retain(|id| pairs.iter().any(|pair| pair.id == *id));
    }

    pub fn clear(&mut self) {
        self.pairs.clear();
        self.triggered.clear();
    }

    /// The pair added last.
    pub fn newest(&self) -> PairId {
        PairId(self.last_id)
    }

    pub fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    pub fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    pub fn find(&self, component: Component, local: SocketAddr, remote: SocketAddr) -> Option<&Pair> {
        self.pairs.iter().find(|pair| (pair.component, pair.local, pair.remote) == (component, local, remote))
    }

    /// The pair of highest priority that a datagram received on `path` may belong to.
    pub fn find_path(&self, path: &Path) -> Option<&Pair> {
        self.pairs.iter().find(|pair| path.joins(pair.component, pair.local, pair.remote))
    }

    pub fn is_valid_path(&self, path: &Path) -> bool {
        self.pairs.iter().any(|pair| pair.is_valid() && path.joins(pair.component, pair.local, pair.remote))
    }

    pub fn by_transaction(&self, id: u128) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.transaction.is_some_and(|transaction| transaction.id == id))
    }

    pub fn of(&self, component: Component) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.component == component)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.pairs.iter_mut()
    }

    /// The number of pairs that are waiting or in progress (§14.3: Num-Waiting + Num-In-Progress).
    pub fn active(&self) -> usize {
        self.pairs.iter().filter(|pair| matches!(pair.state, State::Waiting | State::InProgress)).count()
    }
}

/// Why a pair is added to the checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Both candidates are known.
    ByCandidates,
    /// An authenticated check of the peer arrived on it.
    ByPeer,
}

/// The result of [`Checklist::add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    New(PairId),
    Redundant(PairId),
    Unpairable,
    OverLimit,
}

/// The most pairs in the checklist; §6.1.2.5 recommends 100.
pub(crate) const MAX_PAIRS: usize = 100;

fn rank(pair: &Pair) -> (std::cmp::Reverse<u64>, Component) {
    (std::cmp::Reverse(pair.priority), pair.component)
}

#[cfg(test)]
#[path = "checklist_tests.rs"]
mod tests;
