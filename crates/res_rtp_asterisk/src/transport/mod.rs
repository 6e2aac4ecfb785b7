//! The transport of a session: its sockets, ICE, DTLS and keys. It decides where packets go, how they are protected, and which
//! datagrams are the peer's.
//!
//! The way in is [`receive`], the way out [`send`]; [`drive`] sends what ICE and DTLS have to say and acts upon what they found.
//! A session that is bundled with another (`bundle.rs`) has a transport of its own as well, which is silent meanwhile.

pub mod arrived;
pub mod certificates;
pub mod contexts;
pub mod drive;
pub mod dtls;
pub mod ice;
pub mod interfaces;
pub mod kept;
pub mod keys;
pub mod receive;
pub mod remote;
pub mod send;
pub mod show;
pub mod sockets;
pub mod watch;

use std::os::fd::RawFd;
use std::time::Instant;

use ::ice::{Component, PerComponent};
use std::sync::Arc;

use asterisk::pollable::AlwaysReadable;
use asterisk::rtp::{Instance, InstancePtr};
use dtls_srtp::{PeerAddress, Phase};
use rtp::rtcp::mux::{self, Mux};

use crate::config::Settings;
use crate::diagnosis::overdue::Overdue;
use dtls::Dtls;
use ice::IceSide;
use kept::Kept;
use keys::SessionKeys;
use remote::Remote;
use sockets::{MediaSocket, Pair};
use watch::Watch;

/// The largest datagram that is received; longer ones are cut off.
pub const LARGEST_DATAGRAM: usize = 8192;

/// Sockets, ICE, DTLS and keys of one session, and what is known of the peer's addresses.
pub struct Transport {
    /// The host's instance, for what lies behind `res_srtp`. `None` once it is going.
    instance: Option<InstancePtr>,
    /// Both sockets, for the life of the session.
    sockets: Pair,
    /// The ICE agent, unless the host stopped it.
    ice: Option<IceSide>,
    /// DTLS, if the host configured it.
    dtls: Option<Dtls>,
    keys: SessionKeys,
    remote: Remote,
    /// Decides whether reports share the port of media (RFC 5761).
    mux: Mux,
    /// Whether the host uses RTCP in this session.
    uses_rtcp: bool,
    /// The host has said that media may start.
    is_activated: bool,
    /// The thread that reads the sockets.
    watch: Watch,
    /// Packets for a channel that does not read.
    kept: Kept,
    overdue: Overdue,
    /// Buffer for datagrams that the worker thread takes; empty until it does.
    scratch: Vec<u8>,
}

impl Transport {
    /// Makes the transport of a session whose peer is not known yet.
    pub fn new(
        now: Instant,
        instance: InstancePtr,
        settings: &Settings,
        sockets: Pair,
        always: Arc<AlwaysReadable>,
    ) -> Self {
        Self {
            instance: Some(instance),
            ice: settings.ice.then(|| IceSide::new(&sockets)),
            sockets,
            dtls: None,
            keys: SessionKeys::default(),
            remote: Remote::new(now, settings),
            mux: Mux::new(settings.rtcp_mux),
            uses_rtcp: false,
            is_activated: false,
            watch: Watch::Off,
            kept: Kept::new(always),
            overdue: Overdue::default(),
            scratch: Vec::new(),
        }
    }

    /// Returns the host's instance while it lives.
    pub fn instance(&self) -> Option<Instance<'_>> {
        // SAFETY: `end` clears it under the lock that `self` is borrowed under, before the host frees the instance.
        self.instance.map(|instance| unsafe { Instance::from_ptr(instance) })
    }

    /// Returns the socket of that component.
    pub fn socket(&self, component: Component) -> &MediaSocket {
        match component {
            Component::Rtp => &self.sockets.rtp,
            Component::Rtcp => &self.sockets.rtcp,
        }
    }

    /// Returns our port for media.
    pub fn port(&self) -> u16 {
        self.sockets.rtp.local().port()
    }

    /// Returns what is known of the peer's addresses.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns what is known of the peer's addresses, to change it.
    pub fn remote_mut(&mut self) -> &mut Remote {
        &mut self.remote
    }

    /// Returns the ICE side, unless the host stopped it.
    pub fn ice(&self) -> Option<&IceSide> {
        self.ice.as_ref()
    }

    /// Returns the ICE side, to change it.
    pub fn ice_mut(&mut self) -> Option<&mut IceSide> {
        self.ice.as_mut()
    }

    /// Returns the DTLS side, to change it.
    pub fn dtls_mut(&mut self) -> Option<&mut Dtls> {
        self.dtls.as_mut()
    }

    /// Returns the record of which thread reads the sockets, to change it.
    pub fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Returns the packets for a channel that does not read.
    pub fn kept_mut(&mut self) -> &mut Kept {
        &mut self.kept
    }

    /// Configures DTLS.
    pub fn set_dtls(&mut self, dtls: Dtls) {
        self.dtls = Some(dtls);
    }

    /// Ends DTLS together with the keys for SRTCP that it agreed.
    pub fn stop_dtls(&mut self) {
        self.dtls = None;
        self.keys.forget_rtcp();
    }

    /// Ends ICE: packets go to the signalled address from now on.
    pub fn stop_ice(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.stop();
        }
        self.ice = None;
    }

    /// The host says that media may start. Returns whether handshakes may begin with that.
    pub fn activate(&mut self) -> bool {
        self.is_activated = true;
        self.dtls.as_mut().map(Dtls::activate).is_some()
    }

    /// Puts in force what the peer's description says of ICE. Returns whether checks are under way.
    pub fn start_ice(&mut self, now: Instant) -> bool {
        let Some(ice) = &mut self.ice else { return false };
        ice.start(now);
        let is_active = ice.is_active();
        if let Some(dtls) = self.dtls.as_mut().filter(|_| is_active) {
            dtls.activate();
        }
        is_active
    }

    /// Whether the peer does ICE: then it alone says where packets go and may come from.
    pub fn is_ice_active(&self) -> bool {
        self.ice.as_ref().is_some_and(IceSide::is_active)
    }

    /// Switches RTCP on or off. The socket stays; reports that came while RTCP was off are no news.
    pub fn set_rtcp(&mut self, on: bool, on_one_port: bool) {
        if on && !self.uses_rtcp && self.ice.is_none() && self.dtls.is_none() {
            let mut stale = [0; 16];
            // As much as a socket's buffer holds of small packets is old news; a flood is not waited for.
            for _ in 0..MOST_STALE {
                if self.sockets.rtcp.receive(&mut stale).is_none() {
                    break;
                }
            }
        }
        self.uses_rtcp = on;
        self.mux.set_negotiated(on_one_port);
    }

    /// Returns whether the host uses RTCP in this session.
    pub fn uses_rtcp(&self) -> bool {
        self.uses_rtcp
    }

    /// Notes that the peer's own reports came in over that component (RFC 5761).
    pub fn handle_report_from(&mut self, component: Component) {
        if self.is_ice_active() {
            self.mux.handle_report(mux_path(component));
        }
    }

    /// Returns whether our description offers one component alone. Without DTLS the peer cannot be told what `rtp.conf` wants.
    pub fn offers_one_component(&self) -> bool {
        self.mux.is_negotiated() || self.dtls.is_some() && self.mux.policy() == mux::Policy::Yes
    }

    /// Whether our description says `a=rtcp-mux`: to DTLS peers, which are those that want it.
    pub fn offers_mux(&self) -> bool {
        self.dtls.is_some() && self.mux.policy() != mux::Policy::No
    }

    /// Returns the descriptor for the host to poll for that component. The answer never changes.
    ///
    /// Only packets of media are kept for the channel, so RTCP is polled at its socket.
    pub fn descriptor(&mut self, component: Component) -> RawFd {
        if component == Component::Rtcp {
            return self.sockets.rtcp.fd();
        }
        let is_watched = self.ice.is_some() || self.dtls.is_some();
        self.kept.descriptor(self.sockets.rtp.fd(), is_watched)
    }

    /// Takes the buffer for datagrams out, to be put back with [`Self::put_scratch`].
    pub fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(LARGEST_DATAGRAM, 0);
        scratch
    }

    /// Puts the buffer back; an empty one frees its memory.
    pub fn put_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// Returns when ICE or DTLS want time, or keys are overdue.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ice = self.ice.as_ref().and_then(IceSide::poll_timeout);
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        [ice, dtls, self.overdue.poll_timeout()].into_iter().flatten().min()
    }

    /// Lets time pass for ICE and DTLS. Returns whether [`Self::drive`] has to be called.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let checked = self.ice.as_mut().is_some_and(|ice| ice.handle_timeout(now));
        let peers = PerComponent::from_fn(|component| self.peer_address(component));
        let shaken = self.dtls.as_mut().is_some_and(|dtls| dtls.handle_timeout(now, peers));
        checked || shaken
    }

    /// Notes whether keys are due and could come.
    pub fn watch_keys(&mut self, now: Instant) {
        let is_due = |dtls: &Dtls| !dtls.is_keyed() || dtls.is_disowned();
        let handshake = self.dtls.as_ref().is_some_and(|dtls| is_due(dtls) && dtls.phase() != Phase::Failed);
        let waiting = handshake && !self.remote.is_stopped() && self.media_route().is_some();
        self.overdue.watch(now, waiting);
    }

    /// Returns whether the call has waited for keys for too long, once in a session.
    pub fn handle_keys_timeout(&mut self, now: Instant) -> bool {
        let overdue = self.overdue.handle_timeout(now);
        if let Some(dtls) = self.dtls.as_mut().filter(|_| overdue) {
            dtls.drop_disowned_keys();
        }
        overdue
    }

    /// Returns whether a DTLS handshake has agreed keys, which sources that are bundled later need as well.
    pub fn has_agreed_keys(&self) -> bool {
        self.keys.has_agreed()
    }

    /// Keys one more source that leaves by this transport. Returns whether the SRTP module took the keys.
    pub fn key_source(&self, ssrc: u32) -> bool {
        self.instance().is_some_and(|instance| self.keys.add_source(instance, ssrc))
    }

    /// Begins anew to count the time that the call waits for keys.
    pub fn forget_overdue(&mut self) {
        self.overdue = Overdue::default();
    }

    /// Falls silent: another session's transport carries the stream from now on.
    pub fn give_up(&mut self) {
        self.stop_ice();
        self.stop_dtls();
        self.overdue = Overdue::default();
        self.remote.resume();
        self.kept.clear();
    }

    /// Carries the stream of its session again.
    pub fn take_up(&mut self, settings: &Settings) {
        self.ice = settings.ice.then(|| IceSide::new(&self.sockets));
    }

    /// Lets go of the host's instance, which is going.
    pub fn end(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.stop();
        }
        self.stop_dtls();
        self.instance = None;
        self.watch = Watch::Off;
    }

    /// Returns what is known of the peer's address at that component before DTLS has proved who the peer is.
    fn peer_address(&self, component: Component) -> PeerAddress {
        match self.is_ice_active() {
            true => PeerAddress::CheckedByIce,
            false => PeerAddress::Signalled(self.remote.signalled(component)),
        }
    }
}

/// Names the component in the words of RFC 5761: with media's, or apart.
fn mux_path(component: Component) -> mux::Path {
    match component {
        Component::Rtp => mux::Path::WithRtp,
        Component::Rtcp => mux::Path::OwnComponent,
    }
}

/// The most datagrams that are thrown away when RTCP is switched on.
const MOST_STALE: usize = 64;
