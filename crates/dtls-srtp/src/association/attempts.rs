//! Handshakes that begin again after a message that anybody could have sent.
//!
//! Until there are keys, the messages of a handshake are not protected, and OpenSSL ends it at the first one that is not
//! as it should be. A stranger that forges the peer's address could so end a call before it has begun. The handshake
//! begins again then, quietly and with a pause, for as long as one handshake may take. A client sends a new ClientHello,
//! a server waits for one.

use std::time::{Duration, Instant};

use crate::timer::HANDSHAKE_LIFETIME;

/// The attempts at one association.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The time of the latest input.
    latest: Option<Instant>,
    /// When the first attempt began.
    first: Option<Instant>,
    /// When the next attempt may begin.
    next: Option<Instant>,
    interruptions: u32,
    /// How often another client took the handshake over.
    takeovers: u32,
}

impl Attempts {
    /// Takes note of the time. Events follow inputs, and have no time of their own.
    pub(super) fn note_time(&mut self, now: Instant) {
        self.latest = Some(now);
        self.next = self.next.filter(|next| now < *next);
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.note_time(now);
        self.first.get_or_insert(now);
        self.next = None;
    }

    /// An attempt was interrupted.
    pub(super) fn interrupted(&mut self) {
        self.interruptions = self.interruptions.saturating_add(1);
        self.next = self.latest.map(|latest| latest + PAUSE);
    }

    /// Whether the pause after an interruption is over.
    pub(super) fn may_begin(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// Whether another attempt is worth it.
    pub(super) fn may_go_on(&self) -> bool {
        self.latest.zip(self.first).is_some_and(|(latest, first)| latest < first + HANDSHAKE_LIFETIME)
    }

    /// Whether another client may take the handshake over, which then has.
    pub(super) fn may_be_taken_over(&mut self) -> bool {
        self.takeovers += 1;
        self.takeovers <= TAKEOVERS_MAX
    }

    /// When the next attempt may begin, if it waits.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn interruptions(&self) -> u32 {
        self.interruptions
    }
}

/// How often another client may take a handshake over. The peer does so once, or twice if it begins anew.
const TAKEOVERS_MAX: u32 = 16;

/// The time between an interruption and the next attempt. Five handshakes per second cost little, and a browser repeats
/// its ClientHello more often than that.
const PAUSE: Duration = Duration::from_millis(200);
