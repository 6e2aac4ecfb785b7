//! The parts of `epoll` and `eventfd` that the modules' threads and polled descriptors need.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The descriptor can be read from.
pub const IN: u32 = libc::EPOLLIN as u32;
/// The descriptor can be written to.
pub const OUT: u32 = libc::EPOLLOUT as u32;
/// One report, then none until [`Epoll::modify`] asks again.
pub const ONE_SHOT: u32 = libc::EPOLLONESHOT as u32;

/// A set of descriptors to wait for. The set itself is a descriptor too, readable while one of its members is ready.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Creates an empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor was made in the line above, for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Gives the set the number of `fd`, which is closed. Whoever waits for `fd` at this moment goes on to until it wakes.
    pub fn take_number_of(&mut self, fd: &mut OwnedFd) -> io::Result<()> {
        // SAFETY: both descriptors are open and owned; the number of `fd` refers to the set afterwards.
        check(unsafe { libc::dup3(self.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) })?;
        // Both refer to the set now; the caller drops the one that is not needed.
        std::mem::swap(&mut self.0, fd);
        Ok(())
    }

    /// Adds `fd` to the set; its `events` are reported with `token`.
    pub fn add(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, token)
    }

    /// Changes the events and the token of a member.
    pub fn modify(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    /// Removes a member.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits until a member is ready or `timeout` has passed (`None`: without limit), and returns the events.
    pub fn wait<'a>(
        &self,
        ready: &'a mut [libc::epoll_event],
        timeout: Option<Duration>,
    ) -> io::Result<&'a [libc::epoll_event]> {
        // Round up to the next millisecond: the deadline must have passed when this returns.
        let millis = timeout.map_or(-1, |time| i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let room = i32::try_from(ready.len()).unwrap_or(i32::MAX);
        // SAFETY: the slice is writable and has `room` entries.
        let count = check(unsafe { libc::epoll_wait(self.as_raw_fd(), ready.as_mut_ptr(), room, millis) })?;
        Ok(ready.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default())
    }

    fn control(&self, operation: i32, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: the event lives for the length of the call.
        check(unsafe { libc::epoll_ctl(self.as_raw_fd(), operation, fd, &mut event) }).map(drop)
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A descriptor that is readable from `signal` until `drain`.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Creates a descriptor that is not readable yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the descriptor was made in the line above, for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes the descriptor readable.
    pub fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes. It fails only when the counter is full; the descriptor is readable then too.
        unsafe { libc::write(self.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes the descriptor unreadable again.
    pub fn drain(&self) {
        let mut counter = [0u8; 8];
        // SAFETY: eight writable bytes. It fails only when there is nothing to drain.
        unsafe { libc::read(self.as_raw_fd(), counter.as_mut_ptr().cast(), counter.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits without limit until `fd` is readable. Returns `false` on an error or when `fd` can never be readable.
pub fn wait_readable(fd: RawFd) -> bool {
    wait_readable_for(fd, None).unwrap_or(false)
}

/// Waits until `fd` is readable, at most for `patience` (`None`: without limit). Returns whether it is readable.
pub fn wait_readable_for(fd: RawFd, patience: Option<Duration>) -> io::Result<bool> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_millis());
        let left = left.map_or(-1, |left| i32::try_from(left).unwrap_or(i32::MAX));
        // SAFETY: one entry, and it lives for the length of the call.
        match check(unsafe { libc::poll(&mut poll, 1, left) }) {
            Ok(_) => return Ok(poll.revents & libc::POLLIN != 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
