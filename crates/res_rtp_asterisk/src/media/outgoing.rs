//! What we send: media, comfort noise and digits under one SSRC and one count of sequence numbers.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use asterisk::rtp::{Which, rtp_code};
use ice::Component;
use rtp::statistics::SenderStatistics;
use rtp::timestamp::{PictureTimeline, Span, Timeline};
use rtp::{Header, telephone_event};

use crate::console::debug;
use crate::diagnosis::counters::Refused;
use crate::state::State;
use crate::transport::Protection;

/// The sending side of a session.
pub struct Outgoing {
    ssrc: u32,
    sequence_number: u16,
    timeline: Timeline,
    pictures: PictureTimeline,
    digits: telephone_event::Sender,
    digit_payload_type: u8,
    digit_clock_rate: u32,
    /// Of the media that was sent.
    clock_rate: Option<u32>,
    marker_due: bool,
    last_payload_type: Option<u8>,
    /// Counts for reports, and what the peer's say.
    pub sender: SenderStatistics,
    buffer: Vec<u8>,
}

/// A packet but for its header.
pub struct Media<'a> {
    /// As negotiated.
    pub payload_type: u8,
    /// Asked for by the frame.
    pub marker: bool,
    /// What a pause sets the marker for: audio.
    pub marks_pauses: bool,
    /// Its place in time.
    pub span: Span,
    /// Whether `span.ticks` have passed before the frame (video) rather than during it.
    pub ticks_before: bool,
    /// The payload.
    pub payload: &'a [u8],
}

impl Outgoing {
    /// Random, where RFC 3550 §5.1 wants it random. The first sequence number leaves room before the
    /// first wrap, which SRTP's rollover counter cannot see when packets are lost (RFC 3711 §3.3.1).
    pub fn new() -> Self {
        let ssrc = asterisk::random::u32();
        Self {
            ssrc,
            sequence_number: (asterisk::random::u32() & 0x7FFF) as u16,
            timeline: Timeline::new(asterisk::random::u32()),
            pictures: PictureTimeline::new(asterisk::random::u32()),
            digits: telephone_event::Sender::new(),
            digit_payload_type: 101,
            digit_clock_rate: rtp_code::CLOCK,
            clock_rate: None,
            marker_due: false,
            last_payload_type: None,
            sender: SenderStatistics::new(ssrc),
            buffer: Vec::new(),
        }
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The clock of the media that was sent, once some was.
    pub fn clock_rate(&self) -> Option<u32> {
        self.clock_rate
    }

    /// The next packet starts something new.
    pub fn mark_next(&mut self) {
        self.marker_due = true;
    }

    /// Another SSRC from now on. Returns the one before; `None` when nothing was sent under it, which
    /// needs no change.
    pub fn change_ssrc(&mut self) -> Option<(u32, u32)> {
        if self.sender.packets() == 0 {
            return None;
        }
        let (old, new) = (self.ssrc, asterisk::random::u32());
        self.ssrc = new;
        self.sender.change_ssrc(new);
        self.marker_due = true;
        Some((old, new))
    }

    /// Whether a digit is being sent, which media waits for.
    pub fn is_sending_digit(&self) -> bool {
        self.digits.active().is_some()
    }

    /// When the digit wants its next packet.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.digits.poll_timeout()
    }

    /// Digits and noise are packets of the stream too (RFC 3550 §6.4.1).
    fn count_beside_media(&mut self, now: Instant, payload_len: usize, clock_rate: u32) {
        let clock_rate = self.clock_rate.unwrap_or(clock_rate);
        let timestamp = self.timeline.at(now, clock_rate);
        self.sender.sent(now, payload_len, timestamp, clock_rate);
    }

    fn header(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Header {
        let header = Header { marker, payload_type, sequence_number: self.sequence_number, timestamp, ssrc: self.ssrc };
        self.sequence_number = self.sequence_number.wrapping_add(1);
        header
    }
}

impl State {
    /// Sends a packet of media, or counts why not.
    pub fn send_media(&mut self, now: Instant, media: &Media<'_>) {
        self.handle_visit(now);
        if self.outgoing.is_sending_digit() {
            return;
        }
        let Some(route) = self.sendable_route() else { return };
        let outgoing = &mut self.outgoing;
        outgoing.clock_rate = Some(media.span.clock_rate);
        let (timestamp, after_pause) = if media.ticks_before {
            (outgoing.pictures.packet(now, media.span.ticks, media.span.clock_rate), false)
        } else {
            let stamp = outgoing.timeline.frame(now, media.span);
            (stamp.timestamp, stamp.after_pause)
        };
        let marker = media.marker || std::mem::take(&mut outgoing.marker_due) || (media.marks_pauses && after_pause);
        let header = outgoing.header(media.payload_type, marker, timestamp);
        if self.send_rtp(now, header, media.payload, route) {
            let clock_rate = media.span.clock_rate;
            self.outgoing.sender.sent(now, media.payload.len(), timestamp, clock_rate);
            self.start_reports(now);
        }
    }

    /// Sends comfort noise at `level` (RFC 3389), also to keep NAT bindings open.
    pub fn send_comfort_noise(&mut self, now: Instant, payload_type: u8, level: u8) -> bool {
        let Some(route) = self.sendable_route() else { return false };
        let timestamp = self.outgoing.timeline.at(now, self.outgoing.clock_rate.unwrap_or(rtp_code::CLOCK));
        let header = self.outgoing.header(payload_type, false, timestamp);
        let payload = rtp::comfort_noise::payload(level);
        let sent = self.send_rtp(now, header, &payload, route);
        if sent {
            self.outgoing.count_beside_media(now, payload.len(), rtp_code::CLOCK);
        }
        sent
    }

    /// Presses a key; `clock_rate` is that of the payload type. Whether there is a way to tell the peer.
    pub fn begin_digit(&mut self, now: Instant, key: telephone_event::Key, payload_type: u8, clock_rate: u32) -> bool {
        if self.sendable_route().is_none() {
            return false;
        }
        let outgoing = &mut self.outgoing;
        (outgoing.digit_payload_type, outgoing.digit_clock_rate) = (payload_type, clock_rate);
        // Where the two differ, the stream's timestamps go on by the clock of its media.
        let timestamp = outgoing.timeline.at(now, outgoing.clock_rate.unwrap_or(clock_rate));
        outgoing.digits.begin(now, key, timestamp, clock_rate);
        self.flush_digits(now);
        true
    }

    /// Releases it.
    pub fn end_digit(&mut self, now: Instant, held: Option<Duration>) {
        self.outgoing.digits.end(now, held);
        self.flush_digits(now);
    }

    /// The key may still be down.
    pub fn handle_digit_timeout(&mut self, now: Instant) {
        self.outgoing.digits.handle_timeout(now);
        self.flush_digits(now);
    }

    /// The session is stopped: there is no way to the peer any more.
    pub fn cancel_digit(&mut self) {
        self.outgoing.digits.cancel();
    }

    fn flush_digits(&mut self, now: Instant) {
        while let Some(packet) = self.outgoing.digits.poll_transmit() {
            let Some(route) = self.sendable_route() else { continue };
            let (payload_type, clock_rate) = (self.outgoing.digit_payload_type, self.outgoing.digit_clock_rate);
            let header = self.outgoing.header(payload_type, packet.marker, packet.timestamp);
            if self.send_rtp(now, header, &packet.payload, route) {
                self.outgoing.count_beside_media(now, packet.payload.len(), clock_rate);
            }
        }
    }

    fn send_rtp(&mut self, _now: Instant, header: Header, payload: &[u8], route: Route) -> bool {
        let mut packet = std::mem::take(&mut self.outgoing.buffer);
        // Takes memory for the first packet, and for one that is larger than any before.
        packet.clear();
        packet.extend_from_slice(&header.to_bytes());
        packet.extend_from_slice(payload);
        let sent = self.send_protected(Component::Rtp, Which::Rtp, &mut packet, route);
        self.outgoing.buffer = packet;
        self.outgoing.last_payload_type = Some(header.payload_type);
        if debug::RTP.wants(route.0) {
            self.notes.push(match sent {
                true => debug::sent(route.0, &header, payload.len()),
                false => debug::not_sent(route.0, Refused::Unsendable),
            });
        }
        sent
    }

    /// Where a packet may go at this moment. Asked for before it takes a sequence number: the first
    /// packet that the peer gets is to be the first of its count, and to have the marker.
    fn sendable_route(&mut self) -> Option<Route> {
        let route = self.media_route();
        let obstacle = match (route, self.protection()) {
            (None, _) => Refused::Unsendable,
            (Some(_), Protection::Due) => Refused::KeysDue,
            (Some(_), Protection::Plain | Protection::Srtp) => return route,
        };
        self.refuse(obstacle);
        if let Some((to, _)) = route.filter(|(to, _)| debug::RTP.wants(*to)) {
            self.notes.push(debug::not_sent(to, obstacle));
        }
        None
    }
}

/// Where to, and from which address of ours.
pub type Route = (SocketAddr, Option<IpAddr>);
