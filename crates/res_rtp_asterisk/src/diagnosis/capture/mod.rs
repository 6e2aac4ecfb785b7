//! Captures for Wireshark (`rtp set capture`): which packets are wanted, and their way to the thread that writes them (`writer.rs`).
//!
//! While no capture is on, a packet costs one relaxed load. While one is on, its octets are copied into a queue of limited size,
//! under a lock that the thread holds only to take the queue away. Nobody waits for the disk: what finds no room is lost and counted.
//! While one of a single call is on, the packets of other calls cost three loads and take no lock.

mod choice;
mod writer;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ::capture::{Limits, Packet, Queue};
use asterisk::lock;
use asterisk::thread::{self, JoinHandle};

pub use ::capture::{Content, Direction};
pub use choice::Choice;

/// The number of the capture that is on; 0 for none.
static ON: AtomicU32 = AtomicU32::new(0);

/// Whether the capture that is on wants sessions with its mark alone. It means nothing while none is on.
static IS_OF_CALL: AtomicBool = AtomicBool::new(false);

/// The number of the last capture.
static LAST: AtomicU32 = AtomicU32::new(0);

/// The capture that is on. A lock of another kind may be held when this one is taken; nothing is locked under it.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// Signalled when the capture has to end.
static NEWS: Condvar = Condvar::new();

/// The thread of the last capture, and its file. The console's threads lock it, and unloading does, until the thread has ended; the
/// thread itself never does.
static THREAD: Mutex<Option<(JoinHandle, PathBuf)>> = Mutex::new(None);

/// Most octets of packets that wait for the thread: three seconds of 500 calls. It writes as many at the same time.
const MOST_WAITING: usize = 16 * 1024 * 1024;

struct Running {
    number: u32,
    choice: Choice,
    queue: Queue,
    is_stopped: bool,
}

/// The last capture that a session was chosen for; none at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(u32);

/// A packet that was received or sent.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The protocol.
    pub content: Content,
    /// Whether it was received or sent.
    pub direction: Direction,
    /// The sender's address; of ours the IP may be unspecified.
    pub from: SocketAddr,
    /// The receiver's address; of ours the IP may be unspecified.
    pub to: SocketAddr,
    /// The packet, decrypted.
    pub octets: &'a [u8],
}

/// The reason why a capture does not begin.
#[derive(Debug)]
pub enum Trouble {
    /// Another one is on, into this file.
    Busy(PathBuf),
    /// The file cannot be made, or the thread not be started.
    System(std::io::Error),
}

/// Returns whether a capture is on. Cheap while none is.
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed) != 0
}

/// Captures a packet of a session that has this mark, if it is wanted. Check [`is_on`] first.
pub fn take(mark: Mark, seen: &Seen<'_>) {
    if IS_OF_CALL.load(Ordering::Relaxed) && mark != Mark(ON.load(Ordering::Relaxed)) {
        return;
    }
    let peer = seen.peer();
    take_if(seen, |running| running.choice.wants_packet(peer, mark == Mark(running.number)));
}

/// Captures a SIP message of the call `call_id` that crossed the WebSocket of `client`, if it is wanted. Check [`is_on`] first.
pub fn take_message(call_id: &str, client: SocketAddr, seen: &Seen<'_>) {
    take_if(seen, |running| running.choice.wants_message(call_id, client));
}

fn take_if(seen: &Seen<'_>, is_wanted: impl FnOnce(&Running) -> bool) {
    let mut running = lock(&RUNNING);
    let Some(running) = running.as_mut().filter(|running| is_wanted(running)) else { return };
    let Seen { content, direction, from, to, octets } = *seen;
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    running.queue.push(&Packet { at, content, direction, from, to, octets });
}

/// Begins a capture into a new file. Returns the mark of sessions that it wants.
pub fn begin(choice: Choice, path: &Path, limits: Limits) -> Result<Mark, Trouble> {
    let mut thread = lock(&THREAD);
    if lock(&RUNNING).is_some() {
        return Err(Trouble::Busy(thread.as_ref().map(|(_, path)| path.clone()).unwrap_or_default()));
    }
    let number = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
    let writer = writer::Writer::create(number, path, limits).map_err(Trouble::System)?;
    turn_on(Running { number, choice, queue: Queue::new(MOST_WAITING), is_stopped: false });
    match thread::spawn(c"rtp-capture", move || writer.run()) {
        // The handle of a capture that has ended by itself is dropped, which joins its thread.
        Ok(handle) => drop(thread.replace((handle, path.to_owned()))),
        Err(error) => {
            // The writer, dropped, has ended the capture. Its file has no packet, and would stand in the way of another attempt.
            let _ = std::fs::remove_file(path);
            return Err(Trouble::System(error));
        }
    }
    Ok(Mark(number))
}

fn turn_on(running: Running) {
    let mut place = lock(&RUNNING);
    IS_OF_CALL.store(matches!(running.choice, Choice::Call { .. }), Ordering::Relaxed);
    ON.store(running.number, Ordering::Relaxed);
    *place = Some(running);
}

/// Ends the capture, and waits until its file is complete. Returns the file; `None` if no capture is on. Whoever calls it while
/// another does waits as well: after it no thread of ours runs.
pub fn stop() -> Option<PathBuf> {
    let mut thread = lock(&THREAD);
    let was_on = lock(&RUNNING).as_mut().map(|running| running.is_stopped = true).is_some();
    NEWS.notify_all();
    let (handle, path) = thread.take()?;
    handle.join();
    Some(path).filter(|_| was_on)
}

/// Takes the capture of this number away, if it is on: from now on packets cost one load again.
fn end(number: u32) -> Option<Running> {
    let mut running = lock(&RUNNING);
    let ended = running.take_if(|running| running.number == number)?;
    ON.store(0, Ordering::Relaxed);
    Some(ended)
}

impl Seen<'_> {
    fn peer(&self) -> SocketAddr {
        match self.direction {
            Direction::In => self.from,
            Direction::Out => self.to,
        }
    }
}

#[cfg(test)]
mod tests;
