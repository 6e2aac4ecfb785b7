//! What the threads of a session share, under its one lock.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use asterisk::rtp::{DtmfMode, Hash, Instance, InstancePtr};
use ice::Component;
use rtp::Packet;
use rtp::demux::{Class, classify};
use rtp::source::{StrictRtp, SymmetricRtp};
use rtp::statistics::ReceiverStatistics;

use crate::bundle::{Bundle, Whose};
use crate::config::Settings;
use crate::diagnosis::counters::{Counters, Refused};
use crate::diagnosis::overdue::Overdue;
use crate::media::outgoing::Outgoing;
use crate::notes::Note;
use crate::rtcp::reports::Rtcp;
use crate::transport::dtls::Dtls;
use crate::transport::ice::IceSide;
use crate::transport::kept::Ring;
use crate::transport::pollable::Pollable;
use crate::transport::receive::Taken;
use crate::transport::sockets::Pair;
use crate::transport::watch::{self, Watch};

/// Everything about a session but what belongs to the reading and the writing thread alone.
pub struct State {
    /// The host's instance, for what lies behind `res_srtp`. `None` once it is going.
    pub instance: Option<InstancePtr>,
    /// As `rtp.conf` was when the session began.
    pub settings: Arc<Settings>,
    /// Both sockets, for the life of the session.
    pub sockets: Pair,
    /// What chan_sip polls instead of the socket, when it has to.
    pub pollable: Option<Pollable>,
    /// Whether chan_sip has a descriptor to poll.
    pub handed_out: bool,
    /// The ICE agent, unless chan_sip stopped it.
    pub ice: Option<IceSide>,
    /// DTLS-SRTP, when it is configured.
    pub dtls: Option<Dtls>,
    /// The hash that our fingerprint is printed in.
    pub dtls_hash: Hash,
    /// How digits travel, as the host says.
    pub dtmf_mode: DtmfMode,
    /// The addresses that media may come from.
    pub strict: StrictRtp,
    /// The addresses that media and reports go to, without ICE.
    pub symmetric: SymmetricRtp,
    /// Whether packets are sent to where packets come from (`nat=comedia`).
    pub nat: bool,
    /// What we send.
    pub outgoing: Outgoing,
    /// Counts what comes in.
    pub receiver: ReceiverStatistics,
    /// Clock rates of payload types, as far as the reading thread has looked them up.
    pub clock_rates: ClockRates,
    /// Reports.
    pub rtcp: Rtcp,
    /// Packets for a channel that does not read.
    pub ring: Ring,
    /// And of others, whose transport this is: a picture would push the sound out.
    pub ring_of_others: Ring,
    /// Who receives.
    pub watch: Watch,
    /// Whose transport it is.
    pub bundle: Bundle,
    /// What was refused.
    pub counters: Counters,
    /// Keys that do not come.
    pub overdue: Overdue,
    /// To be told when the lock is open again.
    pub notes: Vec<Note>,
    /// The host has said that media may start.
    pub activated: bool,
    /// The host has stopped media (hold), until it names an address again.
    pub stopped: bool,
    /// Where media goes, when the host does not know it yet.
    pub learned_remote: Option<SocketAddr>,
    /// What the host was last told of that, which is not news when it tells us.
    pub told_remote: Option<SocketAddr>,
    /// The earliest deadline that the engine thread knows of.
    armed: Option<Instant>,
    origin: Instant,
    /// For datagrams that the engine thread takes; empty until it does.
    scratch: Vec<u8>,
}

/// A datagram of any legal size fits.
pub const LARGEST_DATAGRAM: usize = 8192;

/// The most datagrams that the engine thread takes from one session before it looks after others.
const BURST: usize = 64;

impl State {
    /// A session that neither ICE nor DTLS, nor an address, is known of.
    pub fn new(
        instance: InstancePtr,
        settings: Arc<Settings>,
        sockets: Pair,
        ice: Option<IceSide>,
        now: Instant,
    ) -> Self {
        let strict = if settings.strict_rtp { StrictRtp::learning(now, settings.probation) } else { StrictRtp::open() };
        Self {
            instance: Some(instance),
            rtcp: Rtcp::new(&settings),
            sockets,
            pollable: None,
            handed_out: false,
            ice,
            dtls: None,
            dtls_hash: Hash::Sha256,
            dtmf_mode: DtmfMode::None,
            strict,
            symmetric: SymmetricRtp::new(),
            nat: false,
            outgoing: Outgoing::new(),
            receiver: ReceiverStatistics::new(0),
            clock_rates: ClockRates::default(),
            ring: Ring::default(),
            ring_of_others: Ring::default(),
            watch: Watch::Off,
            bundle: Bundle::default(),
            counters: Counters::default(),
            overdue: Overdue::default(),
            notes: Vec::new(),
            activated: false,
            stopped: false,
            learned_remote: None,
            told_remote: None,
            armed: None,
            origin: settings.origin,
            scratch: Vec::new(),
            settings,
        }
    }

    /// The host's instance, while it lives.
    pub fn instance(&self) -> Option<Instance<'_>> {
        // SAFETY: `destroy` clears it under the lock that `self` is borrowed under, before the host
        // frees the instance.
        self.instance.map(|instance| unsafe { Instance::from_ptr(instance) })
    }

    /// The descriptor to poll for that component. The answer never changes.
    ///
    /// Packets of media are all that is kept for the channel, so RTCP is polled at its socket. Without
    /// descriptors to spare the same goes for media, and then none is kept.
    pub fn descriptor(&mut self, component: Component) -> RawFd {
        if component == Component::Rtcp {
            return self.sockets.rtcp.fd();
        }
        let socket = self.sockets.rtp.fd();
        let watched = self.ice.is_some() || self.dtls.is_some();
        if !std::mem::replace(&mut self.handed_out, true) && watched {
            self.pollable = Pollable::over(socket).ok();
            self.signal_waiting(self.has_kept());
        }
        self.pollable.as_ref().map_or(socket, Pollable::fd)
    }

    /// The engine thread reads for a channel that does not.
    pub fn take_from_socket(&mut self, now: Instant, component: Component) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(LARGEST_DATAGRAM, 0);
        let only_for_host = self.is_keyed_by_host();
        for _ in 0..BURST {
            let Some(received) = self.socket(component).receive(&mut scratch) else { break };
            let Some(datagram) = scratch.get_mut(..received.len) else { break };
            if only_for_host && matches!(classify(datagram), Class::Rtp | Class::Rtcp) {
                self.refuse(Refused::RingFull);
                continue;
            }
            if let Some(taken) = self.handle_datagram(now, component, received, datagram) {
                self.keep(&scratch[..taken.len], &taken);
            }
        }
        self.scratch = scratch;
    }

    /// The engine thread takes no more for now.
    pub fn forget_scratch(&mut self) {
        self.scratch = Vec::new();
    }

    /// The oldest packet that was kept for the channel; our own come first.
    pub fn take_kept(&mut self, buffer: &mut [u8]) -> Option<Taken> {
        if !self.has_kept() {
            return None;
        }
        let own = self.ring.take(buffer).map(|(len, from)| Taken { len, from, whose: Whose::Own });
        let taken = own.or_else(|| self.take_kept_for_others(buffer));
        if !self.has_kept() {
            self.signal_waiting(false);
        }
        taken
    }

    fn take_kept_for_others(&mut self, buffer: &mut [u8]) -> Option<Taken> {
        let (len, from) = self.ring_of_others.take(buffer)?;
        let packet = Packet::parse(buffer.get(..len)?).ok()?;
        let whose = match self.bundle.whose(packet.ssrc, self.receiver.ssrc()) {
            // That is news, so it was not counted when it came.
            Whose::Own => Whose::Unknown,
            whose => whose,
        };
        Some(Taken { len, from, whose })
    }

    /// Nobody will come for what was kept.
    pub fn forget_kept(&mut self) {
        (self.ring, self.ring_of_others) = (Ring::default(), Ring::default());
        self.signal_waiting(false);
    }

    /// Time passes for everything that has a clock.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
        }
        if self.instance.is_none() {
            return;
        }
        self.handle_transport_timeout(now);
        self.handle_keys_timeout(now);
        if !self.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Time passes for what is sent under the keys of media: reports and digits.
    fn handle_media_timeout(&mut self, now: Instant) {
        self.handle_rtcp_timeout(now);
        self.handle_digit_timeout(now);
    }

    /// The channel's thread is here: what the engine thread may not do, it does.
    pub fn handle_visit(&mut self, now: Instant) {
        if self.is_keyed_by_host() {
            self.handle_media_timeout(now);
        }
    }

    /// Whether the keys came by SDP (`a=crypto`). chan_sip exchanges them under the channel's lock, and
    /// the original res_srtp frees the old ones then: only a thread of the host may protect or unprotect.
    fn is_keyed_by_host(&self) -> bool {
        self.dtls.is_none() && self.instance().is_some_and(|instance| instance.srtp().is_some())
    }

    /// The next deadline, if the engine thread does not know one as early.
    pub fn rearm(&mut self, now: Instant) -> Option<Instant> {
        let watch = self.watch.poll_timeout().map(|deadline| watch::on_grid(self.origin, now, deadline));
        self.watch_keys(now);
        let media = [self.rtcp.poll_timeout(), self.outgoing.poll_timeout()];
        let media = if self.is_keyed_by_host() { [None; 2] } else { media };
        let next = [self.poll_transport_timeout(), watch, self.overdue.poll_timeout()].into_iter().chain(media);
        // A deadline that has passed is served at once, but not at this very moment for ever.
        let next = next.flatten().min()?.max(now);
        if self.instance.is_none() || self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// The instance is going: the peer is told as far as it can be, and nothing reaches for the
    /// instance any more.
    pub fn end(&mut self) {
        let now = Instant::now();
        self.say_goodbye(now);
        let refusals = self.shown(now).refusals();
        if !refusals.is_empty() {
            self.notes.push(Note::debug(1, format!("RTP session refused: {refusals}")));
        }
        if let Some(ice) = &mut self.ice {
            ice.stop();
        }
        self.dtls = None;
        self.rtcp.keys = None;
        self.instance = None;
        self.watch = Watch::Off;
    }

    /// The socket of that component.
    pub fn socket(&self, component: Component) -> &crate::transport::sockets::MediaSocket {
        match component {
            Component::Rtp => &self.sockets.rtp,
            Component::Rtcp => &self.sockets.rtcp,
        }
    }

    /// Sends one datagram as it is. Whether it went out.
    pub fn send(&self, component: Component, datagram: &[u8], to: SocketAddr, source: Option<IpAddr>) -> bool {
        self.socket(component).send(datagram, to, source).is_ok()
    }

    /// Counts a refusal.
    pub fn refuse(&mut self, reason: Refused) {
        self.counters.add(reason);
    }

    fn keep(&mut self, packet: &[u8], taken: &Taken) {
        // Nobody would be woken for it: it would come out late, behind what is on the socket by then.
        let unseen = self.handed_out && self.pollable.is_none();
        let had_kept = self.has_kept();
        let ring = match taken.whose {
            Whose::Own => &mut self.ring,
            Whose::Child(_) | Whose::Unknown => &mut self.ring_of_others,
        };
        if unseen || ring.keep(packet, taken.from) {
            self.refuse(Refused::RingFull);
        }
        if !had_kept && self.has_kept() {
            self.signal_waiting(true);
        }
    }

    fn has_kept(&self) -> bool {
        !self.ring.is_empty() || !self.ring_of_others.is_empty()
    }

    fn signal_waiting(&self, waiting: bool) {
        if let Some(pollable) = &self.pollable {
            pollable.set_waiting(waiting);
        }
    }
}

/// Clock rates by payload type: what jitter is measured with, where the host cannot be asked.
pub struct ClockRates([Option<u32>; 128]);

impl Default for ClockRates {
    fn default() -> Self {
        Self([None; 128])
    }
}

impl ClockRates {
    /// The reading thread looked it up. 0: this payload says nothing of jitter.
    pub fn learn(&mut self, payload_type: u8, rate: u32) {
        if let Some(known) = self.0.get_mut(usize::from(payload_type)) {
            *known = Some(rate);
        }
    }

    /// Whether it is a payload type of the call.
    pub fn knows(&self, payload_type: u8) -> bool {
        self.0.get(usize::from(payload_type)).is_some_and(Option::is_some)
    }

    /// As far as it is known and of use.
    pub fn of(&self, payload_type: u8) -> Option<u32> {
        self.0.get(usize::from(payload_type)).copied().flatten().filter(|rate| *rate > 0)
    }
}
