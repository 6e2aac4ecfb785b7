//! The worker thread: timers of ICE, DTLS, RTCP and digits, and the sockets that nobody reads.
//!
//! A channel whose dialplan waits (an unanswered INVITE, AGI, a database) reads nothing, but the peer's checks and handshakes want
//! answers. So this thread watches the sockets of every ICE or DTLS session from the moment it starts: silently while the channel
//! reads, with `epoll` as soon as it has not read for [`crate::transport::watch::PATIENCE`].
//!
//! The thread itself is [`asterisk::worker`]. It holds its own `Arc<Session>`, never a reference to the host's instance: the last
//! of those would run `destroy` on this thread.

use std::io;
use std::time::Duration;

use asterisk::worker::{WhenIdle, Worker};

use crate::session::Session;

/// Starts the thread.
pub fn start() -> io::Result<Worker<Session>> {
    Worker::start(c"rtp-engine", Some(WhenIdle { after: TIDY_AFTER, call: give_memory_back }))
}

/// Hands free pages of the whole heap back to the system. Each call has threads of the host's own, each of them a part of the heap
/// of its own, and the allocator keeps what they freed: a host that had a busy hour would stay that large for ever.
fn give_memory_back() {
    // SAFETY: takes no pointers, and locks each part of the heap for as long as it looks at it.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Long enough without a call not to fall between two calls of a busy host.
const TIDY_AFTER: Duration = Duration::from_secs(2);
