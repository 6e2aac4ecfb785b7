//! The thread on which the steps of all DTLS handshakes run. The thread of a call would pay for the blinding of our RSA key anew.

use asterisk::executor::Executor;
use dtls_srtp::Runner;

/// The thread, which starts with the first handshake.
#[derive(Debug)]
pub struct Handshakes(Executor);

/// The most steps that wait for the thread. Beyond that, as when hundreds call after a restart, a step runs on the thread that has the
/// session, so that all cores are used.
const MOST_WAITING: usize = 2;

impl Default for Handshakes {
    fn default() -> Self {
        Self(Executor::new(c"rtp-handshakes", MOST_WAITING))
    }
}

impl Handshakes {
    /// Ends the thread and waits for its end.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Runner for Handshakes {
    fn run(&self, step: &mut (dyn FnMut() + Send)) {
        self.0.run(step);
    }
}
