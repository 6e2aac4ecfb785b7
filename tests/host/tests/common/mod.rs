//! Shared by several test programs.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod channel;
pub mod dtls_phone;
pub mod heap;
pub mod identity;
pub mod mdns;
pub mod rtp;
pub mod sdes;
pub mod stun;
pub mod webrtc;
pub mod websocket;

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

type Job = Box<dyn FnOnce() + Send>;

/// A host thread that makes one call after another, and outlives a module.
pub struct HostThread {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl HostThread {
    pub fn start() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = thread::spawn(move || queue.iter().for_each(|job| job()));
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `job` on this thread and waits for it.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::sync_channel(1);
        let job = Box::new(move || answer.send(job()).expect("somebody waits"));
        self.jobs.as_ref().expect("runs until dropped").send(job).expect("the thread runs");
        result.recv().expect("the job did not panic")
    }

    /// Runs `job` on this thread without waiting for it.
    pub fn begin(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.as_ref().expect("runs until dropped").send(Box::new(job)).expect("the thread runs");
    }

    /// Ends the thread and waits for it.
    pub fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a job panicked");
        }
    }
}

impl Drop for HostThread {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The number of open descriptors of this process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// The number of threads of this process.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("procfs").count()
}

/// The number of descriptors and threads of this process, once the thread of the previous test is gone, for which this
/// test has waited.
pub fn settled_footprint() -> (usize, usize) {
    let mut last = (descriptors(), threads());
    let mut same = 0;
    while same < 10 {
        thread::sleep(std::time::Duration::from_millis(10));
        let now = (descriptors(), threads());
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// Waits until `done` is true; returns `false` if that takes too long.
pub fn eventually(mut done: impl FnMut() -> bool) -> bool {
    for _ in 0..500 {
        if done() {
            return true;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    false
}
