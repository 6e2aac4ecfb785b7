//! The worker thread: runs the timers of ICE, DTLS, RTCP and digits, and reads sockets that no channel thread reads.
//!
//! A channel whose dialplan waits (an unanswered INVITE, AGI, a database) does not read its sockets, but the peer's connectivity
//! checks and handshakes need answers. So this thread looks after the sockets of every session with ICE or DTLS. It polls them by
//! timer while the channel reads, and waits for them with `epoll` while nothing arrives. It reads them itself once a datagram has
//! stayed unread for [`crate::transport::watch::PATIENCE`].
//!
//! The thread is implemented in [`asterisk::worker`]. It holds an `Arc<Session>` and never a reference to the host's instance:
//! dropping the last such reference would run `destroy` on this thread.

use std::io;
use std::time::Duration;

use asterisk::worker::{WhenIdle, Worker};

use crate::session::Session;

/// Starts the worker thread. Fails when the system refuses a thread or a descriptor.
pub fn start() -> io::Result<Worker<Session>> {
    Worker::start(c"rtp-engine", Some(WhenIdle { after: TIDY_AFTER, call: give_memory_back }))
}

/// Returns free heap pages to the system. glibc gives each thread of each call an arena and keeps the memory they freed, so
/// without this the process would keep the size of its busiest hour.
fn give_memory_back() {
    // SAFETY: malloc_trim takes no pointers and locks each arena while it works on it.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Time without sessions before memory is returned. Longer than the pauses between calls on a busy host.
const TIDY_AFTER: Duration = Duration::from_secs(2);
