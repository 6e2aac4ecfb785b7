//! Where the steps of handshakes run.

use std::fmt;

/// Runs the steps of handshakes, each of which takes up to milliseconds of a processor.
///
/// OpenSSL keeps the blinding of an RSA key and a random generator for each thread. A caller whose calls each have a thread of their own
/// pays for both anew with each handshake, unless it gives the steps to a thread that stays.
pub trait Runner: fmt::Debug + Send + Sync {
    /// Runs `step` once, on any thread, and returns when it has returned. A step that is not run at all is run by the session; one that
    /// panics makes the session panic.
    fn run(&self, step: &mut (dyn FnMut() + Send));
}

/// Runs each step on the thread of its caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Here;

impl Runner for Here {
    fn run(&self, step: &mut (dyn FnMut() + Send)) {
        step();
    }
}
