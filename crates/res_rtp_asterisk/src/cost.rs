//! Counts, in tests, the operations that each packet may cost only once. Compiles to nothing in the built module.

/// An operation that tests count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests distinguish the variants"))]
pub enum Deed {
    /// The monotonic clock was read.
    ReadClock,
    /// The state of a session was locked.
    LockedState,
    /// An RTP packet was parsed.
    ParsedPacket,
}

/// Counts one operation of this thread.
#[inline]
pub fn note(deed: Deed) {
    #[cfg(test)]
    counted::add(deed);
    #[cfg(not(test))]
    let _ = deed;
}

/// The counters of the current thread.
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

    /// Returns the clock readings, state locks and parsed packets since the last call, in this order.
    pub fn take() -> [u32; 3] {
        DEEDS.take()
    }
}
