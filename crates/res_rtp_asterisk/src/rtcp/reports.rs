//! Reports: when they are sent and where, and what the peer's say.
//!
//! Where they go, with ICE and DTLS: chan_sip does not know `a=rtcp-mux`, so whether the peer
//! multiplexes (RFC 5761) is not told but seen. Reports begin on component 1. A peer that does not
//! multiplex nominates a pair of component 2 or sends its own reports there; then ours go there too.
//! The peer's own reports have the last word. Without ICE they go to the port after the media's.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use asterisk::rtp::{OwnedSrtp, Which};
use ice::Component;
use rtp::quality::media_experience_score;
use rtp::rtcp::interval::{ReportTimer, Spacing};
use rtp::rtcp::{Compound, NtpTimestamp, Packet, Report, ReportBlock, ReportBlocks, SenderInfo, Writer};
use rtp::statistics::Accumulator;
use rtp::statistics::RoundTrip;

use crate::config::{Mux, Settings};
use crate::console::debug;
use crate::diagnosis::counters::Refused;
use crate::media::outgoing::Route;
use crate::rtcp::events as rtcp_notes;
use crate::state::State;
use crate::transport;
use crate::transport::sockets::Received;
use crate::transport::{Protection, is_address};

/// The RTCP side of a session.
pub struct Rtcp {
    /// Whether the host wants it.
    pub is_on: bool,
    schedule: ReportTimer,
    /// What `rtp.conf` says.
    configured_mux: Mux,
    /// Whether the host has negotiated that RTCP comes and goes with RTP.
    is_on_one_port: bool,
    /// The component that reports of an ICE session go to.
    route: Component,
    /// Whether the peer's own reports have said so.
    route_is_proved: bool,
    /// Keys of component 2's own handshake.
    pub keys: Option<OwnedSrtp>,
    /// Whether the peer's reports verify with those.
    pub answers_with_own_keys: bool,
    /// The peer asked for a full picture; the channel's thread passes it on.
    pub picture_wanted: bool,
    pictures: Pace,
    /// And how often we asked for one.
    requested: u8,
    requests: Pace,
    events: Pace,
    /// Of what we receive, a sample per report of ours.
    pub score_here: Accumulator,
    /// Of what the peer receives, a sample per report of its.
    pub score_there: Accumulator,
    cname: String,
    goodbye_said: bool,
}

impl Rtcp {
    /// Off.
    pub fn new(settings: &Settings) -> Self {
        let mut name = [0; 8];
        asterisk::random::fill(&mut name);
        Self {
            is_on: false,
            schedule: ReportTimer::new(settings.rtcp_interval, Spacing::Fixed),
            configured_mux: settings.rtcp_mux,
            is_on_one_port: false,
            route: if settings.rtcp_mux == Mux::No { Component::Rtcp } else { Component::Rtp },
            route_is_proved: false,
            keys: None,
            answers_with_own_keys: false,
            picture_wanted: false,
            pictures: Pace::default(),
            requested: 0,
            requests: Pace::default(),
            events: Pace::default(),
            score_here: Accumulator::default(),
            score_there: Accumulator::default(),
            // RFC 7022 §4.2: short-term persistent, random, no more than that about us.
            cname: format!("{:016x}", u64::from_be_bytes(name)),
            goodbye_said: false,
        }
    }

    /// A host that negotiates `a=rtcp-mux` says what came of it; there is nothing to observe then.
    pub fn set_on_one_port(&mut self, on_one_port: bool) {
        self.is_on_one_port = on_one_port;
        if on_one_port {
            self.route = Component::Rtp;
        }
    }

    /// The name of the session whose transport ours is.
    pub fn set_cname(&mut self, cname: String) {
        self.cname = cname;
    }

    /// Our name in reports.
    pub fn cname(&self) -> &str {
        &self.cname
    }

    fn mux(&self) -> Mux {
        if self.is_on_one_port { Mux::Yes } else { self.configured_mux }
    }

    /// Whether the peer might be one that has RTCP on a path of its own.
    pub fn may_use_component_2(&self) -> bool {
        self.mux() != Mux::Yes && !(self.route_is_proved && self.route == Component::Rtp)
    }

    /// ICE selected a pair for component 2.
    pub fn handle_pair_selected(&mut self) {
        if self.mux() == Mux::Auto && !self.route_is_proved {
            self.route = Component::Rtcp;
        }
    }

    /// The next report's time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.poll_timeout()
    }

    fn handle_proof(&mut self, component: Component) {
        if self.mux() == Mux::Auto {
            (self.route, self.route_is_proved) = (component, true);
        }
    }
}

impl State {
    /// The host switches RTCP on or off. The socket stays; what came while it was off is not news.
    pub fn set_rtcp(&mut self, on: bool) {
        if on && !self.rtcp.is_on && self.ice.is_none() && self.dtls.is_none() {
            let mut stale = [0; 16];
            // As much as a socket's buffer holds of small packets is old news; a flood is not waited for.
            for _ in 0..MOST_STALE {
                if self.sockets.rtcp.receive(&mut stale).is_none() {
                    break;
                }
            }
        }
        self.rtcp.is_on = on;
        if !on {
            self.rtcp.schedule.stop();
        }
    }

    /// Whether our description offers one component alone. Without DTLS, what `rtp.conf` wants cannot be told to the peer.
    pub fn has_rtcp_on_one_port(&self) -> bool {
        self.rtcp.is_on_one_port || self.dtls.is_some() && self.rtcp.mux() == Mux::Yes
    }

    /// The session is stopped. With ICE the peer stays where it is, and reports go on while a call is on
    /// hold (RFC 3550 §6.2; RFC 3264 §5.1); without, there is no address to send them to.
    pub fn stop_reports(&mut self) {
        if self.of_transport(State::is_ice_active) != Some(true) {
            self.rtcp.schedule.stop();
        }
    }

    /// Media flows: reports begin, unless they have.
    pub fn start_reports(&mut self, now: Instant) {
        if self.rtcp.is_on && !self.rtcp.schedule.is_running() && self.rtcp_route().is_some() {
            self.rtcp.schedule.start(now, asterisk::random::u32());
        }
    }

    /// A report may be due.
    pub fn handle_rtcp_timeout(&mut self, now: Instant) {
        if self.rtcp.schedule.poll_timeout().is_some_and(|due| due <= now)
            && self.rtcp.schedule.handle_timeout(now, asterisk::random::u32())
        {
            self.send_report(now, false);
        }
    }

    /// Tells the peer that our stream ends, if it was told of it.
    pub fn say_goodbye(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.rtcp.goodbye_said, true)
            && self.outgoing.sender.packets() > 0
            && self.rtcp.is_on
        {
            self.send_report(now, true);
        }
    }

    /// A datagram of RTCP, on either socket.
    pub fn handle_rtcp(&mut self, now: Instant, component: Component, received: &Received, datagram: &mut [u8]) {
        if let Err(reason) = self.take_in_rtcp(now, component, received, datagram) {
            self.refuse(reason);
        }
    }

    fn take_in_rtcp(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<(), Refused> {
        if !self.rtcp.is_on {
            return Err(Refused::RtcpOff);
        }
        let (len, is_known) = self.unprotect_rtcp(component, received, datagram)?;
        let compound = Compound::parse(datagram.get(..len).unwrap_or_default()).map_err(|_| Refused::Malformed)?;
        if self.is_ice_active() {
            self.rtcp.handle_proof(component);
        }
        let wants_debug = debug::RTCP.wants(received.from);
        let mut is_peer = self.strict.is_open() || is_known && self.receiver.ssrc().is_none();
        for packet in compound {
            // The other packets of a compound are worth as much as before: some phones only fail at SDES.
            let Ok(packet) = packet else {
                self.refuse(Refused::Malformed);
                continue;
            };
            if wants_debug {
                self.notes.push(rtcp_notes::received(received.from, &packet));
            }
            is_peer |= self.handle_rtcp_packet(now, received, &packet);
        }
        self.bundle.hand_down(received.from, datagram.get(..len).unwrap_or_default(), &mut self.notes);
        if is_peer && !self.is_ice_active() {
            self.symmetric.handle_rtcp(received.from);
        }
        Ok(())
    }

    /// The length of what is left of it, and whether it is known to be the peer's: by its keys, by the
    /// pair that ICE checked, or by its address.
    fn unprotect_rtcp(
        &mut self,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<(usize, bool), Refused> {
        match self.protection() {
            Protection::Due => Err(Refused::NoKeys),
            Protection::Srtp => Ok((self.unprotect_srtcp(component, datagram)?, true)),
            Protection::Plain if self.is_ice_active() => {
                self.judge_path(component, received).map(|()| (datagram.len(), true))
            }
            Protection::Plain => match self.peer_ip() {
                _ if self.strict.is_open() => Ok((datagram.len(), true)),
                Some(ip) if ip != received.from.ip() => Err(Refused::Source),
                known => Ok((datagram.len(), known.is_some())),
            },
        }
    }

    /// Where media comes from, or is to come from. Reports come from the same address, if not from the
    /// same port: without SRTP nothing else says whose they are.
    fn peer_ip(&self) -> Option<IpAddr> {
        let source = self.strict.source().or_else(|| self.symmetric.rtp().filter(|to| is_address(*to)));
        source.map(|source| source.ip())
    }

    /// Chrome keys SRTCP of component 2 from the RTP component's handshake, Firefox from its own:
    /// whichever verifies is also what we answer with. On component 1 there is nothing to choose.
    fn unprotect_srtcp(&mut self, component: Component, datagram: &mut [u8]) -> Result<usize, Refused> {
        if component == Component::Rtp || self.rtcp.keys.is_none() {
            return self.unprotect_with_keys_of_media(datagram);
        }
        let mut original = [0; LARGEST_REPORT];
        let original = original.get_mut(..datagram.len()).ok_or(Refused::Malformed)?;
        original.copy_from_slice(datagram);
        let own_first = self.rtcp.answers_with_own_keys;
        for own in [own_first, !own_first] {
            datagram.copy_from_slice(original);
            let plain = match self.rtcp.keys.as_ref().filter(|_| own) {
                Some(keys) => keys.borrow().unprotect(datagram, Which::Rtcp).map_err(|_| Refused::Srtp),
                None => self.unprotect_with_keys_of_media(datagram),
            };
            if plain.is_ok() {
                self.rtcp.answers_with_own_keys = own;
                return plain;
            }
        }
        Err(Refused::Srtp)
    }

    fn unprotect_with_keys_of_media(&self, datagram: &mut [u8]) -> Result<usize, Refused> {
        let srtp = self.instance().and_then(|instance| instance.srtp()).ok_or(Refused::NoKeys)?;
        srtp.unprotect(datagram, Which::Rtcp).map_err(|_| Refused::Srtp)
    }

    /// Whether the packet is from the source that we receive.
    fn handle_rtcp_packet(&mut self, now: Instant, received: &Received, packet: &Packet<'_>) -> bool {
        match packet {
            Packet::Pli(pli) => self.handle_picture_request(now, pli.media_ssrc),
            Packet::Fir(fir) => fir.entries.iter().for_each(|entry| self.handle_picture_request(now, entry.ssrc)),
            Packet::FirH261 { .. } => self.handle_picture_request(now, self.outgoing.ssrc()),
            report => return self.handle_reports(now, received.from, report),
        }
        false
    }

    /// Whether the channel is to be told that the peer wants a picture, and of which stream.
    pub fn take_picture_request(&mut self) -> Option<Option<i32>> {
        if std::mem::take(&mut self.rtcp.picture_wanted) {
            return Some(self.bundle.marks.number);
        }
        self.bundle.take_picture_request()
    }

    fn handle_picture_request(&mut self, now: Instant, media_ssrc: u32) {
        if !self.bundle.handle_picture_request(now, media_ssrc) {
            self.rtcp.picture_wanted |= self.rtcp.pictures.allows(now, PICTURE_PACE);
        }
    }

    /// What the packet says of the stream that we receive, and of ours. Whether it is from the source of the one.
    pub fn handle_reports(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) -> bool {
        match packet {
            Packet::SenderReport(report) => {
                self.receiver.handle_sender_report(now, report.ssrc, report.info.ntp);
                self.handle_blocks(now, from, report.ssrc, Some(report.info), &report.blocks);
                self.receiver.ssrc() == Some(report.ssrc)
            }
            Packet::ReceiverReport(report) => {
                self.handle_blocks(now, from, report.ssrc, None, &report.blocks);
                self.receiver.ssrc() == Some(report.ssrc)
            }
            _ => false,
        }
    }

    fn handle_blocks(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ssrc: u32,
        sender: Option<SenderInfo>,
        blocks: &ReportBlocks<'_>,
    ) {
        let count = blocks.len();
        for block in blocks.iter() {
            let round_trip = match self.outgoing.sender.handle_report(now, &block) {
                RoundTrip::NotOurs => continue,
                RoundTrip::Unknown => None,
                RoundTrip::Measured(time) => Some(time),
            };
            let remote = self.outgoing.sender.remote();
            self.rtcp.score_there.add(media_experience_score(remote.round_trip.mean(), remote.lost.mean()));
            if self.rtcp.events.allows(now, EVENT_PACE) {
                self.notes.push(rtcp_notes::received_report(from, ssrc, sender, count, &block, round_trip));
            }
        }
    }

    fn send_report(&mut self, now: Instant, bye: bool) {
        let Some((component, route)) = self.rtcp_route() else { return };
        if self.protection() == transport::Protection::Due {
            return;
        }
        let time_of_day = asterisk::time::wall();
        let sender = self
            .outgoing
            .sender
            .has_sent_since_report()
            .then(|| self.outgoing.sender.sender_info(now, NtpTimestamp::from_unix(time_of_day)));
        let block: Option<ReportBlock> = self.receiver.report_block(now);
        if block.is_some() {
            let (round_trip, lost) = (&self.outgoing.sender.remote().round_trip, self.receiver.loss_statistics());
            self.rtcp.score_here.add(media_experience_score(round_trip.mean(), lost.mean()));
        }
        let report =
            Report { ssrc: self.outgoing.ssrc(), sender, blocks: block.as_slice(), cname: &self.rtcp.cname, bye };
        let mut buffer = [0; LARGEST_REPORT];
        let Ok(len) = report.write(&mut buffer) else { return };
        let text = debug::RTCP.wants(route.0).then(|| rtcp_notes::sent(route.0, &report, self.receiver.jitter()));
        let event = rtcp_notes::sent_report(route.0, &report, self.receiver.jitter());
        if let Some(compound) = buffer.get_mut(..len)
            && self.send_protected(component, Which::Rtcp, compound, route)
        {
            self.notes.extend(text);
            self.notes.push(event);
        }
    }

    /// Asks the peer for a whole picture of the stream that we receive (RFC 5104 §4.3.1).
    pub fn ask_for_picture(&mut self, now: Instant) {
        let Some((component, route)) = self.rtcp_route() else { return };
        let Some(media_ssrc) = self.receiver.ssrc().or(self.bundle.marks.described_ssrc) else { return };
        if self.protection() == Protection::Due || !self.rtcp.requests.allows(now, PICTURE_PACE) {
            return;
        }
        self.rtcp.requested = self.rtcp.requested.wrapping_add(1);
        let ssrc = self.outgoing.ssrc();
        let mut buffer = [0; LARGEST_REPORT];
        let mut compound = Writer::new(&mut buffer);
        compound.receiver_report(ssrc, &[]).cname(ssrc, &self.rtcp.cname).fir(ssrc, media_ssrc, self.rtcp.requested);
        if let Ok(len) = compound.finish()
            && let Some(compound) = buffer.get_mut(..len)
        {
            let sent = self.send_protected(component, Which::Rtcp, compound, route);
            if sent && debug::RTCP.wants(route.0) {
                self.notes.push(rtcp_notes::picture_request(route.0, ssrc, media_ssrc));
            }
        }
    }

    /// Where reports go, and from which socket.
    fn rtcp_route(&self) -> Option<(Component, Route)> {
        if !self.rtcp.is_on {
            return None;
        }
        if !self.bundle.has_own_transport() {
            return self.of_transport(State::rtcp_route).flatten();
        }
        match &self.ice {
            Some(ice) if ice.is_active() && ice.route(Component::Rtp).is_some() => {
                // A peer without DTLS never saw our a=rtcp-mux: two components, as it is used to.
                let component = if self.dtls.is_some() { self.rtcp.route } else { Component::Rtcp };
                ice.route(component).map(|route| (component, route))
            }
            Some(ice) if ice.is_active() && self.dtls.is_some() => None,
            _ if self.rtcp.is_on_one_port => {
                let to = self.symmetric.rtp().filter(|to| is_address(*to))?;
                Some((Component::Rtp, (to, None)))
            }
            _ => {
                let to = self.symmetric.rtcp().filter(|to| is_address(*to))?;
                // Media that goes nowhere says that nothing does.
                self.symmetric.rtp().filter(|to| is_address(*to))?;
                Some((Component::Rtcp, (to, None)))
            }
        }
    }

    /// For people.
    pub fn shown_rtcp(&self) -> String {
        let Some((component, (to, _))) = self.rtcp_route() else {
            return if self.rtcp.is_on { "on, but there is no way for reports" } else { "off" }.to_owned();
        };
        let round_trip = &self.outgoing.sender.remote().round_trip;
        let trip = if round_trip.count() > 0 { format!("{:.4} s", round_trip.last()) } else { "unknown".to_owned() };
        format!("component {} to {to}, round trip {trip}", component.id())
    }

    fn is_ice_active(&self) -> bool {
        self.ice.as_ref().is_some_and(|ice| ice.is_active())
    }
}

/// How often a peer may make the host do something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    last: Option<Instant>,
}

impl Pace {
    /// Whether it is time again; if so, that is the last time.
    pub fn allows(&mut self, now: Instant, pause: Duration) -> bool {
        let allowed = self.last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

/// A wish for a picture is an INFO request to the other side; encoders need as long anyway.
pub const PICTURE_PACE: Duration = Duration::from_millis(500);

/// A report is an event on the manager interface; nobody reports more often in earnest.
const EVENT_PACE: Duration = Duration::from_millis(100);

/// What is thrown away when RTCP is switched on.
const MOST_STALE: usize = 64;

/// A report of one block, its name and a goodbye, and what SRTCP adds.
const LARGEST_REPORT: usize = 1500;

/// As the original: rtcpinterval unless configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_wishes_is_one_wish_per_pause() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let asked = (0..100).map(|n| start + Duration::from_millis(n * 20));
        assert_eq!(asked.filter(|now| pace.allows(*now, PICTURE_PACE)).count(), 4);
    }

    fn rtcp(mux: Mux) -> Rtcp {
        Rtcp::new(&Settings { rtcp_mux: mux, ..Settings::default() })
    }

    #[test]
    fn rtcp_follows_rtp_until_the_peer_shows_that_it_does_not_multiplex() {
        let mut rtcp = rtcp(Mux::Auto);
        assert_eq!(rtcp.route, Component::Rtp);
        rtcp.handle_pair_selected();
        assert_eq!(rtcp.route, Component::Rtcp);
        rtcp.handle_proof(Component::Rtp);
        rtcp.handle_pair_selected();
        assert_eq!(rtcp.route, Component::Rtp, "its own reports have the last word");
        assert!(!rtcp.may_use_component_2());
        rtcp.handle_proof(Component::Rtcp);
        assert_eq!(rtcp.route, Component::Rtcp);
    }

    #[test]
    fn rtcpmux_yes_and_no_are_not_talked_out_of_it() {
        for (mux, component) in [(Mux::Yes, Component::Rtp), (Mux::No, Component::Rtcp)] {
            let mut rtcp = rtcp(mux);
            rtcp.handle_pair_selected();
            rtcp.handle_proof(if component == Component::Rtp { Component::Rtcp } else { Component::Rtp });
            assert_eq!(rtcp.route, component);
        }
    }
}
