//! Role conflicts: when both agents are controlling, or both controlled, their tie-breakers decide (RFC 8445 §7.2.5.1, §7.3.1.1).

use crate::message::Answer;
use crate::{Agent, Event, Role};

impl Agent {
    /// §7.3.1.1: compares the role that a request claims with ours. Returns the error response if we keep our role.
    pub(crate) fn detect_role_conflict(&mut self, claimed: Option<(Role, u64)>) -> Option<Answer> {
        let (role, tie_breaker) = claimed?;
        if role != self.role {
            return None;
        }
        self.counters.role_conflicts += 1;
        let ours_is_larger = self.tie_breaker >= tie_breaker;
        // The agent with the larger tie-breaker becomes controlling, no matter which role both claim.
        if ours_is_larger == (self.role == Role::Controlling) {
            return Some(Answer::RoleConflict);
        }
        self.switch_role(self.role.other());
        None
    }

    /// §7.2.5.1: the peer answered 487 to a check that we sent in `role`.
    pub(crate) fn role_was_refused(&mut self, role: Role) {
        self.counters.role_conflicts += 1;
        if role == self.role {
            self.switch_role(role.other());
            self.tie_breaker = self.random.tie_breaker();
        }
    }

    fn switch_role(&mut self, role: Role) {
        log::debug!("ice: role conflict, now {role:?}");
        self.assume_role(role);
        self.events.push_back(Event::RoleChanged(role));
    }

    pub(crate) fn assume_role(&mut self, role: Role) {
        self.role = role;
        self.checklist.reprioritise(role); // §6.1.2.3: the priority of a pair depends on the role
        self.forget_nominations();
    }
}
