//! A session of the self-test (`webrtc selftest`), which is no call: captures and the metrics leave it out.

use super::Transport;
use crate::metrics::steps::Steps;

impl Transport {
    /// Notes that the session is a part of the self-test.
    pub fn note_trial(&mut self) {
        self.steps = Steps::of_trial();
    }

    /// Returns whether the session is a part of the self-test.
    pub fn is_trial(&self) -> bool {
        self.steps.is_of_trial()
    }

    /// Counts something for the metrics, unless it is a part of the self-test.
    pub(super) fn count<T>(&self, count: impl FnOnce() -> T) {
        if !self.is_trial() {
            count();
        }
    }
}
