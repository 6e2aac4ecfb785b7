//! A session under its one lock: the parts, put together. Each part decides for itself; what stands here passes packets, time
//! and the host's wishes from one to another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asterisk::pollable::AlwaysReadable;
use asterisk::rtp::{DtmfMode, InstancePtr, Which};
use ice::Component;
use rtp::Packet;
use rtp::rtcp::{self, Compound};
use rtp::statistics::ReceiverStatistics;
use rtp::telephone_event::Key;

use crate::bundle::{Bundle, PictureRequest, Whose};
use crate::clock;
use crate::config::Settings;
use crate::console::debug;
use crate::cost::{self, Deed};
use crate::diagnosis::counters::{Counters, Refused};
use crate::diagnosis::overdue;
use crate::diagnosis::verdict::{Flow, Shown};
use crate::media::clock_rates::ClockRates;
use crate::media::incoming::Learned;
use crate::media::source::{Media, Source, Written};
use crate::notes::Note;
use crate::rtcp::events;
use crate::rtcp::feedback::Request;
use crate::rtcp::reports::{Kind, Rtcp, Streams};
use crate::transport::Transport;
use crate::transport::arrived::Arrived;
use crate::transport::keys::Protection;
use crate::transport::receive::Incoming;
use crate::transport::send::{Obstacle, Route, Way};
use crate::transport::sockets::{Pair, Received};
use crate::transport::watch;

/// Everything about a session except what belongs to the reading and the writing thread alone.
pub struct State {
    /// As `rtp.conf` was when the session began.
    settings: Arc<Settings>,
    transport: Transport,
    bundle: Bundle,
    /// Our stream.
    source: Source,
    /// Statistics of the stream that we receive.
    receiver: ReceiverStatistics,
    /// Clock rates of payload types, as far as the reading thread has looked them up.
    clock_rates: ClockRates,
    rtcp: Rtcp,
    counters: Counters,
    /// Lines and events for the host, to be told when the lock is open again.
    notes: Vec<Note>,
    /// How digits travel, as the host says.
    dtmf_mode: DtmfMode,
    /// The earliest deadline that the worker thread knows of.
    armed: Option<Instant>,
    /// The origin of the grid that deadlines of all sessions fall on.
    grid: Instant,
}

/// A packet of media for the channel. Its octets lie in the buffer that was handed in.
pub struct Taken {
    /// The packet.
    pub arrived: Arrived,
    /// The session that it is for. A packet of our own has been judged by its source and counted, others have not.
    pub whose: Whose,
}

/// The most datagrams that the worker thread takes from one session before it looks after others.
const BURST: usize = 64;

impl State {
    /// Makes the state of a session whose peer is not known yet. `grid` is the same moment for all sessions.
    pub fn new(
        instance: InstancePtr,
        settings: Arc<Settings>,
        sockets: Pair,
        always: Arc<AlwaysReadable>,
        grid: Instant,
    ) -> Self {
        Self {
            transport: Transport::new(clock::now(), instance, &settings, sockets, always),
            bundle: Bundle::default(),
            source: Source::new(),
            receiver: ReceiverStatistics::new(0),
            clock_rates: ClockRates::default(),
            rtcp: Rtcp::new(settings.rtcp_interval),
            counters: Counters::default(),
            notes: Vec::new(),
            dtmf_mode: DtmfMode::None,
            armed: None,
            grid,
            settings,
        }
    }

    /// Returns the transport of this session. It is silent while another session's carries the stream.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Returns the transport of this session, to change it.
    pub fn transport_mut(&mut self) -> &mut Transport {
        &mut self.transport
    }

    /// Returns the sessions that share a transport with this one.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Returns the sessions that share a transport with this one, to change them.
    pub fn bundle_mut(&mut self) -> &mut Bundle {
        &mut self.bundle
    }

    /// Returns our stream.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns our stream, to change it.
    pub fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// Returns the statistics of the stream that we receive.
    pub fn receiver(&self) -> &ReceiverStatistics {
        &self.receiver
    }

    /// Returns the reports.
    pub fn rtcp(&self) -> &Rtcp {
        &self.rtcp
    }

    /// Returns how digits travel, as the host says.
    pub fn dtmf_mode(&self) -> DtmfMode {
        self.dtmf_mode
    }

    /// Sets how digits travel.
    pub fn set_dtmf_mode(&mut self, mode: DtmfMode) {
        self.dtmf_mode = mode;
    }

    /// Returns whether the host's instance lives: `end` has not been called.
    pub fn is_live(&self) -> bool {
        self.transport.instance().is_some()
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, reason: Refused) {
        self.counters.add(reason);
    }

    /// Returns lines and events for the host, to add to them.
    pub fn notes_mut(&mut self) -> &mut Vec<Note> {
        &mut self.notes
    }

    /// Returns what is to be told to the host, once.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    // A datagram in.

    /// Receives one datagram for the channel: what was kept for it first. Returns a packet of media in `buffer`; `None` when
    /// there was none, or the datagram was something else.
    pub fn receive(&mut self, now: Instant, component: Component, buffer: &mut [u8]) -> Option<Taken> {
        self.handle_visit(now);
        if component == Component::Rtp
            && let Some((arrived, is_own)) = self.transport.kept_mut().take(buffer)
        {
            let whose = if is_own { Whose::Own } else { self.whose_now(arrived.header.ssrc) };
            return Some(Taken { arrived, whose });
        }
        let received = self.transport.socket(component).receive(buffer)?;
        self.handle_datagram(now, component, &received, buffer.get_mut(..received.len)?)
    }

    /// Reads for a channel that does not: the worker thread's part.
    pub fn take_from_socket(&mut self, now: Instant, component: Component) {
        let mut scratch = self.transport.take_scratch();
        let only_for_host = self.transport.is_keyed_by_host();
        for _ in 0..BURST {
            let Some(received) = self.transport.socket(component).receive(&mut scratch) else { break };
            let Some(datagram) = scratch.get_mut(..received.len) else { break };
            if only_for_host && is_media_or_rtcp(datagram) {
                self.refuse(Refused::RingFull);
                continue;
            }
            if let Some(Taken { arrived, whose }) = self.handle_datagram(now, component, &received, datagram) {
                let packet = scratch.get(..arrived.len).unwrap_or_default();
                if self.transport.kept_mut().keep(packet, arrived, matches!(whose, Whose::Own)) {
                    self.refuse(Refused::RingFull);
                }
            }
        }
        self.transport.put_scratch(scratch);
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Option<Taken> {
        let incoming = match self.bundle.has_own_transport() {
            true => self.transport.handle_datagram(now, component, received, datagram),
            false => Err(Refused::Source),
        };
        match incoming {
            Ok(Incoming::Media(len)) => {
                let taken = self.judge_media(now, received.from, datagram.get(..len).unwrap_or_default());
                return taken.map_err(|reason| self.drop_media(received, reason)).ok();
            }
            Ok(Incoming::Rtcp { len, is_from_peer }) => {
                let compound = datagram.get(..len).unwrap_or_default();
                self.handle_rtcp(now, component, received.from, compound, is_from_peer);
            }
            Ok(Incoming::Nothing) => self.drive(now),
            // A refused datagram may have an answer, too.
            Err(reason @ (Refused::Stun | Refused::Dtls)) => {
                self.refuse(reason);
                self.drive(now);
            }
            Err(reason) if is_media(datagram) => self.drop_media(received, reason),
            Err(reason) => self.refuse(reason),
        }
        None
    }

    fn judge_media(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<Taken, Refused> {
        cost::note(Deed::ParsedPacket);
        let packet = Packet::parse(datagram).map_err(|_| Refused::Malformed)?;
        let arrived = Arrived::new(from, datagram.len(), &packet);
        let whose = self.bundle.whose(packet.ssrc, self.receiver.ssrc());
        match whose {
            Whose::Own => self.judge_own(now, &arrived)?,
            Whose::Child(_) | Whose::Unknown => self.transport.judge_bundled_source(from)?,
        }
        if debug::RTP.wants(from) {
            self.notes.push(debug::received(from, &arrived.header, arrived.payload.len()));
        }
        Ok(Taken { arrived, whose })
    }

    fn drop_media(&mut self, received: &Received, reason: Refused) {
        self.refuse(reason);
        if debug::RTP.wants(received.from) {
            self.notes.push(debug::dropped(received.from, received.len, reason));
        }
    }

    /// Judges a packet of our own stream by its source and its sequence number, and counts it.
    fn judge_own(&mut self, now: Instant, arrived: &Arrived) -> Result<(), Refused> {
        let header = &arrived.header;
        self.transport.judge_source(now, arrived.from, header.sequence_number)?;
        // A second stream on the port that nobody negotiated (repair packets, somebody else's noise) is not a change of source.
        // The reading thread knows; here it may not be asked.
        let is_stray = !self.clock_rates.knows(header.payload_type)
            && self.receiver.ssrc().is_some_and(|known| known != header.ssrc);
        if !is_stray && !self.count_received(now, arrived) {
            return Err(Refused::Sequence);
        }
        self.start_reports(now);
        Ok(())
    }

    /// Counts a packet of our own stream. Returns whether it is of use.
    fn count_received(&mut self, now: Instant, arrived: &Arrived) -> bool {
        let clock_rate = self.clock_rates.of(arrived.header.payload_type);
        self.receiver.update(now, &arrived.header, arrived.payload.len(), clock_rate).is_usable()
    }

    /// Takes a packet whose source nobody had named and that turned out to be our own. Returns whether it is of use.
    pub fn take_as_own(&mut self, now: Instant, arrived: &Arrived) -> bool {
        self.judge_own(now, arrived).map_err(|reason| self.refuse(reason)).is_ok()
    }

    /// Takes a packet that the parent took off its socket, judged and decrypted. Returns whether it is of use.
    pub fn handle_from_parent(&mut self, now: Instant, arrived: &Arrived) -> bool {
        let usable = self.count_received(now, arrived);
        if usable {
            self.start_reports(now);
        } else {
            self.refuse(Refused::Sequence);
        }
        usable
    }

    /// Takes what the reading thread found out about a payload type.
    pub fn learn(&mut self, learned: Learned) {
        self.clock_rates.learn(learned.payload_type, learned.clock_rate);
    }

    /// Returns the session that a kept packet of another session is for. Its source may be our own by now; that is news, so it
    /// was not counted when it came.
    fn whose_now(&self, ssrc: u32) -> Whose {
        match self.bundle.whose(ssrc, self.receiver.ssrc()) {
            Whose::Own => Whose::Unknown,
            whose => whose,
        }
    }

    // RTCP in.

    fn handle_rtcp(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        datagram: &[u8],
        is_from_peer: bool,
    ) {
        let Ok(compound) = Compound::parse(datagram) else {
            self.refuse(Refused::Malformed);
            return;
        };
        self.transport.handle_report_from(component);
        let wants_debug = debug::RTCP.wants(from);
        let mut is_peer = self.transport.remote().is_open() || is_from_peer && self.receiver.ssrc().is_none();
        for packet in compound {
            // The other packets of a compound are worth as much as before: some phones only fail at SDES.
            let Ok(packet) = packet else {
                self.refuse(Refused::Malformed);
                continue;
            };
            if wants_debug {
                self.notes.push(events::received(from, &packet));
            }
            is_peer |= self.handle_rtcp_packet(now, from, &packet);
        }
        self.bundle.hand_down(from, datagram, &mut self.notes);
        if is_peer && !self.transport.is_ice_active() {
            self.transport.remote_mut().handle_reports(from);
        }
    }

    /// Returns whether the packet is from the source that we receive.
    fn handle_rtcp_packet(&mut self, now: Instant, from: SocketAddr, packet: &rtcp::Packet<'_>) -> bool {
        match packet {
            rtcp::Packet::Pli(pli) => self.handle_picture_request(now, pli.media_ssrc),
            rtcp::Packet::Fir(fir) => fir.entries.iter().for_each(|entry| self.handle_picture_request(now, entry.ssrc)),
            rtcp::Packet::FirH261 { .. } => self.handle_picture_request(now, self.source.ssrc()),
            report => return self.handle_report(now, from, report),
        }
        false
    }

    fn handle_report(&mut self, now: Instant, from: SocketAddr, packet: &rtcp::Packet<'_>) -> bool {
        let streams = Streams { receiver: &mut self.receiver, sender: self.source.statistics_mut() };
        self.rtcp.handle(now, from, packet, streams, &mut self.notes)
    }

    /// Takes reports that the parent took off its socket. The parent has counted what is malformed.
    pub fn handle_reports_from_parent(&mut self, now: Instant, from: SocketAddr, compound: &[u8]) {
        for packet in Compound::parse(compound).into_iter().flatten().flatten() {
            self.handle_report(now, from, &packet);
        }
    }

    fn handle_picture_request(&mut self, now: Instant, media_ssrc: u32) {
        if !self.bundle.handle_picture_request(now, media_ssrc) {
            self.rtcp.pictures_mut().handle_request(now);
        }
    }

    /// Returns whether the channel is to be told that the peer wants a picture, and the number of its stream.
    pub fn take_picture_request(&mut self) -> Option<PictureRequest> {
        if self.rtcp.pictures_mut().take_request() {
            return Some(self.bundle.marks().picture_request());
        }
        self.bundle.take_picture_request()
    }

    // A packet out.

    /// Returns the route of media; `None` while it goes nowhere.
    pub fn media_route(&self) -> Option<Route> {
        if self.transport.remote().is_stopped() {
            return None;
        }
        self.bundle.look(&self.transport, Transport::media_route).flatten()
    }

    /// Sends a packet of media, or counts why not. While a digit is being sent, media waits. Returns whether media goes anywhere.
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

    /// Sends comfort noise at `level` (RFC 3389), also to keep NAT bindings open. Returns whether it went out.
    pub fn send_comfort_noise(&mut self, now: Instant, payload_type: u8, level: u8) -> bool {
        self.send_packet(now, |source| source.write_comfort_noise(now, payload_type, level)) == Ok(true)
    }

    /// Presses a key; `clock_rate` in Hz is that of the payload type. Returns whether there is a way to tell the peer.
    pub fn begin_digit(&mut self, now: Instant, key: Key, payload_type: u8, clock_rate: u32) -> bool {
        if let Err(obstacle) = self.way_of_media() {
            self.note_obstacle(obstacle);
            return false;
        }
        self.source.begin_digit(now, key, payload_type, clock_rate);
        self.flush_digits(now);
        true
    }

    /// Releases the key, which was held for so long if the host says it.
    pub fn end_digit(&mut self, now: Instant, held: Option<Duration>) {
        self.source.digits_mut().end(now, held);
        self.flush_digits(now);
    }

    fn flush_digits(&mut self, now: Instant) {
        while let Some(event) = self.source.digits_mut().poll_transmit() {
            // One that cannot be sent is counted, and the next may have its way again.
            let _ = self.send_packet(now, |source| source.write_digit(now, &event));
        }
    }

    fn way_of_media(&mut self) -> Result<Way, Obstacle> {
        if self.transport.remote().is_stopped() {
            return Err(Obstacle::NoRoute);
        }
        let way =
            self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| transport.way_of_media(stream));
        way.unwrap_or(Err(Obstacle::NoRoute))
    }

    /// Asks for the way, writes a packet and sends it. Returns whether it went out.
    fn send_packet(&mut self, now: Instant, write: impl FnOnce(&mut Source) -> Written) -> Result<bool, Obstacle> {
        let source = &mut self.source;
        let sent = match self.transport.remote().is_stopped() {
            true => None,
            false => self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
                let way = transport.way_of_media(stream)?;
                let written = write(source);
                Ok((way.to(), written, transport.send(&way, Which::Rtp, source.packet())))
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

    fn note_sent(&mut self, now: Instant, to: SocketAddr, written: &Written, is_sent: bool) {
        if is_sent {
            self.source.count(now, written);
        } else {
            self.refuse(Refused::Unsendable);
        }
        if debug::RTP.wants(to) {
            self.notes.push(match is_sent {
                true => debug::sent(to, &written.header, written.payload_len),
                false => debug::not_sent(to, Refused::Unsendable),
            });
        }
    }

    fn note_obstacle(&mut self, obstacle: Obstacle) {
        self.refuse(obstacle.reason());
        if let Obstacle::KeysDue(to) = obstacle
            && debug::RTP.wants(to)
        {
            self.notes.push(debug::not_sent(to, obstacle.reason()));
        }
    }

    // RTCP out.

    /// Switches RTCP on or off; `on_one_port` says that the host has negotiated `a=rtcp-mux`.
    pub fn set_rtcp(&mut self, on: bool, on_one_port: bool) {
        self.transport.set_rtcp(on, on_one_port);
        if !on {
            self.rtcp.stop();
        }
    }

    /// Begins to report, unless that has begun: media flows.
    fn start_reports(&mut self, now: Instant) {
        if self.transport.uses_rtcp() && !self.rtcp.is_running() && self.reports_route().is_some() {
            self.rtcp.start(now);
        }
    }

    /// The host has stopped media. With ICE the peer stays where it is, and reports go on while a call is on hold (RFC 3550
    /// section 6.2; RFC 3264 section 5.1); without, there is no address to send them to.
    pub fn stop_media(&mut self) {
        self.source.digits_mut().cancel();
        if self.bundle.look(&self.transport, Transport::is_ice_active) != Some(true) {
            self.rtcp.stop();
        }
        self.transport.remote_mut().stop();
        self.source.mark_next();
    }

    fn send_report(&mut self, now: Instant, kind: Kind) {
        if !self.transport.uses_rtcp() {
            return;
        }
        let mut told = Vec::new();
        let streams = Streams { receiver: &mut self.receiver, sender: self.source.statistics_mut() };
        let rtcp = &mut self.rtcp;
        let sent = self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
            let way = transport.way_of_reports(stream)?;
            rtcp.send(now, kind, streams, way.to(), |compound| transport.send(&way, Which::Rtcp, compound), &mut told)
        });
        self.note_report_sent(sent.flatten(), told);
    }

    /// Asks the peer for a whole picture of the stream that we receive (RFC 5104 section 4.3.1).
    pub fn ask_for_picture(&mut self, now: Instant) {
        let described = self.bundle.marks().described_ssrc;
        let Some(media_ssrc) = self.receiver.ssrc().or(described).filter(|_| self.transport.uses_rtcp()) else {
            return;
        };
        let mut told = Vec::new();
        let ssrc = self.source.ssrc();
        let (requests, cname) = self.rtcp.requests_mut();
        let request = Request { ssrc, media_ssrc, cname };
        let sent = self.bundle.over(&mut self.transport, &mut self.notes, |transport, stream| {
            let way = transport.way_of_reports(stream)?;
            requests.send(now, &request, way.to(), |compound| transport.send(&way, Which::Rtcp, compound), &mut told)
        });
        self.note_report_sent(sent.flatten(), told);
    }

    fn note_report_sent(&mut self, sent: Option<bool>, mut told: Vec<Note>) {
        self.notes.append(&mut told);
        if sent == Some(false) {
            self.refuse(Refused::Unsendable);
        }
    }

    fn reports_route(&self) -> Option<(Component, Route)> {
        if !self.transport.uses_rtcp() {
            return None;
        }
        self.bundle.look(&self.transport, Transport::reports_route).flatten()
    }

    // Time, and the end.

    /// Drives ICE and DTLS after any input, and keys bundled sources as well when there are new keys.
    pub fn drive(&mut self, now: Instant) {
        if self.transport.drive(now, self.source.ssrc(), &mut self.notes) {
            let ssrcs = self.bundle.ssrcs();
            ssrcs.into_iter().for_each(|ssrc| self.key_bundled(ssrc));
        }
    }

    /// Keys a source of a session that is bundled with this one.
    pub fn key_bundled(&mut self, ssrc: u32) {
        if !self.transport.key_source(ssrc) {
            let text = format!("the SRTP module does not take keys for source {ssrc}, which is bundled with this one");
            self.notes.push(self.transport.warning(&text));
        }
    }

    /// Lets time pass for everything that has a clock: the worker thread's part.
    pub fn handle_timeout(&mut self, now: Instant) {
        // The worker thread knows of no deadline now.
        self.armed = None;
        if !self.is_live() {
            return;
        }
        if self.transport.handle_timeout(now) {
            self.drive(now);
        }
        if self.transport.handle_keys_timeout(now) {
            self.notes.push(self.overdue_warning(now));
        }
        if !self.transport.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Lets time pass for what is sent under the keys of media: reports and digits.
    fn handle_media_timeout(&mut self, now: Instant) {
        if self.rtcp.handle_timeout(now) {
            self.send_report(now, Kind::Regular);
        }
        self.source.digits_mut().handle_timeout(now);
        self.flush_digits(now);
    }

    /// Does for the channel's thread, which is here, what the worker thread may not do.
    fn handle_visit(&mut self, now: Instant) {
        if self.transport.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Returns the next deadline, if the worker thread does not know one as early.
    pub fn rearm(&mut self, now: Instant) -> Option<Instant> {
        let watch = self.transport.watch_mut().poll_timeout();
        let watch = watch.map(|deadline| watch::on_grid(self.grid, now, deadline));
        self.transport.watch_keys(now);
        let media = match self.transport.is_keyed_by_host() {
            true => [None; 2],
            false => [self.rtcp.poll_timeout(), self.source.digits().poll_timeout()],
        };
        let next = [self.transport.poll_timeout(), watch].into_iter().chain(media);
        // A deadline that has passed is served at once, but not at this very moment for ever.
        let next = next.flatten().min()?.max(now);
        if !self.is_live() || self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// Falls silent: the parent's transport carries the stream from now on, under its name.
    pub fn give_up_transport(&mut self, cname: String) {
        self.transport.give_up();
        self.rtcp.set_cname(cname);
    }

    /// Carries the stream over the session's own transport again.
    pub fn take_up_transport(&mut self) {
        if self.bundle.take_up_transport() {
            self.transport.take_up(&self.settings);
        }
    }

    /// The instance is going: the peer is told as far as it can be, and nothing reaches for the instance any more.
    pub fn end(&mut self) {
        let now = clock::now();
        if self.rtcp.say_goodbye(self.source.statistics().packets() > 0) {
            self.send_report(now, Kind::Last);
        }
        let refusals = self.shown(now).refusals();
        if !refusals.is_empty() {
            self.notes.push(Note::debug(1, format!("RTP session refused: {refusals}")));
        }
        self.transport.end();
    }

    // For people.

    fn overdue_warning(&self, now: Instant) -> Note {
        let shown = self.shown(now);
        let refusals = match shown.refusals() {
            nothing if nothing.is_empty() => nothing,
            refusals => format!("; refused so far: {refusals}"),
        };
        let seconds = overdue::PATIENCE.as_secs();
        self.transport.warning(&format!("no keys after {seconds} s. {}{refusals}", shown.verdict()))
    }

    /// Returns the session as far as people want to know it.
    pub fn shown(&self, now: Instant) -> Shown {
        let (receiver, sender) = (&self.receiver, self.source.statistics());
        let since = |last: Option<Instant>| last.map(|last| now.saturating_duration_since(last));
        let protection = self.protection();
        Shown {
            port: self.transport.port(),
            peer: self.media_route().map(|(to, _)| to).or(self.transport.remote().signalled(Component::Rtp)),
            stopped: self.transport.remote().is_stopped(),
            carrier: self.bundle.shown(),
            children: self.bundle.children(),
            ice: self.transport.shown_ice(),
            dtls: self.transport.shown_dtls(),
            keys_due: protection == Protection::Due,
            encrypted: protection != Protection::Plain,
            received: Flow {
                packets: receiver.packets(),
                octets: receiver.octets(),
                silence: since(receiver.last_packet()),
                lost: receiver.cumulative_lost(),
                jitter: receiver.jitter().as_secs_f64(),
            },
            sent: Flow {
                packets: sender.packets(),
                octets: sender.octets(),
                silence: since(sender.last_packet()),
                lost: sender.remote().last.map_or(0, |block| block.cumulative_lost.into()),
                jitter: sender.remote().jitter.last(),
            },
            rtcp: self.shown_rtcp(),
            refused: self.counters.all().collect(),
        }
    }

    fn protection(&self) -> Protection {
        let protection = self.bundle.look_as(&self.transport, Transport::protection_of);
        protection.unwrap_or(Protection::Due)
    }

    fn shown_rtcp(&self) -> String {
        let Some((component, (to, _))) = self.reports_route() else {
            return if self.transport.uses_rtcp() { "on, but there is no way for reports" } else { "off" }.to_owned();
        };
        let round_trip = &self.source.statistics().remote().round_trip;
        let trip = if round_trip.count() > 0 { format!("{:.4} s", round_trip.last()) } else { "unknown".to_owned() };
        format!("component {} to {to}, round trip {trip}", component.id())
    }
}

fn is_media(datagram: &[u8]) -> bool {
    rtp::demux::classify(datagram) == rtp::demux::Class::Rtp
}

fn is_media_or_rtcp(datagram: &[u8]) -> bool {
    matches!(rtp::demux::classify(datagram), rtp::demux::Class::Rtp | rtp::demux::Class::Rtcp)
}
