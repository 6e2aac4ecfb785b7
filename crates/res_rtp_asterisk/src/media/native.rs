//! The native bridge: packets that one session receives leave by another without a channel (`local_bridge`).
//!
//! Each session has its own direction: the peer that its packets go to, and the payload types that it and the peer have in common.
//! The channel's thread passes a packet on in the host's `read`. It holds `reading` of its own session and takes the peer's
//! `state`, never its own `state` at the same time, so two threads that pass on in opposite directions do not wait for each other.
//!
//! Packets go to the channel as before when the peer has no payload type for them, when they belong to a digit that the channel is
//! hearing, and when the peer cannot send them as they are (see [`State::pass_on`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use asterisk::Failed;
use asterisk::rtp::{BridgedChannel, Instance, Payload, rtp_code};
use rtp::bridge::{Content, Passage, Passages, PassedDigits};
use rtp::packet::HEADER_LEN;
use rtp::telephone_event::{Event, Receiver};

use super::incoming::clock_rate;
use crate::clock;
use crate::console::debug;
use crate::session::Session;
use crate::state::bridged::Passed;
use crate::transport::arrived::Arrived;

/// One direction of a bridge.
pub struct Bridge {
    peer: Arc<Session>,
    passages: Passages,
    /// The number of descriptions of both sessions when a new one was last noticed.
    descriptions: [u32; 2],
    /// When the payload types have to be compared again.
    due: Option<Instant>,
    /// The channels of both sessions, where the host's core has to be woken for what else wants them.
    channels: [Option<BridgedChannel>; 2],
}

/// A media packet in its buffer.
pub struct InBuffer<'a> {
    /// The octets.
    pub octets: &'a mut [u8],
    /// Its header and the position of its payload.
    pub arrived: &'a Arrived,
}

/// The host calls the engine while it processes a description, and sets payload types after that.
const DESCRIPTION: Duration = Duration::from_millis(200);

impl Bridge {
    /// Bridges `session` to `peer`. The host lends both instances for the call.
    fn new(session: &Session, instance: Instance<'_>, peer: &Arc<Session>, peer_instance: Instance<'_>) -> Self {
        Self {
            descriptions: [session.descriptions(), peer.descriptions()],
            passages: compare(instance, peer_instance),
            peer: Arc::clone(peer),
            // The host may be in the middle of a description.
            due: Some(clock::now() + DESCRIPTION),
            channels: [instance, peer_instance].map(BridgedChannel::of),
        }
    }

    /// Returns whether the host's core has a reason to end the bridge that it finds only when a channel wakes up.
    pub fn is_wanted_otherwise(&self) -> bool {
        // SAFETY: the core drops this bridge, by `local_bridge`, before it lets go of either channel.
        self.channels.iter().flatten().any(|channel| unsafe { channel.is_wanted() })
    }

    /// Passes a packet of `session` on. Returns `None` if it has to go to the channel. `reported` has the digits of the channel,
    /// `digits` those that were passed on.
    pub fn pass_on(
        &mut self,
        now: Instant,
        (session, instance): (&Session, Instance<'_>),
        packet: InBuffer<'_>,
        reported: &Receiver,
        digits: &mut PassedDigits,
    ) -> Option<Passage> {
        let is_due = self.is_due(now, session);
        let Self { peer, passages, due, .. } = self;
        let (header, len) = (packet.arrived.header, packet.octets.len().saturating_sub(HEADER_LEN));
        let event = event_of(&packet);
        let passed = peer.inform_at(now, |state| {
            if is_due && let Some(peer) = state.transport().instance() {
                (*passages, *due) = (compare(instance, peer), None);
            }
            let passage = passages.choose(now, &header, event, reported, digits)?;
            Some((passage, state.pass_on(now, packet, passage)))
        });
        match passed.flatten()? {
            (_, Passed::Channel) => None,
            (passage, Passed::On { shown_to }) => {
                if let (Content::Event { clock_rate }, Some(event)) = (passage.content, event) {
                    digits.passed(now, &header, event, clock_rate);
                }
                if let Some(to) = shown_to {
                    asterisk::verbose!(0, "{}", debug::passed_on(to, passage.payload_type, len));
                }
                Some(passage)
            }
        }
    }

    /// Returns whether payload types have to be compared again, which they have a moment after a description.
    fn is_due(&mut self, now: Instant, session: &Session) -> bool {
        let descriptions = [session.descriptions(), self.peer.descriptions()];
        if descriptions != self.descriptions {
            (self.descriptions, self.due) = (descriptions, Some(now + DESCRIPTION));
        }
        self.due.is_some_and(|due| due <= now)
    }
}

impl Session {
    /// Passes packets on to `peer` from now on, or to the channel again. Fails if a lock of this session is poisoned.
    pub fn bridge(
        self: &Arc<Self>,
        instance: Instance<'_>,
        peer: Option<(&Arc<Self>, Instance<'_>)>,
    ) -> Result<(), Failed> {
        if let Some((peer, _)) = peer {
            // Before the first packet passes. The host makes a bridge one direction after the other.
            peer.with(|state| state.source_mut().mark_next());
        }
        let bridge = peer.map(|(peer, peer_instance)| Box::new(Bridge::new(self, instance, peer, peer_instance)));
        let is_bridged = bridge.is_some();
        if is_bridged {
            self.writing().ok_or(Failed)?.forget_rest();
            self.with(|state| state.set_bridged(true)).ok_or(Failed)?;
        }
        if !is_bridged {
            self.leave_carrier();
        }
        // The locks are given back before the former peer is dropped.
        let former = self.reading().ok_or(Failed)?.incoming.set_bridge(bridge);
        drop(former);
        if is_bridged {
            self.find_carrier();
            // The thread has made the session of the called side, and will only wait.
            asterisk::stack::release_unused();
            return Ok(());
        }
        self.with(|state| {
            state.set_bridged(false);
            state.end_to_carry();
        })
        .ok_or(Failed)
    }
}

/// Reads the payload as a telephone-event (RFC 4733 §2.3), which it need not be. Sending may encrypt it.
fn event_of(packet: &InBuffer<'_>) -> Option<Event> {
    Event::parse(packet.octets.get(packet.arrived.payload.clone())?)
}

/// Finds the payload types of `from` that `to` has negotiated as well.
fn compare(from: Instance<'_>, to: Instance<'_>) -> Passages {
    Passages::new(|payload_type| {
        let (payload_type, content) = match from.payload(payload_type)? {
            Payload::Media(format) => {
                let content = Content::Media { clock_rate: clock_rate(&format) };
                (to.payload_type_of(&format)?, content)
            }
            Payload::Code { code: rtp_code::DTMF, clock_rate } => {
                let (payload_type, clock) = to.payload_type_of_digits(Some(clock_rate))?;
                (clock == clock_rate).then_some((payload_type, Content::Event { clock_rate }))?
            }
            Payload::Code { code, .. } => (to.payload_type_of_code(code)?, Content::Noise),
        };
        to.is_described(payload_type).then_some(Passage { payload_type, content })
    })
}
