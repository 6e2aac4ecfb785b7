//! Handles one received datagram: classifies it (RFC 7983), authenticates and decrypts it. STUN and DTLS are handled here; media
//! and RTCP are returned to the caller.

use std::net::SocketAddr;
use std::time::Instant;

use ::ice::Component;
use dtls_srtp::{Admission, PeerAddress};
use rtp::Header;
use rtp::demux::{Class, Form, classify, classify_unmultiplexed};

use super::Transport;
use super::keys::Protection;
use super::sockets::Received;
use crate::diagnosis::capture::Content;
use crate::diagnosis::counters::Refused;

/// The result of handling a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Decrypted media, with the packet's length in octets. It starts at the beginning of the datagram.
    Media(usize),
    /// A decrypted compound RTCP packet at the beginning of the datagram.
    Rtcp {
        /// Length in octets.
        len: usize,
        /// Whether it is known to come from the peer: by its SRTCP keys, by its checked pair, or by its address.
        is_from_peer: bool,
    },
    /// STUN or DTLS, already handled. The caller must call [`Transport::drive`].
    Nothing,
}

impl Transport {
    /// Receives the next datagram of a component into `buffer`.
    pub fn receive(&self, component: Component, buffer: &mut [u8]) -> Option<Received> {
        let socket = self.socket(component);
        let is_answered = self.ice.is_some() || self.dtls.is_some();
        if is_answered { socket.receive(buffer) } else { socket.receive_anywhere(buffer) }
    }

    /// Handles a received datagram. Media and RTCP are decrypted in place. The error is the reason why it was refused.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<Incoming, Refused> {
        // A datagram from our own address: the peer signalled our address as its own, or the source is forged.
        if received.from == received.to {
            return Err(Refused::Source);
        }
        match self.classify(component, datagram) {
            Class::Stun => {
                self.capture_received(Content::Stun, received, datagram);
                self.handle_stun(now, component, received, datagram).map(|()| Incoming::Nothing)
            }
            Class::Dtls => {
                self.capture_received(Content::Dtls, received, datagram);
                self.handle_dtls(now, component, received, datagram).map(|()| Incoming::Nothing)
            }
            Class::Rtp => {
                let len = self.unprotect_media(component, received, datagram)?;
                self.capture_received(Content::Rtp, received, datagram.get(..len).unwrap_or_default());
                Ok(Incoming::Media(len))
            }
            Class::Rtcp if !self.uses_rtcp => Err(Refused::RtcpOff),
            Class::Rtcp => {
                let (len, is_from_peer) = self.unprotect_rtcp(component, received, datagram)?;
                self.capture_received(Content::Rtcp, received, datagram.get(..len).unwrap_or_default());
                Ok(Incoming::Rtcp { len, is_from_peer })
            }
            Class::TurnChannel | Class::Unknown => Err(Refused::Unknown),
        }
    }

    /// Classifies a datagram that arrived on `component`. RTCP on the port of RTP is also known by its lengths where neither ICE,
    /// DTLS nor a description says that the port may be multiplexed: some peers multiplex without a word.
    pub fn classify(&self, component: Component, datagram: &[u8]) -> Class {
        let may_be_multiplexed = || self.is_ice_active() || self.dtls.is_some() || self.mux.is_negotiated();
        match classify(datagram) {
            Class::Rtcp if component == Component::Rtp && !may_be_multiplexed() => {
                classify_unmultiplexed(datagram, if self.has_srtp() { Form::Protected } else { Form::Plain })
            }
            class => class,
        }
    }

    fn handle_stun(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &[u8],
    ) -> Result<(), Refused> {
        let checked = self.ice.as_mut().map(|ice| ice.handle_stun(now, component, received, datagram));
        let is_handled = checked.is_some_and(|checked| checked.is_ok());
        let is_handled = is_handled || self.answer_plain_stun(now, component, received, datagram);
        is_handled.then_some(()).ok_or(Refused::Stun)
    }

    fn handle_dtls(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &[u8],
    ) -> Result<(), Refused> {
        let peer = self.peer_address(component);
        let may_come = match peer {
            PeerAddress::CheckedByIce => self.is_checked(component, received) || self.is_early(component, received),
            // The address of a peer behind a NAT is unknown before its first datagram.
            PeerAddress::Signalled(signalled) => signalled == Some(received.from) || self.remote.follows(),
        };
        if component == Component::Rtp && peer == PeerAddress::CheckedByIce {
            self.admit_new_connection(received, datagram);
        }
        let dtls = self.dtls.as_mut().filter(|_| may_come).ok_or(Refused::Dtls)?;
        self.story.note_dtls(now, received.from);
        let path = dtls_srtp::Path { from: received.from, to: received.to };
        match dtls.handle_datagram(now, component, peer, path, datagram) {
            Admission::Taken => Ok(()),
            Admission::Answer(answer) => {
                self.send_plain(component, &answer, received.from, Some(received.to));
                Ok(())
            }
            Admission::Refused => Err(Refused::Dtls),
        }
    }

    fn unprotect_media(
        &mut self,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<usize, Refused> {
        if component == Component::Rtcp {
            return Err(Refused::Source);
        }
        match self.protection() {
            Protection::Due => Err(Refused::NoKeys),
            Protection::Plain => self.judge_path(component, received).map(|()| datagram.len()),
            Protection::Srtp => {
                let unprotected = self.keys.unprotect_media(self.instance(), datagram);
                self.note_authenticated(received, unprotected)
            }
        }
    }

    /// Tells ICE where a packet of media came from, if it was authenticated. Returns whether the caller must call [`Transport::drive`].
    pub fn follow_media(&mut self, now: Instant, component: Component, received: &Received) -> bool {
        let is_authenticated = self.protection() == Protection::Srtp;
        let ice = self.ice.as_mut().filter(|_| is_authenticated);
        ice.is_some_and(|ice| ice.handle_media(now, component, received))
    }

    fn unprotect_rtcp(
        &mut self,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<(usize, bool), Refused> {
        match self.protection() {
            Protection::Due => Err(Refused::NoKeys),
            Protection::Srtp => {
                // SAFETY: see `Transport::instance`, which cannot be called here because `keys` is borrowed mutably.
                let instance = self.instance.map(|instance| unsafe { asterisk::rtp::Instance::from_ptr(instance) });
                let on_own_component = component == Component::Rtcp;
                let unprotected = self.keys.unprotect_report(instance, on_own_component, datagram);
                Ok((self.note_authenticated(received, unprotected)?, true))
            }
            Protection::Plain if self.is_ice_active() => {
                self.judge_path(component, received).map(|()| (datagram.len(), true))
            }
            Protection::Plain => match self.remote.ip() {
                _ if self.remote.is_open() => Ok((datagram.len(), true)),
                Some(ip) if ip != received.from.ip() => Err(Refused::Source),
                known => Ok((datagram.len(), known.is_some())),
            },
        }
    }

    fn note_authenticated(
        &mut self,
        received: &Received,
        unprotected: Result<usize, Refused>,
    ) -> Result<usize, Refused> {
        unprotected.inspect(|_| self.reconnect.handle_authenticated(received.from))
    }

    /// Checks the addresses of an unencrypted datagram. With ICE it must have arrived on a checked pair.
    fn judge_path(&self, component: Component, received: &Received) -> Result<(), Refused> {
        let Some(ice) = self.ice.as_ref().filter(|ice| ice.is_active()) else { return Ok(()) };
        let is_left = ice.route(component).is_none() && self.remote.signalled(Component::Rtp) == Some(received.from);
        // After failed checks the signalled address is used.
        if self.is_checked(component, received) || is_left { Ok(()) } else { Err(Refused::Source) }
    }

    pub(super) fn is_checked(&self, component: Component, received: &Received) -> bool {
        self.ice.as_ref().is_some_and(|ice| ice.is_valid(component, received.to, received.from))
    }

    /// Returns whether the peer has sent an authenticated check over the address pair before its description arrived.
    fn is_early(&self, component: Component, received: &Received) -> bool {
        let pair = Some((received.to, received.from));
        self.ice.as_ref().is_some_and(|ice| !ice.is_active() && ice.has_early_check(component, pair))
    }

    /// Checks the source address of a media packet. Without ICE, strict RTP decides which source is accepted, and symmetric RTP may
    /// send our media there (RFC 4961).
    pub fn judge_source(&mut self, now: Instant, from: SocketAddr, header: &Header) -> Result<(), Refused> {
        if self.is_ice_active() || self.remote.accepts_media(now, from, header) {
            return Ok(());
        }
        Err(Refused::Source)
    }

    /// Checks the source address of a media packet for a bundled session. Without ICE it must be the address that strict RTP has
    /// learned, if there is one.
    pub fn judge_bundled_source(&self, from: SocketAddr) -> Result<(), Refused> {
        match self.remote.source() {
            Some(source) if !self.is_ice_active() && source != from => Err(Refused::Source),
            _ => Ok(()),
        }
    }
}
