//! The threads that carry packets between natively bridged sessions.
//!
//! The host's core polls the descriptors of both channels while they are bridged, and would wake a thread for each packet. So the
//! socket of such a session is hidden from it (`transport/kept.rs`), and one of these threads reads it: it wakes up once for all
//! sockets that became readable within [`PAUSE`], and passes their packets on (`media/native.rs`). The channel is woken for packets
//! that it has to get, for what the host has to be told, and once a second.
//!
//! A thread begins with the first bridge, and the next one when each has [`FULL`] sessions, up to one for each core. They end when
//! the module is unloaded.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterisk::limit::RateLimit;
use asterisk::lock;
use asterisk::worker::{Id, Tag, Task, Tasks, Worker};

use crate::session::Session;
use crate::transport::LARGEST_DATAGRAM;

/// The threads. Empty until the first bridge.
#[derive(Default)]
pub struct Carriers(Mutex<Vec<Carrier>>);

/// One thread, and what its sessions share.
struct Carrier {
    worker: Worker<Leg>,
    bench: Arc<Mutex<Bench>>,
}

/// A session whose packets are carried.
pub struct Leg {
    session: Arc<Session>,
    /// Only the thread that serves this leg locks it.
    bench: Arc<Mutex<Bench>>,
}

/// The receive buffer of a thread, and its turns.
struct Bench {
    buffer: Box<[u8]>,
    turns: Turns,
}

/// Tells the turns of a thread apart by the pauses between them.
#[derive(Debug, Default)]
struct Turns {
    /// When a session was last served.
    served: Option<Instant>,
    /// The turn began late, so that several packets may wait in each socket.
    is_late: bool,
}

/// The thread that carries packets of a session, and the session's place there.
pub struct Place {
    tasks: Arc<Tasks<Leg>>,
    id: Id,
    socket: RawFd,
}

/// The sleep of a thread after it has carried the packets that had arrived. It delays a packet by no more than this; carrying what
/// else has arrived takes its time as well.
const PAUSE: Duration = Duration::from_micros(1500);

/// A turn that begins so long after the one before is late, or the first for a while.
const LATE: Duration = Duration::from_millis(5);

/// Sessions of each thread before there is another thread. They send some 25,000 packets in a second.
const FULL: usize = 512;

/// Limits the warnings about threads.
static REFUSALS: RateLimit = RateLimit::new(Duration::from_secs(60), 1);

/// Most threads, however many cores there are.
const MOST_THREADS: usize = 16;

impl Carriers {
    /// Has a thread carry the packets that arrive at `socket` for `session`. Returns `None` if the system refuses a thread, or to wait
    /// for the socket.
    pub fn carry(&self, session: &Arc<Session>, socket: RawFd) -> Option<Place> {
        let mut carriers = lock(&self.0);
        let is_full = carriers.iter().all(|carrier| carrier.worker.tasks().count() >= FULL);
        if is_full && carriers.len() < most_threads() {
            carriers.extend(Carrier::start());
        }
        let carrier = carriers.iter().min_by_key(|carrier| carrier.load())?;
        let tasks = Arc::clone(carrier.worker.tasks());
        let place = Place { id: tasks.next_id(), tasks, socket };
        let leg = Leg { session: Arc::clone(session), bench: Arc::clone(&carrier.bench) };
        place.tasks.add(place.id, Arc::new(leg));
        place.tasks.watch(place.id, 0, socket).inspect_err(|_| place.leave()).ok()?;
        Some(place)
    }

    /// Ends the threads. Sessions that are bridged later are carried by none.
    pub fn stop(&self) {
        let carriers = std::mem::take(&mut *lock(&self.0));
        drop(carriers);
    }
}

impl Carrier {
    fn start() -> Option<Self> {
        let worker = match Worker::start_with(c"rtp-bridge", None, PAUSE) {
            Ok(worker) => worker,
            Err(error) => {
                if REFUSALS.allow().is_some() {
                    asterisk::warning!("RTP: a thread for bridged calls could not be started: {error}");
                }
                return None;
            }
        };
        let bench = Bench { buffer: vec![0; LARGEST_DATAGRAM].into(), turns: Turns::default() };
        Some(Self { worker, bench: Arc::new(Mutex::new(bench)) })
    }

    /// Orders the threads: those with room come first, the fullest of them before the others, because it wakes up anyway.
    fn load(&self) -> (bool, usize) {
        let count = self.worker.tasks().count();
        if count < FULL { (false, FULL - count) } else { (true, count) }
    }
}

impl Turns {
    /// Notes that a session is served. Returns whether the turn is late.
    fn note(&mut self, now: Instant) -> bool {
        let since = self.served.replace(now).map(|served| now.saturating_duration_since(served));
        if since.is_none_or(|since| since >= PAUSE) {
            self.is_late = since.is_none_or(|since| since >= LATE);
        }
        self.is_late
    }
}

impl Place {
    /// Has the thread forget the session. It may be carrying a packet at this moment; the session's `reading` tells.
    pub fn leave(&self) {
        self.tasks.forget(self.socket);
        self.tasks.remove(self.id);
    }
}

impl Task for Leg {
    fn handle_ready(&self, now: Instant, _: Tag) {
        let bench = &mut *lock(&self.bench);
        let all = bench.turns.note(now);
        self.session.carry_packets(now, all, &mut bench.buffer);
    }

    fn handle_timeout(&self, _: Instant) {}

    fn handle_panic(&self) {
        self.session.leave_to_channel();
    }
}

fn most_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_late_turn_looks_for_all_that_waits() {
        let (mut turns, mut now) = (Turns::default(), Instant::now());
        let mut after = |micros| {
            now += Duration::from_micros(micros);
            turns.note(now)
        };
        assert!(after(0), "the first");
        assert!(after(10), "of the same turn");
        assert!(!after(1600));
        assert!(!after(10));
        // The thread did not get a processor, in the pause and in the middle of a turn.
        assert!(after(9000));
        assert!(after(20));
        assert!(!after(1700));
        assert!(after(30_000));
        assert!(after(20));
    }
}
