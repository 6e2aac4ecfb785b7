//! Several streams over one transport (RFC 9143).
//!
//! The host names a parent to each of the other sessions. The parent has the sockets, ICE and the keys. A child keeps count of
//! its stream by itself, sends and reports through its parent, and is silent on sockets of its own. What comes in, the parent
//! takes off the socket and unprotects; whose it is says the SSRC that the peer's description names, or else the payload type,
//! if only one stream has it (§9.2). Frames of a child come out of the parent's `read`, with the number of their stream.
//! Payload types are looked up there as well, when a source appears that nobody named: what the host keeps of a child may be
//! asked for by who holds none of our `state`s.
//!
//! `session.rs` says in which order the two are locked. Neither keeps the host's instance of the other: whichever goes first
//! tells the other, and a child without its parent sends nothing until the host has said what its transport is.
//!
//! With keys from SDP (`a=crypto`) a child does not send: those keys are for the parent's source alone.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use asterisk::Failed;
use asterisk::rtp::Instance;
use dtls_srtp::Keys;
use rtp::Packet;
use rtp::rtcp;

use crate::diagnosis::counters::Refused;
use crate::diagnosis::overdue::Overdue;
use crate::notes::Note;
use crate::rtcp::reports::{PICTURE_PACE, Pace};
use crate::session::Session;
use crate::state::State;
use crate::transport::ice::IceSide;
use crate::transport::{self, Protection};
use crate::worker::Id;

/// What a session has to do with others.
#[derive(Default)]
pub struct Bundle {
    transport: Transport,
    children: Vec<Child>,
    /// Of our own stream.
    pub marks: Marks,
    /// What we protect with, for children that come later.
    keys: Option<Keys>,
}

/// Whose sockets, checks and keys a session has.
#[derive(Default)]
enum Transport {
    /// Its own.
    #[default]
    Own,
    /// Its parent's.
    Of(Arc<Session>),
    /// Those of a parent that is no more.
    Gone,
}

/// What a parent knows of another session whose stream it carries.
struct Child {
    session: Arc<Session>,
    ssrc: u32,
    marks: Marks,
    /// The source that its packets were last told by, when it is not the one that was described.
    learned_ssrc: Option<u32>,
    picture_wanted: bool,
    pictures: Pace,
}

/// What the host says of a stream: what tells its packets from those of others, and its frames from others'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The source that the peer's description names (RFC 5576).
    pub described_ssrc: Option<u32>,
    /// Which stream of the channel it is.
    pub number: Option<i32>,
}

/// Whose a packet of media is.
pub enum Whose {
    /// The session's that received it.
    Own,
    /// That of another, whose transport it is.
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
    /// The session whose transport ours is.
    pub fn parent(&self) -> Option<&Arc<Session>> {
        match &self.transport {
            Transport::Of(parent) => Some(parent),
            Transport::Own | Transport::Gone => None,
        }
    }

    /// Whether the session has sockets, checks and keys of its own.
    pub fn has_own_transport(&self) -> bool {
        matches!(self.transport, Transport::Own)
    }

    /// How many streams are carried beside our own.
    pub fn children(&self) -> usize {
        self.children.len()
    }

    fn child(&mut self, id: Id) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.session.id() == id)
    }

    /// Whose the packets of a source are; `own_ssrc` is the one that our own stream was last seen to come from.
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

    /// The other streams that are carried.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.children.iter().map(|child| Arc::clone(&child.session)).collect()
    }

    /// The source is that child's, its payload type says.
    pub fn learn(&mut self, id: Id, ssrc: u32) {
        if let Some(child) = self.child(id) {
            child.learned_ssrc = Some(ssrc);
        }
    }

    /// The peer wants a picture of this source. Whether it is a child's.
    pub fn handle_picture_request(&mut self, now: Instant, media_ssrc: u32) -> bool {
        let child = self.children.iter_mut().find(|child| child.ssrc == media_ssrc);
        if let Some(child) = child {
            child.picture_wanted |= child.pictures.allows(now, PICTURE_PACE);
            return true;
        }
        false
    }

    /// The stream that a picture is wanted of; one at a time.
    pub fn take_picture_request(&mut self) -> Option<Option<i32>> {
        let wanted = |child: &mut Child| mem::take(&mut child.picture_wanted).then_some(child.marks.number);
        self.children.iter_mut().find_map(wanted)
    }

    /// To be told to the children: reports, of which each finds those about its stream.
    pub fn hand_down(&self, from: SocketAddr, compound: &[u8], notes: &mut Vec<Note>) {
        notes.extend(self.children.iter().map(|child| Note::Reports {
            about: child.session.id(),
            from,
            compound: compound.to_vec(),
        }));
    }
}

impl Session {
    /// The stream goes over the transport of `parent` from now on.
    pub fn join(self: &Arc<Self>, parent: &Arc<Self>) -> Result<(), Failed> {
        let known = self.with(|state| state.bundle.parent().cloned()).ok_or(Failed)?;
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, parent)) {
            // Said with each description; one that ends a hold names no address for a child.
            return self.with(|state| state.stopped = false).ok_or(Failed);
        }
        self.leave_parent();
        self.begin_to_share(parent)
    }

    /// The stream goes over its own transport from now on.
    pub fn go_alone(&self) {
        self.leave_parent();
        self.with(State::take_up_transport);
    }

    fn leave_parent(&self) {
        let parent = self.with(|state| {
            let parent = state.bundle.parent().cloned()?;
            state.bundle.transport = Transport::Gone;
            Some(parent)
        });
        if let Some(parent) = parent.flatten() {
            self.leave(&parent);
        }
    }

    /// The parent is to know what the host has said of this session's stream.
    pub fn set_marks(&self, set: impl FnOnce(&mut Marks)) {
        self.with(|state| {
            set(&mut state.bundle.marks);
            let marks = state.bundle.marks;
            state.through_parent(|parent| {
                if let Some(child) = parent.bundle.child(self.id()) {
                    child.marks = marks;
                }
            });
        });
    }

    /// A new source: a new SSRC, which SRTP has to be told of.
    pub fn change_ssrc(&self) {
        self.with(|state| {
            let Some((old, new)) = state.outgoing.change_ssrc() else { return };
            if state.bundle.has_own_transport() {
                state.change_source(old, new);
                return;
            }
            state.through_parent(|parent| {
                parent.change_source(old, new);
                if let Some(child) = parent.bundle.child(self.id()) {
                    child.ssrc = new;
                }
            });
        });
    }

    /// The session ends: nobody is to look for it, or for its transport.
    pub fn part(&self) {
        let Some((parent, children)) = self.with(|state| {
            let bundle = mem::take(&mut state.bundle);
            (bundle.parent().cloned(), bundle.children)
        }) else {
            return;
        };
        if let Some(parent) = parent {
            self.leave(&parent);
        }
        for child in children {
            child.session.with(|state| {
                if state.bundle.parent().is_some_and(|parent| parent.id() == self.id()) {
                    state.bundle.transport = Transport::Gone;
                }
            });
        }
    }

    fn begin_to_share(self: &Arc<Self>, parent: &Arc<Self>) -> Result<(), Failed> {
        let (ssrc, marks) = self.with(|state| (state.outgoing.ssrc(), state.bundle.marks)).ok_or(Failed)?;
        let child = Child {
            session: Arc::clone(self),
            ssrc,
            marks,
            learned_ssrc: None,
            picture_wanted: false,
            pictures: Pace::default(),
        };
        let mut notes = Vec::new();
        let cname = parent.carry(&mut notes, |state| state.take_in(child)).unwrap_or(Err(Failed));
        self.tell(notes);
        let cname = cname?;
        // One that has children is nobody's child. It was not checked first: two that name each other as parents at the same
        // moment shall not both be taken.
        let shared = self.with(|state| {
            if state.bundle.children() > 0 {
                return Err(Failed);
            }
            state.bundle.transport = Transport::Of(Arc::clone(parent));
            state.give_up_transport();
            state.rtcp.set_cname(cname);
            self.end_watching(state);
            Ok(())
        });
        shared.unwrap_or(Err(Failed)).inspect_err(|Failed| self.leave(parent))
    }

    fn leave(&self, parent: &Arc<Self>) {
        let mut notes = Vec::new();
        let left = parent.carry(&mut notes, |state| {
            let position = state.bundle.children.iter().position(|child| child.session.id() == self.id())?;
            Some(state.bundle.children.swap_remove(position))
        });
        drop(left);
        self.tell(notes);
    }
}

impl State {
    /// Runs with the parent's state locked, if the session is a child.
    pub fn through_parent<R>(&mut self, run: impl FnOnce(&mut State) -> R) -> Option<R> {
        let parent = Arc::clone(self.bundle.parent()?);
        parent.carry(&mut self.notes, run)
    }

    /// Looks at whose transport it is, which is nobody's any more when a parent is gone.
    pub fn of_transport<R>(&self, look: impl FnOnce(&State) -> R) -> Option<R> {
        match &self.bundle.transport {
            Transport::Own => Some(look(self)),
            Transport::Of(parent) => parent.peek(look),
            Transport::Gone => None,
        }
    }

    /// What a child's packets have to be.
    pub fn protection_of_children(&self) -> Protection {
        match self.protection() {
            Protection::Srtp if self.dtls.is_none() => Protection::Due,
            protection => protection,
        }
    }

    /// Keys for the sources of all children, which new keys of ours have replaced.
    pub fn key_children(&mut self, keys: &Keys) {
        self.bundle.keys = Some(keys.clone());
        for child in 0..self.bundle.children.len() {
            if let Some(ssrc) = self.bundle.children.get(child).map(|child| child.ssrc) {
                self.key_child(ssrc);
            }
        }
    }

    /// Without ICE and SRTP nothing but its address says that a packet is the peer's.
    pub fn judge_child_source(&self, from: SocketAddr) -> Result<(), Refused> {
        let ice = self.ice.as_ref().is_some_and(|ice| ice.is_active());
        match self.strict.source() {
            Some(source) if !ice && source != from => Err(Refused::Source),
            _ => Ok(()),
        }
    }

    /// A packet that the parent took off its socket, judged and unprotected. Whether it is of use.
    pub fn handle_from_parent(&mut self, now: Instant, packet: &Packet<'_>) -> bool {
        let clock_rate = self.clock_rates.of(packet.payload_type);
        let usable = self.receiver.update(now, packet, clock_rate).is_usable();
        if usable {
            self.start_reports(now);
        } else {
            self.refuse(Refused::Sequence);
        }
        usable
    }

    /// Reports that the parent took off its socket.
    pub fn handle_reports_from_parent(&mut self, now: Instant, from: SocketAddr, compound: &[u8]) {
        // The parent has parsed it, and counted what is malformed.
        let packets = rtcp::Compound::parse(compound).into_iter().flatten();
        for packet in packets.flatten() {
            self.handle_reports(now, from, &packet);
        }
    }

    /// One more child; what it shall be called in reports.
    fn take_in(&mut self, child: Child) -> Result<String, Failed> {
        if !self.bundle.has_own_transport() || self.bundle.child(child.session.id()).is_some() {
            return Err(Failed);
        }
        let ssrc = child.ssrc;
        self.bundle.children.push(child);
        if self.bundle.keys.is_some() {
            self.key_child(ssrc);
        }
        // RFC 8834 §4.9: one name for all sources of an endpoint.
        Ok(self.rtcp.cname().to_owned())
    }

    fn key_child(&mut self, ssrc: u32) {
        let policy = self.bundle.keys.as_ref().and_then(|keys| transport::outbound_policy(keys, ssrc));
        let srtp = self.instance().and_then(|instance: Instance<'_>| instance.srtp());
        let keyed = policy.zip(srtp).is_some_and(|(policy, srtp)| srtp.add_stream(&policy).is_ok());
        if !keyed {
            self.warn(&format!("the SRTP module does not take keys for source {ssrc}, which is bundled with this one"));
        }
    }

    fn give_up_transport(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.stop();
        }
        (self.ice, self.dtls, self.rtcp.keys) = (None, None, None);
        self.overdue = Overdue::default();
        self.stopped = false;
        self.forget_kept();
    }

    fn take_up_transport(&mut self) {
        if self.bundle.has_own_transport() {
            return;
        }
        self.bundle.transport = Transport::Own;
        self.ice = self.settings.ice.then(|| IceSide::new(&self.sockets));
    }
}
