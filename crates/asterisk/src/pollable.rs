//! A descriptor for the host to poll in place of a socket's own.
//!
//! The socket's own would not do: data that TLS has decrypted, the second of two messages in one segment, and packets that
//! another thread has taken off the socket are all invisible to `poll`; and a closed or negative descriptor leaves a thread
//! of the host in `poll` for ever. This one is an `epoll` set of the socket and of a descriptor that is always readable and
//! counts only while something waits. Its number stays the same, and valid, until it is dropped or given back.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::epoll::{self, Epoll, EventFd};

/// Readable while its socket is, and while something waits that the socket does not show.
#[derive(Debug)]
pub struct Pollable {
    /// `None` when nobody is left to poll it.
    set: Option<Epoll>,
    always: Arc<AlwaysReadable>,
    /// Whether the socket is a member of the set.
    listening: bool,
    /// Whether `always` counts.
    ready: bool,
}

/// A descriptor that is always readable; one serves every [`Pollable`] of a module.
#[derive(Debug)]
pub struct AlwaysReadable(EventFd);

impl AlwaysReadable {
    /// Readable from now on.
    pub fn new() -> io::Result<Self> {
        let fd = EventFd::new()?;
        fd.signal();
        Ok(Self(fd))
    }
}

impl Pollable {
    /// Readable while `socket` is.
    pub fn new(socket: RawFd, always: Arc<AlwaysReadable>) -> io::Result<Self> {
        let set = Epoll::new()?;
        set.add(socket, epoll::IN, 0)?;
        // A member from the start, so that nothing has to be allocated when it begins to count.
        set.add(always.0.as_raw_fd(), 0, 0)?;
        Ok(Self { set: Some(set), always, listening: true, ready: false })
    }

    /// Like [`Self::new`], with the number of `socket`, which gets another one. A thread that is inside `poll` with the number waits
    /// for the socket until it is woken; from then on it waits for this.
    pub fn in_place_of(socket: &mut OwnedFd, always: Arc<AlwaysReadable>) -> io::Result<Self> {
        let moved = socket.try_clone()?;
        let mut pollable = Self::new(moved.as_raw_fd(), always)?;
        if let Some(set) = &mut pollable.set {
            set.take_number_of(socket)?;
        }
        *socket = moved;
        Ok(pollable)
    }

    /// Sets whether it is readable while `socket` is.
    pub fn set_listening(&mut self, socket: RawFd, listening: bool) -> io::Result<()> {
        let Some(set) = self.set.as_ref().filter(|_| listening != self.listening) else { return Ok(()) };
        match listening {
            true => set.add(socket, epoll::IN, 0)?,
            false => set.remove(socket)?,
        }
        self.listening = listening;
        Ok(())
    }

    /// Sets whether something waits that the socket does not show.
    pub fn set_ready(&mut self, ready: bool) -> io::Result<()> {
        let Some(set) = self.set.as_ref().filter(|_| ready != self.ready) else { return Ok(()) };
        set.modify(self.always.0.as_raw_fd(), if ready { epoll::IN } else { 0 }, 0)?;
        self.ready = ready;
        Ok(())
    }

    /// Makes it readable for good: `socket` is about to be closed.
    pub fn end(&mut self, socket: RawFd) -> io::Result<()> {
        let stopped = self.set_listening(socket, false);
        self.set_ready(true).and(stopped)
    }

    /// Closes the set: nobody is inside `poll` with its number, or will be. From now on the number is the one of the
    /// descriptor that is always readable. Comes after [`Self::end`].
    pub fn give_back(&mut self) {
        self.set = None;
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.set.as_ref().map_or_else(|| self.always.0.as_raw_fd(), AsRawFd::as_raw_fd)
    }
}

#[cfg(test)]
#[cfg(not(miri))] // It has no `poll`.
mod tests {
    use std::io::{Read, Write};
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_readable(pollable: &Pollable) -> bool {
        let mut poll = libc::pollfd { fd: pollable.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, and it lives for the length of the call.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    fn over(socket: &impl AsRawFd) -> Pollable {
        Pollable::new(socket.as_raw_fd(), Arc::new(AlwaysReadable::new().unwrap())).unwrap()
    }

    #[test]
    fn readable_when_the_socket_is_or_something_waits() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut pollable = over(&ours);
        assert!(!is_readable(&pollable));
        for _ in 0..2 {
            pollable.set_ready(true).unwrap();
            assert!(is_readable(&pollable));
            pollable.set_ready(false).unwrap();
            assert!(!is_readable(&pollable));
        }
        theirs.write_all(b"x").unwrap();
        assert!(is_readable(&pollable));
    }

    #[test]
    fn readable_for_the_socket_and_for_what_was_taken_off_it() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut pollable = over(&socket);
        assert!(!is_readable(&pollable));
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(is_readable(&pollable) && is_readable(&pollable));
        socket.recv(&mut [0; 8]).unwrap();
        assert!(!is_readable(&pollable));
        pollable.set_ready(true).unwrap();
        assert!(is_readable(&pollable));
        pollable.set_ready(false).unwrap();
        assert!(!is_readable(&pollable));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's own process")]
    fn a_thread_inside_poll_is_woken_when_something_waits() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut pollable = over(&ours);
        let fd = pollable.as_raw_fd();
        let polling = std::thread::spawn(move || epoll::wait_readable(fd));
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(!polling.is_finished());
        pollable.set_ready(true).unwrap();
        assert!(polling.join().unwrap());
    }

    #[test]
    fn what_the_socket_holds_wakes_nobody_while_nobody_listens() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut pollable = over(&ours);
        theirs.write_all(b"x").unwrap();
        for _ in 0..2 {
            pollable.set_listening(ours.as_raw_fd(), false).unwrap();
            assert!(!is_readable(&pollable));
            pollable.set_listening(ours.as_raw_fd(), true).unwrap();
            assert!(is_readable(&pollable));
        }
        pollable.set_listening(ours.as_raw_fd(), false).unwrap();
        pollable.end(ours.as_raw_fd()).unwrap();
        assert!(is_readable(&pollable));
    }

    #[test]
    fn a_socket_that_is_polled_already_gives_its_number_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (number, mut socket) = (ours.as_raw_fd(), OwnedFd::from(ours));
        theirs.write_all(b"x").unwrap();
        let always = Arc::new(AlwaysReadable::new().unwrap());
        let mut pollable = Pollable::in_place_of(&mut socket, always).unwrap();
        assert_eq!(pollable.as_raw_fd(), number);
        assert_ne!(socket.as_raw_fd(), number);
        assert!(is_readable(&pollable));
        pollable.set_listening(socket.as_raw_fd(), false).unwrap();
        assert!(!is_readable(&pollable));
        pollable.set_ready(true).unwrap();
        assert!(is_readable(&pollable));
        pollable.set_ready(false).unwrap();
        pollable.set_listening(socket.as_raw_fd(), true).unwrap();
        assert!(is_readable(&pollable));
        let mut ours = UnixStream::from(socket);
        ours.read_exact(&mut [0]).unwrap();
        assert!(!is_readable(&pollable));
    }

    #[test]
    fn readable_for_good_once_the_session_has_ended() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut pollable = over(&ours);
        pollable.end(ours.as_raw_fd()).unwrap();
        drop((ours, theirs));
        assert!(is_readable(&pollable) && is_readable(&pollable));
    }

    #[test]
    fn readable_still_when_its_own_was_given_back() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let always = Arc::new(AlwaysReadable::new().unwrap());
        let mut pollable = Pollable::new(ours.as_raw_fd(), always.clone()).unwrap();
        pollable.end(ours.as_raw_fd()).unwrap();
        pollable.give_back();
        assert_eq!(pollable.as_raw_fd(), always.0.as_raw_fd());
        assert!(is_readable(&pollable));
        pollable.end(ours.as_raw_fd()).unwrap();
        assert!(is_readable(&pollable));
    }

    #[test]
    fn one_session_does_not_wake_another() {
        let always = Arc::new(AlwaysReadable::new().unwrap());
        let (socket, _peer) = UnixStream::pair().unwrap();
        let mut pollables = [(); 2].map(|()| Pollable::new(socket.as_raw_fd(), always.clone()).unwrap());
        pollables[0].set_ready(true).unwrap();
        assert!(is_readable(&pollables[0]) && !is_readable(&pollables[1]));
    }
}
