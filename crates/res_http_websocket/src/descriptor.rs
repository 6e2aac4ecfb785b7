//! The descriptor that the consumer of a session polls.
//!
//! The socket's own would not do: what TLS has decrypted, or the second of two messages in one segment, is invisible
//! to `poll`, and a closed or negative one leaves the consumer in `poll` for ever. This one is an `epoll` set of the
//! socket and, while something waits to be read, of a descriptor that is always readable. It is readable for good
//! once the session has ended, and valid until the last reference to the session goes. chan_sip remembers a session for as
//! long as a dialog or a peer of it, though nobody polls it any more: of such a session only the always readable one is left,
//! which all of them share.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use asterisk::epoll::{self, Epoll, EventFd};

pub struct Descriptor {
    /// `None` when nobody is left to poll it.
    set: Option<Epoll>,
    always: Arc<EventFd>,
    /// The socket is a member.
    listening: bool,
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
        Ok(Self { set: Some(set), always, listening: true, ready: false })
    }

    /// Whether it turns readable with the socket.
    pub fn set_listening(&mut self, socket: RawFd, listening: bool) -> io::Result<()> {
        let Some(set) = self.set.as_ref().filter(|_| listening != self.listening) else { return Ok(()) };
        match listening {
            true => set.add(socket, epoll::IN, 0)?,
            false => set.remove(socket)?,
        }
        self.listening = listening;
        Ok(())
    }

    /// Whether something waits that the socket does not show.
    pub fn set_ready(&mut self, ready: bool) -> io::Result<()> {
        let Some(set) = self.set.as_ref().filter(|_| ready != self.ready) else { return Ok(()) };
        match ready {
            true => set.add(self.always.as_raw_fd(), epoll::IN, 0)?,
            false => set.remove(self.always.as_raw_fd())?,
        }
        self.ready = ready;
        Ok(())
    }

    /// The session has ended: readable for good, whatever the socket does.
    pub fn end(&mut self, socket: RawFd) -> io::Result<()> {
        // Refused when it was removed before.
        let _ = self.set.as_ref().map(|set| set.remove(socket));
        self.set_ready(true)
    }

    /// The session has ended, and nobody is inside `poll` or will be with the number that this had.
    pub fn give_back(&mut self) {
        self.set = None;
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.set.as_ref().map_or_else(|| self.always.as_raw_fd(), AsRawFd::as_raw_fd)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_readable(descriptor: &Descriptor) -> bool {
        let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, and it lives for the length of the call.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    #[test]
    fn readable_when_the_socket_is_or_something_waits() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut descriptor = Descriptor::new(ours.as_raw_fd(), always_readable().unwrap()).unwrap();
        assert!(!is_readable(&descriptor));
        for _ in 0..2 {
            descriptor.set_ready(true).unwrap();
            assert!(is_readable(&descriptor));
            descriptor.set_ready(false).unwrap();
            assert!(!is_readable(&descriptor));
        }
        theirs.write_all(b"x").unwrap();
        assert!(is_readable(&descriptor));
    }

    #[test]
    fn what_the_socket_holds_wakes_nobody_while_nobody_listens() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut descriptor = Descriptor::new(ours.as_raw_fd(), always_readable().unwrap()).unwrap();
        theirs.write_all(b"x").unwrap();
        for _ in 0..2 {
            descriptor.set_listening(ours.as_raw_fd(), false).unwrap();
            assert!(!is_readable(&descriptor));
            descriptor.set_listening(ours.as_raw_fd(), true).unwrap();
            assert!(is_readable(&descriptor));
        }
        descriptor.set_listening(ours.as_raw_fd(), false).unwrap();
        descriptor.end(ours.as_raw_fd()).unwrap();
        assert!(is_readable(&descriptor));
    }

    #[test]
    fn readable_for_good_once_the_session_has_ended() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut descriptor = Descriptor::new(ours.as_raw_fd(), always_readable().unwrap()).unwrap();
        descriptor.end(ours.as_raw_fd()).unwrap();
        drop((ours, theirs));
        assert!(is_readable(&descriptor) && is_readable(&descriptor));
    }

    #[test]
    fn readable_still_when_its_own_was_given_back() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let always = always_readable().unwrap();
        let mut descriptor = Descriptor::new(ours.as_raw_fd(), always.clone()).unwrap();
        descriptor.end(ours.as_raw_fd()).unwrap();
        descriptor.give_back();
        assert_eq!(descriptor.as_raw_fd(), always.as_raw_fd());
        assert!(is_readable(&descriptor));
        descriptor.end(ours.as_raw_fd()).unwrap();
        assert!(is_readable(&descriptor));
    }

    #[test]
    fn one_session_does_not_wake_another() {
        let always = always_readable().unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let mut descriptors = [(); 2].map(|()| Descriptor::new(socket.as_raw_fd(), always.clone()).unwrap());
        descriptors[0].set_ready(true).unwrap();
        assert!(is_readable(&descriptors[0]) && !is_readable(&descriptors[1]));
    }
}
