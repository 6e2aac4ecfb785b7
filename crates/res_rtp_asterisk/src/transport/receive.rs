//! One datagram in: told apart (RFC 7983), authenticated and decrypted. STUN and DTLS end here; media and reports go on.

use std::net::SocketAddr;
use std::time::Instant;

use ::ice::Component;
use dtls_srtp::{Admission, PeerAddress};
use rtp::demux::{Class, classify};

use super::Transport;
use super::keys::Protection;
use super::sockets::Received;
use crate::diagnosis::counters::Refused;

/// A datagram after the transport has dealt with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Decrypted media: the first octets of the datagram, so many.
    Media(usize),
    /// Decrypted RTCP.
    Rtcp {
        /// The first octets of the datagram, so many.
        len: usize,
        /// Whether it is known to be the peer's: by its keys, by the pair that ICE checked, or by its address.
        is_from_peer: bool,
    },
    /// A datagram of STUN or DTLS, which has been dealt with. [`Transport::drive`] is to be called.
    Nothing,
}

impl Transport {
    /// Takes in a datagram, which is decrypted in place.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &mut [u8],
    ) -> Result<Incoming, Refused> {
        // A datagram from our own address is one that came back: the peer signalled our address, or somebody forged it.
        if received.from == received.to {
            return Err(Refused::Source);
        }
        match classify(datagram) {
            Class::Stun => self.handle_stun(now, component, received, datagram).map(|()| Incoming::Nothing),
            Class::Dtls => self.handle_dtls(now, component, received, datagram).map(|()| Incoming::Nothing),
            Class::Rtp => self.unprotect_media(component, received, datagram).map(Incoming::Media),
            Class::Rtcp if !self.uses_rtcp => Err(Refused::RtcpOff),
            Class::Rtcp => {
                let (len, is_from_peer) = self.unprotect_rtcp(component, received, datagram)?;
                Ok(Incoming::Rtcp { len, is_from_peer })
            }
            Class::TurnChannel | Class::Unknown => Err(Refused::Unknown),
        }
    }

    fn handle_stun(
        &mut self,
        now: Instant,
        component: Component,
        received: &Received,
        datagram: &[u8],
    ) -> Result<(), Refused> {
        let ice = self.ice.as_mut().ok_or(Refused::Stun)?;
        ice.handle_stun(now, component, received, datagram).map_err(|_| Refused::Stun)
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
            PeerAddress::CheckedByIce => self.is_checked(component, received),
            // Behind a NAT nobody knows the peer's address before its first datagram.
            PeerAddress::Signalled(signalled) => signalled == Some(received.from) || self.remote.follows(),
        };
        let dtls = self.dtls.as_mut().filter(|_| may_come).ok_or(Refused::Dtls)?;
        let path = dtls_srtp::Path { from: received.from, to: received.to };
        match dtls.handle_datagram(now, component, peer, path, datagram) {
            Admission::Taken => Ok(()),
            Admission::Answer(answer) => {
                self.send_plain(component, &answer, received.from, Some(received.to.ip()));
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
            Protection::Srtp => self.keys.unprotect_media(self.instance(), datagram),
        }
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
                // SAFETY: as `Transport::instance` explains; written out because `keys` is borrowed beside it.
                let instance = self.instance.map(|instance| unsafe { asterisk::rtp::Instance::from_ptr(instance) });
                let on_own_component = component == Component::Rtcp;
                Ok((self.keys.unprotect_report(instance, on_own_component, datagram)?, true))
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

    /// Judges an unencrypted datagram: with ICE only a checked pair says who the peer is.
    fn judge_path(&self, component: Component, received: &Received) -> Result<(), Refused> {
        let Some(ice) = self.ice.as_ref().filter(|ice| ice.is_active()) else { return Ok(()) };
        let is_left = ice.route(component).is_none() && self.remote.signalled(Component::Rtp) == Some(received.from);
        // After checks that failed the signalled address is what is left.
        if self.is_checked(component, received) || is_left { Ok(()) } else { Err(Refused::Source) }
    }

    fn is_checked(&self, component: Component, received: &Received) -> bool {
        self.ice.as_ref().is_some_and(|ice| ice.is_valid(component, received.to, received.from))
    }

    /// Judges the source of a packet of media. Without ICE, strict RTP says whom we listen to, and symmetric RTP whom we send to.
    pub fn judge_source(&mut self, now: Instant, from: SocketAddr, sequence_number: u16) -> Result<(), Refused> {
        if self.is_ice_active() || self.remote.accepts_media(now, from, sequence_number) {
            return Ok(());
        }
        Err(Refused::Source)
    }

    /// Judges the source of a packet for a bundled session: without ICE and SRTP nothing but its address says that it is the
    /// peer's.
    pub fn judge_bundled_source(&self, from: SocketAddr) -> Result<(), Refused> {
        match self.remote.source() {
            Some(source) if !self.is_ice_active() && source != from => Err(Refused::Source),
            _ => Ok(()),
        }
    }
}
