//! Reads and writes frames: the two host calls that happen for each packet.
//!
//! Each locks the session's state once. [`Session::read_frame`] receives, [`Session::write_frame`] sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use asterisk::format::Codec;
use asterisk::frame::FrameType;
use asterisk::rtp::{Instance, InstancePtr, Payload, rtp_code};
use asterisk::{Failed, Format, FrameRef, HostFrame};
use ice::Component;

use crate::bundle::Whose;
use crate::clock;
use crate::console::{debug, known};
use crate::diagnosis::counters::Refused;
use crate::media::frames::Frames;
use crate::media::incoming::Incoming;
use crate::media::outgoing::Sink;
use crate::media::source::Media;
use crate::session::{Reading, Session};
use crate::state::receive::Taken;
use crate::transport::arrived::Arrived;

impl Session {
    /// Receives one datagram, if there is one, and returns the frames made from it; without any, the null frame. Returns `None`
    /// after a panic poisoned a lock of the session.
    pub fn read_frame(&self, instance: Instance<'_>, component: Component) -> Option<HostFrame> {
        let (frame, learned, settles) = self.read_datagram(instance, component)?;
        if let Some(address) = learned {
            self.tell_address(instance, address);
        }
        if settles {
            asterisk::stack::release_unused();
        }
        Some(frame)
    }

    /// Returns the frames, the address of the peer if it has changed and the host has to be told, and whether the thread settles down.
    fn read_datagram(
        &self,
        instance: Instance<'_>,
        component: Component,
    ) -> Option<(HostFrame, Option<SocketAddr>, bool)> {
        let now = clock::now();
        let mut reading = self.reading()?;
        let Reading { frames, incoming, .. } = &mut *reading;
        let buffer = frames.buffer();
        let (taken, picture, learned) = self.with_at(now, |state| {
            self.note_read(state, now);
            let taken = state.receive(now, component, buffer);
            (taken, state.take_picture_request(), state.transport_mut().remote_mut().take_learned())
        })?;
        let mut reader = Reader { called: instance.pointer(), now, frames };
        let is_packet = taken.is_some();
        let frame = taken.and_then(|taken| reader.read(self, instance, incoming, taken));
        let request = picture.map(|picture| frames.picture_request(picture.stream));
        let all = match (request, frame) {
            (Some(request), Some(frame)) => request.followed_by(frame),
            (request, frame) => request.or(frame).unwrap_or_else(HostFrame::null),
        };
        Some((all, learned, is_packet && reading.settles()))
    }

    /// Sends a frame, split into packets of the negotiated length. Fails for a frame type that RTP
    /// does not carry and for a format that was not negotiated.
    pub fn write_frame(&self, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed> {
        let now = clock::now();
        if frame.frame_type() == FrameType::Text {
            self.leave_redundancy(now, instance);
        }
        let mut sender = Sender { session: self, now, learned: None };
        let written = self.writing().ok_or(Failed)?.write(now, &mut sender, instance, frame);
        if let Some(address) = sender.learned {
            self.tell_address(instance, address);
        }
        written?;
        instance.note_sent();
        Ok(())
    }

    /// Sends text with redundancy. Fails when it cannot be sent, of which the log says why.
    pub fn write_text(&self, instance: Instance<'_>, frame: FrameRef<'_>) -> Result<(), Failed> {
        let now = clock::now();
        let sent = self.with_at(now, |state| {
            let types = state.redundancy().and_then(|redundancy| redundancy.types(instance));
            (state.handle_text(now, types, frame.payload()), state.transport_mut().remote_mut().take_learned())
        });
        let (is_taken, learned) = sent.ok_or(Failed)?;
        if let Some(address) = learned {
            self.tell_address(instance, address);
        }
        if !is_taken {
            return Err(Failed);
        }
        instance.note_sent();
        Ok(())
    }

    /// Stops redundancy: chan_sip writes text like this only when the peer's last description has none.
    fn leave_redundancy(&self, now: Instant, instance: Instance<'_>) {
        let plain = Format::of(Codec::T140).and_then(|plain| instance.payload_type_of(&plain));
        self.with_at(now, |state| state.leave_redundancy(now, plain));
    }
}

/// Converts a media packet to frames. The frames belong to the session that the host asked to read, the packet possibly to one of
/// its children.
struct Reader<'a> {
    /// The instance of the session that the host asked to read.
    called: InstancePtr,
    now: Instant,
    frames: &'a mut Frames,
}

impl Reader<'_> {
    fn read(
        &mut self,
        session: &Session,
        instance: Instance<'_>,
        incoming: &mut Incoming,
        Taken { mut arrived, whose }: Taken,
    ) -> Option<HostFrame> {
        match whose {
            Whose::Own => self.frames_of(session, instance, incoming, &arrived),
            Whose::Child(child) => self.frames_of_child(&child, &mut arrived),
            Whose::Unknown => match self.settle(session, instance, &mut arrived)? {
                Settled::Own => self.frames_of(session, instance, incoming, &arrived),
                Settled::Child(child) => self.frames_of_child(&child, &mut arrived),
            },
        }
    }

    fn frames_of(
        &mut self,
        session: &Session,
        instance: Instance<'_>,
        incoming: &mut Incoming,
        arrived: &Arrived,
    ) -> Option<HostFrame> {
        let passed = incoming.pass_on(self.frames.buffer(), session, instance, self.now, arrived);
        if passed.is_none() && debug::RTP.wants(arrived.from) {
            self.show_special(instance, arrived);
        }
        let for_channel = || match arrived.is_repeated {
            true => Err(Refused::Sequence),
            false => incoming.read(self.frames, instance, self.now, arrived),
        };
        let read = passed.map_or_else(for_channel, Ok).map_err(|reason| {
            if reason == Refused::PayloadType {
                known::unknown_payload_type(arrived.header.payload_type, arrived.from);
            }
            session.with_for(self.called, self.now, |state| state.refuse(reason));
        });
        let read = read.ok()?;
        if let Some(learned) = read.learned {
            // Locks the state a second time, once per payload type of a call.
            session.with_for(self.called, self.now, |state| state.learn(learned));
        }
        read.frames
    }

    /// Prints the further lines of `rtp set debug` about a packet whose payload is not media.
    fn show_special(&mut self, instance: Instance<'_>, arrived: &Arrived) {
        let payload = self.frames.payload(arrived.payload.clone());
        let code = instance.payload(arrived.header.payload_type);
        let (verbose, log) = match code {
            Some(Payload::Code { code: rtp_code::DTMF, .. }) => {
                (debug::event(arrived.from, &arrived.header, payload), debug::event_for_log(payload))
            }
            Some(Payload::Code { code: rtp_code::CN, .. }) => (None, debug::comfort_noise(payload)),
            _ => (None, None),
        };
        if let Some(line) = verbose {
            asterisk::verbose!(0, "{line}");
        }
        if let Some(line) = log {
            asterisk::debug!(0, "{line}");
        }
    }

    fn frames_of_child(&mut self, child: &Session, arrived: &mut Arrived) -> Option<HostFrame> {
        let frames = child.lend(|incoming, instance| {
            let usable = child.with_for(self.called, self.now, |state| state.handle_from_parent(self.now, arrived))?;
            if usable { self.frames_of(child, instance, incoming, arrived) } else { None }
        });
        frames.flatten()
    }

    /// Finds the session of a packet with an unknown SSRC: the one child whose description alone has its payload type
    /// (RFC 9143 §9.2), or else the session itself. Returns `None` when the packet is refused.
    fn settle(&self, session: &Session, instance: Instance<'_>, arrived: &mut Arrived) -> Option<Settled> {
        let payload_type = arrived.header.payload_type;
        let children = session.with_at(self.now, |state| state.bundle().sessions())?;
        let has_it = |child: &Arc<Session>| child.lend(|_, child| child.is_described(payload_type)) == Some(true);
        let mut with_it = children.into_iter().filter(has_it);
        match (with_it.next(), with_it.next()) {
            (Some(child), None) if !instance.is_described(payload_type) => {
                session.with_at(self.now, |state| state.bundle_mut().learn(child.id(), arrived.header.ssrc))?;
                Some(Settled::Child(child))
            }
            _ => session.with_at(self.now, |state| state.take_as_own(self.now, arrived))?.then_some(Settled::Own),
        }
    }
}

/// The session that a packet with an unknown SSRC was assigned to.
enum Settled {
    Own,
    Child(Arc<Session>),
}

/// Sends the packets of one frame.
struct Sender<'a> {
    session: &'a Session,
    now: Instant,
    /// The peer's new address, if the host has to be told.
    learned: Option<SocketAddr>,
}

impl Sink for Sender<'_> {
    fn has_route(&mut self) -> Result<bool, Failed> {
        self.session.with_at(self.now, |state| state.media_route().is_some()).ok_or(Failed)
    }

    fn send(&mut self, media: &Media<'_>) -> Result<bool, Failed> {
        let now = self.now;
        let sent = self.session.with_at(now, |state| {
            let has_route = state.send_media(now, media);
            (has_route, state.transport_mut().remote_mut().take_learned())
        });
        let (has_route, learned) = sent.ok_or(Failed)?;
        self.learned = learned.or(self.learned);
        Ok(has_route)
    }

    fn begin_pictures(&mut self) -> Result<(), Failed> {
        self.session.begin_pictures(self.now).ok_or(Failed)
    }

    fn ask_for_picture(&mut self) -> Result<(), Failed> {
        self.session.with_at(self.now, |state| state.ask_for_picture(self.now)).ok_or(Failed)
    }
}
