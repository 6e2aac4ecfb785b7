//! Sends text with redundancy (RFC 4103): chan_sip hands text in, packets leave on the worker thread's timer.

use std::time::{Duration, Instant};

use rtp::text::LARGEST_PAYLOAD;
use rtp::timestamp::{Span, Timing};

use super::State;
use crate::media::source::Media;
use crate::media::text::{Redundancy, TextTypes};

impl State {
    /// Starts to send text with redundancy, as a description asks. `described` lists the payload types of the generations, that of the
    /// oldest first. If a description repeats it, what waits and what is repeated stays.
    pub fn start_redundancy(&mut self, interval: Duration, described: &[i32]) {
        match &mut self.redundancy {
            Some(redundancy) => redundancy.describe(described),
            none => *none = Some(Redundancy::new(interval, described.len().saturating_sub(1), described)),
        }
    }

    /// Returns how text is sent with redundancy, if it is.
    pub fn redundancy(&self) -> Option<&Redundancy> {
        self.redundancy.as_ref()
    }

    /// Takes in text to be sent. Says in the log, once in the session, if text cannot go. Returns whether it is going to be sent.
    pub fn handle_text(&mut self, now: Instant, types: Option<TextTypes>, text: &[u8]) -> bool {
        let is_keyed_by_host = self.transport.is_keyed_by_host();
        let Some(redundancy) = &mut self.redundancy else {
            self.warn_of_text(text.len(), "the peer's last description has no text with redundancy");
            return false;
        };
        let Some(types) = types else {
            self.warn_of_text(text.len(), "no payload type was negotiated for text with redundancy (RED)");
            return false;
        };
        redundancy.types = Some(types);
        if let Err(full) = redundancy.sender.handle_text(now, text) {
            self.warn_of_text(text.len(), &full.to_string());
            return false;
        }
        if is_keyed_by_host {
            // The worker thread may not use these keys, and nobody else comes before the next text.
            redundancy.sender.hurry();
        }
        self.send_text(now);
        true
    }

    /// Sends what waits, and repeats it as often as agreed without waiting for the time to do so. For the end of the call, and for a
    /// description without text.
    pub(super) fn finish_text(&mut self, now: Instant) {
        if let Some(redundancy) = &mut self.redundancy {
            redundancy.sender.flush();
        }
        self.send_text(now);
        let rest = self.redundancy.take().map_or(0, |mut redundancy| redundancy.sender.take_waiting().len());
        if rest > 0 {
            self.warn_of_text(rest, "the stream ended before media had a route and keys");
        }
    }

    /// Stops redundancy, because the host sends text without. What waits goes without as well, in a packet of `payload_type`.
    pub fn leave_redundancy(&mut self, now: Instant, payload_type: Option<u8>) {
        let Some(mut redundancy) = self.redundancy.take() else { return };
        let text = redundancy.sender.take_waiting();
        if let Some(payload_type) = payload_type.filter(|_| !text.is_empty()) {
            let media = text_packet(payload_type, false, 0, &text);
            // `send_packet` counts a packet that cannot be sent.
            let _ = self.send_packet(now, |source| source.write_media(now, &media));
        }
    }

    /// Sends the packets of text that are due.
    pub(super) fn send_text(&mut self, now: Instant) {
        let Some(mut redundancy) = self.redundancy.take() else { return };
        if let Some(types) = redundancy.types {
            self.send_due_text(now, types, &mut redundancy);
        }
        self.redundancy = Some(redundancy);
    }

    fn send_due_text(&mut self, now: Instant, types: TextTypes, redundancy: &mut Redundancy) {
        let mut payload = [0; LARGEST_PAYLOAD];
        while redundancy.sender.is_due(now) {
            // A packet that is not sent takes no sequence number, and its text waits for a route and keys.
            if self.way_of_media().is_err() {
                return redundancy.sender.postpone(now);
            }
            let Some(packet) = redundancy.sender.poll_transmit(now, types.block, &mut payload) else { return };
            let octets = payload.get(..packet.len).unwrap_or_default();
            let media = text_packet(types.packet, packet.marker, packet.advance.unwrap_or(0), octets);
            if self.send_packet(now, |source| source.write_media(now, &media)) == Ok(true) {
                self.start_reports(now);
            }
        }
    }

    /// Returns when the next packet of text is due.
    pub(super) fn text_timeout(&self) -> Option<Instant> {
        self.redundancy.as_ref().filter(|redundancy| redundancy.types.is_some())?.sender.poll_timeout()
    }

    fn warn_of_text(&mut self, octets: usize, reason: &str) {
        if !std::mem::replace(&mut self.has_warned_of_text, true) {
            let text =
                format!("{octets} octets of text (T.140) were not sent: {reason}; further ones are not reported");
            self.notes.push(self.transport.warning(&text));
        }
    }
}

/// A packet of text, `advance` milliseconds after the one before.
fn text_packet(payload_type: u8, marker: bool, advance: u32, payload: &[u8]) -> Media<'_> {
    let span = Span { ticks: advance, clock_rate: rtp::text::CLOCK_RATE, timing: Timing::Continuous };
    Media { payload_type, marker, marks_pauses: false, span, ticks_before: true, payload }
}
