//! The one thread of this module: it writes what a stream did not take at once, lets deadlines pass, and sees closing
//! handshakes through. It sleeps until there is something to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use asterisk::epoll::{self, Epoll, EventFd};
use asterisk::fence::fence;
use asterisk::lock;

use crate::buffers::Buffers;
use crate::protocols::Protocol;
use crate::session::Session;

pub struct Driver {
    pub buffers: Buffers,
    epoll: Epoll,
    wake: EventFd,
    last_id: AtomicU64,
    table: Mutex<Table>,
}

/// The token of the descriptor that wakes us; sessions count from 1.
const WAKE: u64 = 0;

#[derive(Default)]
struct Table {
    sessions: BTreeMap<u64, Arc<Session>>,
    timers: BTreeSet<(Instant, u64)>,
    /// Until when the thread sleeps, if it does.
    asleep_until: Option<Option<Instant>>,
    stopping: bool,
}

/// What the driver waits for on behalf of a session; the session keeps it under its lock.
pub struct Watch {
    id: u64,
    interest: Option<Interest>,
    /// The timer that is set. It may fire too early, which is harmless, so that a deadline which moves with every
    /// message does not move the timer.
    timer: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Nothing,
    Read,
    Write,
    ReadWrite,
}

impl Interest {
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
        // One report, then the session says again what it wants.
        events | libc::EPOLLONESHOT as u32
    }
}

impl Watch {
    pub fn new(id: u64) -> Self {
        Self { id, interest: None, timer: None }
    }

    /// The one report was made.
    pub fn fired(&mut self) {
        if self.interest.is_some() {
            self.interest = Some(Interest::Nothing);
        }
    }

    pub fn timer_fired(&mut self) {
        self.timer = None;
    }
}

impl Driver {
    pub fn new() -> io::Result<Self> {
        let (epoll, wake) = (Epoll::new()?, EventFd::new()?);
        epoll.add(wake.as_raw_fd(), epoll::IN, WAKE)?;
        Ok(Self { buffers: Buffers::default(), epoll, wake, last_id: AtomicU64::new(WAKE), table: Mutex::default() })
    }

    /// The body of the thread.
    pub fn run(&self) {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 64];
        while let Some(sleep) = self.prepare_sleep() {
            let timeout = sleep.map(|until| until.saturating_duration_since(Instant::now()));
            // Interrupted, at worst: then nothing is ready.
            let ready = self.epoll.wait(&mut ready, timeout).unwrap_or_default();
            for event in ready {
                match event.u64 {
                    WAKE => self.wake.drain(),
                    id => self.with_session(id, Session::handle_ready),
                }
            }
            for id in self.due(Instant::now()) {
                self.with_session(id, Session::handle_timeout);
            }
        }
    }

    /// Makes `run` return.
    pub fn stop(&self) {
        self.table().stopping = true;
        self.wake.signal();
    }

    pub fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps a session until its stream is closed.
    pub fn adopt(&self, session: Arc<Session>) {
        self.table().sessions.insert(session.id(), session);
    }

    /// The sessions of a protocol, or all.
    pub fn sessions(&self, protocol: Option<&Arc<Protocol>>) -> Vec<Arc<Session>> {
        let of = |session: &&Arc<Session>| protocol.is_none_or(|protocol| Arc::ptr_eq(session.protocol(), protocol));
        self.table().sessions.values().filter(of).cloned().collect()
    }

    /// One of them.
    pub fn session(&self, id: u64) -> Option<Arc<Session>> {
        self.table().sessions.get(&id).cloned()
    }

    /// Waits for something on a socket, from now on.
    pub fn watch(&self, watch: &mut Watch, socket: RawFd, interest: Interest) -> io::Result<()> {
        match watch.interest {
            None if interest == Interest::Nothing => return Ok(()),
            Some(same) if same == interest => return Ok(()),
            None => self.epoll.add(socket, interest.events(), watch.id)?,
            Some(_) => self.epoll.modify(socket, interest.events(), watch.id)?,
        }
        watch.interest = Some(interest);
        Ok(())
    }

    /// Calls [`Session::handle_timeout`] at `deadline` or earlier.
    pub fn arm(&self, watch: &mut Watch, now: Instant, deadline: Option<Instant>) {
        let Some(deadline) = deadline.map(|deadline| deadline.max(now)) else { return };
        if watch.timer.is_some_and(|timer| timer <= deadline) {
            return;
        }
        let mut table = self.table();
        if let Some(later) = watch.timer.replace(deadline) {
            table.timers.remove(&(later, watch.id));
        }
        table.timers.insert((deadline, watch.id));
        if table.asleep_until.is_some_and(|until| until.is_none_or(|until| deadline < until)) {
            table.asleep_until = None;
            self.wake.signal();
        }
    }

    /// The stream of a session is about to be closed.
    pub fn forget(&self, watch: &mut Watch, socket: RawFd) {
        if watch.interest.take().is_some() {
            let _ = self.epoll.remove(socket);
        }
        let mut table = self.table();
        if let Some(timer) = watch.timer.take() {
            table.timers.remove(&(timer, watch.id));
        }
        let session = table.sessions.remove(&watch.id);
        drop(table);
        // The caller has its lock, so it is not the last one; and never dropped under the table's lock.
        drop(session);
    }

    fn prepare_sleep(&self) -> Option<Option<Instant>> {
        let mut table = self.table();
        if table.stopping {
            return None;
        }
        let until = table.timers.first().map(|(deadline, _)| *deadline);
        table.asleep_until = Some(until);
        Some(until)
    }

    fn due(&self, now: Instant) -> Vec<u64> {
        let mut table = self.table();
        table.asleep_until = None;
        let mut due = Vec::new();
        while table.timers.first().is_some_and(|(deadline, _)| *deadline <= now) {
            due.extend(table.timers.pop_first().map(|(_, id)| id));
        }
        due
    }

    /// A panic costs the one session.
    fn with_session(&self, id: u64, body: fn(&Session)) {
        let Some(session) = self.session(id) else { return };
        let survived = fence("websocket thread", false, || {
            body(&session);
            true
        });
        if !survived {
            // It takes apart what the panic left, and may meet the same.
            fence("websocket thread", (), || session.cut(websocket::CloseCode::INTERNAL_ERROR));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change of it is one insertion or removal: a panic elsewhere leaves it whole.
        lock(&self.table)
    }
}
