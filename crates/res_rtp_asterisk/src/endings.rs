//! Ends the calls of peers that are gone (`consenttimeout`), on a thread that lives for as long as there are any.
//!
//! Ending a call locks channels, and a channel's lock comes before all of ours. So neither the worker thread nor a thread of the host
//! does it within a call of the engine. The thread holds none of our locks while it looks for the channel, and an [`Id`] instead of a
//! reference to the session.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use asterisk::fence::fence_crypto;
use asterisk::lock;
use asterisk::rtp::{HangUp, InstancePtr, hang_up};
use asterisk::thread::{self, JoinHandle};
use asterisk::worker::{Id, Tasks};

use crate::clock;
use crate::session::Session;

/// The calls that are to be ended, and the thread that does it.
pub struct Endings {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle>>,
}

struct Shared {
    sessions: Arc<Tasks<Session>>,
    queue: Mutex<Queue>,
    /// Signalled when the module is unloaded.
    stopped: Condvar,
    ended: AtomicU64,
}

#[derive(Default)]
struct Queue {
    calls: Vec<Call>,
    /// The thread runs and looks at `calls` again before it ends.
    is_running: bool,
    is_stopped: bool,
}

/// A session whose call is to be ended.
#[derive(Debug, Clone, Copy)]
struct Call {
    session: Id,
    instance: InstancePtr,
    give_up: Instant,
    next: Instant,
    /// The log has been told that the channel is locked.
    is_told: bool,
}

impl Endings {
    /// Creates an empty queue for the calls of `sessions`.
    pub fn new(sessions: Arc<Tasks<Session>>) -> Self {
        let (queue, stopped, ended) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { sessions, queue, stopped, ended }), thread: Mutex::new(None) }
    }

    /// Ends the call of a session, unless its peer comes back before. Returns at once. The caller holds no lock of a session.
    pub fn end(&self, session: Id, instance: InstancePtr) {
        let starts = {
            let mut queue = lock(&self.shared.queue);
            if queue.is_stopped {
                return;
            }
            let now = clock::now();
            queue.calls.push(Call { session, instance, give_up: now + MOST_PATIENCE, next: now, is_told: false });
            !std::mem::replace(&mut queue.is_running, true)
        };
        if starts && let Err(error) = self.start() {
            let mut queue = lock(&self.shared.queue);
            queue.is_running = false;
            queue.calls.clear();
            asterisk::error!("RTP: no thread to end a call whose peer is gone: {error}");
        }
    }

    /// Returns the number of calls that were ended since the module was loaded.
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::Relaxed)
    }

    /// Stops the thread and waits for its end. No session may be left.
    pub fn stop(&self) {
        lock(&self.shared.queue).is_stopped = true;
        self.shared.stopped.notify_all();
        let thread = lock(&self.thread).take();
        drop(thread);
    }

    fn start(&self) -> io::Result<()> {
        let mut thread = lock(&self.thread);
        // Waits for the end of the thread before, which has left its loop.
        drop(thread.take());
        let shared = Arc::clone(&self.shared);
        *thread = Some(thread::spawn(c"rtp-endings", move || fence_crypto("ending calls", (), || shared.run()))?);
        Ok(())
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self) {
        while let Some(calls) = self.next() {
            self.put_back(calls.into_iter().filter_map(|call| self.try_to_end(call)).collect());
        }
    }

    /// Takes the calls out of the queue. Returns `None` when the thread has to end.
    fn next(&self) -> Option<Vec<Call>> {
        let mut queue = lock(&self.queue);
        queue.is_running = !queue.is_stopped && !queue.calls.is_empty();
        queue.is_running.then(|| std::mem::take(&mut queue.calls))
    }

    /// Puts the calls that could not be ended yet back into the queue, and waits before the next attempt.
    fn put_back(&self, calls: Vec<Call>) {
        if calls.is_empty() {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.calls.extend(calls);
        let waited = self.stopped.wait_timeout_while(queue, BETWEEN_ATTEMPTS, |queue| !queue.is_stopped);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the call if it is to be tried again.
    fn try_to_end(&self, mut call: Call) -> Option<Call> {
        if clock::now() < call.next {
            return Some(call);
        }
        let story = || self.sessions.get(call.session)?.story_of_the_end();
        let told = story()?;
        // The session is in the table until its `destroy`. So while it is, an instance at this address is that of the session.
        let result = fence_crypto("ending a call", HangUp::NoChannel, || hang_up(call.instance, || story().is_some()));
        match result {
            HangUp::Asked(channel) => {
                self.ended.fetch_add(1, Ordering::Relaxed);
                asterisk::notice!("RTP: hanging up {channel}: {told}");
                None
            }
            HangUp::Kept(channel) => {
                asterisk::debug!(1, "RTP: {channel} stays, its peer is back");
                None
            }
            HangUp::NoChannel | HangUp::Busy if clock::now() < call.give_up => Some(call),
            HangUp::NoChannel => {
                asterisk::debug!(1, "RTP: no channel has this stream as its audio, so none is hung up: {told}");
                None
            }
            HangUp::Busy => {
                if !std::mem::replace(&mut call.is_told, true) {
                    asterisk::warning!("RTP: a call cannot be ended yet, because a channel is locked: {told}");
                }
                call.next = clock::now() + BETWEEN_LATE_ATTEMPTS;
                Some(call)
            }
        }
    }
}

/// Time between two attempts to find the channel: it may be locked, or be replaced by another just now (a masquerade).
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// Time between two tries after [`MOST_PATIENCE`].
const BETWEEN_LATE_ATTEMPTS: Duration = Duration::from_secs(5);

/// Time after which a channel that is not found is not looked for any more, and the log is told that one is locked.
const MOST_PATIENCE: Duration = Duration::from_secs(10);
