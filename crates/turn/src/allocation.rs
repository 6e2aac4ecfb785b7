//! One allocation at one server, from the first request to its release.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use turn_client_proto::api::{DelayedMessageOrChannelSend, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::prelude::{DelayedTransmitBuild, TurnClientApi};
use turn_client_proto::stun::Instant as Point;
use turn_client_proto::stun::agent::Transmit;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use crate::Credentials;
use crate::answers::{Answers, Failure};
use crate::frames::MAGIC_COOKIE;
use crate::probe::{Outcome, Probe};

turn_client_proto::impl_client!(Client, (Udp, TurnClientUdp), (Tcp, TurnClientTcp));

/// How we reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// UDP: requests are retransmitted.
    Datagram,
    /// TCP or TLS: [`Frames`](crate::Frames) cuts what comes, and ChannelData is padded (RFC 8656 §12.5).
    Stream,
}

/// The parts of an allocation that are known before the first request.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our address towards the server.
    pub local: SocketAddr,
    /// The server's address.
    pub server: SocketAddr,
    /// How it is reached.
    pub transport: Transport,
    /// Its credentials.
    pub credentials: Credentials,
}

/// A fact about the allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server relays for us now.
    Allocated {
        /// The relayed address, which peers send to.
        relayed: SocketAddr,
        /// Our address as the server sees it.
        mapped: SocketAddr,
    },
    /// There is no allocation, or none any more.
    Failed(Failure),
    /// The server has confirmed that the allocation is gone, or the time to wait for that is over.
    Released,
    /// The server does not relay to this address.
    PeerRefused(IpAddr),
}

/// Data of a peer inside a datagram of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// The peer that has sent it to the relayed address.
    pub peer: SocketAddr,
    /// The place of the data in the datagram.
    pub data: Range<usize>,
}

/// The outcome of [`Allocation::send`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// The buffer has a datagram of this length for the server.
    Written(usize),
    /// The data waits for the peer's permission, and comes out of [`Allocation::poll_transmit`].
    Held,
    /// The data cannot be sent.
    Dropped,
}

/// One allocation at one server.
#[derive(Debug)]
pub struct Allocation {
    client: Client,
    config: Config,
    stage: Stage,
    answers: Answers,
    peers: Vec<(IpAddr, Permission)>,
    /// Data for peers whose permission is asked for.
    held: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    /// The time that `client` counts from, and the time of the last input.
    start: Instant,
    now: Instant,
    /// When `client` wants to be called.
    wanted: Instant,
    last_sent: Instant,
    keepalives: u64,
    probe: Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Allocating { until: Instant },
    Allocated { relayed: SocketAddr, mapped: SocketAddr },
    Releasing { until: Instant },
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    Asked,
    Granted,
    /// No answer came, the server has no room at the moment, or the permission could not be refreshed in time.
    Failed {
        /// When it may be asked for again.
        again: Instant,
    },
    /// The server forbids this peer (403, RFC 8656 §9.3).
    Refused,
}

impl Allocation {
    /// Begins an allocation; [`Self::poll_transmit`] has the first request.
    pub fn new(now: Instant, config: Config) -> Self {
        let credentials = TurnCredentials::new(&config.credentials.username, &config.credentials.password);
        let mut settings = TurnConfig::new(credentials);
        settings.set_request_retransmits(INITIAL_RTO, LONGEST_RTO, TRANSMISSIONS, LAST_WAIT);
        let client = match config.transport {
            Transport::Datagram => TurnClientUdp::allocate(config.local, config.server, settings).into(),
            Transport::Stream => TurnClientTcp::allocate(config.local, config.server, settings).into(),
        };
        Self {
            client,
            config,
            stage: Stage::Allocating { until: now + PATIENCE },
            answers: Answers::default(),
            peers: Vec::new(),
            held: VecDeque::new(),
            events: VecDeque::new(),
            start: now,
            now,
            wanted: now,
            last_sent: now,
            keepalives: 0,
            probe: Probe::new(now),
        }
    }

    /// Takes in one datagram or frame of the server's. Returns a peer's data in it.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Option<Relayed> {
        self.now = now;
        // An empty one would mean to `client` that a connection is closed.
        if datagram.is_empty() || self.stage == Stage::Over {
            return None;
        }
        match self.probe.handle_received(now, datagram) {
            Some(Outcome::Alive) => return None,
            Some(Outcome::Dropped) => {
                self.fail(Failure::Dropped);
                return None;
            }
            None => {}
        }
        self.answers.handle_received(datagram);
        let transport = self.client.transport();
        let received = Transmit::new(datagram, transport, self.config.server, self.config.local);
        let relayed = match self.client.recv(received, self.point(now)) {
            TurnRecvRet::PeerData(data) => {
                place_of(data.data(), datagram).map(|place| Relayed { peer: data.peer, data: place })
            }
            _ => None,
        };
        if relayed.is_none() {
            self.follow(now);
        }
        relayed
    }

    /// Lets time pass. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.follow(now);
        match self.stage {
            Stage::Allocating { until } if until <= now => self.fail(Failure::Silent),
            Stage::Releasing { until } if until <= now => self.finish(Event::Released),
            Stage::Allocated { .. } if self.probe.is_unanswered(now) => self.fail(Failure::Silent),
            _ => {}
        }
    }

    /// Returns when [`Self::handle_timeout`] next has something to do; `None` once all is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.stage {
            Stage::Over => return None,
            Stage::Allocating { until } | Stage::Releasing { until } => until,
            Stage::Allocated { .. } => self.last_sent + KEEPALIVE_INTERVAL,
        };
        let probe = self.probe.poll_timeout().filter(|_| self.is_idle());
        Some(own.min(self.wanted).min(probe.unwrap_or(own)))
    }

    /// Writes the next datagram or frame for the server into `buffer`, which has room for [`MAX_DATAGRAM`] octets; returns its length.
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.stage == Stage::Over {
            return None;
        }
        let now = self.now;
        while let Some(transmit) = self.client.poll_transmit(self.point(now)) {
            let message: &[u8] = transmit.data.as_ref();
            self.answers.handle_sent(message);
            self.probe.handle_sent(message);
            self.last_sent = now;
            // Only credentials of absurd length make a request longer than the buffer.
            let Some(room) = buffer.get_mut(..message.len()) else { continue };
            room.copy_from_slice(message);
            return Some(message.len());
        }
        let written = self.write_held(buffer).or_else(|| self.write_probe(buffer));
        if let Some(len) = written.or_else(|| self.write_keepalive(buffer)) {
            return Some(len);
        }
        self.follow(now);
        // `client` names a time in the past while it holds something back.
        self.wanted = self.wanted.max(now + SHORTEST_WAIT);
        None
    }

    /// Returns the next fact.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Writes `data` for `peer` as the server wants to have it. The first data for an address asks for the permission to send there,
    /// and to be reached from there.
    pub fn send(&mut self, now: Instant, peer: SocketAddr, data: &[u8], buffer: &mut [u8]) -> Sending {
        self.now = now;
        if !matches!(self.stage, Stage::Allocated { .. }) || !peer.is_ipv4() || data.is_empty() {
            return Sending::Dropped;
        }
        match self.permission(peer.ip()) {
            Some(Permission::Granted) => self.write(peer, data, buffer).map_or(Sending::Dropped, Sending::Written),
            Some(Permission::Refused) => Sending::Dropped,
            Some(Permission::Failed { again }) if now < again => Sending::Dropped,
            Some(Permission::Asked) => self.hold(peer, data),
            Some(Permission::Failed { .. }) | None if self.ask(peer.ip()) => self.hold(peer, data),
            Some(Permission::Failed { .. }) | None => Sending::Dropped,
        }
    }

    /// Asks for a channel to `peer` (RFC 8656 §12): four octets of overhead for each datagram in place of 36. Does nothing if there is
    /// one.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) {
        self.now = now;
        if matches!(self.stage, Stage::Allocated { .. }) && peer.is_ipv4() {
            // There is one, or there was one a moment ago; indications do as well.
            let _ = self.client.bind_channel(TransportType::Udp, peer, self.point(now));
            self.wanted = now;
        }
    }

    /// Gives the allocation back (RFC 8656 §8).
    pub fn release(&mut self, now: Instant) {
        self.now = now;
        match self.stage {
            Stage::Allocated { .. } if self.client.delete(self.point(now)).is_ok() => {
                self.held.clear();
                self.stage = Stage::Releasing { until: now + LAST_PATIENCE };
                self.wanted = now;
            }
            Stage::Releasing { .. } | Stage::Over => {}
            _ => self.finish(Event::Released),
        }
    }

    /// Returns the relayed address and our own as the server sees it, once and as long as there is an allocation.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self.stage {
            Stage::Allocated { relayed, mapped } => Some((relayed, mapped)),
            _ => None,
        }
    }

    /// Returns whether the server owes an answer for so long that it has perhaps forgotten the allocation.
    pub fn is_doubtful(&self) -> bool {
        self.probe.is_doubtful()
    }

    /// Returns the server's address.
    pub fn server(&self) -> SocketAddr {
        self.config.server
    }

    /// Has `client` act upon the time, and takes over what it found.
    fn follow(&mut self, now: Instant) {
        let poll = self.client.poll(self.point(now));
        while let Some(event) = self.client.poll_event() {
            self.handle_event(event);
        }
        match (self.stage, poll) {
            (Stage::Over, _) => {}
            (Stage::Allocating { .. }, _) if let Some(refusal) = self.answers.refusal() => self.fail(refusal),
            (Stage::Allocated { .. }, _) if self.answers.is_mismatch() => self.fail(Failure::Dropped),
            (Stage::Allocating { .. }, TurnPollRet::Closed) => self.fail(Failure::Silent),
            (Stage::Allocated { .. }, TurnPollRet::Closed) => self.fail(Failure::Dropped),
            (Stage::Releasing { .. }, TurnPollRet::Closed) => self.finish(Event::Released),
            (_, TurnPollRet::WaitUntil(point)) => self.wanted = self.instant(point),
            _ => {}
        }
    }

    fn handle_event(&mut self, event: TurnEvent) {
        match event {
            TurnEvent::AllocationCreated(_, relayed) if relayed.is_ipv4() && relayed.port() != 0 => {
                let mapped = self.answers.mapped().unwrap_or(relayed);
                self.stage = Stage::Allocated { relayed, mapped };
                self.events.push_back(Event::Allocated { relayed, mapped });
            }
            TurnEvent::AllocationCreated(..) => self.fail(Failure::Malformed),
            TurnEvent::AllocationCreateFailed(_) => {
                self.fail(self.answers.refusal().unwrap_or(Failure::Malformed));
            }
            TurnEvent::PermissionCreated(_, ip) => {
                self.note(ip, Permission::Granted);
            }
            TurnEvent::PermissionCreateFailed(_, ip) => {
                self.held.retain(|(peer, _)| peer.ip() != ip);
                if self.answers.is_forbidden(ip) {
                    self.note(ip, Permission::Refused);
                    self.events.push_back(Event::PeerRefused(ip));
                } else {
                    self.note(ip, Permission::Failed { again: self.now + PAUSE });
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.finish(Event::Failed(failure));
    }

    fn finish(&mut self, last: Event) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.held.clear();
            self.events.push_back(last);
        }
    }

    fn permission(&self, ip: IpAddr) -> Option<Permission> {
        self.peers.iter().find(|(peer, _)| *peer == ip).map(|(_, permission)| *permission)
    }

    /// Notes how a permission stands that has been asked for. Returns whether it has.
    fn note(&mut self, ip: IpAddr, permission: Permission) -> bool {
        let known = self.peers.iter_mut().find(|(peer, _)| *peer == ip);
        known.map(|(_, known)| *known = permission).is_some()
    }

    /// Asks for a permission (RFC 8656 §9). Returns whether it may come.
    fn ask(&mut self, ip: IpAddr) -> bool {
        let now = self.point(self.now);
        let has_room = self.peers.len() < MOST_PEERS || self.permission(ip).is_some();
        if !has_room || self.client.create_permission(TransportType::Udp, ip, now).is_err() {
            return false;
        }
        if !self.note(ip, Permission::Asked) {
            self.peers.push((ip, Permission::Asked));
        }
        self.probe.put_off(self.now);
        self.wanted = self.now;
        true
    }

    fn hold(&mut self, peer: SocketAddr, data: &[u8]) -> Sending {
        if data.len() > MAX_DATAGRAM - OVERHEAD {
            return Sending::Dropped;
        }
        if self.held.len() == MOST_HELD {
            self.held.pop_front();
        }
        self.held.push_back((peer, data.to_vec()));
        Sending::Held
    }

    fn write_held(&mut self, buffer: &mut [u8]) -> Option<usize> {
        while let Some(at) =
            self.held.iter().position(|(peer, _)| self.permission(peer.ip()) == Some(Permission::Granted))
        {
            let (peer, data) = self.held.remove(at)?;
            if let Some(len) = self.write(peer, &data, buffer) {
                return Some(len);
            }
        }
        None
    }

    /// Writes a ChannelData message, or a Send indication while there is no channel.
    fn write(&mut self, peer: SocketAddr, data: &[u8], buffer: &mut [u8]) -> Option<usize> {
        let now = self.point(self.now);
        let message = self.client.send_to(TransportType::Udp, peer, data, now).ok()??.data;
        let len = message.len();
        let padded = match (&message, self.config.transport) {
            (DelayedMessageOrChannelSend::Channel(_), Transport::Stream) => len.next_multiple_of(4),
            _ => len,
        };
        let room = buffer.get_mut(..padded).filter(|_| data.len() <= usize::from(u16::MAX))?;
        let (room, padding) = room.split_at_mut(len);
        message.write_into(room);
        padding.fill(0);
        self.last_sent = self.now;
        Some(padded)
    }

    /// Whether nobody uses the allocation, and only a request shows whether the server knows it.
    fn is_idle(&self) -> bool {
        let is_allocated = matches!(self.stage, Stage::Allocated { .. });
        is_allocated && self.config.transport == Transport::Datagram && self.peers.is_empty()
    }

    fn write_probe(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if !self.is_idle() {
            return None;
        }
        let request = self.probe.poll_transmit(self.now, &self.config.credentials)?;
        buffer.get_mut(..request.len())?.copy_from_slice(request);
        self.last_sent = self.now;
        Some(request.len())
    }

    /// Writes a Binding indication, if nothing has been sent for a while: it keeps the way through NATs open (RFC 8656 §3.1).
    fn write_keepalive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let is_due = self.now.saturating_duration_since(self.last_sent) >= KEEPALIVE_INTERVAL;
        if !is_due || !matches!(self.stage, Stage::Allocated { .. }) {
            return None;
        }
        let message = buffer.get_mut(..BINDING_INDICATION.len() + 16)?;
        let (kind, rest) = message.split_at_mut(BINDING_INDICATION.len());
        let (cookie, transaction) = rest.split_at_mut(MAGIC_COOKIE.len());
        kind.copy_from_slice(&BINDING_INDICATION);
        cookie.copy_from_slice(&MAGIC_COOKIE);
        transaction.fill(0);
        // Nobody answers an indication, so its transaction id need not be a secret.
        self.keepalives += 1;
        transaction[4..].copy_from_slice(&self.keepalives.to_be_bytes());
        self.last_sent = self.now;
        Some(message.len())
    }

    fn point(&self, now: Instant) -> Point {
        let since = now.saturating_duration_since(self.start) + EARLIEST;
        Point::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn instant(&self, point: Point) -> Instant {
        let since = Duration::from_nanos(u64::try_from(point.as_nanos()).unwrap_or_default());
        self.start + since.saturating_sub(EARLIEST)
    }
}

/// Returns the place of `part` in `whole`, of which it is a part.
fn place_of(part: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let place = start..start.checked_add(part.len())?;
    whole.get(place.clone()).map(|_| place)
}

/// The largest datagram or frame that is written, in octets: a datagram of media with the overhead of a Send indication.
pub const MAX_DATAGRAM: usize = 2048;

/// Octets of a Send indication beside its data, at most: header, XOR-PEER-ADDRESS of IPv6, the head of DATA and its padding.
const OVERHEAD: usize = 20 + 24 + 4 + 4;

/// `client` subtracts from times, and cannot have them before zero.
const EARLIEST: Duration = Duration::from_secs(3600);

/// Retransmissions of requests over UDP (RFC 8489 §6.2.1), without the long wait at the end: a server that answers late is of no use
/// for calls.
const INITIAL_RTO: Duration = Duration::from_millis(500);
const LONGEST_RTO: Duration = Duration::from_secs(2);
const TRANSMISSIONS: u32 = 7;
const LAST_WAIT: Duration = Duration::from_secs(4);

/// Time within which the server has to have allocated.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time within which the server should confirm the release.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Shorter than the shortest life of a mapping for UDP in NATs (RFC 4787 §4.3 allows no less than two minutes; many have 30 s).
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Peers for which permissions are kept; a call has as many as the peer has candidates.
const MOST_PEERS: usize = 48;

/// Time until a permission that has failed is asked for again. Checks of ICE ask all the time.
const PAUSE: Duration = Duration::from_secs(3);

/// Datagrams that wait for permissions.
const MOST_HELD: usize = 16;

/// Type and length of a Binding indication (RFC 8489 §5).
const BINDING_INDICATION: [u8; 4] = [0x00, 0x11, 0x00, 0x00];

#[cfg(test)]
#[path = "allocation_tests.rs"]
mod tests;
