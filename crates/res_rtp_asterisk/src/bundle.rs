//! Lets several sessions share the transport of one of them (BUNDLE, RFC 9143).
//!
//! The host names one session as the parent of the others. The parent owns the sockets, ICE and the SRTP keys. A child keeps its
//! own statistics and sends media and reports through its parent; its own sockets stay unused.
//!
//! The parent receives and decrypts every datagram. It finds the session of a media packet by the SSRC that the peer's
//! description names, or else by the payload type, if only one stream has it (RFC 9143 §9.2). Frames of a child are returned by
//! the parent's `read`, with their stream number. The payload types of an unknown source are also looked up in `read`, because
//! the host may be asked about a child only by a thread that holds no `state` lock.
//!
//! `session.rs` documents the lock order. Parent and child do not keep each other's host instance. When the parent ends first, it
//! marks its children, and they send nothing until the host assigns them another transport.
//!
//! With SRTP keys from SDP (`a=crypto`) a child does not send: those keys cover the parent's SSRC only.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use asterisk::Failed;
use asterisk::worker::Id;
use rtp::pictures::Wanted;

use crate::clock;
use crate::diagnosis::verdict::ShownCarrier;
use crate::notes::Note;
use crate::session::Session;
use crate::state::State;
use crate::transport::Transport;
use crate::transport::send::Stream;

/// The relation of a session to the sessions that share a transport with it.
#[derive(Default)]
pub struct Bundle {
    carrier: Carrier,
    children: Vec<Child>,
    /// Identification of our own stream.
    marks: Marks,
}

/// The session whose transport carries the stream.
#[derive(Default)]
enum Carrier {
    /// This session.
    #[default]
    Own,
    /// The parent.
    Of(Arc<Session>),
    /// The parent has ended.
    Gone,
}

/// A session whose stream this session, its parent, carries.
struct Child {
    session: Arc<Session>,
    ssrc: u32,
    marks: Marks,
    /// An SSRC that was assigned to this child by its payload type. The peer's description does not name it.
    learned_ssrc: Option<u32>,
    pictures: Wanted,
}

/// Identifies a stream within a bundle: its packets by SSRC, its frames by stream number. The host supplies both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The SSRC that the peer's description names (RFC 5576).
    pub described_ssrc: Option<u32>,
    /// The number of the stream within its channel (Asterisk 16 and later).
    pub number: Option<i32>,
}

/// A request by the peer for a whole picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureRequest {
    /// The number of the stream within its channel, if the host supplied one.
    pub stream: Option<i32>,
}

impl Marks {
    /// Creates a request for a picture of this stream.
    pub fn picture_request(self) -> PictureRequest {
        PictureRequest { stream: self.number }
    }
}

/// The session that a packet of media is for.
pub enum Whose {
    /// The session that received the packet.
    Own,
    /// A child of the session that received the packet.
    Child(Arc<Session>),
    /// Unknown SSRC: the payload type decides (RFC 9143 §9.2).
    Unknown,
}

impl Child {
    fn is_from(&self, ssrc: u32) -> bool {
        self.marks.described_ssrc == Some(ssrc) || self.learned_ssrc == Some(ssrc)
    }
}

impl Bundle {
    /// Returns the parent, if another session's transport carries our stream.
    pub fn parent(&self) -> Option<&Arc<Session>> {
        match &self.carrier {
            Carrier::Of(parent) => Some(parent),
            Carrier::Own | Carrier::Gone => None,
        }
    }

    /// Returns whether the session sends and receives over its own transport.
    pub fn has_own_transport(&self) -> bool {
        matches!(self.carrier, Carrier::Own)
    }

    /// Runs `run` with the transport that carries the stream: `own`, or the parent's. Log lines of the parent go to `notes`.
    /// Returns `None` when the parent has ended.
    pub fn over<R>(
        &self,
        own: &mut Transport,
        notes: &mut Vec<Note>,
        run: impl FnOnce(&mut Transport, Stream) -> R,
    ) -> Option<R> {
        match &self.carrier {
            Carrier::Own => Some(run(own, Stream::Own)),
            Carrier::Of(parent) => parent.carry(notes, |state| run(state.transport_mut(), Stream::Bundled)),
            Carrier::Gone => None,
        }
    }

    /// Reads the transport that carries the stream. Returns `None` when the parent has ended.
    pub fn look<R>(&self, own: &Transport, look: impl FnOnce(&Transport) -> R) -> Option<R> {
        self.look_as(own, |transport, _| look(transport))
    }

    /// Reads the transport that carries the stream; `look` also gets our relation to it. Returns `None` when the parent has ended.
    pub fn look_as<R>(&self, own: &Transport, look: impl FnOnce(&Transport, Stream) -> R) -> Option<R> {
        match &self.carrier {
            Carrier::Own => Some(look(own, Stream::Own)),
            Carrier::Of(parent) => parent.peek(|state| look(state.transport(), Stream::Bundled)),
            Carrier::Gone => None,
        }
    }

    /// Returns the SSRC and stream number of our own stream, as the host set them.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Returns the number of child sessions.
    pub fn children(&self) -> usize {
        self.children.len()
    }

    /// Returns the SSRCs that the child sessions send with.
    pub fn ssrcs(&self) -> Vec<u32> {
        self.children.iter().map(|child| child.ssrc).collect()
    }

    /// Returns the child sessions.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.children.iter().map(|child| Arc::clone(&child.session)).collect()
    }

    /// Returns which session carries the stream, for `rtp show sessions`.
    pub fn shown(&self) -> ShownCarrier {
        match &self.carrier {
            Carrier::Own => ShownCarrier::Own,
            Carrier::Of(parent) => {
                parent.peek(|state| state.transport().port()).map_or(ShownCarrier::Gone, ShownCarrier::Port)
            }
            Carrier::Gone => ShownCarrier::Gone,
        }
    }

    /// Returns the session that packets from `ssrc` belong to (RFC 9143 §9.2). `own_ssrc` is the SSRC that our own stream was last
    /// received from.
    pub fn whose(&self, ssrc: u32, own_ssrc: Option<u32>) -> Whose {
        if self.children.is_empty() {
            return Whose::Own;
        }
        match self.children.iter().find(|child| child.is_from(ssrc)) {
            Some(child) => Whose::Child(Arc::clone(&child.session)),
            None if self.marks.described_ssrc.or(own_ssrc) == Some(ssrc) => Whose::Own,
            None => Whose::Unknown,
        }
    }

    /// Assigns `ssrc` to the child `id`, because its payload type belongs to that child alone.
    pub fn learn(&mut self, id: Id, ssrc: u32) {
        if let Some(child) = self.child(id) {
            child.learned_ssrc = Some(ssrc);
        }
    }

    /// Records the peer's request for a picture of the stream that we send as `media_ssrc`. Returns whether a child sends it.
    pub fn handle_picture_request(&mut self, now: Instant, media_ssrc: u32) -> bool {
        let child = self.children.iter_mut().find(|child| child.ssrc == media_ssrc);
        child.map(|child| child.pictures.handle_request(now)).is_some()
    }

    /// Returns the next of the peer's picture requests for a child's stream, once per request.
    pub fn take_picture_request(&mut self) -> Option<PictureRequest> {
        let marks = self.children.iter_mut().find_map(|child| child.pictures.take().then_some(child.marks));
        marks.map(Marks::picture_request)
    }

    /// Queues a compound packet for every child. Each child uses the reports about its own stream.
    pub fn hand_down(&self, from: SocketAddr, compound: &[u8], notes: &mut Vec<Note>) {
        notes.extend(self.children.iter().map(|child| Note::Reports {
            about: child.session.id(),
            from,
            compound: compound.to_vec(),
        }));
    }

    /// Makes the session's own transport carry the stream. Returns whether that is a change.
    pub fn take_up_transport(&mut self) -> bool {
        !matches!(mem::replace(&mut self.carrier, Carrier::Own), Carrier::Own)
    }

    fn child(&mut self, id: Id) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.session.id() == id)
    }
}

impl Session {
    /// Makes the transport of `parent` carry the stream. Fails when either session has ended or panicked, when `parent` is itself a
    /// child, or when this session has children.
    pub fn join(self: &Arc<Self>, parent: &Arc<Self>) -> Result<(), Failed> {
        let known = self.with(|state| state.bundle().parent().cloned()).ok_or(Failed)?;
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, parent)) {
            // The host repeats this with each description. It never sets an address for a child, so this is what ends a hold.
            return self.with(|state| state.transport_mut().remote_mut().resume()).ok_or(Failed);
        }
        self.leave_parent();
        self.begin_to_share(parent)
    }

    /// Makes the session's own transport carry the stream.
    pub fn go_alone(&self) {
        self.leave_parent();
        self.with(State::take_up_transport);
    }

    /// Changes the SSRC or stream number that the host set for this session's stream, here and in the parent.
    pub fn set_marks(&self, set: impl FnOnce(&mut Marks)) {
        self.with(|state| {
            set(&mut state.bundle_mut().marks);
            let marks = state.bundle().marks;
            self.tell_parent(state, |child| child.marks = marks);
        });
    }

    /// Notes that a source of video begins in the stream that we send. The host asks the parent for wishes of a child.
    pub fn begin_pictures(&self, now: Instant) -> Option<()> {
        self.with_at(now, |state| {
            state.begin_pictures(now);
            self.tell_parent(state, |child| child.pictures.handle_source(now));
        })
    }

    /// Changes the SSRC of our stream, and moves its SRTP policy to the new one.
    pub fn change_ssrc(&self) {
        self.with(|state| {
            let Some((old, new)) = state.change_ssrc(clock::now()) else { return };
            if state.bundle().has_own_transport() {
                state.transport().change_source(old, new);
                return;
            }
            self.through_parent(state, |parent| {
                parent.transport().change_source(old, new);
                if let Some(child) = parent.bundle_mut().child(self.id()) {
                    child.ssrc = new;
                }
            });
        });
    }

    /// Removes the session from its bundle, because it ends. Its children lose their transport.
    pub fn part(&self) {
        let Some(bundle) = self.with(|state| mem::take(state.bundle_mut())) else { return };
        if let Some(parent) = bundle.parent() {
            self.leave(parent);
        }
        for child in bundle.children {
            child.session.with(|state| {
                let bundle = state.bundle_mut();
                if bundle.parent().is_some_and(|parent| parent.id() == self.id()) {
                    bundle.carrier = Carrier::Gone;
                }
            });
        }
    }

    fn leave_parent(&self) {
        let parent = self.with(|state| {
            let parent = state.bundle().parent().cloned()?;
            state.bundle_mut().carrier = Carrier::Gone;
            Some(parent)
        });
        if let Some(parent) = parent.flatten() {
            self.leave(&parent);
        }
    }

    fn begin_to_share(self: &Arc<Self>, parent: &Arc<Self>) -> Result<(), Failed> {
        let (ssrc, marks) = self.with(|state| (state.source().ssrc(), state.bundle().marks)).ok_or(Failed)?;
        let child = Child { session: Arc::clone(self), ssrc, marks, learned_ssrc: None, pictures: Wanted::default() };
        let mut notes = Vec::new();
        let cname = parent.carry(&mut notes, |state| take_in(state, child)).unwrap_or(Err(Failed));
        self.tell(notes);
        let cname = cname?;
        // A session with children cannot become a child. This is checked after entering the parent: if it were checked before,
        // two sessions that name each other as parent at the same time could both succeed.
        let shared = self.with(|state| {
            if state.bundle().children() > 0 {
                return Err(Failed);
            }
            state.bundle_mut().carrier = Carrier::Of(Arc::clone(parent));
            state.give_up_transport(cname);
            self.end_watching(state);
            Ok(())
        });
        shared.unwrap_or(Err(Failed)).inspect_err(|Failed| self.leave(parent))
    }

    fn leave(&self, parent: &Arc<Self>) {
        let mut notes = Vec::new();
        let left = parent.carry(&mut notes, |state| {
            let children = &mut state.bundle_mut().children;
            let position = children.iter().position(|child| child.session.id() == self.id())?;
            Some(children.swap_remove(position))
        });
        drop(left);
        self.tell(notes);
    }

    fn tell_parent(&self, state: &mut State, tell: impl FnOnce(&mut Child)) {
        self.through_parent(state, |parent| parent.bundle_mut().child(self.id()).map(tell));
    }

    /// Runs `run` with the parent's state locked. Returns `None` when the session is no child or the parent has ended.
    fn through_parent<R>(&self, state: &mut State, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let parent = Arc::clone(state.bundle().parent()?);
        parent.carry(state.notes_mut(), run)
    }
}

/// Adds `child` to the parent; returns the CNAME that the child has to use. Fails when `parent` has no transport of its own or
/// already has this child.
fn take_in(parent: &mut State, child: Child) -> Result<String, Failed> {
    let bundle = parent.bundle_mut();
    if !bundle.has_own_transport() || bundle.child(child.session.id()).is_some() {
        return Err(Failed);
    }
    let ssrc = child.ssrc;
    bundle.children.push(child);
    if parent.transport().has_agreed_keys() {
        parent.key_bundled(ssrc);
    }
    // All sources of an endpoint use one CNAME (RFC 8834 §4.9).
    Ok(parent.rtcp().cname().to_owned())
}
