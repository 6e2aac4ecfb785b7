//! One leg of a call: its description, its ICE and DTLS, its media. All legs share two sockets.

use std::fmt::Write;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{
    Association, AssociationEvent, Context, Endpoint, Fingerprint, HashFunction, PeerAddress, Phase, Setup,
};
use e2e::failure::{Failure, Result, ensure};
use e2e::sip::Message;
use ice::carried;
use ice::{Agent, Component, Config, Credentials, Event, Path, PerComponent, Role, Signalled};
use media_srtp::Suite;
use media_srtp::sdes::Negotiation;

use crate::batch::{LONGEST, Outbox, Socket};
use crate::keys::Keys;
use crate::options::Kind;
use crate::stream::{self, Codec, Stream};

/// The sockets of all legs, and what is to be sent from them.
pub struct Media {
    /// Those of RTP and RTCP.
    pub sockets: [Rc<Socket>; 2],
    /// Their addresses.
    pub addresses: [SocketAddrV4; 2],
    outboxes: [Outbox; 2],
}

impl Media {
    /// Binds them at this address.
    pub fn bind(ip: std::net::Ipv4Addr) -> Result<Self> {
        let sockets = Socket::bind_pair(ip)?.map(Rc::new);
        let addresses = [SocketAddrV4::new(ip, sockets[0].port()?), SocketAddrV4::new(ip, sockets[1].port()?)];
        Ok(Self { sockets, addresses, outboxes: [Outbox::new(), Outbox::new()] })
    }

    /// Sends what has been collected.
    pub fn flush(&mut self) {
        for (outbox, socket) in self.outboxes.iter_mut().zip(&self.sockets) {
            outbox.flush(socket);
        }
    }

    fn push(&mut self, component: Component, to: SocketAddr, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let SocketAddr::V4(to) = to else { return };
        let at = usize::from(component.id()) - 1;
        self.outboxes[at].push(&self.sockets[at], to, write);
    }
}

/// When a leg came how far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// The INVITE was sent.
    pub called: Option<Instant>,
    /// The answer was there.
    pub answered: Option<Instant>,
    /// ICE had a pair for RTP.
    pub paired: Option<Instant>,
    /// DTLS had keys for RTP.
    pub keyed: Option<Instant>,
    /// The first packet of the other side was decrypted.
    pub heard: Option<Instant>,
}

/// A leg.
pub struct Leg {
    kind: Kind,
    codec: Codec,
    number: usize,
    agent: Option<Agent>,
    dtls: Option<Dtls>,
    sdes: Negotiation,
    keys: Option<Keys>,
    remote: PerComponent<Option<SocketAddr>>,
    /// Its packets.
    pub stream: Stream,
    /// Its progress.
    pub marks: Marks,
    /// When a timer is due.
    due: Option<Instant>,
}

struct Dtls {
    endpoint: Endpoint,
    associations: PerComponent<Association>,
}

impl Leg {
    /// A leg that has neither offered nor answered.
    pub fn new(number: usize, kind: Kind, codec: Codec, context: &Arc<Context>, media: &Media) -> Self {
        let agent = (kind == Kind::Ice).then(|| agent(number, media));
        let dtls = kind.is_dtls().then(|| Dtls {
            endpoint: Endpoint::new(Arc::clone(context), Setup::ActPass),
            associations: PerComponent::default(),
        });
        let mut sdes = Negotiation::new();
        if kind == Kind::Sdes {
            let mut next = number as u8;
            sdes.offer(&[Suite::AesCm128HmacSha1_80], |bytes| {
                for byte in bytes {
                    next = next.wrapping_mul(37).wrapping_add(11);
                    *byte = next;
                }
            });
        }
        let (remote, marks, stream) = (PerComponent::default(), Marks::default(), Stream::new(number as u32, codec));
        Self { kind, codec, number, agent, dtls, sdes, keys: None, remote, stream, marks, due: None }
    }

    /// Its description, an offer or the answer of a plain leg.
    pub fn description(&self, media: &Media) -> String {
        let [rtp, rtcp] = media.addresses;
        let profile = match self.kind {
            Kind::Plain => "RTP/AVP",
            Kind::Sdes => "RTP/SAVP",
            Kind::Dtls | Kind::Ice => "RTP/SAVPF",
        };
        let (payload_type, codec) = (self.codec.payload_type(), self.codec.name());
        let mut text = format!(
            "v=0\r\no=load {} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} {profile} {payload_type}\r\n\
             a=rtpmap:{payload_type} {codec}\r\na=ptime:20\r\na=sendrecv\r\na=rtcp:{}\r\n",
            self.number + 1,
            rtp.port(),
            rtcp.port(),
            ip = rtp.ip(),
        );
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = write!(text, "a={line}\r\n");
        };
        self.sdes.lines().for_each(|crypto| line(format_args!("crypto:{crypto}")));
        if let Some(dtls) = &self.dtls {
            let hash = HashFunction::Sha256;
            let fingerprint = dtls.endpoint.certificate().fingerprint(hash);
            line(format_args!("setup:actpass"));
            line(format_args!("fingerprint:{} {fingerprint}", hash.name()));
        }
        if let Some(agent) = &self.agent {
            let Credentials { ufrag, password } = agent.local_credentials();
            line(format_args!("ice-ufrag:{ufrag}"));
            line(format_args!("ice-pwd:{password}"));
            line(format_args!("rtcp-mux"));
            agent.local_candidates().iter().for_each(|candidate| line(format_args!("candidate:{candidate}")));
        }
        text
    }

    /// Takes in the description of the other side; the ports that its packets come from, as far as they are known.
    pub fn learn(&mut self, now: Instant, message: &Message) -> Result<PerComponent<u16>> {
        let rtp = message.media(0).ok_or_else(|| Failure::new(format!("no audio: {}", message.body)))?;
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
        self.marks.answered = Some(now);
        self.remote = PerComponent { rtp: Some(rtp), rtcp: Some(rtcp) };
        let attribute = |name: &'static str| {
            let lines = message.body.lines();
            lines.filter_map(move |line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
        };
        let one = |name: &'static str| attribute(name).next().map(str::trim);
        if self.kind == Kind::Sdes {
            let line = one("crypto").ok_or_else(|| Failure::new("the answer has no a=crypto"))?;
            self.keys = Some(Keys::of_answer(&self.sdes, line)?);
        }
        if let Some(dtls) = &mut self.dtls {
            let fingerprints = attribute("fingerprint").filter_map(|value| value.split_once(' '));
            dtls.learn(one("setup").unwrap_or("active"), fingerprints)?;
        }
        if let Some(agent) = &mut self.agent {
            self.remote = PerComponent::default();
            let credentials = one("ice-ufrag").zip(one("ice-pwd"));
            let (ufrag, password) = credentials.ok_or_else(|| Failure::new("the answer has no ICE"))?;
            agent.set_remote_credentials(now, Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() });
            for line in attribute("candidate") {
                let Ok(Signalled { candidate, .. }) = format!("candidate:{line}").parse::<Signalled>() else {
                    continue;
                };
                if candidate.addr.ip() != carried::PLACEHOLDER && candidate.addr.is_ipv4() {
                    agent.add_remote_candidate(now, candidate);
                }
            }
            ensure(!agent.remote_candidates().is_empty(), || format!("no candidates: {}", message.body))?;
            agent.start(now);
        }
        Ok(PerComponent { rtp: rtp.port(), rtcp: rtcp.port() })
    }

    /// Whether it may send media.
    pub fn is_ready(&self) -> bool {
        self.remote.rtp.is_some() && self.marks.answered.is_some() && (self.kind == Kind::Plain || self.keys.is_some())
    }

    /// Sends the next packet of media.
    pub fn speak(&mut self, tick: u32, media: &mut Media) {
        let Some(to) = self.remote.rtp.filter(|_| self.is_ready()) else { return };
        let (stream, keys) = (&mut self.stream, &mut self.keys);
        media.push(Component::Rtp, to, |buffer| {
            let len = stream.write(tick, buffer);
            keys.as_mut().map_or(Some(len), |keys| keys.protect(buffer, len))
        });
    }

    /// Takes a datagram (RFC 7983); the stamp of a packet of media that is all right.
    pub fn take(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddrV4,
        datagram: &mut [u8],
        media: &mut Media,
    ) -> Option<(usize, u32)> {
        match datagram.first()? {
            0..=3 => {
                let path = self.path(component, from, media);
                let _ = self.agent.as_mut()?.handle_stun(now, path, datagram);
                self.drive(now, media);
                None
            }
            20..=63 => {
                self.take_dtls(now, component, from, datagram, media);
                None
            }
            128..=191 if !is_rtcp(datagram) => self.hear(now, datagram),
            _ => None,
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant, media: &mut Media) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        if let Some(agent) = &mut self.agent {
            agent.handle_timeout(now);
        }
        let addresses = self.remote.map(|remote| self.peer_address(remote));
        if let Some(dtls) = &mut self.dtls {
            for component in Component::ALL {
                dtls.associations[component].handle_timeout(now, addresses[component]);
            }
        }
        self.drive(now, media);
    }

    /// Sends what ICE and DTLS have to send, and takes note of their events.
    pub fn drive(&mut self, now: Instant, media: &mut Media) {
        self.drive_ice(now, media);
        for component in Component::ALL {
            self.drive_dtls(now, component, media);
        }
        let timeouts = self.dtls.iter().flat_map(|dtls| {
            Component::ALL.into_iter().filter_map(|component| dtls.associations[component].poll_timeout())
        });
        self.due = timeouts.chain(self.agent.as_ref().and_then(Agent::poll_timeout)).min();
    }

    fn drive_ice(&mut self, now: Instant, media: &mut Media) {
        let Some(agent) = &mut self.agent else { return };
        let mut buffer = [0; LONGEST];
        while let Some(transmit) = agent.poll_transmit(&mut buffer) {
            media.push(transmit.path.component, transmit.path.remote, |space| {
                space[..transmit.len].copy_from_slice(&buffer[..transmit.len]);
                Some(transmit.len)
            });
        }
        while let Some(event) = agent.poll_event() {
            let Event::Selected { component, path } = event else { continue };
            self.remote[component] = Some(path.remote);
            if component == Component::Rtp {
                self.marks.paired.get_or_insert(now);
            }
        }
    }

    fn drive_dtls(&mut self, now: Instant, component: Component, media: &mut Media) {
        let address = self.peer_address(self.remote[component]);
        let Some(dtls) = &mut self.dtls else { return };
        let association = &mut dtls.associations[component];
        if self.remote[component].is_some() && component == Component::Rtp {
            association.begin_if_active(now, &dtls.endpoint);
        }
        if let Some(to) = self.remote[component].or_else(|| association.path().map(|path| path.from)) {
            let mut is_more = true;
            while is_more {
                is_more = false;
                media.push(component, to, |buffer| {
                    let len = association.poll_transmit(buffer);
                    is_more = len.is_some();
                    len
                });
            }
        }
        while let Some(event) = association.poll_event(address) {
            if let (AssociationEvent::Connected(keys), Component::Rtp) = (event, component) {
                self.keys = Keys::of_dtls(&keys).ok();
                self.marks.keyed.get_or_insert(now);
            }
        }
    }

    fn take_dtls(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddrV4,
        datagram: &[u8],
        media: &mut Media,
    ) {
        let address = self.peer_address(self.remote[component]);
        let to = self.path(component, from, media).local;
        let Some(dtls) = &mut self.dtls else { return };
        let path = dtls_srtp::Path { from: from.into(), to };
        let association = &mut dtls.associations[component];
        association.handle_datagram(now, &mut dtls.endpoint, address, path, datagram);
        self.drive(now, media);
    }

    fn hear(&mut self, now: Instant, packet: &mut [u8]) -> Option<(usize, u32)> {
        let len = match &mut self.keys {
            Some(keys) => keys.unprotect(packet)?,
            None if self.kind == Kind::Plain => packet.len(),
            None => return None,
        };
        let stamp = stream::stamp(packet.get(..len)?)?;
        self.marks.heard.get_or_insert(now);
        Some(stamp)
    }

    fn path(&self, component: Component, from: SocketAddrV4, media: &Media) -> Path {
        let local = media.addresses[usize::from(component.id()) - 1].into();
        Path { component, local, remote: from.into() }
    }

    fn peer_address(&self, remote: Option<SocketAddr>) -> PeerAddress {
        if self.kind == Kind::Ice { PeerAddress::CheckedByIce } else { PeerAddress::Signalled(remote) }
    }

    /// The state of its set-up in words, for an error.
    pub fn progress(&self) -> String {
        let phase = self.dtls.as_ref().map(|dtls| dtls.associations.rtp.phase());
        format!("leg {}: {:?}, remote {:?}, DTLS {phase:?}", self.number, self.marks, self.remote.rtp)
    }
}

impl Dtls {
    fn learn<'a>(&mut self, setup: &str, fingerprints: impl Iterator<Item = (&'a str, &'a str)>) -> Result {
        let theirs = match setup {
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            other => return Err(Failure::new(format!("the answer says a=setup:{other}"))),
        };
        // No association has begun that a change of the role could end.
        let _ = self.endpoint.set_setup(theirs);
        for (name, value) in fingerprints {
            let hash = [HashFunction::Sha1, HashFunction::Sha256].into_iter();
            let Some(hash) = hash.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name)) else { continue };
            let fingerprint = Fingerprint::parse(hash, value).map_err(|error| Failure::new(error.to_string()))?;
            self.endpoint.set_fingerprint(fingerprint);
        }
        let _ = self.endpoint.end_description();
        self.endpoint.activate();
        let endpoint = &self.endpoint;
        Component::ALL.into_iter().for_each(|component| self.associations[component].handle_description(endpoint));
        debug_assert_eq!(self.associations.rtp.phase(), Phase::Idle);
        Ok(())
    }
}

/// The leg whose username fragment a check names first, which is its own (RFC 8445 §7.2.2).
pub fn leg_of_check(datagram: &[u8]) -> Option<usize> {
    let mut rest = datagram.get(20..)?;
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let [kind, len] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_be_bytes);
        let value = tail.get(..usize::from(len))?;
        if kind == 0x0006 {
            let ufrag = value.split(|byte| *byte == b':').next()?;
            return std::str::from_utf8(ufrag.strip_prefix(b"load")?).ok()?.parse().ok();
        }
        rest = tail.get(usize::from(len).next_multiple_of(4)..)?;
    }
    None
}

/// Whether a datagram in the form of RTP is RTCP (RFC 5761 §4).
fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|kind| (64..=95).contains(&(kind & 0x7F)))
}

/// A controlling agent, which nominates its pair as soon as it works.
fn agent(number: usize, media: &Media) -> Agent {
    let random = std::array::from_fn(|at| (number.wrapping_mul(31) + at * 7) as u8);
    let password = Credentials::from_random(&random).password;
    let local = Credentials { ufrag: format!("load{number:05}"), password };
    let mut config = Config::new(Role::Controlling, number as u64 + (1 << 40), local, random);
    config.nomination_delay = Duration::ZERO;
    let mut agent = Agent::new(config);
    for component in Component::ALL {
        agent.add_local_candidate(component, media.addresses[usize::from(component.id()) - 1].into());
    }
    agent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_names_its_leg() {
        let mut check = vec![0; 20];
        check.extend([0x80, 0x22, 0, 3, b'p', b'b', b'x', 0]);
        check.extend([0, 6, 0, 13]);
        check.extend(b"load00042:abc");
        assert_eq!(leg_of_check(&check), Some(42));
        assert_eq!(leg_of_check(&check[..30]), None);
        assert_eq!(leg_of_check(b"short"), None);
    }
}
