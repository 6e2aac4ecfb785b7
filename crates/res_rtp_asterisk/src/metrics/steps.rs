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
}

impl Steps {
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
            tell(&kept::ICE, self.checks.max(self.activation), now);
            self.pair = Some(now);
        }
    }

    /// DTLS has agreed on keys for media.
    pub fn handle_keys(&mut self, now: Instant) {
        if self.keys.is_none() {
            tell(&kept::DTLS, self.pair.or(self.activation), now);
            self.keys = Some(now);
        }
    }

    /// Tells when the first packet came, once it is known. May be called at any time after that.
    pub fn handle_first_packet(&mut self, first: Option<Instant>) {
        let Some(first) = first.filter(|_| !self.had_packet) else { return };
        self.had_packet = true;
        tell(&kept::FIRST_PACKET, self.keys.max(self.pair).max(self.activation), first);
    }
}

fn tell<const N: usize>(histogram: &Histogram<N>, began: Option<Instant>, ended: Instant) {
    if let Some(began) = began {
        histogram.observe(ended.saturating_duration_since(began).as_secs_f64());
    }
}
