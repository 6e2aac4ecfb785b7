//! The worker thread: timers of ICE, DTLS, RTCP and digits, and the sockets that nobody reads.
//!
//! A channel whose dialplan waits (an unanswered INVITE, AGI, a database) reads nothing, but the
//! peer's checks and handshakes want answers. So this thread watches the sockets of every ICE or
//! DTLS session from the moment it starts: silently while the channel reads, with `epoll` as soon as
//! it has not read for [`crate::transport::watch::PATIENCE`]. It sleeps until the next deadline or until one of the
//! sockets is ready.
//!
//! The table holds its own `Arc<Session>`, never a reference to the host's instance: the last of
//! those would run `destroy` on this thread. The table's lock is the innermost of all.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::epoll::{self, Epoll, EventFd};
use asterisk::fence::fence;
use asterisk::lock;
use asterisk::thread;
use ice::Component;

use crate::session::Session;

/// Names a session to the thread, for the life of the module.
pub type Id = u64;

/// What sessions and the thread share.
pub struct Shared {
    epoll: Epoll,
    wake: EventFd,
    stopping: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next_id: Id,
    sessions: HashMap<Id, Arc<Session>>,
    deadlines: BinaryHeap<Reverse<(Instant, Id)>>,
    /// When memory that calls had is given back to the system, if none has begun until then.
    tidy_at: Option<Instant>,
    /// Until when the thread sleeps; `None` while it works, or for ever.
    sleeps_until: Option<Instant>,
    sleeps: bool,
}

/// The thread itself. Joined when this goes.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle>>,
}

impl Worker {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            epoll: Epoll::new()?,
            wake: EventFd::new()?,
            stopping: AtomicBool::new(false),
            table: Mutex::default(),
        });
        shared.epoll.add(shared.wake.as_raw_fd(), epoll::IN, WAKE)?;
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(c"rtp-engine", move || of_thread.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// For sessions to register with.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Worker {
    /// Ends the thread and waits for it: the code is about to be unmapped.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake.signal();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// A name for a session about to be made.
    pub fn next_id(&self) -> Id {
        let mut table = self.table();
        table.next_id += 1;
        table.next_id
    }

    /// The thread may look after this session from now on.
    pub fn add(&self, session: &Arc<Session>) {
        self.table().sessions.insert(session.id(), Arc::clone(session));
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.table().sessions.len()
    }

    /// A session, unless it has ended.
    pub fn session(&self, id: Id) -> Option<Arc<Session>> {
        self.table().sessions.get(&id).cloned()
    }

    /// All sessions, oldest first.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> = self.table().sessions.values().cloned().collect();
        sessions.sort_unstable_by_key(|session| session.id());
        sessions
    }

    /// The thread takes this session up no more. It may be at it at this moment: whoever calls locks
    /// the session afterwards to wait for that.
    pub fn remove(&self, id: Id, sockets: [RawFd; 2]) {
        for socket in sockets {
            self.forget(socket);
        }
        let mut table = self.table();
        let session = table.sessions.remove(&id);
        if session.is_some() && table.sessions.is_empty() {
            let at = Instant::now() + TIDY_AFTER;
            table.tidy_at = Some(at);
            self.wake_for(at, table);
        } else {
            drop(table);
        }
        drop(session); // with the table open again: this may be the last of it
    }

    /// Has the session's `handle_timeout` called at `deadline`. Earlier and additional calls happen.
    pub fn schedule(&self, id: Id, deadline: Instant) {
        let mut table = self.table();
        table.deadlines.push(Reverse((deadline, id)));
        self.wake_for(deadline, table);
    }

    /// Begins or ends waiting for the sockets of a session.
    pub fn watch(&self, id: Id, sockets: [RawFd; 2], watched: bool) {
        for (socket, component) in sockets.into_iter().zip(Component::ALL) {
            if watched {
                // Fails only without memory; the next deadline tries again.
                let _ = self.epoll.add(socket, epoll::IN, token(id, component));
            } else {
                self.forget(socket);
            }
        }
    }

    fn run(&self) {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 64];
        while !self.stopping.load(Ordering::Acquire) {
            let timeout = self.fall_asleep();
            // Interrupted, at worst: then nothing is ready.
            let ready = self.epoll.wait(&mut ready, timeout).unwrap_or_default();
            self.table().sleeps = false;
            for event in ready {
                self.serve(event.u64);
            }
            self.serve_deadlines();
            self.tidy();
        }
    }

    /// How long to sleep; `None` is for ever.
    fn fall_asleep(&self) -> Option<Duration> {
        let mut table = self.table();
        let deadline = table.deadlines.peek().map(|Reverse((deadline, _))| *deadline);
        table.sleeps_until = deadline.into_iter().chain(table.tidy_at).min();
        table.sleeps = true;
        table.sleeps_until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Harmless when the socket was not waited for.
    fn forget(&self, socket: RawFd) {
        let _ = self.epoll.remove(socket);
    }

    fn serve(&self, token: u64) {
        if token == WAKE {
            self.wake.drain();
            return;
        }
        let component = if token & 1 == 0 { Component::Rtp } else { Component::Rtcp };
        if let Some(session) = self.session(token >> 1) {
            fence("worker thread: socket", (), || session.handle_readable(Instant::now(), component));
        }
    }

    fn serve_deadlines(&self) {
        let now = Instant::now();
        while let Some(session) = self.next_due(now) {
            if let Some(session) = session {
                fence("worker thread: timer", (), || session.handle_timeout(now));
            }
        }
    }

    /// The next session whose deadline has come; inner `None` when the session is gone.
    fn next_due(&self, now: Instant) -> Option<Option<Arc<Session>>> {
        let mut table = self.table();
        let Reverse((deadline, id)) = *table.deadlines.peek()?;
        if deadline > now {
            return None;
        }
        table.deadlines.pop();
        Some(table.sessions.get(&id).cloned())
    }

    /// Wakes the thread if it would sleep past `deadline`.
    fn wake_for(&self, deadline: Instant, mut table: MutexGuard<'_, Table>) {
        let sleeps_past_it = table.sleeps && table.sleeps_until.is_none_or(|until| deadline < until);
        if sleeps_past_it {
            table.sleeps_until = Some(deadline);
            drop(table);
            self.wake.signal();
        }
    }

    /// Each call has threads of the host's own, each of them a part of the heap of its own, and the allocator keeps what
    /// they freed: a host that had a busy hour would stay that large for ever.
    fn tidy(&self) {
        let mut table = self.table();
        if table.tidy_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        table.tidy_at = None;
        let is_idle = table.sessions.is_empty();
        drop(table);
        if is_idle {
            give_memory_back();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held; were it otherwise, the table would still be whole.
        lock(&self.table)
    }
}

fn token(id: Id, component: Component) -> u64 {
    id << 1 | u64::from(component == Component::Rtcp)
}

/// Hands free pages of the whole heap back to the system.
fn give_memory_back() {
    // SAFETY: takes no pointers, and locks each part of the heap for as long as it looks at it.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

const WAKE: u64 = u64::MAX;

/// So long without a call: not between two calls of a busy host.
const TIDY_AFTER: Duration = Duration::from_secs(2);
