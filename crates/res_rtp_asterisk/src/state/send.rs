//! Sends packets: our source writes them, and the transport that carries the stream sends them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::story::Event;
use asterisk::rtp::{HOST_NEGOTIATES_MUX, Which};
use ice::Component;
use rtp::telephone_event::Key;

use super::State;
use crate::console::debug::{self, Destination};
use crate::console::known;
use crate::diagnosis::counters::Refused;
use crate::media::source::{Content, Media, Source, Written};
use crate::notes::Note;
use crate::rtcp::reports::{Kind, Streams};
use crate::transport::Transport;
use crate::transport::send::{Obstacle, Route, Way};

impl State {
    /// Returns the route of media; `None` while media is stopped or has no destination.
    pub fn media_route(&self) -> Option<Route> {
        if self.transport.remote().is_stopped() {
            return None;
        }
        self.bundle.look(&self.transport, Transport::media_route).flatten()
    }

    /// Sends a media packet, or counts why it cannot be sent. Drops it while a digit is being sent. Returns whether media has a
    /// route.
    pub fn send_media(&mut self, now: Instant, media: &Media<'_>) -> bool {
        self.handle_visit(now);
        if self.source.digits().is_active() {
            return true;
        }
        match self.send_packet(now, |source| source.write_media(now, media)) {
            Ok(true) => {
                self.start_reports(now);
                true
            }
            Ok(false) | Err(Obstacle::KeysDue(_)) => true,
            Err(Obstacle::NoRoute) => false,
        }
    }

    /// Sends comfort noise (RFC 3389); the host also uses it to keep NAT bindings open. `level` is in -dBov. Returns whether it was
    /// sent.
    pub fn send_comfort_noise(&mut self, now: Instant, payload_type: u8, level: u8) -> bool {
        self.send_packet(now, |source| source.write_comfort_noise(now, payload_type, level)) == Ok(true)
    }

    /// Starts to send a digit (RFC 4733). `clock_rate` is that of `payload_type` in Hz. Returns false without a route or keys.
    pub fn begin_digit(&mut self, now: Instant, key: Key, payload_type: u8, clock_rate: u32) -> bool {
        if let Err(obstacle) = self.way_of_media() {
            self.note_obstacle(obstacle);
            return false;
        }
        self.source.begin_digit(now, key, payload_type, clock_rate);
        self.flush_digits(now);
        true
    }

    /// Ends the digit. `held` is its duration, if the host supplies one.
    pub fn end_digit(&mut self, now: Instant, held: Option<Duration>) {
        self.source.digits_mut().end(now, held);
        self.flush_digits(now);
    }

    pub(super) fn flush_digits(&mut self, now: Instant) {
        while let Some(event) = self.source.digits_mut().poll_transmit() {
            // `send_packet` counts an event that cannot be sent; the next one may succeed.
            let _ = self.send_packet(now, |source| source.write_digit(now, &event));
        }
    }

    pub(super) fn way_of_media(&mut self) -> Result<Way, Obstacle> {
        if self.transport.remote().is_stopped() {
            return Err(Obstacle::NoRoute);
        }
        let way =
            self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| transport.way_of_media(stream));
        way.unwrap_or(Err(Obstacle::NoRoute))
    }

    /// Finds the route and protection, then writes a packet and sends it. Returns whether it was sent.
    pub(super) fn send_packet(
        &mut self,
        now: Instant,
        write: impl FnOnce(&mut Source) -> Written,
    ) -> Result<bool, Obstacle> {
        let source = &mut self.source;
        let sent = match self.transport.remote().is_stopped() {
            true => None,
            false => self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
                let way = transport.way_of_media(stream)?;
                let written = write(source);
                let to = transport.destination(&way);
                Ok((to, written, transport.send(&way, Which::Rtp, source.packet())))
            }),
        };
        match sent.unwrap_or(Err(Obstacle::NoRoute)) {
            Ok((to, written, is_sent)) => {
                self.note_sent(now, to, &written, is_sent);
                Ok(is_sent)
            }
            Err(obstacle) => {
                self.note_obstacle(obstacle);
                Err(obstacle)
            }
        }
    }

    fn note_sent(&mut self, now: Instant, to: Destination, written: &Written, is_sent: bool) {
        if !is_sent {
            return self.note_not_sent(to.to, written.content);
        }
        self.source.count(now, written);
        if written.content == Content::Media && self.sent_type != Some(written.header.payload_type) {
            self.note_sent_type(now, to.to, written.header.payload_type);
        }
        if debug::RTP.wants(to.to) {
            self.notes.push(debug::sent(to, written));
        }
    }

    fn note_sent_type(&mut self, now: Instant, to: SocketAddr, payload_type: u8) {
        let is_first = self.sent_type.replace(payload_type).is_none();
        let event = if is_first { Event::FirstSent(payload_type) } else { Event::SendsNow(payload_type) };
        self.transport.story_mut().note_peer(now, event, to);
    }

    fn note_not_sent(&mut self, to: SocketAddr, content: Content) {
        self.refuse(Refused::Unsendable);
        self.notes.extend(match content {
            Content::Media => None,
            Content::Digit => known::not_sent("RTP Transmission error", to),
            Content::ComfortNoise => known::not_sent("RTP Comfort Noise Transmission error", to),
        });
        if debug::DETAIL.wants(to) {
            self.notes.push(debug::not_sent(to, Refused::Unsendable));
        }
    }

    fn note_obstacle(&mut self, obstacle: Obstacle) {
        self.refuse(obstacle.reason());
        if let Obstacle::KeysDue(to) = obstacle
            && debug::DETAIL.wants(to)
        {
            self.notes.push(debug::not_sent(to, obstacle.reason()));
        }
    }

    /// Returns SDP lines to print behind our ICE password, each with its line break before it: `a=rtcp-mux` (RFC 5761, RFC 8035),
    /// `a=ssrc` (RFC 5576), without which some peers drop our RTP (werift, str0m), and candidates with IPv6 addresses. Only in DTLS
    /// sessions, whose peers know them: chan_motif, which has no DTLS, prints the password in XML.
    pub fn lines_behind_password(&mut self) -> String {
        let mut lines = String::new();
        if self.transport.offers_mux() {
            lines.push_str("\r\na=rtcp-mux");
        }
        if self.transport.has_dtls() {
            let (ssrc, cname) = (self.source.announce_ssrc(), self.rtcp.cname());
            lines.push_str(&format!("\r\na=ssrc:{ssrc} cname:{cname}"));
        }
        if self.prints_ipv6_itself() {
            let candidates = self.transport.offered_candidates();
            let v6 = candidates.iter().filter(|candidate| candidate.addr.is_ipv6());
            lines.extend(v6.map(|candidate| format!("\r\na=candidate:{candidate}")));
        }
        lines
    }

    /// Returns whether candidates with IPv6 addresses are printed behind the password: chan_sip 11 puts their addresses in brackets,
    /// and browsers ignore such a candidate (RFC 8839 §5.1 has none).
    pub fn prints_ipv6_itself(&self) -> bool {
        !HOST_NEGOTIATES_MUX && self.transport.has_dtls()
    }

    /// Turns RTCP on or off. `on_one_port`: the host has negotiated `a=rtcp-mux` (RFC 5761).
    pub fn set_rtcp(&mut self, on: bool, on_one_port: bool) {
        self.transport.set_rtcp(on, on_one_port);
        if !on {
            self.rtcp.stop();
        }
    }

    /// Starts RTCP reports once media flows, unless they have started already.
    pub(super) fn start_reports(&mut self, now: Instant) {
        if self.transport.uses_rtcp() && !self.rtcp.is_running() && self.reports_route().is_some() {
            self.rtcp.start(now);
        }
    }

    /// Stops media at the host's request. With ICE the selected pair remains, and reports go on during a hold (RFC 3550 §6.2,
    /// RFC 3264 §5.1), unless the transport is silent because the call has ended. Without ICE reports stop too, because they have no
    /// destination.
    pub fn stop_media(&mut self, now: Instant) {
        self.source.digits_mut().cancel();
        self.finish_text(now);
        if self.transport.ends_with_stop(now) {
            self.say_goodbye(now);
        }
        if self.bundle.look(&self.transport, Transport::is_ice_active) != Some(true) {
            self.rtcp.stop();
        }
        self.transport.stop_media(now);
        self.source.mark_next();
    }

    /// Sends the last report of our stream, with a BYE, if the peer was told of it and has not had one.
    pub fn say_goodbye(&mut self, now: Instant) {
        if self.rtcp.say_goodbye(self.source.statistics().packets() > 0) {
            self.send_report(now, Kind::Last);
        }
    }

    pub(super) fn send_report(&mut self, now: Instant, kind: Kind) {
        if !self.transport.uses_rtcp() {
            return;
        }
        let mut told = Vec::new();
        let streams = Streams { receiver: &mut self.receiver, sender: self.source.statistics_mut() };
        let rtcp = &mut self.rtcp;
        let sent = self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
            let way = match kind {
                Kind::Regular => transport.way_of_reports(stream),
                Kind::Last => transport.way_of_farewell(stream),
            }?;
            let to = transport.destination(&way);
            rtcp.send(now, kind, streams, to, |compound| transport.send(&way, Which::Rtcp, compound), &mut told)
        });
        self.note_report_sent(sent.flatten(), told);
    }

    pub(super) fn note_report_sent(&mut self, sent: Option<bool>, mut told: Vec<Note>) {
        self.notes.append(&mut told);
        if sent == Some(false) {
            self.refuse(Refused::Unsendable);
        }
    }

    pub(super) fn reports_route(&self) -> Option<(Component, Route)> {
        if !self.transport.uses_rtcp() {
            return None;
        }
        self.bundle.look(&self.transport, Transport::reports_route).flatten()
    }
}
