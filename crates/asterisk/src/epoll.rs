//! `epoll` and `eventfd`, as little of them as the modules' threads and polled descriptors need.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// There is something to read.
pub const IN: u32 = libc::EPOLLIN as u32;
/// Something can be written.
pub const OUT: u32 = libc::EPOLLOUT as u32;
/// One report, then none until [`Epoll::modify`] asks again.
pub const ONE_SHOT: u32 = libc::EPOLLONESHOT as u32;

/// A set of descriptors to wait for. The set is a descriptor itself: readable while one of its members is ready.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Has no members yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor was made in the line above, for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Reports `events` of `fd` by `token`, from now on.
    pub fn add(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, token)
    }

    /// Reports other events of a member.
    pub fn modify(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    /// Reports no more of a member.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits until a member is ready or the time is over, and reports who it is.
    pub fn wait<'a>(
        &self,
        ready: &'a mut [libc::epoll_event],
        timeout: Option<Duration>,
    ) -> io::Result<&'a [libc::epoll_event]> {
        // A deadline is over when it is over: up to the next millisecond.
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

/// A descriptor that is readable once it was signalled, until it is drained.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Not signalled yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the descriptor was made in the line above, for us alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes the descriptor readable.
    pub fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes. Refused only when the counter is full, and then it is readable anyway.
        unsafe { libc::write(self.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable again.
    pub fn drain(&self) {
        let mut counter = [0u8; 8];
        // SAFETY: eight writable bytes. Refused only when there is nothing to drain.
        unsafe { libc::read(self.as_raw_fd(), counter.as_mut_ptr().cast(), counter.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits for as long as it takes until `fd` is readable. `false`: there is nothing to wait for.
pub fn wait_readable(fd: RawFd) -> bool {
    wait_readable_for(fd, None).unwrap_or(false)
}

/// The same for no longer than `patience`; whether there is something by then.
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
