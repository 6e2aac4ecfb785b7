//! Handling the responses to our checks (RFC 8445 §7.2.5).

use std::net::SocketAddr;
use std::time::Instant;

use stun_types::message::{Message, MessageClass};

use crate::message::{ROLE_CONFLICT, authenticate, error_code, mapped_address};
use crate::nominate::Phase;
use crate::pair::{PairId, State};
use crate::path::canonical;
use crate::{Agent, Error, Path, Role};

impl Agent {
    /// Matches a response with its request, authenticates it and updates the pair or its consent.
    pub(crate) fn handle_response(&mut self, now: Instant, path: Path, message: &Message<'_>) -> Result<(), Error> {
        let id = message.transaction_id().into();
        if let Some(asked) = self.consent_asked_by(id) {
            self.authenticate_answer(message)?;
            self.last_heard = Some(now);
            return self.consent_answered(now, asked, path, message);
        }
        let pair = self.checklist.by_transaction(id).ok_or(Error::UnknownTransaction)?;
        let (pair, symmetric) = (pair.id, path.joins(pair.component, pair.local, pair.remote));
        self.authenticate_answer(message)?;
        self.last_heard = Some(now);
        self.heard_along(now, &path);
        if !symmetric {
            return Err(Error::Asymmetric);
        }
        match message.class() {
            MessageClass::Success => {
                let mapped = canonical(mapped_address(message)?);
                self.check_succeeded(now, pair, mapped);
            }
            _ => self.check_refused(pair, error_code(message)?),
        }
        self.counters.responses += 1;
        Ok(())
    }

    fn authenticate_answer(&self, message: &Message<'_>) -> Result<(), Error> {
        let remote = self.remote.as_ref().ok_or(Error::UnknownTransaction)?;
        authenticate(message, &remote.key).map(|_| ())
    }

    /// §7.2.5.3: the check of the pair succeeded; the peer saw it coming from `mapped`.
    fn check_succeeded(&mut self, now: Instant, id: PairId, mapped: SocketAddr) {
        let role = self.role;
        let Some(pair) = self.checklist.get_mut(id) else { return };
        let Some(transaction) = pair.transaction.take() else { return };
        pair.succeed(mapped, &self.locals, role);
        let (component, nominated_by_peer) = (pair.component, pair.nominated_by_peer);
        self.checklist.reprioritise(role);
        self.checklist.thaw_like(id);
        self.heard_on(now, id);
        self.has_valid_pair(now, component);
        match role {
            Role::Controlling if transaction.use_candidate => self.select(now, id),
            Role::Controlled if nominated_by_peer => self.accept_nomination(now, id),
            Role::Controlling | Role::Controlled => {}
        }
    }

    /// Handles an error response: §7.2.5.1 for a role conflict, §7.2.5.2.4 for any other code.
    fn check_refused(&mut self, id: PairId, code: u16) {
        let Some(pair) = self.checklist.get_mut(id) else { return };
        if code != ROLE_CONFLICT {
            log::debug!("ice: {} refused a check with {code}", pair.remote);
            return self.fail(id);
        }
        let Some(transaction) = pair.transaction.take() else { return };
        if pair.state == State::InProgress {
            pair.state = State::Waiting;
        }
        self.role_was_refused(transaction.role);
        self.checklist.trigger(id);
    }

    /// §7.2.5.2: marks the pair as failed. If it was being nominated, another pair may be nominated instead. The selected pair, which
    /// media may have selected while we were nominating it, does not fail by a check: its consent decides (RFC 7675 §5.1).
    pub(crate) fn fail(&mut self, id: PairId) {
        let Some(pair) = self.checklist.get_mut(id) else { return };
        pair.transaction = None;
        let phase = &mut self.phases[pair.component];
        if let Phase::Selected(selected) = phase
            && selected.pair == id
        {
            selected.owes_nomination = false;
            return;
        }
        pair.state = State::Failed;
        if matches!(phase, Phase::Nominating(nominee) if *nominee == id) {
            *phase = Phase::RUNNING;
        }
    }
}
