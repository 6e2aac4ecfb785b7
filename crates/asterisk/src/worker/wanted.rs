//! A task's record of what it has asked the thread for. The task keeps it under its own lock, so that asking for the same
//! again costs neither a system call nor the table's lock.

use std::io;
use std::os::fd::RawFd;
use std::time::Instant;

use super::{Id, Tag, Tasks, token};
use crate::epoll;

/// A descriptor whose readiness is reported once, until the task asks again (`EPOLLONESHOT`).
#[derive(Debug)]
pub struct OneShot {
    id: Id,
    tag: Tag,
    /// `None`: the descriptor is not in the set.
    asked: Option<Interest>,
}

/// The readiness that a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// None, though errors are reported all the same.
    Nothing,
    /// There is something to read.
    Read,
    /// Something can be written.
    Write,
    /// Either of the two.
    ReadWrite,
}

/// The deadline that the thread knows of a task. It may be earlier than the task's real one, which is harmless, so that a
/// deadline that moves with every packet does not move the thread's.
#[derive(Debug, Default)]
pub struct Timer(Option<Instant>);

impl OneShot {
    /// Not waited for yet.
    pub fn new(id: Id, tag: Tag) -> Self {
        Self { id, tag, asked: None }
    }

    /// Has [`Task::handle_ready`](super::Task::handle_ready) called once when `fd`, always the same, is ready for `interest`.
    /// Takes the place of what was asked before.
    pub fn ask<T>(&mut self, tasks: &Tasks<T>, fd: RawFd, interest: Interest) -> io::Result<()> {
        let token = token(self.id, self.tag);
        match self.asked {
            None if interest == Interest::Nothing => return Ok(()),
            Some(same) if same == interest => return Ok(()),
            None => tasks.epoll.add(fd, interest.events(), token)?,
            Some(_) => tasks.epoll.modify(fd, interest.events(), token)?,
        }
        self.asked = Some(interest);
        Ok(())
    }

    /// Notes that readiness was reported; `handle_ready` begins with this.
    pub fn reported(&mut self) {
        if self.asked.is_some() {
            self.asked = Some(Interest::Nothing);
        }
    }

    /// Stops waiting for `fd`, which may be closed afterwards.
    pub fn forget<T>(&mut self, tasks: &Tasks<T>, fd: RawFd) {
        if self.asked.take().is_some() {
            tasks.forget(fd);
        }
    }
}

impl Interest {
    /// Adds [`Interest::Read`].
    pub fn and_read(self) -> Self {
        match self {
            Self::Nothing | Self::Read => Self::Read,
            Self::Write | Self::ReadWrite => Self::ReadWrite,
        }
    }

    fn events(self) -> u32 {
        let events = match self {
            Self::Nothing => 0,
            Self::Read => epoll::IN,
            Self::Write => epoll::OUT,
            Self::ReadWrite => epoll::IN | epoll::OUT,
        };
        events | epoll::ONE_SHOT
    }
}

impl Timer {
    /// Has [`Task::handle_timeout`](super::Task::handle_timeout) of task `id` called at `deadline` or earlier.
    pub fn set<T>(&mut self, tasks: &Tasks<T>, id: Id, deadline: Instant) {
        if self.0.is_none_or(|known| deadline < known) {
            self.0 = Some(deadline);
            tasks.schedule(id, deadline);
        }
    }

    /// Notes that the thread has called; `handle_timeout` begins with this, and sets the timer again before it returns.
    pub fn fired(&mut self) {
        self.0 = None;
    }
}
