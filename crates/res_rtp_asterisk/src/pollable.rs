//! Descriptors that are polled: the one that chan_sip gets for a session whose datagrams the engine
//! thread may have taken off the socket already, and the engine thread's own.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An eventfd: readable from [`Signal::raise`] to [`Signal::clear`].
#[derive(Debug)]
pub struct Signal(OwnedFd);

impl Signal {
    /// A signal that is not raised.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed; a descriptor that is not negative is ours alone.
        unsafe {
            match libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) {
                fd if fd < 0 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// Makes the descriptor readable.
    pub fn raise(&self) {
        let one = 1u64;
        // SAFETY: eight octets are read from `one`. A full counter is raised already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight octets are written to `count`. "Would block" means it was not raised.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Poll(OwnedFd);

impl Poll {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed; a descriptor that is not negative is ours alone.
        unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                fd if fd < 0 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// Reports `token` while `fd` is readable.
    pub fn watch(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` is read during the call.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Ends that; harmless when it was not watched.
    pub fn forget(&self, fd: RawFd) {
        // SAFETY: the kernel ignores the event when deleting.
        unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }

    /// Waits up to `timeout_ms` (-1: for ever), hands each token to `ready`.
    pub fn wait(&self, timeout_ms: i32, mut ready: impl FnMut(u64)) {
        const NONE: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };
        let mut events = [NONE; 64];
        let room = events.len() as i32;
        // SAFETY: the kernel writes at most `room` events.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, timeout_ms) };
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            ready(event.u64);
        }
    }
}

/// What chan_sip polls: readable when the socket is, or while packets wait that the engine thread has
/// taken off it. The same descriptor for the life of the session.
#[derive(Debug)]
pub struct Pollable {
    poll: Poll,
    waiting: Signal,
}

impl Pollable {
    /// For the socket `fd`.
    pub fn over(fd: RawFd) -> io::Result<Self> {
        let (poll, waiting) = (Poll::new()?, Signal::new()?);
        poll.watch(fd, 0)?;
        poll.watch(waiting.fd(), 1)?;
        Ok(Self { poll, waiting })
    }

    /// What to hand out.
    pub fn fd(&self) -> RawFd {
        self.poll.0.as_raw_fd()
    }

    /// Packets wait, or no longer do.
    pub fn set_waiting(&self, waiting: bool) {
        if waiting { self.waiting.raise() } else { self.waiting.clear() }
    }
}

impl Poll {
    /// Watches a signal.
    pub fn watch_signal(&self, signal: &Signal, token: u64) -> io::Result<()> {
        self.watch(signal.fd(), token)
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
