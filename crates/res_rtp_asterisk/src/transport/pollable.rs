//! The descriptor that chan_sip polls for a session whose datagrams the engine thread may have taken off the
//! socket already.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use asterisk::epoll::{self, Epoll, EventFd};

/// What chan_sip polls: readable when the socket is, or while packets wait that the engine thread has
/// taken off it. The same descriptor for the life of the session.
#[derive(Debug)]
pub struct Pollable {
    set: Epoll,
    waiting: EventFd,
}

impl Pollable {
    /// For the socket `fd`.
    pub fn over(fd: RawFd) -> io::Result<Self> {
        let (set, waiting) = (Epoll::new()?, EventFd::new()?);
        set.add(fd, epoll::IN, 0)?;
        set.add(waiting.as_raw_fd(), epoll::IN, 1)?;
        Ok(Self { set, waiting })
    }

    /// What to hand out.
    pub fn fd(&self) -> RawFd {
        self.set.as_raw_fd()
    }

    /// Packets wait, or no longer do.
    pub fn set_waiting(&self, waiting: bool) {
        if waiting { self.waiting.signal() } else { self.waiting.drain() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(fd: RawFd) -> bool {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, no waiting.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn readable_for_the_socket_and_for_what_was_taken_off_it() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let pollable = Pollable::over(socket.as_raw_fd()).unwrap();
        assert!(!readable(pollable.fd()));
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(readable(pollable.fd()) && readable(pollable.fd()));
        socket.recv(&mut [0; 8]).unwrap();
        assert!(!readable(pollable.fd()));
        pollable.set_waiting(true);
        assert!(readable(pollable.fd()));
        pollable.set_waiting(false);
        assert!(!readable(pollable.fd()));
    }
}
