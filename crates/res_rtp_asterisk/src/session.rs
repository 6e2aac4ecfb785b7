//! One media session: what an `ast_rtp_instance` is to the host.
//!
//! Three locks, taken in this order, if at all together: `reading` or `writing`, then `state`.
//! `reading` and `writing` belong to the channel's thread that reads or writes a frame; nobody else
//! keeps them for longer than a moment, so host functions may be called under them. `state` is what the channel's threads,
//! chan_sip's threads and the engine thread share. It is held for one packet or one timer, and never
//! while the host is called, with one exception: the functions behind `res_srtp`. What is to be told
//! to the host is noted down and told after unlocking ([`Session::with`]). The engine thread comes in by the `door`, before
//! it takes any of them: some hosts hold a lock of theirs around each call of the session.
//!
//! Of two sessions that share a transport (`bundle.rs`): `reading` of the parent, then of the child; the
//! child's `state`, then the parent's. Who has the parent's `state` alone lets go of it before it turns to
//! a child. Where the host locks an instance around its calls, that lock comes before all of these, and
//! nobody ever waits for that of a second instance: functions of the host that take it are called for the
//! instance of the call alone, and a child is in its parent's `read` without its own ([`Session::lend`]).

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::rtp::{Door, Inside, Instance, InstancePtr, Shut};
use ice::Component;

use crate::media::frames::Writing;
use crate::media::incoming::{Reading, Stream};
use crate::notes::Note;
use crate::state::State;
use crate::transport::watch::Change;
use crate::worker::{Id, Shared};

/// A session, shared by the host's instance and the engine thread.
pub struct Session {
    id: Id,
    worker: Arc<Shared>,
    sockets: [RawFd; 2],
    instance: InstancePtr,
    door: Door,
    /// The engine thread's: a socket had something while the door was shut.
    put_off: AtomicBool,
    state: Mutex<State>,
    reading: Mutex<Reading>,
    writing: Mutex<Writing>,
}

impl Session {
    /// Around a state that is complete; the engine thread knows it from now on.
    pub fn new(id: Id, worker: Arc<Shared>, instance: Instance<'_>, state: State) -> Arc<Self> {
        let sockets = [state.sockets.rtp.fd(), state.sockets.rtcp.fd()];
        let session = Arc::new(Self {
            id,
            worker,
            sockets,
            instance: instance.pointer(),
            door: Door::to(instance),
            put_off: AtomicBool::new(false),
            state: Mutex::new(state),
            reading: Mutex::new(Reading::new()),
            writing: Mutex::new(Writing::new()),
        });
        session.worker.add(&session);
        session
    }

    /// Its name in the engine's table.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Runs with the state locked, then tells the host what is to be told. `None` when an earlier
    /// panic left the state in pieces: the session answers "failed" until the host destroys it.
    pub fn with<R>(&self, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.with_for(self.instance, run)
    }

    /// The same in a call that is about another instance: that of the parent.
    pub fn with_for<R>(&self, instance: InstancePtr, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let (result, notes) = {
            let mut state = self.state.lock().ok()?;
            let result = run(&mut state);
            if let Some(deadline) = state.rearm(Instant::now()) {
                self.worker.schedule(self.id, deadline);
            }
            (result, std::mem::take(&mut state.notes))
        };
        tell(instance, notes);
        Some(result)
    }

    /// For a child, whose own state is locked: runs with that of this session, its parent, locked too. What is to be told to
    /// the host is told by the child. `None` when this session has ended or an earlier panic left it in pieces.
    pub fn carry<R>(&self, notes: &mut Vec<Note>, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let mut state = self.state.lock().ok()?;
        state.instance?;
        let result = run(&mut state);
        notes.append(&mut state.notes);
        Some(result)
    }

    /// Likewise, to look at it.
    pub fn peek<R>(&self, look: impl FnOnce(&State) -> R) -> Option<R> {
        let state = self.state.lock().ok()?;
        state.instance?;
        Some(look(&state))
    }

    /// Tells what [`Self::carry`] left to be told, in a call of the host about this session.
    pub fn tell(&self, notes: Vec<Note>) {
        tell(self.instance, notes);
    }

    /// For the parent, which reads: runs with what this session, a child, remembers of its stream. `None` once the session has
    /// ended. The host has not locked the instance: what takes that lock is not to be called.
    pub fn lend<R>(&self, run: impl FnOnce(&mut Stream, Instance<'_>) -> R) -> Option<R> {
        let mut reading = self.reading()?;
        if reading.has_ended() {
            return None;
        }
        // SAFETY: `end`, which `destroy` calls before the host frees the instance, waits for `reading`.
        let instance = unsafe { Instance::from_ptr(self.instance) };
        Some(run(reading.stream(), instance))
    }

    /// What belongs to the thread that reads.
    pub fn reading(&self) -> Option<MutexGuard<'_, Reading>> {
        self.reading.lock().ok()
    }

    /// What belongs to the thread that writes.
    pub fn writing(&self) -> Option<MutexGuard<'_, Writing>> {
        self.writing.lock().ok()
    }

    /// The engine thread: a socket has something.
    pub fn handle_readable(&self, now: Instant, component: Component) {
        let Some(_inside) = self.enter(now) else {
            // What makes it readable stays; it is looked at again with the deadline.
            self.worker.watch(self.id, self.sockets, false);
            self.put_off.store(true, Ordering::Relaxed);
            return;
        };
        let whole = self.with(|state| {
            let change = state.watch.handle_readable(now);
            self.apply(change, state, now, Some(component));
        });
        if whole.is_none() {
            // Nobody will read what makes the socket readable for ever.
            self.worker.watch(self.id, self.sockets, false);
        }
    }

    /// The engine thread: a deadline has come.
    pub fn handle_timeout(&self, now: Instant) {
        let Some(_inside) = self.enter(now) else { return };
        self.with(|state| {
            if self.put_off.swap(false, Ordering::Relaxed) && state.watch.is_watched() {
                self.worker.watch(self.id, self.sockets, true);
            }
            state.handle_timeout(now);
            let sockets = self.sockets;
            let change = state.watch.handle_timeout(now, || anything_waits(sockets));
            self.apply(change, state, now, None);
        });
    }

    /// `None` when there is nothing to be done, or not now.
    fn enter(&self, now: Instant) -> Option<Inside<'_>> {
        self.door
            .enter()
            .inspect_err(|shut| {
                if *shut == Shut::Busy {
                    self.worker.schedule(self.id, now + HOST_IS_INSIDE);
                }
            })
            .ok()
    }

    /// ICE or DTLS begins.
    pub fn begin_watching(&self, state: &mut State) {
        let change = state.watch.begin();
        self.apply(change, state, Instant::now(), None);
    }

    /// Nothing that comes to our sockets wants an answer any more.
    pub fn end_watching(&self, state: &mut State) {
        let change = state.watch.end();
        self.apply(change, state, Instant::now(), None);
    }

    /// The channel's thread reads.
    pub fn note_read(&self, state: &mut State, now: Instant) {
        let change = state.watch.handle_read(now);
        self.apply(change, state, now, None);
    }

    /// The instance is going. The engine thread is at this session no more, nor ever will be, once
    /// this returns.
    pub fn end(&self) {
        self.worker.remove(self.id, self.sockets);
        self.door.close();
        if let Some(mut reading) = self.reading() {
            reading.end();
        }
        self.with(State::end);
        self.part();
    }

    /// Told to the host by the channel's thread: where media really goes.
    pub fn tell_remote_address(&self, instance: Instance<'_>) {
        let learned = self.with(|state| {
            let learned: Option<SocketAddr> = state.learned_remote.take();
            state.told_remote = learned.or(state.told_remote);
            learned
        });
        if let Some(address) = learned.flatten() {
            instance.set_remote_address(address);
        }
    }

    fn apply(&self, change: Change, state: &mut State, now: Instant, component: Option<Component>) {
        match change {
            Change::None => {}
            Change::Watch => self.worker.watch(self.id, self.sockets, true),
            Change::Unwatch => {
                self.worker.watch(self.id, self.sockets, false);
                state.forget_scratch();
            }
            Change::Take => {
                if component.is_none() {
                    self.worker.watch(self.id, self.sockets, true);
                }
                match component {
                    Some(component) => state.take_from_socket(now, component),
                    None => Component::ALL.into_iter().for_each(|component| state.take_from_socket(now, component)),
                }
            }
        }
    }
}

fn tell(instance: InstancePtr, notes: Vec<Note>) {
    for note in notes {
        // SAFETY: who makes reports is in a call of the host or came in by the door; both keep the instance.
        unsafe { note.tell(instance) };
    }
}

/// A thread of the host is at a session for the length of a packet, as a rule: when the engine thread comes back.
const HOST_IS_INSIDE: Duration = Duration::from_millis(1);

/// Whether one of the sockets has something to read.
fn anything_waits(sockets: [RawFd; 2]) -> bool {
    let mut polled = sockets.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // SAFETY: two pollfd, no waiting.
    unsafe { libc::poll(polled.as_mut_ptr(), 2, 0) > 0 }
}
