//! Rate limits for log lines that strangers can trigger: they must not flood the log of a busy host.

use std::sync::Mutex;
use std::time::Duration;

use crate::{lock, time};

/// Allows at most `burst` lines in each period of length `per`.
#[derive(Debug)]
pub struct RateLimit {
    per: Duration,
    burst: u32,
    window: Mutex<Window>,
}

impl RateLimit {
    /// Creates a limit, to be kept in a `static`.
    pub const fn new(per: Duration, burst: u32) -> Self {
        Self { per, burst, window: Mutex::new(Window::FRESH) }
    }

    /// Asks to write one line. If allowed, returns the number of lines refused since the last allowed one.
    pub fn allow(&self) -> Option<u64> {
        let mut window = lock(&self.window);
        window.allow(time::monotonic(), self.per, self.burst)
    }
}

/// A rate limit for lines about many keys (peers, for example), where one key must not use up the whole limit: at
/// most `ALL` lines in each period of length `per`, and at most `share` of them about one `K`.
#[derive(Debug)]
pub struct SharedLimit<K, const ALL: usize> {
    per: Duration,
    share: u32,
    window: Mutex<SharedWindow<K, ALL>>,
}

impl<K: Copy + PartialEq, const ALL: usize> SharedLimit<K, ALL> {
    /// Creates a limit, to be kept in a `static`.
    pub const fn new(per: Duration, share: u32) -> Self {
        Self { per, share, window: Mutex::new(SharedWindow::FRESH) }
    }

    /// Asks to write one line about `key`. If allowed, returns the number of lines refused since the last allowed one,
    /// about any key.
    pub fn allow(&self, key: K) -> Option<u64> {
        let mut window = lock(&self.window);
        window.allow(time::monotonic(), self.per, self.share, key)
    }
}

#[derive(Debug)]
struct SharedWindow<K, const ALL: usize> {
    window: Window,
    /// The lines written about each key. A key gets an entry with its first line, so `ALL` entries are enough.
    written: [Option<(K, u32)>; ALL],
}

impl<K: Copy + PartialEq, const ALL: usize> SharedWindow<K, ALL> {
    const FRESH: Self = Self { window: Window::FRESH, written: [None; ALL] };

    fn allow(&mut self, now: Duration, per: Duration, share: u32, key: K) -> Option<u64> {
        if self.window.begin(now, per) {
            self.written = [None; ALL];
        }
        let entry = self.written.iter_mut().find(|entry| entry.is_none_or(|(other, _)| other == key));
        let Some(entry) = entry.filter(|entry| entry.is_none_or(|(_, written)| written < share)) else {
            self.window.left_out += 1;
            return None;
        };
        let left_out = self.window.allow(now, per, u32::try_from(ALL).unwrap_or(u32::MAX))?;
        *entry = Some((key, entry.map_or(0, |(_, written)| written) + 1));
        Some(left_out)
    }
}

#[derive(Debug)]
struct Window {
    start: Duration,
    written: u32,
    left_out: u64,
}

impl Window {
    const FRESH: Self = Self { start: Duration::ZERO, written: 0, left_out: 0 };

    /// Begins a new period if the last one is over; returns whether it did.
    fn begin(&mut self, now: Duration, per: Duration) -> bool {
        let is_over = now.saturating_sub(self.start) >= per;
        if is_over {
            (self.start, self.written) = (now, 0);
        }
        is_over
    }

    fn allow(&mut self, now: Duration, per: Duration, burst: u32) -> Option<u64> {
        self.begin(now, per);
        if self.written >= burst {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_a_burst_through_and_counts_the_rest() {
        let (mut window, per) = (Window::FRESH, Duration::from_secs(10));
        let at = Duration::from_secs;
        assert_eq!(window.allow(at(100), per, 2), Some(0));
        assert_eq!(window.allow(at(101), per, 2), Some(0));
        assert_eq!(window.allow(at(102), per, 2), None);
        assert_eq!(window.allow(at(109), per, 2), None);
        assert_eq!(window.allow(at(110), per, 2), Some(2));
        assert_eq!(window.allow(at(111), per, 2), Some(0));
    }

    #[test]
    fn a_share_leaves_room_for_others_and_all_of_them_have_an_end() {
        let (mut window, per) = (SharedWindow::<_, 5>::FRESH, Duration::from_secs(10));
        let mut allow = |second, key| window.allow(Duration::from_secs(second), per, 2, key);
        assert_eq!(
            [allow(100, 'a'), allow(100, 'a'), allow(101, 'a'), allow(101, 'a')],
            [Some(0), Some(0), None, None]
        );
        assert_eq!([allow(102, 'b'), allow(102, 'c'), allow(102, 'c')], [Some(2), Some(0), Some(0)]);
        assert_eq!([allow(103, 'b'), allow(103, 'd'), allow(104, 'e')], [None; 3], "five are five");
        assert_eq!([allow(110, 'a'), allow(110, 'e'), allow(110, 'f')], [Some(3), Some(0), Some(0)]);
    }

    #[test]
    fn as_many_as_there_are_lines_may_each_have_one() {
        let (mut window, per) = (SharedWindow::<_, 50>::FRESH, Duration::from_secs(10));
        let written = (0..1000).filter(|key| window.allow(per, per, 5, *key).is_some());
        assert_eq!(written.count(), 50);
        assert_eq!(window.window.left_out, 950);
    }
}
