//! Requests for whole pictures, from the peer and to it (RFC 4585 §6.3.1, RFC 5104 §4.3.1).

use std::net::SocketAddr;
use std::time::Instant;

use rtp::rtcp::{PICTURE_PACE, Pace, Writer};

use super::events;
use super::reports::LARGEST_REPORT;
use crate::console::debug;
use crate::notes::Note;

/// A stream whose pictures the peer may ask for.
#[derive(Debug, Default)]
pub struct Pictures {
    /// The peer asked; the channel's thread passes it on.
    is_wanted: bool,
    pace: Pace,
}

impl Pictures {
    /// Takes a request of the peer.
    pub fn handle_request(&mut self, now: Instant) {
        self.is_wanted |= self.pace.allows(now, PICTURE_PACE);
    }

    /// Returns whether the channel is to be told of a request, once for each.
    pub fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.is_wanted)
    }
}

/// Our own requests to the peer.
#[derive(Debug, Default)]
pub struct Requests {
    /// The command sequence number (RFC 5104 §4.3.1.1).
    sequence: u8,
    pace: Pace,
}

/// A request that is to be sent.
pub struct Request<'a> {
    /// Our source.
    pub ssrc: u32,
    /// The source whose picture is wanted.
    pub media_ssrc: u32,
    /// Our name (RFC 3550 §6.5.1).
    pub cname: &'a str,
}

impl Requests {
    /// Sends a Full Intra Request, unless one was sent a moment ago. `send` gets the compound packet; returns what it does.
    pub fn send(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        to: SocketAddr,
        send: impl FnOnce(&mut [u8]) -> bool,
        notes: &mut Vec<Note>,
    ) -> Option<bool> {
        if !self.pace.allows(now, PICTURE_PACE) {
            return None;
        }
        let Request { ssrc, media_ssrc, cname } = *request;
        self.sequence = self.sequence.wrapping_add(1);
        let mut buffer = [0; LARGEST_REPORT];
        let mut compound = Writer::new(&mut buffer);
        compound.receiver_report(ssrc, &[]).cname(ssrc, cname).fir(ssrc, media_ssrc, self.sequence);
        let len = compound.finish().ok()?;
        let sent = send(buffer.get_mut(..len)?);
        if sent && debug::RTCP.wants(to) {
            notes.push(events::picture_request(to, ssrc, media_ssrc));
        }
        Some(sent)
    }
}
