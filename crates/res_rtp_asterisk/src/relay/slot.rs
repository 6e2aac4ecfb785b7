//! One place of the pool: it makes an allocation, keeps it alive until a session takes it, and makes the next.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::lock;
use asterisk::worker::{Id, Interest, OneShot, Tag, Task, Tasks};
use turn::{Event, Failure, MAX_DATAGRAM};

use super::link::{FromServer, Link, Trouble};
use super::servers::{Resolved, Servers};

/// A place of the pool, or an allocation that is given back. A task of the pool's thread.
pub struct Slot {
    id: Id,
    tasks: Arc<Tasks<Self>>,
    servers: Arc<Servers>,
    state: Mutex<State>,
}

enum State {
    /// The next attempt is due at the task's deadline.
    Empty,
    /// The addresses of the server with this number are looked up.
    Resolving { server: usize, watched: Option<(OneShot, RawFd)> },
    /// An allocation is being made.
    Trying(Attempt),
    /// An allocation waits for a session.
    Ready { attempt: Attempt, since: Instant },
    /// An allocation is given back.
    Leaving { link: Link, until: Instant },
    /// The slot is not part of the pool any more.
    Over,
}

struct Attempt {
    server: usize,
    link: Link,
    /// How often a server has named another in its place.
    hops: u32,
}

/// The state of a slot, for the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// An allocation waits for a session.
    Ready,
    /// There is none yet.
    Empty,
    /// An allocation is given back.
    Leaving,
}

impl Slot {
    /// Adds an empty slot to the pool's thread, which begins to fill it.
    pub fn add(tasks: &Arc<Tasks<Self>>, servers: &Arc<Servers>) -> Arc<Self> {
        let slot = Self::with(tasks, servers, State::Empty);
        slot.tasks.schedule(slot.id, Instant::now());
        slot
    }

    /// Gives an allocation back: the pool's thread waits for the confirmation.
    pub fn add_leaving(tasks: &Arc<Tasks<Self>>, servers: &Arc<Servers>, now: Instant, mut link: Link) {
        link.detach();
        if link.release(now) {
            let slot = Self::with(tasks, servers, State::Leaving { link, until: now + LAST_PATIENCE });
            slot.tasks.schedule(slot.id, now);
        }
    }

    fn with(tasks: &Arc<Tasks<Self>>, servers: &Arc<Servers>, state: State) -> Arc<Self> {
        let id = tasks.next_id();
        let slot = Self { id, tasks: Arc::clone(tasks), servers: Arc::clone(servers), state: Mutex::new(state) };
        let slot = Arc::new(slot);
        slot.tasks.add(id, Arc::clone(&slot));
        slot
    }

    /// Takes the allocation, if one is ready and nobody is using the slot. Never waits.
    pub fn take(&self, now: Instant) -> Option<Link> {
        let mut state = self.state.try_lock().ok()?;
        let is_good = |link: &Link| link.addresses().is_some() && !link.is_doubtful();
        if !matches!(&*state, State::Ready { attempt, .. } if is_good(&attempt.link)) {
            return None;
        }
        let State::Ready { attempt: Attempt { mut link, .. }, .. } = std::mem::replace(&mut *state, State::Empty)
        else {
            return None;
        };
        link.forget(&self.tasks);
        self.tasks.schedule(self.id, now);
        Some(link)
    }

    /// Takes the slot out of the pool, and gives its allocation back.
    pub fn end(&self, now: Instant) -> Option<Link> {
        self.tasks.remove(self.id);
        match std::mem::replace(&mut *lock(&self.state), State::Over) {
            State::Ready { attempt: Attempt { mut link, .. }, .. } => {
                link.forget(&self.tasks);
                link.release(now);
                Some(link)
            }
            _ => None,
        }
    }

    /// Returns the state; `None` while the slot is being used.
    pub fn shown(&self) -> Option<Shown> {
        Some(match &*self.state.try_lock().ok()? {
            State::Ready { .. } => Shown::Ready,
            State::Leaving { .. } => Shown::Leaving,
            _ => Shown::Empty,
        })
    }

    /// Receives and lets time pass, then acts upon what came of it.
    fn proceed(&self, now: Instant, is_ready: bool) {
        let mut state = lock(&self.state);
        if let State::Resolving { server, watched } = &mut *state {
            let server = *server;
            // The lookup may turn to another server, with another socket.
            if let Some((mut watched, fd)) = watched.take() {
                watched.forget(&self.tasks, fd);
            }
            *state = State::Empty;
            drop(state);
            let resolved = self.servers.look_up(now, server);
            return self.handle_resolved(now, server, resolved);
        }
        if matches!(*state, State::Empty) {
            drop(state);
            return self.begin(now);
        }
        if let Some(link) = state.link() {
            if is_ready {
                link.reported();
            }
            receive(link, now);
            link.handle_timeout(now);
        }
        let line = self.follow(now, &mut state);
        self.wait(&mut state);
        drop(state);
        if let Some(line) = line {
            asterisk::warning!("{line}");
        }
    }

    /// Chooses a server and begins with it.
    fn begin(&self, now: Instant) {
        match self.servers.choose(now) {
            Ok(server) => {
                let resolved = self.servers.resolve(now, server, self.id);
                self.handle_resolved(now, server, resolved);
            }
            Err(later) => self.tasks.schedule(self.id, later),
        }
    }

    /// Begins an allocation if the server's addresses are known, or waits for them.
    fn handle_resolved(&self, now: Instant, server: usize, resolved: Resolved) {
        let failure = match resolved {
            Resolved::Waiting => return,
            Resolved::Asking { fd, due } => return self.await_addresses(server, fd, due),
            Resolved::Known => self.connect(now, server).err().map(|error| error.to_string()),
            Resolved::Failed(failure) => Some(failure),
        };
        let waiting = self.servers.take_waiting(server);
        waiting.into_iter().for_each(|slot| self.tasks.schedule(slot, now));
        if let Some(failure) = failure {
            if let Some(line) = self.servers.handle_failure(now, server, failure) {
                asterisk::warning!("{line}");
            }
            self.tasks.schedule(self.id, now);
        }
    }

    fn await_addresses(&self, server: usize, fd: Option<RawFd>, due: Instant) {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Empty) {
            return;
        }
        let watched = fd.map(|fd| {
            let mut watched = OneShot::new(self.id, TAG);
            // Fails only when memory is exhausted; then the lookup times out.
            let _ = watched.ask(&self.tasks, fd, Interest::Read);
            (watched, fd)
        });
        *state = State::Resolving { server, watched };
        self.tasks.schedule(self.id, due);
    }

    fn connect(&self, now: Instant, server: usize) -> std::io::Result<()> {
        let link = self.servers.connect(now, server, None)?;
        let mut state = lock(&self.state);
        if matches!(*state, State::Empty) {
            *state = State::Trying(Attempt { server, link, hops: 0 });
            self.wait(&mut state);
        }
        Ok(())
    }

    /// Acts upon the allocation's events. Returns a line for the log.
    fn follow(&self, now: Instant, state: &mut MutexGuard<'_, State>) -> Option<String> {
        loop {
            let event = state.link()?.poll_event();
            let before = std::mem::replace(&mut **state, State::Over);
            let (after, line) = match (before, event) {
                (State::Trying(attempt), Some(Ok(Event::Allocated { .. }))) => {
                    self.servers.handle_success(attempt.server);
                    (State::Ready { attempt, since: now }, None)
                }
                (State::Trying(Attempt { server, hops, .. }), Some(Err(trouble))) => {
                    return self.handle_trouble(now, state, server, hops, trouble);
                }
                (State::Ready { attempt, .. }, Some(Err(trouble))) => {
                    return self.handle_trouble(now, state, attempt.server, MOST_HOPS, trouble);
                }
                (State::Leaving { .. }, Some(Ok(Event::Released) | Err(_))) => {
                    self.tasks.remove(self.id);
                    return None;
                }
                (State::Leaving { until, .. }, None) if until <= now => {
                    self.tasks.remove(self.id);
                    return None;
                }
                (State::Ready { attempt, since }, None) if now >= since + OLDEST => {
                    let Attempt { mut link, .. } = attempt;
                    link.forget(&self.tasks);
                    Self::add_leaving(&self.tasks, &self.servers, now, link);
                    (State::Empty, None)
                }
                (before, None) => {
                    **state = before;
                    return None;
                }
                (before, Some(_)) => (before, None),
            };
            **state = after;
            if line.is_some() {
                return line;
            }
        }
    }

    fn handle_trouble(
        &self,
        now: Instant,
        state: &mut MutexGuard<'_, State>,
        server: usize,
        hops: u32,
        trouble: Trouble,
    ) -> Option<String> {
        **state = State::Empty;
        if let (Trouble::Server(Failure::Redirected(other)), true) = (&trouble, hops < MOST_HOPS) {
            match self.servers.connect(now, server, Some(*other)) {
                Ok(link) => {
                    **state = State::Trying(Attempt { server, link, hops: hops + 1 });
                    return None;
                }
                Err(error) => return self.servers.handle_failure(now, server, error.to_string()),
            }
        }
        match trouble {
            Trouble::Server(Failure::Quota | Failure::Full) => {
                self.servers.handle_full(now, server, trouble.to_string())
            }
            _ => self.servers.handle_failure(now, server, trouble.to_string()),
        }
    }

    /// Has the thread call again when there is something to do.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        let own = match &**state {
            State::Empty => Some(Instant::now()),
            State::Ready { since, .. } => Some(*since + OLDEST),
            State::Leaving { until, .. } => Some(*until),
            State::Trying(_) | State::Resolving { .. } => None,
            State::Over => return,
        };
        let link = state.link().and_then(|link| {
            link.watch(&self.tasks, self.id, TAG);
            link.poll_timeout()
        });
        if let Some(next) = own.into_iter().chain(link).min() {
            self.tasks.schedule(self.id, next);
        }
    }
}

impl State {
    fn link(&mut self) -> Option<&mut Link> {
        match self {
            Self::Trying(Attempt { link, .. }) | Self::Ready { attempt: Attempt { link, .. }, .. } => Some(link),
            Self::Leaving { link, .. } => Some(link),
            Self::Empty | Self::Resolving { .. } | Self::Over => None,
        }
    }
}

impl Task for Slot {
    fn handle_ready(&self, now: Instant, _tag: Tag) {
        self.proceed(now, true);
    }

    fn handle_timeout(&self, now: Instant) {
        self.proceed(now, false);
    }
}

/// Takes in what the server has sent. No peer has a permission, so none of it is data.
fn receive(link: &mut Link, now: Instant) {
    let mut buffer = [0; MAX_DATAGRAM];
    for _ in 0..MOST_AT_ONCE {
        if link.receive(now, &mut buffer) == FromServer::Nothing {
            break;
        }
    }
}

const TAG: Tag = 1;

/// An allocation that nobody takes is replaced after this time: credentials from a secret expire, and a server that was restarted has
/// forgotten it.
const OLDEST: Duration = Duration::from_secs(1800);

/// How often servers may name others in their place, in a row.
const MOST_HOPS: u32 = 3;

const MOST_AT_ONCE: usize = 32;

/// Time within which an allocation has to be given back.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
