//! Several streams over one transport (RFC 9143).
//!
//! The host names a parent to each of the other sessions. The parent has the sockets, ICE and the keys. A child keeps count of
//! its stream by itself, sends and reports through its parent, and is silent on sockets of its own. The parent takes what comes
//! in off the socket and decrypts it; the SSRC that the peer's description names says whose it is, or else the payload type, if
//! only one stream has it (section 9.2). Frames of a child come out of the parent's `read`, with the number of their stream.
//! Payload types are looked up there as well, when a source appears that nobody named: what the host keeps of a child may be
//! asked for only by a thread that holds none of our `state`s.
//!
//! `session.rs` says in which order the two are locked. Neither keeps the host's instance of the other: the one that goes first
//! tells the other, and a child without its parent sends nothing until the host has said what its transport is.
//!
//! With keys from SDP (`a=crypto`) a child does not send: those keys are for the parent's source alone.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use asterisk::Failed;
use asterisk::worker::Id;

use crate::diagnosis::verdict::ShownCarrier;
use crate::notes::Note;
use crate::rtcp::feedback::Pictures;
use crate::session::Session;
use crate::state::State;
use crate::transport::Transport;
use crate::transport::send::Stream;

/// The relation of a session to others that share a transport with it.
#[derive(Default)]
pub struct Bundle {
    carrier: Carrier,
    children: Vec<Child>,
    /// The marks of our own stream.
    marks: Marks,
}

/// The session whose transport carries the stream.
#[derive(Default)]
enum Carrier {
    /// This one.
    #[default]
    Own,
    /// The parent.
    Of(Arc<Session>),
    /// A parent that is no more.
    Gone,
}

/// Another session whose stream this one, its parent, carries.
struct Child {
    session: Arc<Session>,
    ssrc: u32,
    marks: Marks,
    /// The source that its packets were last told by, when it is not the one that was described.
    learned_ssrc: Option<u32>,
    pictures: Pictures,
}

/// The host's knowledge of a stream: what tells its packets from those of others, and its frames from others'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The source that the peer's description names (RFC 5576).
    pub described_ssrc: Option<u32>,
    /// The number of the stream within its channel.
    pub number: Option<i32>,
}

/// A request of the peer for a whole picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureRequest {
    /// The number of the stream within its channel, where the host tells.
    pub stream: Option<i32>,
}

impl Marks {
    /// Makes a request for a picture of this stream.
    pub fn picture_request(self) -> PictureRequest {
        PictureRequest { stream: self.number }
    }
}

/// The session that a packet of media is for.
pub enum Whose {
    /// The one that received it.
    Own,
    /// A child of it.
    Child(Arc<Session>),
    /// Nobody has named its source: the payload type decides.
    Unknown,
}

impl Child {
    fn is_from(&self, ssrc: u32) -> bool {
        self.marks.described_ssrc == Some(ssrc) || self.learned_ssrc == Some(ssrc)
    }
}

impl Bundle {
    /// Returns the session whose transport carries ours.
    pub fn parent(&self) -> Option<&Arc<Session>> {
        match &self.carrier {
            Carrier::Of(parent) => Some(parent),
            Carrier::Own | Carrier::Gone => None,
        }
    }

    /// Returns whether the session sends and receives by its own transport.
    pub fn has_own_transport(&self) -> bool {
        matches!(self.carrier, Carrier::Own)
    }

    /// Runs with the transport that carries the stream: `own`, or the parent's, whose log lines go to `notes`. `None` when there
    /// is none any more.
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

    /// Looks at the transport that carries the stream; `None` when there is none any more.
    pub fn look<R>(&self, own: &Transport, look: impl FnOnce(&Transport) -> R) -> Option<R> {
        self.look_as(own, |transport, _| look(transport))
    }

    /// Looks at the transport that carries the stream, as the stream of that kind; `None` when there is none any more.
    pub fn look_as<R>(&self, own: &Transport, look: impl FnOnce(&Transport, Stream) -> R) -> Option<R> {
        match &self.carrier {
            Carrier::Own => Some(look(own, Stream::Own)),
            Carrier::Of(parent) => parent.peek(|state| look(state.transport(), Stream::Bundled)),
            Carrier::Gone => None,
        }
    }

    /// Returns the marks of our own stream.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Returns how many streams are carried beside our own.
    pub fn children(&self) -> usize {
        self.children.len()
    }

    /// Returns the sources of the streams that are carried beside our own.
    pub fn ssrcs(&self) -> Vec<u32> {
        self.children.iter().map(|child| child.ssrc).collect()
    }

    /// Returns the sessions whose streams are carried beside our own.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.children.iter().map(|child| Arc::clone(&child.session)).collect()
    }

    /// Returns the session that carries the stream, as people want to know it.
    pub fn shown(&self) -> ShownCarrier {
        match &self.carrier {
            Carrier::Own => ShownCarrier::Own,
            Carrier::Of(parent) => {
                parent.peek(|state| state.transport().port()).map_or(ShownCarrier::Gone, ShownCarrier::Port)
            }
            Carrier::Gone => ShownCarrier::Gone,
        }
    }

    /// Returns the session that packets of a source are for; `own_ssrc` is the source that our own stream was last seen to come
    /// from.
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

    /// Notes that a source is that child's, by its payload type.
    pub fn learn(&mut self, id: Id, ssrc: u32) {
        if let Some(child) = self.child(id) {
            child.learned_ssrc = Some(ssrc);
        }
    }

    /// Takes a request of the peer for a picture of this source. Returns whether it is a child's.
    pub fn handle_picture_request(&mut self, now: Instant, media_ssrc: u32) -> bool {
        let child = self.children.iter_mut().find(|child| child.ssrc == media_ssrc);
        child.map(|child| child.pictures.handle_request(now)).is_some()
    }

    /// Returns a request of the peer for a picture of a child's stream; one at a time.
    pub fn take_picture_request(&mut self) -> Option<PictureRequest> {
        let marks = self.children.iter_mut().find_map(|child| child.pictures.take_request().then_some(child.marks));
        marks.map(Marks::picture_request)
    }

    /// Notes reports for the children, of which each finds those about its stream.
    pub fn hand_down(&self, from: SocketAddr, compound: &[u8], notes: &mut Vec<Note>) {
        notes.extend(self.children.iter().map(|child| Note::Reports {
            about: child.session.id(),
            from,
            compound: compound.to_vec(),
        }));
    }

    /// Lets the session's own transport carry the stream again. Returns whether it did not.
    pub fn take_up_transport(&mut self) -> bool {
        !matches!(mem::replace(&mut self.carrier, Carrier::Own), Carrier::Own)
    }

    fn child(&mut self, id: Id) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.session.id() == id)
    }
}

impl Session {
    /// Lets the transport of `parent` carry the stream from now on.
    pub fn join(self: &Arc<Self>, parent: &Arc<Self>) -> Result<(), Failed> {
        let known = self.with(|state| state.bundle().parent().cloned()).ok_or(Failed)?;
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, parent)) {
            // The host says it with each description; one that ends a hold names no address for a child.
            return self.with(|state| state.transport_mut().remote_mut().resume()).ok_or(Failed);
        }
        self.leave_parent();
        self.begin_to_share(parent)
    }

    /// Lets the session's own transport carry the stream from now on.
    pub fn go_alone(&self) {
        self.leave_parent();
        self.with(State::take_up_transport);
    }

    /// Notes what the host says of this session's stream, for the parent as well.
    pub fn set_marks(&self, set: impl FnOnce(&mut Marks)) {
        self.with(|state| {
            set(&mut state.bundle_mut().marks);
            let marks = state.bundle().marks;
            self.tell_parent(state, |child| child.marks = marks);
        });
    }

    /// Takes a new SSRC, which SRTP has to be told of: the source of the stream is another one.
    pub fn change_ssrc(&self) {
        self.with(|state| {
            let Some((old, new)) = state.source_mut().change_ssrc() else { return };
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

    /// Parts from parent and children: the session ends, and nobody is to look for it or for its transport.
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
        let child = Child { session: Arc::clone(self), ssrc, marks, learned_ssrc: None, pictures: Pictures::default() };
        let mut notes = Vec::new();
        let cname = parent.carry(&mut notes, |state| take_in(state, child)).unwrap_or(Err(Failed));
        self.tell(notes);
        let cname = cname?;
        // One that has children is nobody's child. It was not checked first: two that name each other as parents at the same
        // moment shall not both be taken.
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

    /// Runs with the parent's state locked, if the session is a child.
    fn through_parent<R>(&self, state: &mut State, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let parent = Arc::clone(state.bundle().parent()?);
        parent.carry(state.notes_mut(), run)
    }
}

/// Takes one more child; returns the name for it in reports.
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
    // RFC 8834 §4.9: one name for all sources of an endpoint.
    Ok(parent.rtcp().cname().to_owned())
}
