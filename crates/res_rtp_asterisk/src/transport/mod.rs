//! ICE, DTLS and SRTP of a session put together: whatever came in, the answers go out, events are
//! acted upon, and routes and keys follow.

pub mod admission;
pub mod certificates;
pub mod contexts;
pub mod dtls;
pub mod ice;
pub mod interfaces;
pub mod kept;
pub mod pollable;
pub mod receive;
pub mod sockets;
pub mod watch;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::ice::Component;
use asterisk::limit::RateLimit;
use asterisk::rtp::{OwnedSrtp, PolicySsrc, SrtpPolicy, Suite, Which};
use dtls_srtp::{Keys, MasterKey, Profile};

use crate::diagnosis::counters::Refused;
use crate::media::outgoing::Route;
use crate::notes::Note;
use crate::state::State;
use crate::transport::admission::Admission;
use crate::transport::dtls::Phase;

/// What media has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// As it is.
    Plain,
    /// Protected by the instance's keys.
    Srtp,
    /// Protected by keys that are not there yet: neither sent nor accepted.
    Due,
}

impl State {
    /// Where media goes; `None` while it goes nowhere.
    pub fn media_route(&self) -> Option<Route> {
        if self.stopped { None } else { self.of_transport(State::transport_route).flatten() }
    }

    /// Where everything goes that leaves by our transport, whether or not our own media is stopped.
    fn transport_route(&self) -> Option<Route> {
        match &self.ice {
            Some(ice) if ice.is_active() => ice.route(Component::Rtp).or_else(|| self.fallback_route()),
            _ => self.signalled_route(),
        }
    }

    /// What media has to be at this moment.
    pub fn protection(&self) -> Protection {
        if !self.bundle.has_own_transport() {
            return self.of_transport(State::protection_of_children).unwrap_or(Protection::Due);
        }
        match &self.dtls {
            Some(dtls) if !dtls.keyed => Protection::Due,
            Some(_) => Protection::Srtp,
            None if self.instance().is_some_and(|instance| instance.srtp().is_some()) => Protection::Srtp,
            None => Protection::Plain,
        }
    }

    /// Sends one packet of media or RTCP with what protection there has to be. Whether it went out.
    pub fn send_protected(&mut self, component: Component, which: Which, packet: &mut [u8], route: Route) -> bool {
        let (to, source) = route;
        let sent = match self.protection() {
            Protection::Plain | Protection::Srtp if !self.bundle.has_own_transport() => {
                let sent = self.through_parent(|parent| parent.send_for_child(component, which, packet, route));
                sent.unwrap_or(false)
            }
            Protection::Due => false,
            Protection::Plain => self.send(component, packet, to, source),
            Protection::Srtp => {
                let mut sent = false;
                let mut send = |protected: &[u8]| sent = self.send(component, protected, to, source);
                let on_its_own = which == Which::Rtcp && component == Component::Rtcp;
                let own = self.rtcp.keys.as_ref().filter(|_| on_its_own && self.rtcp.answers_with_own_keys);
                let protected = match own {
                    Some(own) => own.borrow().protect(packet, which, &mut send),
                    None => match self.instance().and_then(|instance| instance.srtp()) {
                        Some(srtp) => srtp.protect(packet, which, &mut send),
                        None => return false,
                    },
                };
                protected.is_ok() && sent
            }
        };
        if !sent {
            self.refuse(Refused::Unsendable);
        }
        sent
    }

    /// What was true when the child asked may be so no more.
    fn send_for_child(&mut self, component: Component, which: Which, packet: &mut [u8], route: Route) -> bool {
        self.protection_of_children() != Protection::Due && self.send_protected(component, which, packet, route)
    }

    /// A STUN datagram.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        component: Component,
        received: &crate::transport::sockets::Received,
        datagram: &[u8],
    ) {
        let path = ::ice::Path { component, local: received.to, remote: received.from };
        let taken = self.ice.as_mut().is_some_and(|ice| ice.agent.handle_stun(now, path, datagram).is_ok());
        if !taken {
            self.refuse(Refused::Stun);
        }
        self.drive(now);
    }

    /// A DTLS datagram.
    pub fn handle_dtls(
        &mut self,
        now: Instant,
        component: Component,
        received: &crate::transport::sockets::Received,
        datagram: &[u8],
    ) {
        let path = (received.from, received.to);
        let admission = match &self.ice {
            Some(ice) if ice.is_active() => {
                let valid = ice.is_valid(component, received.to, received.from);
                self.dtls.as_mut().filter(|_| valid).map(|dtls| dtls.take(now, component, path, datagram))
            }
            Some(_) | None => self.admit(now, component, path, datagram),
        };
        match admission.unwrap_or(Admission::Refused) {
            Admission::Taken => {}
            Admission::Answer(answer) => {
                self.send(component, &answer, received.from, Some(received.to.ip()));
            }
            Admission::Refused => self.refuse(Refused::Dtls),
        }
        self.drive(now);
    }

    /// Without ICE it is the address that counts. Behind a NAT nobody knows the peer's before its first datagram.
    fn admit(
        &mut self,
        now: Instant,
        component: Component,
        path: (SocketAddr, SocketAddr),
        datagram: &[u8],
    ) -> Option<Admission> {
        let signalled = self.signalled(component);
        let dtls = self.dtls.as_mut().filter(|_| signalled == Some(path.0) || self.nat)?;
        Some(dtls.admit(now, component, signalled, path, datagram))
    }

    /// A deadline may have come.
    pub fn handle_transport_timeout(&mut self, now: Instant) {
        let mut due = false;
        if let Some(ice) = self.ice.as_mut().filter(|ice| ice.agent.poll_timeout().is_some_and(|at| at <= now)) {
            ice.agent.handle_timeout(now);
            due = true;
        }
        if let Some(dtls) = self.dtls.as_mut().filter(|dtls| dtls.poll_timeout().is_some_and(|at| at <= now)) {
            dtls.links
                .iter_mut()
                .filter_map(|link| link.session.as_mut())
                .for_each(|session| session.handle_timeout(now));
            self.forget_stalled_handshakes(now);
            due = true;
        }
        if due {
            self.drive(now);
        }
    }

    fn forget_stalled_handshakes(&mut self, now: Instant) {
        let signalled = Component::ALL.map(|component| self.signalled(component));
        if let Some(dtls) = self.dtls.as_mut().filter(|_| !self.ice.as_ref().is_some_and(|ice| ice.is_active())) {
            dtls.forget_stalled(now, signalled);
        }
    }

    /// When ICE or DTLS next want time.
    pub fn poll_transport_timeout(&self) -> Option<Instant> {
        let ice = self.ice.as_ref().and_then(|ice| ice.agent.poll_timeout());
        let dtls = self.dtls.as_ref().and_then(|dtls| dtls.poll_timeout());
        [ice, dtls].into_iter().flatten().min()
    }

    /// After any input: sends what is to be sent and acts upon what has happened, until neither
    /// brings anything new.
    pub fn drive(&mut self, now: Instant) {
        for _ in 0..MOST_ROUNDS {
            let selected = self.drive_ice();
            self.begin_handshakes(now);
            let connected = self.drive_dtls();
            if !selected && !connected {
                break;
            }
        }
    }

    fn drive_ice(&mut self) -> bool {
        let Some(mut ice) = self.ice.take() else { return false };
        let mut buffer = [0; ::ice::MAX_DATAGRAM];
        while let Some(transmit) = ice.agent.poll_transmit(&mut buffer) {
            let path = transmit.path;
            if let Some(datagram) = buffer.get(..transmit.len) {
                self.send(path.component, datagram, path.remote, Some(path.local.ip()));
            }
        }
        let mut selected = false;
        while let Some(event) = ice.agent.poll_event() {
            selected |= matches!(event, ::ice::Event::Selected { .. });
            self.handle_ice_event(event);
        }
        self.ice = Some(ice);
        selected
    }

    fn handle_ice_event(&mut self, event: ::ice::Event) {
        let text = match event {
            ::ice::Event::Selected { component, path } => {
                match component {
                    // On hold it is no news: the host would take it for the end of that.
                    Component::Rtp if self.stopped => {}
                    Component::Rtp => self.learned_remote = Some(path.remote),
                    Component::Rtcp => self.rtcp.handle_pair_selected(),
                }
                format!("ICE: component {} goes from {} to {}", component.id(), path.local, path.remote)
            }
            ::ice::Event::ComponentFailed { component: Component::Rtcp } => "ICE: no pair for component 2".to_owned(),
            ::ice::Event::ComponentFailed { component } => {
                // Some hosts start checks with the INVITE, and nobody may have answered yet.
                if self.activated {
                    let text = format!("ICE: no way to the peer was found for component {}", component.id());
                    self.warn(&text);
                }
                return;
            }
            ::ice::Event::ConsentLost { component } => {
                let text = format!("ICE: the peer stopped answering on component {}, sending pauses", component.id());
                // After the call nobody answers any more; chan_sip keeps the instance for a while.
                if component == Component::Rtp && !self.stopped {
                    self.warn(&text);
                    return;
                }
                text
            }
            ::ice::Event::RoleChanged(role) => format!("ICE: role conflict, we are {role:?} now"),
            other => format!("ICE: {other:?}"),
        };
        self.notes.push(Note::debug(1, text));
    }

    /// Handshakes that we are to begin and for which there is a way by now.
    fn begin_handshakes(&mut self, now: Instant) {
        for component in Component::ALL {
            let way = self.dtls_route(component).is_some() && self.wants_own_handshake(component);
            if let Some(dtls) = self.dtls.as_mut().filter(|_| way) {
                dtls.begin_if_active(now, component);
            }
        }
    }

    fn wants_own_handshake(&self, component: Component) -> bool {
        component == Component::Rtp || self.rtcp.is_on && self.rtcp.may_use_component_2()
    }

    fn drive_dtls(&mut self) -> bool {
        let mut connected = false;
        for component in Component::ALL {
            let Some(mut session) = self.dtls.as_mut().and_then(|dtls| dtls.link(component).session.take()) else {
                continue;
            };
            let mut buffer = [0; LARGEST_DTLS];
            while let Some(len) = session.poll_transmit(&mut buffer) {
                if let (Some((to, source)), Some(datagram)) = (self.dtls_route(component), buffer.get(..len)) {
                    self.send(component, datagram, to, source);
                }
            }
            // Put back first: what an event does may be to forget it.
            let mut events = Vec::new();
            while let Some(event) = session.poll_event() {
                events.push(event);
            }
            if let Some(dtls) = &mut self.dtls {
                dtls.link(component).session = Some(session);
            }
            for event in events {
                connected = true;
                self.handle_dtls_event(component, event);
            }
        }
        connected
    }

    fn handle_dtls_event(&mut self, component: Component, event: dtls_srtp::Event) {
        match event {
            dtls_srtp::Event::Connected(keys) => {
                let installed = match component {
                    Component::Rtp => self.install_keys(&keys),
                    Component::Rtcp => self.install_rtcp_keys(&keys),
                };
                self.set_phase(component, if installed { Phase::Connected } else { Phase::Failed });
                let text = format!("DTLS: component {} is connected, {:?}", component.id(), keys.profile);
                if installed {
                    self.notes.push(Note::debug(1, text));
                } else {
                    self.warn(&format!("{text}, but the SRTP module does not take the keys"));
                }
            }
            dtls_srtp::Event::Failed(failure) if self.is_with_stranger(component) => {
                self.start_link_over(component);
                if REFUSED.allow().is_some() {
                    let text = format!("DTLS: a handshake for component {} failed: {failure}", component.id());
                    self.warn(&text);
                }
            }
            dtls_srtp::Event::Failed(failure) => {
                self.set_phase(component, Phase::Failed);
                let text = format!("DTLS: the handshake of component {} failed: {failure}", component.id());
                if component == Component::Rtp {
                    self.drop_disowned_keys();
                }
                // The peer may not know a handshake of component 2 at all, and after the call it answers none.
                if component == Component::Rtp && !self.stopped {
                    self.warn(&text);
                } else {
                    self.notes.push(Note::debug(1, text));
                }
            }
            dtls_srtp::Event::Refused(failure) => {
                if self.is_with_stranger(component) {
                    self.start_link_over(component);
                }
                if REFUSED.allow().is_some() {
                    let text =
                        format!("DTLS: a ClientHello for component {} cannot be accepted: {failure}", component.id());
                    self.warn(&text);
                }
            }
            dtls_srtp::Event::Closed => {
                // The keys stay; of the association there is nothing left to say.
                if let Some(dtls) = &mut self.dtls {
                    let link = dtls.link(component);
                    link.session = None;
                    if link.phase == Phase::Handshaking {
                        link.phase = Phase::Failed;
                        if component == Component::Rtp {
                            dtls.drop_disowned_keys();
                        }
                    }
                }
                self.notes.push(Note::debug(1, format!("DTLS: the peer closed component {}", component.id())));
            }
        }
    }

    /// A warning that says which call it is about.
    pub fn warn(&mut self, text: &str) {
        let port = self.sockets.rtp.local().port();
        let peer = self.media_route().map(|(to, _)| to).or(self.symmetric.rtp());
        let peer = peer.map_or_else(|| "an unknown peer".to_owned(), |peer| peer.to_string());
        self.notes.push(Note::Warning(format!("RTP port {port}, {peer}: {text}")));
    }

    fn set_phase(&mut self, component: Component, phase: Phase) {
        if let Some(dtls) = &mut self.dtls {
            let link = dtls.link(component);
            link.phase = phase;
            if phase == Phase::Failed {
                link.session = None;
            }
        }
    }

    /// The handshake that was due is not going to be: see [`crate::transport::dtls::Dtls::drop_disowned_keys`].
    pub fn drop_disowned_keys(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.drop_disowned_keys();
        }
    }

    fn install_keys(&mut self, keys: &Keys) -> bool {
        let Some((remote, local)) = policies(keys, self.outgoing.ssrc()) else { return false };
        let installed = self.instance().is_some_and(|instance| instance.add_srtp_policy(&remote, &local).is_ok());
        if let Some(dtls) = self.dtls.as_mut().filter(|_| installed) {
            dtls.set_keyed();
            self.key_children(keys);
        }
        installed
    }

    /// The association of component 2 keys SRTCP alone, in an object of our own: the core has room
    /// for one, and that is for media.
    fn install_rtcp_keys(&mut self, keys: &Keys) -> bool {
        let Some((remote, local)) = policies(keys, self.outgoing.ssrc()) else { return false };
        let Some(instance) = self.instance() else { return false };
        // SAFETY: it is kept in `rtcp.keys` alone, which `State::end` clears before the host frees the
        // instance; after a panic that keeps `end` out nobody gets at it any more but to drop it.
        let own = unsafe { OwnedSrtp::create(instance, &local) }.and_then(|own| own.add_stream(&remote).map(|()| own));
        match own {
            Ok(own) => {
                self.rtcp.keys = Some(own);
                // Until a report of the peer says otherwise.
                self.rtcp.answers_with_own_keys = true;
                true
            }
            Err(_) => false,
        }
    }

    /// Where DTLS of that component goes: the selected pair, before that where the peer's came from.
    fn dtls_route(&self, component: Component) -> Option<Route> {
        let last = || {
            let dtls = self.dtls.as_ref()?;
            let (from, to) = dtls.links[usize::from(component == Component::Rtcp)].from?;
            Some((from, Some(to.ip())))
        };
        match &self.ice {
            Some(ice) if ice.is_active() => ice.route(component).or_else(last),
            _ if component == Component::Rtp => last().or_else(|| self.signalled_route()),
            _ => last().or_else(|| self.symmetric.rtcp().filter(|to| is_address(*to)).map(|to| (to, None))),
        }
    }

    /// Without a pair: the signalled address, unless DTLS wants a pair that was checked.
    fn fallback_route(&self) -> Option<Route> {
        if self.dtls.is_some() { None } else { self.signalled_route() }
    }

    fn signalled_route(&self) -> Option<Route> {
        self.symmetric.rtp().filter(|to| is_address(*to)).map(|to| (to, None))
    }

    fn signalled(&self, component: Component) -> Option<SocketAddr> {
        if component == Component::Rtp { self.symmetric.rtp() } else { self.symmetric.rtcp() }
    }

    /// Whether a handshake is with somebody of whom only its end tells whether it is the peer.
    fn is_with_stranger(&self, component: Component) -> bool {
        let is_checked = self.ice.as_ref().is_some_and(|ice| ice.is_active());
        let link = self.dtls.as_ref().map(|dtls| &dtls.links[usize::from(component == Component::Rtcp)]);
        !is_checked && link.is_some_and(|link| link.is_with_another(self.signalled(component)))
    }

    fn start_link_over(&mut self, component: Component) {
        if let Some(dtls) = &mut self.dtls {
            dtls.start_link_over(component);
        }
    }
}

/// Hold in the old way: an address that says "nowhere" (RFC 2543).
pub fn is_address(address: SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

/// What the peer protects with, and what we do.
fn policies(keys: &Keys, ssrc: u32) -> Option<(SrtpPolicy, SrtpPolicy)> {
    Some((policy(keys.profile, &keys.remote, PolicySsrc::AnyInbound)?, outbound_policy(keys, ssrc)?))
}

/// What we protect that source with.
pub fn outbound_policy(keys: &Keys, ssrc: u32) -> Option<SrtpPolicy> {
    policy(keys.profile, &keys.local, PolicySsrc::Specific(ssrc))
}

fn policy(profile: Profile, master: &MasterKey, ssrc: PolicySsrc) -> Option<SrtpPolicy> {
    let suite = match profile {
        Profile::Aes128CmSha1_80 => Suite::AesCm128HmacSha1_80,
        Profile::Aes128CmSha1_32 => Suite::AesCm128HmacSha1_32,
        _ => return None,
    };
    SrtpPolicy::new(suite, &master.key, &master.salt, ssrc).ok()
}

/// Without ICE anybody might send one.
static REFUSED: RateLimit = RateLimit::new(Duration::from_secs(10), 3);

/// Each brings something new or ends it; this many never happen.
const MOST_ROUNDS: usize = 8;

/// A flight's datagram stays below the MTU of any path.
const LARGEST_DTLS: usize = 1500;
