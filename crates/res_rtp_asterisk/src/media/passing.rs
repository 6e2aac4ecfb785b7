//! Carries packets of a natively bridged session in place of its channel's thread. Called by the threads of `carriers.rs`.

use std::time::{Duration, Instant};

use asterisk::rtp::Instance;

use crate::session::{Reading, Session};
use crate::state::State;
use crate::state::carried::Received;
use crate::state::receive::Taken;

/// Most packets of a session before the thread turns to others.
const BURST: usize = 64;

/// Two packets closer together than this are a burst, of which more may be waiting.
const CLOSE: Duration = Duration::from_millis(5);

/// The time between two looks at what else wants the channel.
const GLANCE: Duration = Duration::from_millis(30);

impl Session {
    /// Passes on what has arrived for this session; `all` of it, or the packet that is usual at once. `buffer` is the thread's,
    /// because the channel may still use the last frame that it has read.
    pub fn carry_packets(&self, now: Instant, all: bool, buffer: &mut [u8]) {
        let Some(mut reading) = self.reading() else { return self.leave_carrier() };
        let Some(is_wanted) = reading.carries(now) else { return };
        let most = if all | reading.is_burst(now) { BURST } else { 1 };
        for _ in 0..most {
            match self.inform_at(now, |state| state.receive_to_carry(now, is_wanted, buffer)) {
                Some(Received::Handled) => {}
                Some(Received::Media(taken)) => self.carry_packet(now, &mut reading, taken, buffer),
                Some(Received::Nothing) => break,
                Some(Received::Unfit) | None => return self.leave_to_channel(),
            }
        }
    }

    /// Leaves the packets of this session to its channel, which goes on to pass them on.
    pub fn leave_to_channel(&self) {
        self.leave_carrier();
        self.inform(State::end_to_carry);
    }

    fn carry_packet(&self, now: Instant, reading: &mut Reading, taken: Taken, buffer: &mut [u8]) {
        // SAFETY: `end`, which `destroy` calls before the host frees the instance, waits for `reading`, which this thread holds.
        let instance = unsafe { Instance::from_ptr(self.instance()) };
        let passed = reading.incoming.pass_on(buffer, self, instance, now, &taken.arrived);
        match passed {
            None => self.inform_at(now, |state| state.keep_for_channel(taken, buffer)),
            Some(read) => read.learned.and_then(|learned| self.inform_at(now, |state| state.learn(learned))),
        };
    }
}

impl Reading {
    /// Returns whether the channel has to wake up whatever comes; `None` if the session has ended, or is not bridged.
    fn carries(&mut self, now: Instant) -> Option<bool> {
        let bridge = self.incoming.bridge().filter(|_| !self.has_ended)?;
        let is_due = self.looked_at.is_none_or(|at| now.saturating_duration_since(at) >= GLANCE);
        if is_due {
            self.looked_at = Some(now);
        }
        Some(is_due && bridge.is_wanted_otherwise())
    }

    /// Returns whether more than one packet may wait. To look for a second one costs as much as to receive it, and of audio there is
    /// one.
    fn is_burst(&mut self, now: Instant) -> bool {
        let before = self.carried_at.replace(now);
        before.is_some_and(|before| now.saturating_duration_since(before) < CLOSE)
    }
}
