//! Calls a protocol's callback once more for sessions that have ended, to read the responses to INVITEs that their clients
//! can no longer answer.
//!
//! chan_sip sends an INVITE to the session that a peer registered on, long after that has ended, holding locks that it
//! needs to handle a response. Nothing that its send function returns ends the call: it would ring until the dialplan gives
//! up. So another thread has to bring the response, and calls the function that reads sessions.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use asterisk::lock;
use asterisk::thread::{self, JoinHandle};

use crate::accept::attend_again;
use crate::exports::Handle;
use crate::protocols::Call;

/// A thread for such calls. It is started for the first one.
#[derive(Default)]
pub struct CallBacks {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Call, Handle)>,
    is_over: bool,
}

impl CallBacks {
    /// Calls the callback of `call` for a session, soon. The caller has been told that the session wants to be attended.
    pub fn add(&self, call: Call, handle: Handle) {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let shared = self.shared.clone();
            match thread::spawn(c"websocket-late", move || shared.run()) {
                Ok(started) => *thread = Some(started),
                Err(error) => {
                    drop(thread);
                    asterisk::error!(
                        "WebSocket: no thread, so a call to a client that is gone goes on ringing: {error}"
                    );
                    let _ = handle.session().leave();
                    return;
                }
            }
        }
        lock(&self.shared.queue).waiting.push_back((call, handle));
        self.shared.changed.notify_one();
    }

    /// Ends the thread, which makes the calls that wait before.
    pub fn stop(&self) {
        lock(&self.shared.queue).is_over = true;
        self.shared.changed.notify_one();
        let thread = lock(&self.thread).take();
        drop(thread);
    }
}

impl Shared {
    fn run(&self) {
        while let Some((call, handle)) = self.next() {
            attend_again(&call, handle);
        }
    }

    /// Waits for the next call; `None` when no more come.
    fn next(&self) -> Option<(Call, Handle)> {
        let mut queue = lock(&self.queue);
        loop {
            match queue.waiting.pop_front() {
                Some(next) => return Some(next),
                None if queue.is_over => return None,
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
