//! Counts, in tests, the deeds that a packet is to cost once only. In the built module nothing is left of it.

/// A deed that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "the variants are only told apart in tests"))]
pub enum Deed {
    /// The monotonic clock was read.
    ReadClock,
    /// The state of a session was locked.
    LockedState,
    /// An RTP packet was parsed.
    ParsedPacket,
}

/// Counts one, for this thread.
#[inline]
pub fn note(deed: Deed) {
    #[cfg(test)]
    counted::add(deed);
    #[cfg(not(test))]
    let _ = deed;
}

/// The counts of this thread.
#[cfg(test)]
pub mod counted {
    use std::cell::Cell;

    use super::Deed;

    thread_local! {
        static DEEDS: Cell<[u32; 3]> = const { Cell::new([0; 3]) };
    }

    pub(super) fn add(deed: Deed) {
        let mut deeds = DEEDS.get();
        deeds[deed as usize] += 1;
        DEEDS.set(deeds);
    }

    /// Returns readings of the clock, locks of a state and packets parsed since the last call.
    pub fn take() -> [u32; 3] {
        DEEDS.take()
    }
}
