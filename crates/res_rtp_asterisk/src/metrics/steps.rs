//! How long the steps of a call's set-up take.

use std::time::Instant;

use exposition::Histogram;

use super::kept;

/// When the steps of a session's set-up happened, each for the first time.
#[derive(Debug, Default)]
pub struct Steps {
    /// The peer's description has come, and checks have begun.
    checks: Option<Instant>,
    /// The call was answered, or has media before that.
    activation: Option<Instant>,
    /// ICE has selected a pair for media.
    pair: Option<Instant>,
    /// DTLS has agreed on keys.
    keys: Option<Instant>,
    /// The first packet was told.
    had_packet: bool,
    /// The session is a part of the self-test: nothing is told.
    is_trial: bool,
}

impl Steps {
    /// Makes the steps of a part of the self-test, which is no call.
    pub fn of_trial() -> Self {
        Self { is_trial: true, ..Self::default() }
    }

    /// Returns whether the session is a part of the self-test.
    pub fn is_of_trial(&self) -> bool {
        self.is_trial
    }

    /// Checks have begun.
    pub fn handle_checks(&mut self, now: Instant) {
        self.checks.get_or_insert(now);
    }

    /// The host has activated the session.
    pub fn handle_activation(&mut self, now: Instant) {
        self.activation.get_or_insert(now);
    }

    /// ICE has selected a pair for media. An offer may have been waiting for somebody to pick up: until then browsers check nothing.
    pub fn handle_pair(&mut self, now: Instant) {
        if self.pair.is_none() {
            self.tell(&kept::ICE, self.checks.max(self.activation), now);
            self.pair = Some(now);
        }
    }

    /// DTLS has agreed on keys for media.
    pub fn handle_keys(&mut self, now: Instant) {
        if self.keys.is_none() {
            self.tell(&kept::DTLS, self.pair.or(self.activation), now);
            self.keys = Some(now);
        }
    }

    /// Tells when the first packet came, once it is known. May be called at any time after that.
    pub fn handle_first_packet(&mut self, first: Option<Instant>) {
        let Some(first) = first.filter(|_| !self.had_packet) else { return };
        self.had_packet = true;
        self.tell(&kept::FIRST_PACKET, self.keys.max(self.pair).max(self.activation), first);
    }

    fn tell<const N: usize>(&self, histogram: &Histogram<N>, began: Option<Instant>, ended: Instant) {
        if let Some(began) = began.filter(|_| !self.is_trial) {
            histogram.observe(ended.saturating_duration_since(began).as_secs_f64());
        }
    }
}
