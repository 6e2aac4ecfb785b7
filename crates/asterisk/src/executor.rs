//! A thread that stays and runs functions for other threads, which wait for them. What a library keeps for each thread is then made
//! once, and nothing of it is left on the threads of the host.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::fmt;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::fence::fence;
use crate::lock;
use crate::thread::{self, JoinHandle};

/// The thread, which starts with the first function. Dropping the executor waits for the thread's end.
#[derive(Debug)]
pub struct Executor {
    name: &'static CStr,
    most_waiting: usize,
    shared: Arc<Shared>,
    thread: Mutex<Thread>,
}

#[derive(Debug)]
enum Thread {
    NotStarted,
    Runs(#[expect(dead_code, reason = "dropping it joins the thread")] JoinHandle),
    Stopped,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when a task is added, and when the thread is to end.
    news: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<Task>,
    is_stopping: bool,
}

/// A function that a thread waits for in [`Executor::run`].
struct Task {
    function: Function,
    ended: Arc<Ended>,
}

/// A function on the stack of the thread that waits for it.
struct Function(*mut (dyn FnMut() + Send));

// SAFETY: the function is `Send`, and the thread that it belongs to does not touch it until it has been told of the end.
unsafe impl Send for Function {}

/// Whether a task has ended.
#[derive(Debug, Default)]
struct Ended {
    has: Mutex<bool>,
    news: Condvar,
}

impl Executor {
    /// Creates an executor whose thread will have this name, of which the system shows 15 bytes. No more than `most_waiting` functions
    /// wait for it.
    pub fn new(name: &'static CStr, most_waiting: usize) -> Self {
        Self { name, most_waiting, shared: Arc::default(), thread: Mutex::new(Thread::NotStarted) }
    }

    /// Runs `function` on the thread and waits until it has returned. Functions run in the order in which they came. If too many wait
    /// already, if the system refuses a thread, and after [`Self::stop`], it runs here.
    ///
    /// The caller may hold locks, so the function must take none. It must not call an executor either: it would wait for itself. A panic
    /// on the thread is logged and ends nothing else; one here goes on to the caller.
    pub fn run(&self, function: &mut (dyn FnMut() + Send)) {
        let ended = Arc::new(Ended::default());
        // SAFETY: only the lifetime changes. `ended.wait` below keeps the function alive until the thread has done with it.
        let borrowed = unsafe {
            mem::transmute::<*mut (dyn FnMut() + Send + '_), *mut (dyn FnMut() + Send + 'static)>(&raw mut *function)
        };
        let task = Task { function: Function(borrowed), ended: Arc::clone(&ended) };
        match self.is_started() && self.shared.add(task, self.most_waiting) {
            true => ended.wait(),
            false => function(),
        }
    }

    /// Ends the thread, once it has run what it was given, and waits for that. Functions that come later run on their callers' threads.
    pub fn stop(&self) {
        lock(&self.shared.queue).is_stopping = true;
        self.shared.news.notify_all();
        let thread = mem::replace(&mut *lock(&self.thread), Thread::Stopped);
        drop(thread);
    }

    fn is_started(&self) -> bool {
        let mut thread = lock(&self.thread);
        if matches!(*thread, Thread::NotStarted) {
            let shared = Arc::clone(&self.shared);
            // If there is none now, there may be one for the next function.
            *thread = thread::spawn(self.name, move || shared.serve()).map_or(Thread::NotStarted, Thread::Runs);
        }
        matches!(*thread, Thread::Runs(_))
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Returns false, and drops the task, if too many wait or the thread is about to end.
    fn add(&self, task: Task, most_waiting: usize) -> bool {
        let mut queue = lock(&self.queue);
        if queue.is_stopping || queue.tasks.len() >= most_waiting {
            return false;
        }
        queue.tasks.push_back(task);
        drop(queue);
        self.news.notify_one();
        true
    }

    /// Runs tasks until the executor is stopped and none is left.
    fn serve(&self) {
        while let Some(Task { function, ended }) = self.next() {
            let Function(function) = function;
            // SAFETY: the owner of the function waits for `ended`, and there is no other reference to it.
            fence("a function of an executor", (), || unsafe { (*function)() });
            ended.tell();
        }
    }

    fn next(&self) -> Option<Task> {
        let queue = lock(&self.queue);
        let waits = |queue: &mut Queue| queue.tasks.is_empty() && !queue.is_stopping;
        self.news.wait_while(queue, waits).unwrap_or_else(PoisonError::into_inner).tasks.pop_front()
    }
}

impl Ended {
    fn tell(&self) {
        *lock(&self.has) = true;
        self.news.notify_one();
    }

    fn wait(&self) {
        let waited = self.news.wait_while(lock(&self.has), |has| !*has);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "Miri has no pthread_create"))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// More than the tests' threads.
    const MANY: usize = 8;

    fn thread_of(executor: &Executor) -> libc::pid_t {
        let mut id = 0;
        executor.run(&mut || id = thread::id());
        id
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn functions_of_all_threads_run_on_one_that_stays() {
        let executor = Arc::new(Executor::new(c"executor", MANY));
        let id = thread_of(&executor);
        assert_ne!(id, thread::id());
        let counted = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (executor, counted) = (Arc::clone(&executor), Arc::clone(&counted));
                thread::spawn(c"a caller", move || {
                    for _ in 0..100 {
                        if thread_of(&executor) == id {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
                .unwrap()
            })
            .collect();
        drop(threads);
        assert_eq!(counted.load(Ordering::Relaxed), 400);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn a_function_that_would_wait_behind_too_many_runs_on_the_thread_of_its_caller() {
        let executor = Executor::new(c"executor", 0);
        assert_eq!(thread_of(&executor), thread::id());
        let executor = Executor::new(c"executor", 1);
        assert_ne!(thread_of(&executor), thread::id());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn after_the_stop_a_function_runs_on_the_thread_of_its_caller() {
        let executor = Executor::new(c"executor", MANY);
        assert_ne!(thread_of(&executor), thread::id());
        executor.stop();
        executor.stop();
        assert_eq!(thread_of(&executor), thread::id());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn a_panic_ends_neither_the_thread_nor_the_wait_for_it() {
        let executor = Executor::new(c"executor", MANY);
        let id = thread_of(&executor);
        executor.run(&mut || panic!("of course"));
        assert_eq!(thread_of(&executor), id);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no pthread_create")]
    fn without_a_function_there_is_no_thread() {
        let executor = Executor::new(c"executor", MANY);
        assert!(matches!(*lock(&executor.thread), Thread::NotStarted));
        executor.stop();
        assert_eq!(thread_of(&executor), thread::id());
    }
}
