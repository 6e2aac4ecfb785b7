//! One thread for many tasks: it waits for their descriptors and their deadlines, and sleeps until there is something
//! to do. Each module that needs a thread of its own has one of these.
//!
//! ```text
//!   any thread                                          the worker's thread
//!     tasks.add(id, task)                                 sleeps until a descriptor is ready or a deadline has come
//!     tasks.watch(..), OneShot::ask(..)  -- epoll -->       task.handle_ready(now, tag)
//!     tasks.schedule(..), Timer::set(..) -- table -->       task.handle_timeout(now)
//!     tasks.remove(id)                                    never takes the task up again
//! ```
//!
//! - **Locks.** The table's lock is the innermost of all: a task may call [`Tasks`] with its own lock held. A task is
//!   served, and its last reference is dropped, with the table unlocked.
//! - **Removal.** [`Tasks::remove`] does not wait: the thread may be serving that task at this moment. A caller that has
//!   to know it is not locks the task afterwards.
//! - **Panics.** A panic costs the task that it happens in, never the thread.
//! - **Unloading.** [`Worker::stop`] joins the thread, because its code is about to be unmapped. Tasks that somebody
//!   else keeps may still call [`Tasks`] afterwards; nothing is served any more.

mod table;
#[cfg(test)]
mod tests;
mod wanted;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use exposition::Histogram;

use self::table::{Due, Table};
pub use self::wanted::{Interest, OneShot, Timer};
use crate::epoll::{self, Epoll, EventFd};
use crate::fence::fence;
use crate::lock;
use crate::thread::{self, JoinHandle};

/// Identifies a task; never used twice while the module is loaded. Counts from 1, so that a lower id is an older task.
pub type Id = u64;

/// Tells the descriptors of one task apart.
pub type Tag = u8;

/// A task that the thread of a [`Worker`] serves. All methods are called on that thread, with nothing locked.
pub trait Task: Send + Sync + 'static {
    /// A descriptor that the task is waiting for is ready. `tag` is the one that the task gave for it.
    ///
    /// May come once more after the task stopped waiting: the kernel had reported it before.
    fn handle_ready(&self, now: Instant, tag: Tag);

    /// The task's deadline has come, or came early. From now on the task has no deadline, until it schedules one.
    fn handle_timeout(&self, now: Instant);

    /// One of the other two methods has panicked. The panic is logged, and the thread goes on with other tasks.
    fn handle_panic(&self) {}
}

/// The thread, and the right to stop it. Dropping it stops the thread and waits for its end.
///
/// Tasks hold its [`Tasks`] instead, so that the last of them can be dropped on the thread itself.
#[derive(Debug)]
pub struct Worker<T: Task> {
    tasks: Arc<Tasks<T>>,
    thread: Mutex<Option<JoinHandle>>,
}

/// Called on the thread once it has had no task for `after`, each time that its last task has been removed.
#[derive(Debug, Clone, Copy)]
pub struct WhenIdle {
    /// Counted from the removal of the last task.
    pub after: Duration,
    /// Runs with nothing locked.
    pub call: fn(),
}

/// The tasks of a [`Worker`], and what the thread waits for on their behalf.
#[derive(Debug)]
pub struct Tasks<T> {
    /// For the log.
    thread_name: String,
    when_idle: Option<WhenIdle>,
    /// Follows each turn in which a descriptor was ready.
    pause: Duration,
    epoll: Epoll,
    wake: EventFd,
    stopping: AtomicBool,
    last_id: AtomicU64,
    /// Seconds that turns took, from the end of one sleep to the beginning of the next; without those of a thread that pauses.
    turns: Histogram<8>,
    table: Mutex<Table<T>>,
}

impl<T: Task> Worker<T> {
    /// Starts the thread under `name`, of which the system shows 15 bytes.
    pub fn start(name: &CStr, when_idle: Option<WhenIdle>) -> io::Result<Self> {
        Self::start_with(name, when_idle, Duration::ZERO)
    }

    /// Like [`Self::start`]. After the thread has served descriptors it sleeps for `pause`, so that it wakes up once for those that
    /// become ready meanwhile.
    pub fn start_with(name: &CStr, when_idle: Option<WhenIdle>, pause: Duration) -> io::Result<Self> {
        let tasks = Arc::new(Tasks { pause, ..Tasks::new(name, when_idle)? });
        let of_thread = Arc::clone(&tasks);
        let thread = thread::spawn(name, move || of_thread.run())?;
        Ok(Self { tasks, thread: Mutex::new(Some(thread)) })
    }

    /// For tasks to keep.
    pub fn tasks(&self) -> &Arc<Tasks<T>> {
        &self.tasks
    }

    /// Stops the thread and waits for its end. Returns at once when it has been stopped before.
    ///
    /// A task must not call this: the thread would wait for itself.
    pub fn stop(&self) {
        self.tasks.stopping.store(true, Ordering::Release);
        self.tasks.wake.signal();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            thread.join();
        }
    }
}

impl<T: Task> Drop for Worker<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<T> Tasks<T> {
    fn new(name: &CStr, when_idle: Option<WhenIdle>) -> io::Result<Self> {
        let (epoll, wake) = (Epoll::new()?, EventFd::new()?);
        epoll.add(wake.as_raw_fd(), epoll::IN, WAKE)?;
        Ok(Self {
            thread_name: format!("the {} thread", name.to_string_lossy()),
            when_idle,
            pause: Duration::ZERO,
            epoll,
            wake,
            stopping: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            turns: Histogram::new(TURNS),
            table: Mutex::new(Table::new(when_idle.map(|idle| idle.after))),
        })
    }

    /// An id for a task that is about to be made.
    pub fn next_id(&self) -> Id {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Makes `task` known to the thread, which keeps a reference to it until it is removed.
    pub fn add(&self, id: Id, task: Arc<T>) {
        let replaced = self.table().insert(id, task);
        drop(replaced);
    }

    /// Removes a task: the thread never takes it up again, though it may be serving it at this moment. Its deadline goes
    /// with it; the caller makes the thread forget its descriptors.
    pub fn remove(&self, id: Id) {
        let (task, wake) = self.table().remove(id, Instant::now);
        self.wake_if(wake);
        drop(task);
    }

    /// Has [`Task::handle_timeout`] called at `deadline` or earlier.
    ///
    /// A task has one deadline: an earlier one takes the place of a later one, and a later one changes nothing. So whoever
    /// schedules asks again in `handle_timeout`, for the earliest deadline there is then. A [`Timer`] does this without
    /// locking the table for deadlines that change nothing. Tasks that are not there are ignored.
    pub fn schedule(&self, id: Id, deadline: Instant) {
        let wake = self.table().schedule(id, deadline);
        self.wake_if(wake);
    }

    /// Has [`Task::handle_ready`] called whenever `fd` is readable. Forget it before closing `fd`.
    pub fn watch(&self, id: Id, tag: Tag, fd: RawFd) -> io::Result<()> {
        self.epoll.add(fd, epoll::IN, token(id, tag))
    }

    /// Stops waiting for `fd`. Harmless when nobody waits for it.
    pub fn forget(&self, fd: RawFd) {
        let _ = self.epoll.remove(fd);
    }

    /// Returns the seconds that the turns of the thread took. Empty for a thread that pauses.
    pub fn turns(&self) -> exposition::Reading {
        self.turns.read()
    }

    /// The number of tasks.
    pub fn count(&self) -> usize {
        self.table().len()
    }

    /// The task called `id`, unless it has been removed.
    pub fn get(&self, id: Id) -> Option<Arc<T>> {
        self.table().get(id)
    }

    /// All tasks, oldest first.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.table().all()
    }

    fn wake_if(&self, wake: bool) {
        if wake {
            self.wake.signal();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        // Nothing panics while it is held; were it otherwise, the table would still be whole.
        lock(&self.table)
    }
}

impl<T: Task> Tasks<T> {
    /// The body of the thread.
    fn run(&self) {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut due = Vec::new();
        while !self.stopping.load(Ordering::Acquire) {
            let until = self.table().fall_asleep();
            let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Interrupted, at worst: then nothing is ready.
            let ready = self.epoll.wait(&mut ready, timeout).unwrap_or_default();
            let began = self.pause.is_zero().then(Instant::now);
            self.table().wake_up();
            for event in ready {
                self.serve_ready(event.u64);
            }
            self.serve_due(&mut due);
            if let Some(began) = began {
                self.turns.observe(began.elapsed().as_secs_f64());
            }
            // More than that may be ready: they are served first.
            let is_all = ready.len() < EVENTS;
            if !ready.is_empty() && is_all && !self.pause.is_zero() {
                std::thread::sleep(self.pause);
            }
        }
    }

    fn serve_ready(&self, token: u64) {
        if token == WAKE {
            return self.wake.drain();
        }
        let (id, tag) = from_token(token);
        self.serve(self.get(id), |task| task.handle_ready(Instant::now(), tag));
    }

    /// `due` is empty before and after: it is here to be allocated once.
    fn serve_due(&self, due: &mut Vec<Due>) {
        let now = Instant::now();
        let is_idle = {
            let mut table = self.table();
            table.take_due(now, due);
            table.take_idle(now)
        };
        for due in due.drain(..) {
            // Looked up one by one: serving one task may have removed or moved the next.
            let task = self.table().take(due);
            self.serve(task, |task| task.handle_timeout(now));
        }
        if let Some(idle) = self.when_idle.filter(|_| is_idle) {
            fence(&self.thread_name, (), idle.call);
        }
    }

    /// Serves a task, unless it has been removed.
    fn serve(&self, task: Option<Arc<T>>, serve: impl FnOnce(&T)) {
        let Some(task) = task else { return };
        let survived = fence(&self.thread_name, false, || {
            serve(&task);
            true
        });
        if !survived {
            // It takes apart what the panic left, and may meet the same.
            fence(&self.thread_name, (), || task.handle_panic());
        }
    }
}

/// The most descriptors that are asked for at once.
const EVENTS: usize = 64;

/// Bounds of the times of turns, in seconds.
const TURNS: [f64; 8] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];

/// The token of the descriptor that wakes the thread. Not a task's: ids count from 1.
const WAKE: u64 = 0;

const TAG_BITS: u32 = Tag::BITS;

fn token(id: Id, tag: Tag) -> u64 {
    id << TAG_BITS | u64::from(tag)
}

fn from_token(token: u64) -> (Id, Tag) {
    (token >> TAG_BITS, token.to_le_bytes()[0])
}
