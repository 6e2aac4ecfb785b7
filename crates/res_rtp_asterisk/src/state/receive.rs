//! Handles received datagrams: the transport decrypts them, and the session that they belong to counts them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::story::Event;
use ice::Component;
use rtp::demux::{Class, classify};
use rtp::packet::HEADER_LEN;
use rtp::rtcp::{self, Compound};
use rtp::{Header, Packet};

use super::State;
use crate::bundle::Whose;
use crate::console::{debug, known};
use crate::cost::{self, Deed};
use crate::diagnosis::counters::Refused;
use crate::media::incoming::Learned;
use crate::notes::Note;
use crate::rtcp::events;
use crate::rtcp::reports::{Heard, Streams};
use crate::transport::arrived::Arrived;
use crate::transport::kept;
use crate::transport::receive::Incoming;
use crate::transport::relay::FromRelay;
use crate::transport::sockets::Received;

/// A media packet for the channel. Its octets are in the caller's buffer.
pub struct Taken {
    /// The packet.
    pub arrived: Arrived,
    /// The session that the packet belongs to. Only a packet of [`Whose::Own`] has passed the source and sequence checks and
    /// has been counted.
    pub whose: Whose,
}

impl Taken {
    pub(super) fn into_kept(self) -> kept::Packet {
        let Self { arrived, whose } = self;
        kept::Packet::Media { arrived, is_own: matches!(whose, Whose::Own) }
    }
}

/// Most datagrams that the worker thread reads from one session before it turns to others.
const BURST: usize = 64;

impl State {
    /// Receives one datagram for the channel, kept packets first. Returns a media packet in `buffer`; `None` when there was no
    /// datagram, or it was not media, or it was refused.
    pub fn receive(&mut self, now: Instant, component: Component, buffer: &mut [u8]) -> Option<Taken> {
        self.handle_visit(now);
        if component == Component::Rtp
            && let Some(packet) = self.transport.kept_mut().take(buffer)
        {
            return self.receive_kept(now, packet, buffer);
        }
        let received = self.transport.receive(component, buffer)?;
        self.handle_datagram(now, component, &received, buffer.get_mut(..received.len)?)
    }

    fn receive_kept(&mut self, now: Instant, packet: kept::Packet, buffer: &mut [u8]) -> Option<Taken> {
        match packet {
            kept::Packet::Media { arrived, is_own: true } => Some(Taken { arrived, whose: Whose::Own }),
            kept::Packet::Media { arrived, is_own: false } => {
                let whose = self.whose_now(arrived.header.ssrc);
                Some(Taken { arrived, whose })
            }
            kept::Packet::Raw { component, received } => {
                self.handle_datagram(now, component, &received, buffer.get_mut(..received.len)?)
            }
        }
    }

    /// Reads a socket in place of a channel that does not read. Called by the worker thread. Media is kept for the channel.
    pub fn take_from_socket(&mut self, now: Instant, component: Component) {
        let mut scratch = self.transport.take_scratch();
        let only_for_host = self.transport.is_keyed_by_host();
        for _ in 0..BURST {
            let Some(received) = self.transport.receive(component, &mut scratch) else { break };
            self.take(now, component, &received, &mut scratch, only_for_host);
        }
        self.transport.put_scratch(scratch);
    }

    /// Reads what a TURN server relays. Media is kept for the channel, also for one that reads. Called by the worker thread. Returns
    /// whether more may wait, of which the socket does not tell: a connection's octets are cut into frames here.
    pub fn take_from_relay(&mut self, now: Instant) -> bool {
        self.transport.relay_reported();
        let mut scratch = self.transport.take_scratch();
        let only_for_host = self.transport.is_keyed_by_host();
        let mut is_empty = false;
        for _ in 0..BURST {
            match self.transport.receive_relayed(now, &mut scratch) {
                FromRelay::Datagram(received) => self.take(now, Component::Rtp, &received, &mut scratch, only_for_host),
                FromRelay::Handled => {}
                FromRelay::Nothing => {
                    is_empty = true;
                    break;
                }
            }
        }
        self.transport.put_scratch(scratch);
        // Nothing more is reported of a connection that the server has closed.
        self.drive_relay(now);
        !is_empty
    }

    /// Handles the datagram at the beginning of `scratch`, and keeps it for the channel if it is media. `only_for_host`: so are
    /// media and RTCP that only host threads may decrypt.
    fn take(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        scratch: &mut [u8],
        only_for_host: bool,
    ) {
        let Some(datagram) = scratch.get_mut(..received.len) else { return };
        let packet = match only_for_host && is_media_or_rtcp(datagram) {
            true => Some(kept::Packet::Raw { component, received: *received }),
            false => self.handle_datagram(now, component, received, datagram).map(Taken::into_kept),
        };
        if let Some(packet) = packet {
            self.keep(packet, scratch);
        }
    }

    /// Keeps a packet for the channel, the beginning of `buffer`; counts it as refused if there is no room.
    pub(super) fn keep(&mut self, packet: kept::Packet, buffer: &[u8]) {
        if !self.transport.kept_mut().keep(packet, buffer) {
            self.refuse(Refused::RingFull);
        }
    }

    pub(super) fn handle_datagram(
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
                if self.transport.follow_media(now, component, received) {
                    self.drive(now);
                }
                let taken = self.judge_media(now, received.from, datagram.get(..len).unwrap_or_default());
                return taken.map_err(|reason| self.drop_media(received, reason)).ok();
            }
            Ok(Incoming::Rtcp { len, is_from_peer }) => {
                let compound = datagram.get(..len).unwrap_or_default();
                self.handle_rtcp(now, component, received.from, compound, is_from_peer);
            }
            Ok(Incoming::Nothing) => self.drive(now),
            // ICE and DTLS may also answer a datagram that they refused.
            Err(reason @ (Refused::Stun | Refused::Dtls)) => {
                self.refuse_from(received.from, reason);
                if reason == Refused::Dtls && !self.transport.has_dtls() {
                    self.note_unexpected_dtls(received.from);
                }
                self.drive(now);
            }
            Err(reason) if self.transport.classify(component, datagram) == Class::Rtp => {
                self.drop_media(received, reason);
            }
            Err(reason) => {
                self.refuse_from(received.from, reason);
                if component == Component::Rtp {
                    self.note_if_short(received);
                }
            }
        }
        None
    }

    fn judge_media(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<Taken, Refused> {
        cost::note(Deed::ParsedPacket);
        let packet = Packet::parse(datagram).map_err(|_| Refused::Malformed)?;
        let mut arrived = Arrived::new(from, datagram.len(), &packet);
        let whose = self.bundle.whose(packet.ssrc, self.receiver.ssrc());
        match whose {
            Whose::Own => self.judge_own(now, &mut arrived)?,
            Whose::Child(_) | Whose::Unknown => self.transport.judge_bundled_source(from)?,
        }
        if debug::RTP.wants(from) {
            self.notes.push(debug::received(from, &arrived.header, arrived.payload.len()));
        }
        Ok(Taken { arrived, whose })
    }

    fn drop_media(&mut self, received: &Received, reason: Refused) {
        self.refuse_from(received.from, reason);
        if debug::DETAIL.wants(received.from) {
            self.notes.push(debug::dropped(received.from, received.len, reason));
        }
        if reason == Refused::Source {
            self.notes.extend(known::refused_source(received.from));
        }
        self.note_if_short(received);
    }

    fn note_unexpected_dtls(&mut self, from: SocketAddr) {
        let instance = self.transport.instance();
        self.notes.extend(instance.and_then(|instance| known::unexpected_dtls(from, instance.pointer())));
    }

    fn note_if_short(&mut self, received: &Received) {
        if received.len < HEADER_LEN {
            self.notes.extend(known::too_short(received.from));
        }
    }

    /// Checks the source address and the sequence number of a packet of our own stream, and counts the packet.
    fn judge_own(&mut self, now: Instant, arrived: &mut Arrived) -> Result<(), Refused> {
        let header = &arrived.header;
        self.transport.judge_source(now, arrived.from, header)?;
        let known = self.receiver.ssrc();
        let usable = self.is_beside(header) || self.count_received(now, arrived);
        let payload_type = header.payload_type;
        // Digits have a check of their own: the number of some senders stands still.
        self.judge_number(arrived, usable || self.clock_rates.is_without_clock(payload_type))?;
        if known.is_some() && known != self.receiver.ssrc() {
            self.handle_other_encoder(now, payload_type);
        }
        self.start_reports(now);
        Ok(())
    }

    /// Refuses a packet that is not `usable`, except for a bridge: the phone at its other end checks the numbers itself.
    fn judge_number(&self, arrived: &mut Arrived, usable: bool) -> Result<(), Refused> {
        arrived.is_repeated = !usable;
        if usable || self.is_bridged { Ok(()) } else { Err(Refused::Sequence) }
    }

    /// Returns whether a packet is of a second SSRC that is not a change of source: it has a payload type that was not
    /// negotiated (repair packets, foreign traffic), or one without a clock (digits, comfort noise). Only payload types that the
    /// reading thread has looked up are known here; the host must not be asked.
    fn is_beside(&self, header: &Header) -> bool {
        let (known, payload_type) = (&self.clock_rates, header.payload_type);
        let is_media = known.knows(payload_type) && !known.is_without_clock(payload_type);
        !is_media && self.receiver.ssrc().is_some_and(|known| known != header.ssrc)
    }

    /// Counts a packet of our own stream. Returns false for a duplicate or an unconfirmed jump of the sequence number.
    fn count_received(&mut self, now: Instant, arrived: &Arrived) -> bool {
        let clock_rate = self.clock_rates.of(arrived.header.payload_type);
        if clock_rate.is_some() {
            self.note_heard(now, arrived);
        }
        self.receiver.update(now, &arrived.header, arrived.payload.len(), clock_rate).is_usable()
    }

    fn note_heard(&mut self, now: Instant, arrived: &Arrived) {
        let payload_type = arrived.header.payload_type;
        match self.heard_type.replace(payload_type) {
            Some(before) if before == payload_type => {}
            Some(_) => self.transport.story_mut().note_here(now, Event::ReceivesNow(payload_type)),
            None => {
                self.heard_from = Some(arrived.from);
                self.transport.story_mut().note_peer(now, Event::FirstReceived(payload_type), arrived.from);
            }
        }
    }

    /// Checks and counts a packet of an unknown SSRC that turned out to be of our own stream. Returns whether it is accepted.
    pub fn take_as_own(&mut self, now: Instant, arrived: &mut Arrived) -> bool {
        self.judge_own(now, arrived).map_err(|reason| self.refuse(reason)).is_ok()
    }

    /// Counts a packet that the parent received, decrypted and checked. Returns whether it is accepted.
    pub fn handle_from_parent(&mut self, now: Instant, arrived: &mut Arrived) -> bool {
        let usable = self.count_received(now, arrived);
        match self.judge_number(arrived, usable) {
            Ok(()) => self.start_reports(now),
            Err(reason) => self.refuse(reason),
        }
        usable || self.is_bridged
    }

    /// Stores the clock rate of a payload type that the reading thread has looked up.
    pub fn learn(&mut self, learned: Learned) {
        self.clock_rates.learn(learned.payload_type, learned.clock_rate);
    }

    /// Returns the session of a kept packet that did not belong to us when it arrived. If its SSRC has become our own since, the
    /// packet counts as unknown, because it has not been checked and counted yet.
    fn whose_now(&self, ssrc: u32) -> Whose {
        match self.bundle.whose(ssrc, self.receiver.ssrc()) {
            Whose::Own => Whose::Unknown,
            whose => whose,
        }
    }

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
        let local = self.transport.socket(component).local();
        let mut is_peer = self.transport.remote().is_open() || is_from_peer && self.receiver.ssrc().is_none();
        for packet in compound {
            // The other packets of the compound are still used: some phones send a malformed SDES packet only.
            let Ok(packet) = packet else {
                self.refuse(Refused::Malformed);
                continue;
            };
            if wants_debug {
                self.notes.push(Note::Verbose(events::head(from, &packet).lines()));
            }
            let source = events::Source { peer: from, local };
            let heard = self.handle_rtcp_packet(now, source, &packet);
            if wants_debug {
                let shown = events::shown(source, heard.figures, &packet, self.source.statistics().ssrc());
                self.notes.extend(shown.map(|report| Note::Verbose(report.lines())));
            }
            is_peer |= heard.is_from_source;
        }
        self.bundle.hand_down(from, datagram, &mut self.notes);
        if is_peer && !self.transport.is_ice_active() {
            self.transport.remote_mut().handle_reports(from);
        }
    }

    /// Handles one packet of a compound.
    fn handle_rtcp_packet(&mut self, now: Instant, from: events::Source, packet: &rtcp::Packet<'_>) -> Heard {
        match packet {
            rtcp::Packet::Pli(pli) => self.handle_picture_request(now, pli.media_ssrc),
            rtcp::Packet::Fir(fir) => fir.entries.iter().for_each(|entry| self.handle_picture_request(now, entry.ssrc)),
            rtcp::Packet::FirH261 { .. } => self.handle_picture_request(now, self.source.ssrc()),
            report => return self.handle_report(now, from, report),
        }
        Heard::default()
    }

    fn handle_report(&mut self, now: Instant, from: events::Source, packet: &rtcp::Packet<'_>) -> Heard {
        let streams = Streams { receiver: &mut self.receiver, sender: self.source.statistics_mut() };
        let heard = self.rtcp.handle(now, from, packet, streams, &mut self.notes);
        self.note_report(now, packet, heard.figures);
        heard
    }

    fn note_report(&mut self, now: Instant, packet: &rtcp::Packet<'_>, figures: events::Heard) {
        let blocks = match packet {
            rtcp::Packet::SenderReport(report) => report.blocks,
            rtcp::Packet::ReceiverReport(report) => report.blocks,
            _ => return,
        };
        // While a bridge passes packets on, the peer hears the SSRC of another session.
        let Some(block) = blocks.about(self.source.statistics().ssrc()) else { return };
        let milliseconds = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let event = Event::Report {
            lost: block.fraction_lost,
            jitter: milliseconds(figures.jitter),
            round_trip: figures.round_trip.map_or(0, milliseconds),
        };
        self.transport.story_mut().note_here(now, event);
    }

    /// Handles a compound packet that the parent received. The parent has already counted malformed packets.
    pub fn handle_reports_from_parent(&mut self, now: Instant, from: SocketAddr, compound: &[u8]) {
        let from = events::Source { peer: from, local: self.transport.socket(Component::Rtp).local() };
        for packet in Compound::parse(compound).into_iter().flatten().flatten() {
            self.handle_report(now, from, &packet);
        }
    }
}

fn is_media_or_rtcp(datagram: &[u8]) -> bool {
    matches!(classify(datagram), Class::Rtp | Class::Rtcp)
}
