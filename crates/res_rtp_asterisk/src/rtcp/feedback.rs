//! Requests for whole pictures, received from the peer and sent to it (RFC 4585 §6.3.1, RFC 5104 §4.3.1).

use std::net::SocketAddr;
use std::time::Instant;

use rtp::rtcp::{PICTURE_PACE, Pace, Writer};

use super::events;
use super::reports::LARGEST_REPORT;
use crate::console::debug;
use crate::notes::Note;

/// Our own requests to the peer.
#[derive(Debug, Default)]
pub struct Requests {
    /// The command sequence number (RFC 5104 §4.3.1.1).
    sequence: u8,
    pace: Pace,
    /// When a request is due that another thread has noted.
    due: Option<Instant>,
}

/// The contents of a Full Intra Request.
pub struct Request<'a> {
    /// Our SSRC.
    pub ssrc: u32,
    /// The SSRC of the stream that is to send a whole picture.
    pub media_ssrc: u32,
    /// Our CNAME (RFC 3550 §6.5.1).
    pub cname: &'a str,
}

impl Requests {
    /// Notes that a request is due, for a thread that may send.
    pub fn note_due(&mut self, now: Instant) {
        self.due = self.due.or(Some(now));
    }

    /// Returns when a request is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Returns whether a request is due, once.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// Sends a Full Intra Request to `to`, unless one was sent a moment ago. `send` sends the compound packet and returns whether it
    /// was sent; this method returns the same, or `None` if it did not call `send`.
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
        if sent && debug::DETAIL.wants(to) {
            notes.push(events::picture_request(to, ssrc, media_ssrc));
        }
        Some(sent)
    }
}
