//! The descriptor that the consumer of a session polls.
//!
//! The socket's own would not do: what TLS has decrypted, or the second of two messages in one segment, is invisible
//! to `poll`, and a closed or negative one leaves the consumer in `poll` for ever. This one is an `epoll` set of the
//! socket and, while something waits to be read, of a descriptor that is always readable. It is readable for good
//! once the session has ended, and valid until the last reference to the session goes.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use crate::epoll::{self, Epoll, EventFd};

pub struct Descriptor {
    set: Epoll,
    always: Arc<EventFd>,
    /// The always readable one is a member.
    ready: bool,
}

/// What is readable from the beginning and never drained; one for all sessions.
pub fn always_readable() -> io::Result<Arc<EventFd>> {
    let fd = EventFd::new()?;
    fd.signal();
    Ok(Arc::new(fd))
}

impl Descriptor {
    pub fn new(socket: RawFd, always: Arc<EventFd>) -> io::Result<Self> {
        let set = Epoll::new()?;
        set.add(socket, epoll::IN, 0)?;
        Ok(Self { set, always, ready: false })
    }

    /// Whether something waits that the socket does not show.
    pub fn set_ready(&mut self, ready: bool) {
        if ready == self.ready {
            return;
        }
        let changed = match ready {
            true => self.set.add(self.always.as_raw_fd(), epoll::IN, 0),
            false => self.set.remove(self.always.as_raw_fd()),
        };
        match changed {
            Ok(()) => self.ready = ready,
            Err(error) => asterisk::error!("WebSocket: descriptor of a session: {error}"),
        }
    }

    /// The session has ended: readable for good, whatever the socket does.
    pub fn end(&mut self, socket: RawFd) {
        // Refused when it was removed before.
        let _ = self.set.remove(socket);
        self.set_ready(true);
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.set.as_raw_fd()
    }
}
