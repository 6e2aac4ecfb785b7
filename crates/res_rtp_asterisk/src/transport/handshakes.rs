//! The thread on which the steps of all DTLS handshakes run. The thread of a call would pay for the blinding of our RSA key anew.

use asterisk::executor::Executor;
use dtls_srtp::Runner;

/// The thread, which starts with the first handshake.
#[derive(Debug)]
pub struct Handshakes(Executor);

/// Handshakes that wait for the thread. Who comes with more to do at once, as when hundreds call after a restart, does it on the calls'
/// threads, of which there is one for each core.
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
