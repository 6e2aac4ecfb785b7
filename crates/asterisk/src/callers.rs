//! Counts the threads that are inside a function that others call while the host does not know of it, so that unloading can wait
//! for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The number of threads that are inside.
#[derive(Debug, Default)]
pub struct Callers(AtomicUsize);

/// A thread that is inside, until this is dropped.
#[derive(Debug)]
pub struct Caller<'a> {
    callers: &'a Callers,
    /// The threads that were inside when this one came.
    pub others: usize,
}

/// Time for the few instructions of a caller before it is counted and after it no longer is.
pub const LAST_STEPS: Duration = Duration::from_millis(10);

impl Callers {
    /// No threads.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts the calling thread.
    pub fn enter(&self) -> Caller<'_> {
        Caller { callers: self, others: self.0.fetch_add(1, Ordering::SeqCst) }
    }

    /// Waits until no thread is inside, and then for `last_steps`: the last one may have its return before it, and one that finds
    /// nothing loaded its first step.
    pub fn wait(&self, last_steps: Duration) {
        while self.0.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(last_steps);
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.callers.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test's own process")]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn waiting_ends_when_the_last_thread_is_out() {
        let (callers, is_out) = (Callers::new(), AtomicBool::new(false));
        let first = callers.enter();
        let second = callers.enter();
        assert_eq!((first.others, second.others), (0, 1));
        drop(first);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                is_out.store(true, Ordering::SeqCst);
                drop(second);
            });
            callers.wait(Duration::ZERO);
            assert!(is_out.load(Ordering::SeqCst));
        });
    }
}
