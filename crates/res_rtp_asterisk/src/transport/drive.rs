//! Drives ICE and DTLS after any input: sends their datagrams and handles their events until neither has more.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::ice::Component;
use asterisk::limit::RateLimit;
use dtls_srtp::{AssociationEvent, Failure, Keys, Phase};

use super::Transport;
use super::dtls::Dtls;
use crate::metrics::kept;
use crate::notes::Note;

/// Limits log lines about handshake failures that anyone on the network can cause.
static STRANGERS: RateLimit = RateLimit::new(Duration::from_secs(10), 3);

/// Limit of rounds in one call of [`Transport::drive`]. Each round but the last handles at least one event, so the
/// limit is never reached in practice.
const MOST_ROUNDS: usize = 8;

/// Buffer size for a DTLS datagram; the `dtls-srtp` crate keeps its datagrams below the path MTU.
const LARGEST_DTLS: usize = 1500;

impl Transport {
    /// Sends the datagrams of ICE and DTLS and handles their events. New SRTP keys are installed for our `ssrc`; log lines go to
    /// `notes`. Returns whether there are new keys, which the caller must install for bundled sources as well.
    pub fn drive(&mut self, now: Instant, ssrc: u32, notes: &mut Vec<Note>) -> bool {
        let mut is_rekeyed = false;
        for _ in 0..MOST_ROUNDS {
            let selected = self.drive_ice(now, notes);
            self.begin_handshakes(now);
            let shaken = self.drive_dtls(now, ssrc, notes, &mut is_rekeyed);
            if !selected && !shaken {
                break;
            }
        }
        self.note_progress(now);
        is_rekeyed
    }

    /// Sends the agent's datagrams and handles its events. Returns whether a pair was selected.
    fn drive_ice(&mut self, now: Instant, notes: &mut Vec<Note>) -> bool {
        let mut buffer = [0; ::ice::MAX_DATAGRAM];
        while let Some(transmit) = self.ice.as_mut().and_then(|ice| ice.poll_transmit(&mut buffer)) {
            let path = transmit.path;
            let Some(datagram) = buffer.get(..transmit.len) else { continue };
            match transmit.is_response {
                true => self.send_response(path.component, datagram, path.remote, Some(path.local)),
                false => self.send_plain(path.component, datagram, path.remote, Some(path.local)),
            };
        }
        let mut selected = false;
        while let Some(event) = self.ice.as_mut().and_then(|ice| ice.poll_event()) {
            selected |= matches!(event, ::ice::Event::Selected { .. });
            notes.push(self.handle_ice_event(now, event));
        }
        selected
    }

    pub(super) fn handle_ice_event(&mut self, now: Instant, event: ::ice::Event) -> Note {
        use ::ice::Event;
        let text = match event {
            Event::Selected { component, path } => {
                self.note_progress(now);
                self.story.note_selected(now, component, &path);
                self.bind_channel(now, &path);
                match component {
                    Component::Rtp => {
                        self.steps.handle_pair(now);
                        if let Some(ice) = &self.ice {
                            self.count(|| kept::count_pair(ice.agent(), &path));
                        }
                        self.gone.handle_pair_selected();
                        self.remote.handle_selected(path.remote);
                        self.doubt_connection(now, path.remote);
                    }
                    Component::Rtcp => self.mux.handle_pair_selected(),
                }
                if let Some(dtls) = &mut self.dtls {
                    dtls.handle_new_path(now, component);
                }
                format!("ICE: component {} selected the pair {} to {}", component.id(), path.local, path.remote)
            }
            Event::ComponentFailed { component: Component::Rtcp } => "ICE: component 2 has no working pair".to_owned(),
            Event::ComponentFailed { component } => {
                self.note_failed_pairs(now, component);
                if self.ice.as_ref().is_some_and(|ice| ice.route(component).is_none()) {
                    self.gone.handle_no_pair(now);
                }
                let text = format!("ICE: component {} has no working pair, every check failed", component.id());
                // Some hosts start checks with the INVITE. Before the call is answered, failed checks are normal.
                if self.is_activated {
                    self.count(|| kept::ICE_FAILURES.fetch_add(1, Ordering::Relaxed));
                    return self.warning(&text);
                }
                text
            }
            Event::ConsentLost { component } => {
                // `diagnosis/gone.rs` warns of it, together with what follows.
                if component == Component::Rtp {
                    self.count(|| kept::CONSENTS_LOST.fetch_add(1, Ordering::Relaxed));
                    self.story.note_here(now, ::story::Event::ConsentLost(1));
                    self.gone.handle_consent_lost(now);
                }
                format!("ICE: the peer stopped answering checks on component {}, sending is paused", component.id())
            }
            Event::PathLost { component } => {
                format!("ICE: component {} has lost the path that it used, and checks the others", component.id())
            }
            Event::RoleChanged(role) => format!("ICE: our role changed to {role:?} in a role conflict"),
            other => format!("ICE: {other:?}"),
        };
        Note::debug(1, text)
    }

    /// Begins handshakes in which we are the DTLS client (RFC 5763 §5), once there is a route.
    fn begin_handshakes(&mut self, now: Instant) {
        if self.is_silent() {
            return;
        }
        for component in Component::ALL {
            let is_wanted = component == Component::Rtp || self.uses_rtcp && self.mux.may_use_own_component();
            let has_way = is_wanted && self.dtls_route(component).is_some();
            if let Some(dtls) = self.dtls.as_mut().filter(|_| has_way) {
                dtls.begin_if_active(now, component);
            }
        }
    }

    /// Sends the associations' datagrams and handles their events. Returns whether there was an event.
    fn drive_dtls(&mut self, now: Instant, ssrc: u32, notes: &mut Vec<Note>, is_rekeyed: &mut bool) -> bool {
        let mut happened = false;
        for component in Component::ALL {
            self.flush_dtls(component);
            let peer = self.peer_address(component);
            while let Some(event) = self.dtls.as_mut().and_then(|dtls| dtls.poll_event(component, peer)) {
                happened = true;
                if let AssociationEvent::Connected(keys) = event {
                    notes.push(self.install_keys(now, component, &keys, ssrc, is_rekeyed));
                    self.count_handshake(now, component, &keys);
                } else {
                    notes.extend(self.handle_failure(now, component, event));
                }
                self.flush_dtls(component);
            }
        }
        happened
    }

    fn flush_dtls(&mut self, component: Component) {
        let mut buffer = [0; LARGEST_DTLS];
        while let Some(len) = self.dtls.as_mut().and_then(|dtls| dtls.poll_transmit(component, &mut buffer)) {
            if let (Some((to, source)), Some(datagram)) = (self.dtls_route(component), buffer.get(..len)) {
                self.send_plain(component, datagram, to, source);
            }
        }
    }

    fn install_keys(
        &mut self,
        now: Instant,
        component: Component,
        keys: &Keys,
        ssrc: u32,
        is_rekeyed: &mut bool,
    ) -> Note {
        // SAFETY: see `Transport::instance`, which cannot be called here because `keys` is borrowed mutably.
        let instance = self.instance.map(|instance| unsafe { asterisk::rtp::Instance::from_ptr(instance) });
        let installed = instance.is_some_and(|instance| match component {
            Component::Rtp => self.keys.install(instance, keys, ssrc),
            Component::Rtcp => self.keys.install_rtcp(instance, keys, ssrc),
        });
        let text = format!("DTLS: component {} is connected, {:?}", component.id(), keys.profile);
        let Some(dtls) = self.dtls.as_mut() else { return Note::debug(1, text) };
        if !installed {
            self.story.note_here(now, ::story::Event::HandshakeFailed(::story::event::Handshake::KeysRefused));
            dtls.reject_keys(component);
            return self.warning(&format!("{text}, but the SRTP module refuses the keys"));
        }
        if component == Component::Rtp {
            self.story.note_here(now, ::story::Event::Keys(super::story::profile(keys.profile)));
            self.gone.handle_keys_agreed();
            dtls.set_keyed();
            self.note_keyed_connection();
            *is_rekeyed = true;
        }
        Note::debug(1, text)
    }

    fn count_handshake(&mut self, now: Instant, component: Component, keys: &Keys) {
        let dtls = self.dtls.as_ref().filter(|dtls| component == Component::Rtp && dtls.is_keyed());
        if let Some(version) = dtls.map(Dtls::version) {
            self.steps.handle_keys(now);
            self.count(|| kept::count_handshake(version, keys.profile));
        }
    }

    fn handle_failure(&mut self, now: Instant, component: Component, event: AssociationEvent) -> Option<Note> {
        match event {
            AssociationEvent::Connected(_) => None,
            AssociationEvent::StrangerFailed(failure) => {
                self.strangers_failure(format!("DTLS: a handshake for component {} failed: {failure}", component.id()))
            }
            AssociationEvent::Interrupted(failure) => self.strangers_failure(format!(
                "DTLS: a handshake for component {} was interrupted and begins again: {failure}",
                component.id()
            )),
            AssociationEvent::Refused(failure) => self.strangers_failure(format!(
                "DTLS: a ClientHello for component {} cannot be accepted: {failure}",
                component.id()
            )),
            AssociationEvent::Failed(failure) => Some(self.peers_failure(now, component, &failure)),
            AssociationEvent::Closed => {
                if component == Component::Rtp {
                    self.story.note_here(now, ::story::Event::DtlsClosed);
                    self.gone.handle_dtls_closed(now);
                }
                let dtls = self.dtls.as_mut()?;
                if component == Component::Rtp && dtls.phase() == Phase::Failed {
                    dtls.drop_disowned_keys();
                }
                Some(Note::debug(1, format!("DTLS: the peer closed component {}", component.id())))
            }
        }
    }

    fn peers_failure(&mut self, now: Instant, component: Component, failure: &Failure) -> Note {
        let text = format!("DTLS: the handshake of component {} failed: {failure}", component.id());
        if component == Component::Rtcp {
            // A peer that multiplexes RTCP does not handshake on component 2.
            return Note::debug(1, text);
        }
        self.count(|| kept::count_failed_handshake(failure));
        self.story.note_here(now, ::story::Event::HandshakeFailed(super::story::handshake(failure)));
        if let Some(dtls) = &mut self.dtls {
            dtls.drop_disowned_keys();
        }
        // After a hangup the peer stops answering.
        if self.remote.is_stopped() { Note::debug(1, text) } else { self.warning(&text) }
    }

    fn strangers_failure(&self, text: String) -> Option<Note> {
        STRANGERS.allow().map(|_| self.warning(&text))
    }

    /// Creates a warning that starts with our port and the peer's address, to identify the call.
    pub fn warning(&self, text: &str) -> Note {
        Note::Warning(self.about_the_call(text))
    }

    /// Puts our port and the peer's address before `text`.
    pub fn about_the_call(&self, text: &str) -> String {
        let peer = self.media_route().filter(|_| !self.remote.is_stopped()).map(|(to, _)| to);
        let peer = peer.or(self.remote.signalled(Component::Rtp));
        let peer = peer.map_or_else(|| "unknown peer".to_owned(), |peer| peer.to_string());
        format!("RTP port {}, {peer}: {text}", self.port())
    }
}
