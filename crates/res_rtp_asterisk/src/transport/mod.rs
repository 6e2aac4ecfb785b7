//! The transport of a session: its sockets, ICE, DTLS and SRTP keys. It decides where packets go, how they are protected, and
//! which datagrams come from the peer.
//!
//! [`receive`] handles received datagrams, [`send`] sends packets, and [`drive`] sends the datagrams of ICE and DTLS and handles
//! their events. A bundled session (`bundle.rs`) keeps its own transport, which stays unused while the parent's carries the stream.

pub mod arrived;
mod capture;
pub mod certificates;
pub mod contexts;
mod described;
mod drive;
pub mod dtls;
mod farewell;
mod handshakes;
pub mod ice;
pub mod interfaces;
pub mod kept;
pub mod keys;
mod mapping;
pub mod names;
mod plain_stun;
pub mod ports;
pub mod receive;
mod reconnect;
pub mod relay;
pub mod remote;
pub mod send;
mod show;
mod silence;
pub mod sockets;
pub mod story;
#[cfg(test)]
pub mod testing;
mod trial;
pub mod watch;

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Instant;

use ::ice::{Component, PerComponent};
use std::sync::Arc;

use asterisk::pollable::AlwaysReadable;
use asterisk::rtp::{ADDRESS_ENDS_DESCRIPTION, HOLD_ACTIVATES_AFTER_STOP, Instance, InstancePtr};
use dtls_srtp::{PeerAddress, Phase, Setup};
use rtp::rtcp::mux::{self, Mux};

use crate::config::Settings;
use crate::diagnosis::capture::Mark;
use crate::diagnosis::gone::Gone;
use crate::diagnosis::overdue::Overdue;
use crate::gathering::Known;
use crate::globals::globals;
use crate::metrics::steps::Steps;
use described::Described;
use dtls::Dtls;
use farewell::Farewell;
use ice::IceSide;
use kept::Kept;
use keys::SessionKeys;
use mapping::Mappings;
use names::Names;
use plain_stun::PlainStun;
use reconnect::Reconnect;
use relay::Relay;
use remote::Remote;
use silence::Silence;
use sockets::{MediaSocket, Pair};
use story::Story;
use watch::Watch;

/// Returns our public addresses as far as they are known; none while the module is not loaded.
fn known() -> Arc<Known> {
    globals().map(|globals| globals.gatherer().known()).unwrap_or_default()
}

/// Largest datagram that is received, in octets. Longer ones are truncated.
pub const LARGEST_DATAGRAM: usize = 8192;

/// The sockets, ICE, DTLS and SRTP keys of one session, and the peer's addresses.
pub struct Transport {
    /// The host's instance, through which the SRTP module is called. `None` once the session has ended.
    instance: Option<InstancePtr>,
    /// The RTP and RTCP sockets, open as long as the session exists.
    sockets: Pair,
    /// Sockets of the pool until checks begin.
    mappings: Option<Mappings>,
    /// The ICE side; `None` if ICE is off or the host stopped it.
    ice: Option<Box<IceSide>>,
    /// The DTLS side; `None` if the host has not configured DTLS.
    dtls: Option<Dtls>,
    /// The sockets for the names of candidates; `None` while none is looked up.
    names: Option<Names>,
    /// The relayed candidate; `None` without one.
    relay: Option<Relay>,
    keys: SessionKeys,
    /// The last capture that wanted this session.
    mark: Mark,
    remote: Remote,
    described: Described,
    plain_stun: PlainStun,
    reconnect: Reconnect,
    /// Decides whether RTCP shares the RTP port (RFC 5761).
    mux: Mux,
    /// Whether the host uses RTCP in this session.
    uses_rtcp: bool,
    /// The host has activated the session: media may start.
    is_activated: bool,
    silence: Silence,
    farewell: Farewell,
    /// Tracks which thread reads the sockets.
    watch: Watch,
    /// Packets that the channel has not read yet.
    kept: Kept,
    overdue: Overdue,
    /// The signs that the peer is gone.
    gone: Gone,
    /// When the steps of the set-up happened.
    steps: Steps,
    /// The events of the session.
    story: Story,
    /// Receive buffer of the worker thread; empty until it reads for this session.
    scratch: Vec<u8>,
}

impl Transport {
    /// Creates the transport of a session whose peer is not known yet.
    pub fn new(
        now: Instant,
        instance: InstancePtr,
        settings: &Settings,
        sockets: Pair,
        always: Arc<AlwaysReadable>,
    ) -> Self {
        Self {
            instance: Some(instance),
            ice: settings.ice.then(|| Box::new(IceSide::new(&sockets, &settings.gathering, &known()))),
            kept: Kept::new(sockets.rtp.receive_buffer(), always),
            mappings: Mappings::of(now, &sockets),
            story: Story::new(now, sockets.rtp.local()),
            sockets,
            dtls: None,
            names: None,
            relay: None,
            keys: SessionKeys::default(),
            mark: Mark::default(),
            remote: Remote::new(now, settings),
            described: Described::default(),
            plain_stun: PlainStun::default(),
            reconnect: Reconnect::default(),
            mux: Mux::new(settings.rtcp_mux),
            uses_rtcp: false,
            is_activated: false,
            silence: Silence::default(),
            farewell: Farewell::default(),
            watch: Watch::Off,
            overdue: Overdue::default(),
            gone: Gone::default(),
            steps: Steps::default(),
            scratch: Vec::new(),
        }
    }

    /// Returns the host's instance until the session ends.
    pub fn instance(&self) -> Option<Instance<'_>> {
        // SAFETY: `end` clears it under the lock that `self` is borrowed under, before the host frees the instance.
        self.instance.map(|instance| unsafe { Instance::from_ptr(instance) })
    }

    /// Returns when the steps of the set-up happened, to add to them.
    pub fn steps_mut(&mut self) -> &mut Steps {
        &mut self.steps
    }

    /// Returns the socket of `component`.
    pub fn socket(&self, component: Component) -> &MediaSocket {
        match component {
            Component::Rtp => &self.sockets.rtp,
            Component::Rtcp => &self.sockets.rtcp,
        }
    }

    /// Returns our UDP port for media.
    pub fn port(&self) -> u16 {
        self.sockets.rtp.local().port()
    }

    /// Returns the peer's addresses.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns the peer's addresses, to change them.
    pub fn remote_mut(&mut self) -> &mut Remote {
        &mut self.remote
    }

    /// Returns the ICE side; `None` if ICE is off or the host stopped it.
    pub fn ice(&self) -> Option<&IceSide> {
        self.ice.as_deref()
    }

    /// Returns the ICE side, to change it; `None` if ICE is off or the host stopped it.
    pub fn ice_mut(&mut self) -> Option<&mut IceSide> {
        self.ice.as_deref_mut()
    }

    /// Returns the DTLS side, to change it; `None` if DTLS is not configured.
    pub fn dtls_mut(&mut self) -> Option<&mut Dtls> {
        self.dtls.as_mut()
    }

    /// Returns the record of which thread reads the sockets, to change it.
    pub fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Returns the packets that the channel has not read yet.
    pub fn kept_mut(&mut self) -> &mut Kept {
        &mut self.kept
    }

    /// Returns whether DTLS is configured.
    pub fn has_dtls(&self) -> bool {
        self.dtls.is_some()
    }

    /// Configures DTLS: from now on media needs keys.
    pub fn set_dtls(&mut self, dtls: Dtls) {
        self.dtls = Some(dtls);
    }

    /// Removes DTLS, and the SRTCP keys of component 2's handshake.
    pub fn stop_dtls(&mut self) {
        self.dtls = None;
        self.keys.forget_rtcp();
    }

    /// Removes ICE: packets go to the signalled address from now on.
    pub fn stop_ice(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.stop();
        }
        self.ice = None;
        self.names = None;
        self.give_relay_back();
    }

    /// Records that the host has activated the session: media may start. Returns whether DTLS is configured and may begin.
    pub fn activate(&mut self, now: Instant) -> bool {
        self.story.note_here(now, ::story::Event::Resumed);
        self.is_activated = true;
        self.steps.handle_activation(now);
        self.silence.handle_activation(now);
        self.gone.handle_activation();
        self.end_description();
        if self.described.was_answer(now) {
            self.forget_owed_restart();
        }
        self.dtls.as_mut().map(Dtls::activate).is_some()
    }

    /// Starts ICE checks with the credentials and candidates of the peer's description. Returns whether the peer uses ICE.
    pub fn start_ice(&mut self, now: Instant) -> bool {
        let Some(ice) = &mut self.ice else { return false };
        ice.start(now);
        let is_active = ice.is_active();
        // chan_sip from 11.11 on also starts a stream that the peer's offer has refused, when it prints its answer.
        if !ADDRESS_ENDS_DESCRIPTION {
            self.handle_description(now);
        }
        self.gone.handle_description(now);
        if is_active {
            self.steps.handle_checks(now);
        }
        if let Some(dtls) = self.dtls.as_mut().filter(|_| is_active) {
            dtls.activate();
        }
        is_active
    }

    /// Records that the host has passed a description of the peer, up to its end: the session is in use.
    pub fn handle_description(&mut self, now: Instant) {
        self.silence.handle_description(now);
        self.end_description();
    }

    /// Records that no more `a=fingerprint` lines of the peer's description follow. The host has no call for it: it passes one line
    /// at a time, then the peer's address, a stop, the start of ICE or the activation.
    fn end_description(&mut self) {
        let has_ice = self.is_ice_active();
        let Some(dtls) = &mut self.dtls else { return };
        let was_disowned = dtls.is_disowned();
        dtls.end_description(has_ice);
        if dtls.is_disowned() && !was_disowned {
            self.overdue = Overdue::default();
        }
    }

    /// Returns the ICE side for a line of the peer's description: credentials or a candidate.
    pub fn ice_of_description(&mut self) -> Option<&mut IceSide> {
        if self.described.handle_ice() {
            // The description before would have been followed by one of ours if it had been an offer.
            self.forget_owed_restart();
        }
        self.ice.as_deref_mut()
    }

    /// Sets the address of the peer's description, which ends it on some hosts. Without a line of ICE in it, ICE ends. Returns
    /// whether checks may begin.
    pub fn set_address(&mut self, now: Instant, address: SocketAddr, settings: &Settings) -> bool {
        self.farewell.handle_change(self.reports_route());
        self.handle_description(now);
        let is_without_ice = self.described.handle_address(now) && self.is_ice_active();
        // Some phones put a call on hold by an address that leads nowhere, and nothing else.
        let drops_ice = is_without_ice && !address.ip().is_unspecified();
        if drops_ice {
            self.drop_ice(settings);
        }
        if drops_ice || self.remote.is_news(Some(address)) {
            self.remote.set_signalled(now, Some(address));
        }
        // An answer in an ACK is not followed by `start`.
        let is_started = self.ice.as_deref().is_some_and(IceSide::is_started);
        ADDRESS_ENDS_DESCRIPTION && is_started && self.start_ice(now)
    }

    /// Ends the use of ICE: media goes to the signalled address, and is taken from there. A later description may use ICE again, with a
    /// new agent.
    fn drop_ice(&mut self, settings: &Settings) {
        self.stop_ice();
        self.gone = Gone::default();
        self.take_up(settings);
    }

    fn forget_owed_restart(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.forget_owed_restart();
        }
    }

    /// Returns whether the host ends the stream if it stops media now, and does not only hold it. Where that cannot be told, the end of
    /// the session is the end of the stream.
    pub fn ends_with_stop(&self, now: Instant) -> bool {
        HOLD_ACTIVATES_AFTER_STOP && self.silence.ends_with_stop(now)
    }

    /// Returns our `a=setup` value for a description that the host is about to print, with DTLS. In an established call it is an offer
    /// unless the peer's description has just arrived.
    pub fn describe_setup(&mut self, now: Instant) -> Option<Setup> {
        let is_offer = self.described.was_answer(now);
        let dtls = self.dtls.as_mut()?;
        if is_offer && dtls.is_keyed() {
            dtls.offer_again();
        }
        Some(dtls.setup())
    }

    /// Stops media at the host's request. If the host always activates a session again that it only holds, the session falls silent
    /// until then.
    pub fn stop_media(&mut self, now: Instant) {
        self.story.note_here(now, ::story::Event::Stopped);
        self.farewell.handle_stop(now, self.reports_route());
        self.remote.stop();
        self.end_description();
        self.described.handle_stop();
        if HOLD_ACTIVATES_AFTER_STOP {
            self.silence.handle_stop(now);
        }
    }

    /// Returns whether nothing is sent, except for answers to the peer's checks, because the host has stopped the session.
    pub fn is_silent(&self) -> bool {
        self.silence.is_silent()
    }

    /// Returns whether the peer uses ICE. Then only checked pairs decide where packets go and where they may come from.
    pub fn is_ice_active(&self) -> bool {
        self.ice.as_deref().is_some_and(IceSide::is_active)
    }

    /// Turns RTCP on or off. Turning it on discards datagrams that arrived while it was off. `on_one_port`: the host has
    /// negotiated `a=rtcp-mux` (RFC 5761).
    pub fn set_rtcp(&mut self, on: bool, on_one_port: bool) {
        if on && !self.uses_rtcp && self.ice.is_none() && self.dtls.is_none() {
            let mut stale = [0; 16];
            // The limit keeps a flood of datagrams from holding up the call.
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

    /// Records that the peer sends its RTCP over `component`, which decides whether ours is multiplexed too (RFC 5761).
    pub fn handle_report_from(&mut self, component: Component) {
        if self.is_ice_active() {
            self.mux.handle_report(mux_path(component));
        }
    }

    /// Returns whether our description contains candidates of component 1 only, because RTCP is multiplexed. Without DTLS we never
    /// offer `a=rtcp-mux` by ourselves, so `rtcpmux=yes` needs DTLS.
    pub fn offers_one_component(&self) -> bool {
        self.mux.is_negotiated() || self.dtls.is_some() && self.mux.policy() == mux::Policy::Yes
    }

    /// Returns the candidates for our description.
    pub fn offered_candidates(&self) -> Vec<::ice::Candidate> {
        let on_one_port = self.offers_one_component();
        let mut candidates = self.ice.as_deref().map(IceSide::described_candidates).unwrap_or_default();
        candidates.retain(|candidate| !on_one_port || candidate.component == Component::Rtp);
        candidates
    }

    /// Returns whether our description should offer `a=rtcp-mux` (RFC 5761): in DTLS sessions, unless `rtcpmux=no`.
    pub fn offers_mux(&self) -> bool {
        self.dtls.is_some() && self.mux.policy() != mux::Policy::No
    }

    /// Returns the descriptor that the host polls for `component`. The first result is final.
    ///
    /// Only media packets are kept for the channel, so for RTCP this is the socket.
    pub fn descriptor(&mut self, component: Component) -> RawFd {
        if component == Component::Rtcp {
            return self.sockets.rtcp.fd();
        }
        let is_watched = self.ice.is_some() || self.dtls.is_some();
        self.kept.descriptor(self.sockets.rtp.fd(), is_watched)
    }

    /// Hides what the media socket holds from the host, because another thread reads it. Returns the socket; fails if the process
    /// has no descriptor left. Only for a session without ICE and DTLS whose sockets nobody else waits for.
    pub fn hide_socket(&mut self) -> std::io::Result<RawFd> {
        self.kept.hide(&mut self.sockets.rtp)?;
        Ok(self.sockets.rtp.fd())
    }

    /// Shows the host again what the media socket holds.
    pub fn unhide_socket(&mut self) {
        self.kept.unhide(self.sockets.rtp.fd());
    }

    /// Takes the worker thread's receive buffer out, [`LARGEST_DATAGRAM`] octets long. [`Self::put_scratch`] returns it.
    pub fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(LARGEST_DATAGRAM, 0);
        scratch
    }

    /// Returns the buffer of [`Self::take_scratch`]. An empty vector frees the memory instead.
    pub fn put_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// Returns the next deadline of ICE, DTLS, the allocation at a TURN server and the warning about overdue keys. While the session is
    /// silent, only the allocation has one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let relay = self.relay_timeout();
        if self.is_silent() {
            return relay;
        }
        let ice = self.ice.as_deref().and_then(IceSide::poll_timeout);
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        let own = [self.overdue.poll_timeout(), self.reconnect.poll_timeout(), self.mappings_timeout()];
        [ice, dtls, relay].into_iter().chain(own).flatten().min()
    }

    /// Runs the timers of ICE and DTLS. Returns whether [`Self::drive`] has to be called.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.is_silent() {
            self.names = None;
            return false;
        }
        self.keep_mappings(now);
        let checked = self.ice.as_mut().is_some_and(|ice| ice.handle_timeout(now));
        self.ask_for_names();
        let peers = PerComponent::from_fn(|component| self.peer_address(component));
        let shaken = self.dtls.as_mut().is_some_and(|dtls| dtls.handle_timeout(now, peers));
        let reconnects = self.handle_doubt(now);
        checked || shaken || reconnects
    }

    /// Sends the queries for names that are due. The sockets are open for as long as a name is looked up.
    fn ask_for_names(&mut self) {
        let Some(ice) = self.ice.as_mut().filter(|ice| ice.is_looking_up()) else {
            self.names = None;
            return;
        };
        let mut buffer = [0; ::ice::mdns::MAX_QUERY];
        while let Some(len) = ice.poll_query(&mut buffer) {
            let names = self.names.get_or_insert_with(|| Names::open(ice.own_addresses()));
            names.ask(buffer.get(..len).unwrap_or_default());
        }
    }

    /// Takes in the answers that have arrived for names.
    pub fn receive_names(&mut self, now: Instant) {
        let (Some(ice), Some(names)) = (&mut self.ice, &mut self.names) else { return };
        names.reported();
        let mut buffer = [0; names::LARGEST];
        for _ in 0..MOST_ANSWERS {
            let Some(datagram) = names.receive(&mut buffer) else { break };
            ice.handle_answer(now, datagram);
        }
    }

    /// Returns the sockets for the names of candidates; `None` while none is looked up.
    pub fn names_mut(&mut self) -> Option<&mut Names> {
        self.names.as_mut()
    }

    /// Records whether the session waits for DTLS keys: it has a route, and a handshake that has not failed.
    pub fn watch_keys(&mut self, now: Instant) {
        let is_due = |dtls: &Dtls| !dtls.is_keyed() || dtls.is_disowned();
        let handshake = self.dtls.as_ref().is_some_and(|dtls| is_due(dtls) && dtls.phase() != Phase::Failed);
        let waiting = handshake && !self.remote.is_stopped() && self.media_route().is_some();
        self.overdue.watch(now, waiting);
    }

    /// Returns true, once per session, when the DTLS keys are overdue. Keys of a disowned certificate are then dropped.
    pub fn handle_keys_timeout(&mut self, now: Instant) -> bool {
        let overdue = self.overdue.handle_timeout(now);
        if let Some(dtls) = self.dtls.as_mut().filter(|_| overdue) {
            dtls.drop_disowned_keys();
        }
        overdue
    }

    /// Returns the signs that the peer is gone. Without ICE, and while the host has stopped the session, they mean nothing. Without
    /// DTLS neither: media of such a call may bypass us (`directmedia`), and its peers then close their ICE with us.
    pub fn gone(&self) -> Option<&Gone> {
        Some(&self.gone).filter(|_| self.is_ice_active() && self.dtls.is_some() && !self.is_silent())
    }

    /// Returns the signs that the peer is gone, to change them.
    pub fn gone_mut(&mut self) -> &mut Gone {
        &mut self.gone
    }

    /// Stops using this transport, because a parent's carries the stream now.
    pub fn give_up(&mut self) {
        self.stop_ice();
        self.stop_dtls();
        self.overdue = Overdue::default();
        self.remote.resume();
        self.kept.clear();
    }

    /// Prepares this transport to carry its session's stream again, with a new ICE agent.
    pub fn take_up(&mut self, settings: &Settings) {
        self.ice = settings.ice.then(|| Box::new(IceSide::new(&self.sockets, &settings.gathering, &known())));
    }

    /// Drops everything that depends on the host's instance, which is about to be freed.
    pub fn end(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.stop();
        }
        self.stop_dtls();
        self.names = None;
        self.give_relay_back();
        self.instance = None;
        self.watch = Watch::Off;
    }

    /// Returns how far the peer's address at `component` is known before the DTLS handshake has authenticated the peer.
    fn peer_address(&self, component: Component) -> PeerAddress {
        let signalled = self.remote.signalled(component);
        // A peer that checks before its description has arrived uses ICE.
        let is_early = signalled.is_none() && self.ice.as_ref().is_some_and(|ice| ice.has_early_check(component, None));
        if self.is_ice_active() || is_early { PeerAddress::CheckedByIce } else { PeerAddress::Signalled(signalled) }
    }
}

/// Converts the component to the RTCP path of RFC 5761: multiplexed with RTP, or separate.
fn mux_path(component: Component) -> mux::Path {
    match component {
        Component::Rtp => mux::Path::WithRtp,
        Component::Rtcp => mux::Path::OwnComponent,
    }
}

/// Most answers for names that are read before the worker thread turns to other sessions.
const MOST_ANSWERS: usize = 32;

/// Most stale datagrams that are discarded when RTCP is turned on.
const MOST_STALE: usize = 64;
