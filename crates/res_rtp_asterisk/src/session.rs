//! One media session, which the host knows as an `ast_rtp_instance`, and its locks.
//!
//! | lock | taken by | held for | host functions called meanwhile |
//! |---|---|---|---|
//! | the host's lock of the instance (Asterisk 16 and later) | the host around its calls; the worker thread through `door` | one call | yes |
//! | `reading` | the channel thread that reads a frame; other threads briefly | one frame | yes |
//! | `writing` | the channel thread that writes a frame | one frame | yes |
//! | `state` | every thread | one packet or one timer | only those that `res_srtp` provides |
//! | `state` of the parent (`bundle.rs`) | a thread that holds the child's `state` | one packet | only those that `res_srtp` provides |
//! | the worker's table | every thread | one look-up | no |
//!
//! Rules for one session:
//! - A thread that takes several locks takes them in the order of the table. No thread holds `reading` and `writing` together.
//! - Log lines and events are collected under `state` and passed to the host after unlocking ([`Session::with`]).
//! - The worker thread enters through `door` before it takes any other lock, and never waits there.
//!
//! Rules for two sessions that share a transport:
//! - `reading` of the parent is taken before that of the child; `state` of the child before that of the parent.
//! - A thread that holds only the parent's `state` releases it before it locks a child.
//! - No thread waits for the host's lock of a second instance. Host functions that take that lock are called only for the
//!   instance that the host's call is about; a child is used within its parent's `read` without its instance being locked
//!   ([`Session::lend`]).

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use asterisk::lock;
use asterisk::rtp::{Door, Inside, Instance, InstancePtr, Shut};
use asterisk::worker::{Id, Tag, Task, Tasks};
use ice::Component;

use crate::carriers::Place;
use crate::clock;
use crate::cost::{self, Deed};
use crate::globals::globals;
use crate::media::frames::Frames;
use crate::media::incoming::Incoming;
use crate::media::outgoing::Outgoing;
use crate::notes::Note;
use crate::state::State;
use crate::transport::relay;
use crate::transport::watch::Change;

/// A media session. The host's instance and the worker thread each hold a reference.
pub struct Session {
    id: Id,
    worker: Arc<Tasks<Self>>,
    sockets: [AtomicI32; 2],
    instance: InstancePtr,
    door: Door,
    /// A socket became readable while the door was shut. Only the worker thread uses this flag.
    put_off: AtomicBool,
    /// Something came from the TURN server while the door was shut, or more than is taken at once. Only the worker thread uses this flag.
    relay_put_off: AtomicBool,
    /// The number of descriptions that the host has processed.
    descriptions: AtomicU32,
    /// The session is a part of the self-test, and no call.
    is_trial: bool,
    /// The threads that are telling the host the peer's address, which it then sets as if a description had it.
    telling: Mutex<Vec<libc::pthread_t>>,
    /// The thread that carries received packets to another session, while one does.
    place: Mutex<Option<Place>>,
    state: Mutex<State>,
    reading: Mutex<Reading>,
    writing: Mutex<Outgoing>,
}

/// The part of a session that only the reading thread needs.
pub struct Reading {
    /// Frames for the host, and the receive buffer.
    pub frames: Frames,
    /// The receiving side of the stream, kept from packet to packet.
    pub incoming: Incoming,
    pub(crate) has_ended: bool,
    /// When another thread last carried a packet in place of the channel.
    pub(crate) carried_at: Option<Instant>,
    /// When that thread last looked at what else wants the channel.
    pub(crate) looked_at: Option<Instant>,
    /// Packets until the stack of the thread that reads is given back.
    unsettled: u8,
}

/// Packets of a call before its thread has settled down: a second of audio.
const SETTLED_AFTER: u8 = 50;

impl Reading {
    /// Counts a packet that the host reads. Returns whether the thread has settled down with it: calls that it makes from now on, from
    /// packet to packet, are not as deep as those that set the call up.
    pub(crate) fn settles(&mut self) -> bool {
        let was_unsettled = self.unsettled > 0;
        self.unsettled = self.unsettled.saturating_sub(1);
        was_unsettled && self.unsettled == 0
    }
}

impl Session {
    /// Creates a session and adds it to the worker thread's table. `dtmf_timeout` is the value of `rtp.conf`, in samples at
    /// 8000 Hz.
    pub fn new(id: Id, worker: Arc<Tasks<Self>>, instance: Instance<'_>, state: State, dtmf_timeout: u32) -> Arc<Self> {
        let sockets = Component::ALL.map(|component| state.transport().socket(component).fd().into());
        let reading = Reading {
            frames: Frames::new(),
            incoming: Incoming::new(dtmf_timeout),
            has_ended: false,
            carried_at: None,
            looked_at: None,
            unsettled: SETTLED_AFTER,
        };
        let session = Arc::new(Self {
            id,
            worker,
            sockets,
            instance: instance.pointer(),
            door: Door::to(instance),
            put_off: AtomicBool::new(false),
            relay_put_off: AtomicBool::new(false),
            descriptions: AtomicU32::new(0),
            is_trial: state.is_trial(),
            telling: Mutex::default(),
            place: Mutex::default(),
            state: Mutex::new(state),
            reading: Mutex::new(reading),
            writing: Mutex::new(Outgoing::new()),
        });
        session.worker.add(id, Arc::clone(&session));
        session
    }

    /// Counts a description that the host processes.
    pub fn note_description(&self) {
        self.descriptions.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of descriptions that the host has processed.
    pub fn descriptions(&self) -> u32 {
        self.descriptions.load(Ordering::Relaxed)
    }

    /// Returns whether the session is a part of the self-test, which the history of calls leaves out.
    pub fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// Returns the identity of the host's instance.
    pub fn instance(&self) -> InstancePtr {
        self.instance
    }

    /// Returns the session's key in the worker thread's table.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Runs `run` with the state locked, then unlocks it and passes the collected log lines and events to the host. Returns `None`
    /// after a panic poisoned the lock; every call of the session then fails until the host destroys it.
    pub fn with<R>(&self, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.with_at(clock::now(), run)
    }

    /// Like [`Self::with`], for a caller that has already read the clock.
    pub fn with_at<R>(&self, now: Instant, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.with_for(self.instance, now, run)
    }

    /// Like [`Self::with_at`], within a host call about another `instance`: the parent's. Events are published for that instance.
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

    /// Runs `run` with this session's state locked, for a child that holds its own state lock. Log lines and events go to
    /// `notes`, which the child passes to the host. Returns `None` when this session has ended or its lock is poisoned.
    pub fn carry<R>(&self, notes: &mut Vec<Note>, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let mut state = self.lock_state().filter(|state| state.is_live())?;
        let result = run(&mut state);
        notes.append(state.notes_mut());
        Some(result)
    }

    /// Reads this session's state, for a child that holds its own state lock. Returns `None` when this session has ended or its
    /// lock is poisoned.
    pub fn peek<R>(&self, look: impl FnOnce(&State) -> R) -> Option<R> {
        let state = self.lock_state().filter(|state| state.is_live())?;
        Some(look(&state))
    }

    /// Returns why the call has to end, if it still has to. Locks `state` alone, and calls no host function.
    pub fn story_of_the_end(&self) -> Option<String> {
        self.peek(|state| state.story_of_the_end(clock::now())).flatten()
    }

    /// Changes the state on a thread that is in no call of the host's about this session, such as that of a WebSocket. Nothing is sent
    /// and nothing told to the host: the worker thread does what follows. Returns `None` when this session has ended or its lock is
    /// poisoned.
    pub fn inform<R>(&self, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.inform_at(clock::now(), run)
    }

    /// Like [`Self::inform`], for a caller that has already read the clock.
    pub fn inform_at<R>(&self, now: Instant, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let mut state = self.lock_state().filter(|state| state.is_live())?;
        let result = run(&mut state);
        if let Some(deadline) = state.rearm(now) {
            self.worker.schedule(self.id, deadline);
        }
        Some(result)
    }

    /// Passes the `notes` that [`Self::carry`] collected to the host, within a host call about this session.
    pub fn tell(&self, notes: Vec<Note>) {
        self.tell_about(self.instance, notes);
    }

    /// Tells the host the peer's address, which has changed.
    pub fn tell_address(&self, instance: Instance<'_>, address: SocketAddr) {
        // SAFETY: names the calling thread.
        let thread = unsafe { libc::pthread_self() };
        lock(&self.telling).push(thread);
        instance.set_remote_address(address);
        lock(&self.telling).retain(|telling| *telling != thread);
    }

    /// Returns whether the host sets the peer's address because this thread has told it.
    pub fn is_telling(&self) -> bool {
        // SAFETY: names the calling thread.
        lock(&self.telling).contains(&unsafe { libc::pthread_self() })
    }

    /// Lets the parent's reading thread use the receiving side of this session, a child. Returns `None` once the session has
    /// ended. The host has not locked the instance, so `run` must not call host functions that take its lock.
    pub fn lend<R>(&self, run: impl FnOnce(&mut Incoming, Instance<'_>) -> R) -> Option<R> {
        let mut reading = self.reading()?;
        if reading.has_ended {
            return None;
        }
        // SAFETY: `end`, which `destroy` calls before the host frees the instance, waits for `reading`.
        let instance = unsafe { Instance::from_ptr(self.instance) };
        Some(run(&mut reading.incoming, instance))
    }

    /// Notes that the G.719 of the call is Opus. Locks one part of the session after the other.
    pub fn note_opus(&self) {
        if let Some(mut reading) = self.reading() {
            reading.incoming.note_opus();
        }
        if let Some(mut writing) = self.writing() {
            writing.note_opus();
        }
        self.inform(State::note_opus);
    }

    /// Locks the reading side. Returns `None` after a panic poisoned the lock.
    pub fn reading(&self) -> Option<MutexGuard<'_, Reading>> {
        self.reading.lock().ok()
    }

    /// Locks the writing side. Returns `None` after a panic poisoned the lock.
    pub fn writing(&self) -> Option<MutexGuard<'_, Outgoing>> {
        self.writing.lock().ok()
    }

    /// Handles a readable socket. Called by the worker thread.
    fn handle_readable(&self, now: Instant, component: Component) {
        let Some(_inside) = self.enter(now) else {
            // The datagram stays in the socket. `handle_deadline` watches the socket again.
            self.watch(false);
            self.put_off.store(true, Ordering::Relaxed);
            return;
        };
        let whole = self.with_at(now, |state| {
            let change = state.transport_mut().watch_mut().handle_readable(now);
            self.apply(change, state, now, Some(component));
        });
        if whole.is_none() {
            // The state lock is poisoned, so no thread will ever read this socket; epoll would report it forever.
            self.watch(false);
        }
    }

    /// Runs the timers that are due. Called by the worker thread.
    fn handle_deadline(&self, now: Instant) {
        let Some(_inside) = self.enter(now) else { return };
        self.with_at(now, |state| {
            if self.put_off.swap(false, Ordering::Relaxed) && state.transport_mut().watch_mut().is_watched() {
                self.watch(true);
            }
            state.handle_timeout(now);
            let sockets = self.sockets();
            let change = state.transport_mut().watch_mut().handle_timeout(now, || anything_waits(sockets));
            self.apply(change, state, now, None);
            self.watch_names(state);
            if self.relay_put_off.swap(false, Ordering::Relaxed) {
                self.take_from_relay(state, now);
            }
            self.watch_relay(state);
        });
    }

    /// Handles what a TURN server has sent. Called by the worker thread.
    fn handle_relay(&self, now: Instant) {
        let Some(_inside) = self.enter(now) else {
            // It is not reported again before `handle_deadline` has taken it in.
            return self.relay_put_off.store(true, Ordering::Relaxed);
        };
        self.with_at(now, |state| {
            self.take_from_relay(state, now);
            self.watch_relay(state);
        });
    }

    /// Takes in a part of what a TURN server has sent, and comes back for the rest once other sessions have had their turn.
    fn take_from_relay(&self, state: &mut State, now: Instant) {
        if state.take_from_relay(now) {
            self.relay_put_off.store(true, Ordering::Relaxed);
            self.worker.schedule(self.id, now);
        }
    }

    /// Takes a relayed candidate, if one is ready, before the host prints our description.
    pub fn take_relay(&self) {
        let now = clock::now();
        self.with_at(now, |state| {
            if state.bundle().has_own_transport() && state.transport_mut().take_relay(now) {
                self.watch_relay(state);
            }
        });
    }

    fn watch_relay(&self, state: &mut State) {
        state.transport_mut().watch_relay(&self.worker, self.id);
    }

    /// Takes in answers for names of candidates. Called by the worker thread, which does not enter: what follows from an answer waits for
    /// [`Self::handle_deadline`].
    fn handle_names(&self, now: Instant) {
        self.inform(|state| {
            state.transport_mut().receive_names(now);
            self.watch_names(state);
        });
    }

    /// Waits for answers for names of candidates, if any are looked up.
    fn watch_names(&self, state: &mut State) {
        if let Some(names) = state.transport_mut().names_mut() {
            names.watch(&self.worker, self.id);
        }
    }

    /// Enters through the door. Returns `None` when the session has ended, or when a host thread is inside; the latter schedules
    /// another try.
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

    /// Starts watching the sockets, because ICE or DTLS begins.
    pub fn begin_watching(&self, state: &mut State, now: Instant) {
        let change = state.transport_mut().watch_mut().begin();
        self.apply(change, state, now, None);
    }

    /// Stops watching the sockets, because their datagrams need no answer any more.
    pub fn end_watching(&self, state: &mut State) {
        let change = state.transport_mut().watch_mut().end();
        self.apply(change, state, clock::now(), None);
    }

    /// Records that the channel's thread reads.
    pub fn note_read(&self, state: &mut State, now: Instant) {
        let change = state.transport_mut().watch_mut().handle_read(now);
        self.apply(change, state, now, None);
    }

    /// Ends the session, before the host frees the instance. After this returns the worker thread never uses the session again.
    pub fn end(&self) {
        self.watch(false);
        self.worker.remove(self.id);
        self.door.close();
        self.leave_carrier();
        let bridge = self.reading().and_then(|mut reading| {
            reading.has_ended = true;
            reading.incoming.set_bridge(None)
        });
        drop(bridge);
        self.with(State::end);
        self.part();
    }

    fn sockets(&self) -> [RawFd; 2] {
        self.sockets.each_ref().map(|socket| socket.load(Ordering::Relaxed))
    }

    /// Has a thread carry the packets of this session, if that is possible. It does until [`Self::leave_carrier`].
    pub fn find_carrier(self: &Arc<Self>) {
        let mut place = lock(&self.place);
        if place.is_some() {
            return;
        }
        let began = self.inform(|state| {
            let socket = state.begin_to_carry();
            // Under the lock, and also if it failed: the socket may have moved, and watching begins under the same lock.
            self.sockets[0].store(state.transport().socket(Component::Rtp).fd(), Ordering::Relaxed);
            socket
        });
        let Some(socket) = began.flatten() else { return };
        *place = globals().and_then(|globals| globals.carriers().carry(self, socket));
        if place.is_none() {
            self.inform(State::end_to_carry);
        }
    }

    /// Has no thread begin to carry a packet of this session any more. Afterwards, one that has begun holds `reading`.
    pub fn leave_carrier(&self) {
        let place = lock(&self.place).take();
        if let Some(place) = place {
            place.leave();
        }
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

    /// Adds both sockets to the worker thread's epoll set, or removes them.
    fn watch(&self, watched: bool) {
        for (socket, component) in self.sockets().into_iter().zip(Component::ALL) {
            if watched {
                // Fails only when memory is exhausted; the next deadline tries again.
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
                Note::PeerGone => {
                    if let Some(globals) = globals() {
                        globals.endings().end(self.id, self.instance);
                    }
                }
                // SAFETY: this thread is in a host call or came in through the door; both keep the instance alive.
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
        match Component::from_id(tag.into()) {
            Some(component) => self.handle_readable(now, component),
            None if tag == relay::TAG => self.handle_relay(now),
            None => self.handle_names(now),
        }
    }

    fn handle_timeout(&self, now: Instant) {
        self.handle_deadline(now);
    }
}

/// Delay before the worker thread tries again to enter a session that a host thread is using. Host threads rarely stay longer
/// than one packet takes.
const HOST_IS_INSIDE: Duration = Duration::from_millis(1);

/// Returns whether one of the sockets has something to read.
fn anything_waits(sockets: [RawFd; 2]) -> bool {
    let mut polled = sockets.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // SAFETY: `polled` holds two entries that outlive the call, which does not wait.
    unsafe { libc::poll(polled.as_mut_ptr(), 2, 0) > 0 }
}
