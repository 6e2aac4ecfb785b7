//! Sends packets that a bridged session has received. They keep their SSRC, sequence number and timestamp.

use std::time::{Duration, Instant};

use asterisk::format::Kind;
use asterisk::rtp::{Payload, Which};
use rtp::bridge::{Content, Passage, rewrite};

use super::State;
use crate::console::debug::{self, Destination};
use crate::console::known;
use crate::diagnosis::counters::Refused;
use crate::media::native::InBuffer;
use crate::transport::arrived::Arrived;
use crate::transport::keys::Protection;
use crate::transport::send::Obstacle;

/// The way that a packet of a bridged session took.
#[derive(Debug, Clone, Copy)]
pub enum Passed {
    /// It was not passed on: the channel gets it.
    Channel,
    /// It was passed on, or dropped as each packet to this peer is at the moment.
    On {
        /// The destination, if `rtp set debug` shows the packet.
        shown_to: Option<Destination>,
    },
}

/// The host's keepalives are left out as long as the last packet passed on is not older than this.
const KEEPS_ALIVE: Duration = Duration::from_secs(1);

impl State {
    /// Notes whether packets that we receive are passed on. When a bridge has ended, our peer hears another source next.
    pub fn set_bridged(&mut self, is_bridged: bool) {
        self.is_bridged = is_bridged;
        if !is_bridged {
            self.source.mark_next();
            self.source.resume();
        }
    }

    /// Sends a packet that the other session of a bridge has received. Payload type and marker are written into it. It goes to the
    /// channel while we send a digit, where packets are encrypted with keys for our SSRC only, where a description promises that
    /// SSRC, and where the peer is to be sent the format that it sends.
    pub fn pass_on(&mut self, now: Instant, packet: InBuffer<'_>, passage: Passage) -> Passed {
        if self.source.digits().is_active() || self.source.is_announced() || self.is_asymmetric(passage) {
            return Passed::Channel;
        }
        let arrived = packet.arrived;
        match self.send_as_it_is(packet, passage) {
            Ok(None) => Passed::Channel,
            Ok(Some((to, is_sent))) => {
                match is_sent {
                    true => self.note_passed_on(now, arrived, passage),
                    false => self.note_not_passed_on(to),
                }
                let is_shown = is_sent && debug::RTP.wants(to.to);
                Passed::On { shown_to: is_shown.then_some(to) }
            }
            Err(obstacle) => {
                self.refuse(obstacle.reason());
                Passed::On { shown_to: None }
            }
        }
    }

    /// Returns whether the packet has another format than the peer sends, and the host does not allow that. The core then converts.
    fn is_asymmetric(&self, passage: Passage) -> bool {
        let may_differ = self.allows_asymmetric || !matches!(passage.content, Content::Media { .. });
        let heard = self.heard_type.filter(|heard| !may_differ && *heard != passage.payload_type);
        heard.zip(self.transport.instance()).is_some_and(|(heard, instance)| match instance.payload(heard) {
            Some(Payload::Media(format)) if format.kind() == Some(Kind::Audio) => {
                instance.payload_type_of(&format) != Some(passage.payload_type)
            }
            _ => false,
        })
    }

    /// Returns the destination and whether the packet was sent; `None` where it would be encrypted.
    fn send_as_it_is(
        &mut self,
        packet: InBuffer<'_>,
        passage: Passage,
    ) -> Result<Option<(Destination, bool)>, Obstacle> {
        if self.transport.remote().is_stopped() {
            return Err(Obstacle::NoRoute);
        }
        let source = &mut self.source;
        let sent = self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
            let way = transport.way_of_media(stream)?;
            if transport.protection_of(stream) != Protection::Plain {
                return Ok(None);
            }
            let marker = source.take_mark() || packet.arrived.header.marker;
            rewrite(packet.octets, passage.payload_type, marker);
            let to = transport.destination(&way);
            Ok(Some((to, transport.send(&way, Which::Rtp, packet.octets))))
        });
        sent.unwrap_or(Err(Obstacle::NoRoute))
    }

    fn note_not_passed_on(&mut self, to: Destination) {
        self.refuse(Refused::Unsendable);
        self.notes.extend(known::not_sent("RTP Transmission error of packet", to.to));
    }

    fn note_passed_on(&mut self, now: Instant, arrived: &Arrived, passage: Passage) {
        let clock_rate = match passage.content {
            Content::Media { clock_rate } => Some(clock_rate),
            Content::Event { .. } | Content::Noise => None,
        };
        self.source.count_passed_on(now, &arrived.header, arrived.payload.len(), clock_rate);
        if let Some(instance) = self.transport.instance() {
            instance.note_sent();
        }
        self.start_reports(now);
    }

    /// Returns whether packets passed on keep the peer's NAT bindings open.
    pub fn is_kept_alive(&self, now: Instant) -> bool {
        let last = self.source.last_passed_on();
        last.is_some_and(|last| now.saturating_duration_since(last) < KEEPS_ALIVE)
    }
}
