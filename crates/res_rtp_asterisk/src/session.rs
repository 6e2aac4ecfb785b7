//! One media session: what an `ast_rtp_instance` is to the host, and the locks around it.
//!
//! | lock | who takes it | for how long | is the host called meanwhile? |
//! |---|---|---|---|
//! | the host's own, of the instance (16 and later) | the host around its calls; the worker thread by the `door` | a call | yes |
//! | `reading` | the channel's thread that reads a frame; others for a moment | a frame | yes |
//! | `writing` | the channel's thread that writes a frame | a frame | yes |
//! | `state` | every thread | one packet or one timer | no, except the functions behind `res_srtp` |
//! | `state` of the parent (`bundle.rs`) | whoever has the child's | one packet | no, with the same exception |
//! | the worker's table | every thread | a look-up | no |
//!
//! They are taken in the order of the table, if at all together; nobody ever takes `reading` and `writing` of one session. What is
//! to be told to the host is noted down under `state` and told after unlocking ([`Session::with`]). The worker thread comes in
//! by the `door` before it takes any lock of ours, and does not wait there.
//!
//! Two sessions that share a transport are locked in this order: `reading` of the parent, then of the child; the child's `state`, then the parent's. A
//! thread that has the parent's `state` alone lets go of it before it turns to a child. Nobody ever waits for the host's lock of
//! a second instance: functions of the host that take it are called for the instance of the call alone, and a child is in its
//! parent's `read` without its own ([`Session::lend`]).

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::rtp::{Door, Inside, Instance, InstancePtr, Shut};
use asterisk::worker::{Id, Tag, Task, Tasks};
use ice::Component;

use crate::clock;
use crate::cost::{self, Deed};
use crate::media::frames::Frames;
use crate::media::incoming::Incoming;
use crate::media::outgoing::Outgoing;
use crate::notes::Note;
use crate::state::State;
use crate::transport::watch::Change;

/// A session, shared by the host's instance and the worker thread.
pub struct Session {
    id: Id,
    worker: Arc<Tasks<Self>>,
    sockets: [RawFd; 2],
    instance: InstancePtr,
    door: Door,
    /// The worker thread's: a socket had something while the door was shut.
    put_off: AtomicBool,
    state: Mutex<State>,
    reading: Mutex<Reading>,
    writing: Mutex<Outgoing>,
}

/// The belongings of the thread that reads.
pub struct Reading {
    /// Frames for the host and the buffer that is received into.
    pub frames: Frames,
    /// The memory of the stream.
    pub incoming: Incoming,
    has_ended: bool,
}

impl Session {
    /// Puts the locks around a state that is complete. The worker thread knows the session from now on. `dtmf_timeout` is that of
    /// `rtp.conf`.
    pub fn new(id: Id, worker: Arc<Tasks<Self>>, instance: Instance<'_>, state: State, dtmf_timeout: u32) -> Arc<Self> {
        let sockets = Component::ALL.map(|component| state.transport().socket(component).fd());
        let reading = Reading { frames: Frames::new(), incoming: Incoming::new(dtmf_timeout), has_ended: false };
        let session = Arc::new(Self {
            id,
            worker,
            sockets,
            instance: instance.pointer(),
            door: Door::to(instance),
            put_off: AtomicBool::new(false),
            state: Mutex::new(state),
            reading: Mutex::new(reading),
            writing: Mutex::new(Outgoing::new()),
        });
        session.worker.add(id, Arc::clone(&session));
        session
    }

    /// Returns the session's name in the worker's table.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Runs with the state locked, then tells the host what is to be told. `None` when an earlier panic left the state in pieces:
    /// the session answers "failed" until the host destroys it.
    pub fn with<R>(&self, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.with_at(clock::now(), run)
    }

    /// Does as [`Self::with`] for a caller that has read the clock already.
    pub fn with_at<R>(&self, now: Instant, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.with_for(self.instance, now, run)
    }

    /// Does as [`Self::with_at`] in a call of the host that is about another instance: that of the parent.
    pub fn with_for<R>(&self, instance: InstancePtr, now: Instant, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let (result, notes) = {
            let mut state = self.lock_state()?;
            let result = run(&mut state);
            if let Some(deadline) = state.rearm(now) {
                self.worker.schedule(self.id, deadline);
            }
            (result, state.take_notes())
        };
        self.tell_about(instance, notes);
        Some(result)
    }

    /// Runs with the state of this session, a parent, locked for a child whose own state is locked. What is to be told to the host
    /// goes to `notes`, for the child to tell. `None` when this session has ended or an earlier panic left it in pieces.
    pub fn carry<R>(&self, notes: &mut Vec<Note>, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let mut state = self.lock_state().filter(|state| state.is_live())?;
        let result = run(&mut state);
        notes.append(state.notes_mut());
        Some(result)
    }

    /// Looks at the state of this session, a parent, for a child whose own state is locked. `None` as in [`Self::carry`].
    pub fn peek<R>(&self, look: impl FnOnce(&State) -> R) -> Option<R> {
        let state = self.lock_state().filter(|state| state.is_live())?;
        Some(look(&state))
    }

    /// Tells what [`Self::carry`] left to be told, in a call of the host about this session.
    pub fn tell(&self, notes: Vec<Note>) {
        self.tell_about(self.instance, notes);
    }

    /// Runs with the memory of this session, a child, for the parent's thread, which reads. `None` once the session has ended. The
    /// host has not locked the instance: functions that take that lock are not to be called.
    pub fn lend<R>(&self, run: impl FnOnce(&mut Incoming, Instance<'_>) -> R) -> Option<R> {
        let mut reading = self.reading()?;
        if reading.has_ended {
            return None;
        }
        // SAFETY: `end`, which `destroy` calls before the host frees the instance, waits for `reading`.
        let instance = unsafe { Instance::from_ptr(self.instance) };
        Some(run(&mut reading.incoming, instance))
    }

    /// Locks the belongings of the thread that reads. `None` after a panic.
    pub fn reading(&self) -> Option<MutexGuard<'_, Reading>> {
        self.reading.lock().ok()
    }

    /// Locks the belongings of the thread that writes. `None` after a panic.
    pub fn writing(&self) -> Option<MutexGuard<'_, Outgoing>> {
        self.writing.lock().ok()
    }

    /// Serves a socket that has something: the worker thread's part.
    fn handle_readable(&self, now: Instant, component: Component) {
        let Some(_inside) = self.enter(now) else {
            // The datagram stays in the socket; the deadline looks at it again.
            self.watch(false);
            self.put_off.store(true, Ordering::Relaxed);
            return;
        };
        let whole = self.with_at(now, |state| {
            let change = state.transport_mut().watch_mut().handle_readable(now);
            self.apply(change, state, now, Some(component));
        });
        if whole.is_none() {
            // Nobody will read what makes the socket readable for ever.
            self.watch(false);
        }
    }

    /// Serves a deadline that has come: the worker thread's part.
    fn handle_deadline(&self, now: Instant) {
        let Some(_inside) = self.enter(now) else { return };
        self.with_at(now, |state| {
            if self.put_off.swap(false, Ordering::Relaxed) && state.transport_mut().watch_mut().is_watched() {
                self.watch(true);
            }
            state.handle_timeout(now);
            let sockets = self.sockets;
            let change = state.transport_mut().watch_mut().handle_timeout(now, || anything_waits(sockets));
            self.apply(change, state, now, None);
        });
    }

    /// Goes in by the door; `None` when there is nothing to be done, or not now.
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

    /// Begins to watch the sockets: ICE or DTLS begins.
    pub fn begin_watching(&self, state: &mut State, now: Instant) {
        let change = state.transport_mut().watch_mut().begin();
        self.apply(change, state, now, None);
    }

    /// Ends watching the sockets: nothing that comes to them wants an answer any more.
    pub fn end_watching(&self, state: &mut State) {
        let change = state.transport_mut().watch_mut().end();
        self.apply(change, state, clock::now(), None);
    }

    /// Notes that the channel's thread reads.
    pub fn note_read(&self, state: &mut State, now: Instant) {
        let change = state.transport_mut().watch_mut().handle_read(now);
        self.apply(change, state, now, None);
    }

    /// Ends the session: the instance is going. The worker thread is at this session no more, nor ever will be, once this returns.
    pub fn end(&self) {
        self.watch(false);
        self.worker.remove(self.id);
        self.door.close();
        if let Some(mut reading) = self.reading() {
            reading.has_ended = true;
        }
        self.with(State::end);
        self.part();
    }

    fn apply(&self, change: Change, state: &mut State, now: Instant, component: Option<Component>) {
        match change {
            Change::None => {}
            Change::Watch => self.watch(true),
            Change::Unwatch => {
                self.watch(false);
                state.transport_mut().put_scratch(Vec::new());
            }
            Change::Take => {
                if component.is_none() {
                    self.watch(true);
                }
                match component {
                    Some(component) => state.take_from_socket(now, component),
                    None => Component::ALL.into_iter().for_each(|component| state.take_from_socket(now, component)),
                }
            }
        }
    }

    /// Lets the worker thread wait for both sockets, or no longer.
    fn watch(&self, watched: bool) {
        for (socket, component) in self.sockets.into_iter().zip(Component::ALL) {
            if watched {
                // Fails only without memory; the next deadline tries again.
                let _ = self.worker.watch(self.id, component.id(), socket);
            } else {
                self.worker.forget(socket);
            }
        }
    }

    fn tell_about(&self, instance: InstancePtr, notes: Vec<Note>) {
        for note in notes {
            match note {
                Note::Reports { about, from, compound } => {
                    let Some(child) = self.worker.get(about) else { continue };
                    let now = clock::now();
                    child.with_for(instance, now, |state| state.handle_reports_from_parent(now, from, &compound));
                }
                // SAFETY: a thread with notes is in a call of the host or came in by the door; both keep the instance.
                note => unsafe { note.tell(instance) },
            }
        }
    }

    fn lock_state(&self) -> Option<MutexGuard<'_, State>> {
        cost::note(Deed::LockedState);
        self.state.lock().ok()
    }
}

impl Task for Session {
    fn handle_ready(&self, now: Instant, tag: Tag) {
        if let Some(component) = Component::from_id(tag.into()) {
            self.handle_readable(now, component);
        }
    }

    fn handle_timeout(&self, now: Instant) {
        self.handle_deadline(now);
    }
}

/// A thread of the host is at a session for the length of a packet, as a rule: when the worker thread comes back.
const HOST_IS_INSIDE: Duration = Duration::from_millis(1);

/// Returns whether one of the sockets has something to read.
fn anything_waits(sockets: [RawFd; 2]) -> bool {
    let mut polled = sockets.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // SAFETY: two pollfd, no waiting.
    unsafe { libc::poll(polled.as_mut_ptr(), 2, 0) > 0 }
}
