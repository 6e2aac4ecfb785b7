//! Sends one packet: finds its route and protection, protects it and writes it to the socket.

use std::net::SocketAddr;

use ::ice::Component;
use asterisk::rtp::Which;
use rtp::rtcp::mux;

use super::Transport;
use super::keys::Protection;
use crate::console::debug::Destination;
use crate::diagnosis::capture::Content;
use crate::diagnosis::counters::Refused;

/// A destination, and our address to send from; `None` lets the kernel choose.
pub type Route = (SocketAddr, Option<SocketAddr>);

/// The stream that a packet belongs to, as seen by the transport that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The stream of the session that owns the transport.
    Own,
    /// The stream of a bundled session, a child.
    Bundled,
}

/// The route and protection of a packet. Valid as long as the session stays locked.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    component: Component,
    route: Route,
    is_encrypted: bool,
}

impl Way {
    /// Returns the destination.
    pub fn to(&self) -> SocketAddr {
        self.route.0
    }
}

/// The reason why a packet cannot be sent at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The peer's address is not known, or ICE has not selected a pair.
    NoRoute,
    /// The SRTP keys are not agreed yet. Carries the destination of the packet.
    KeysDue(SocketAddr),
}

impl Obstacle {
    /// Returns the counter for this obstacle.
    pub fn reason(self) -> Refused {
        match self {
            Self::NoRoute => Refused::Unsendable,
            Self::KeysDue(_) => Refused::KeysDue,
        }
    }
}

impl Transport {
    /// Returns route and protection for a media packet. Call this before the packet takes a sequence number, so that the first
    /// packet that the peer receives has the first sequence number and the marker.
    pub fn way_of_media(&self, stream: Stream) -> Result<Way, Obstacle> {
        let route = self.media_route().ok_or(Obstacle::NoRoute)?;
        self.way(Component::Rtp, route, stream).ok_or(Obstacle::KeysDue(route.0))
    }

    /// Returns route and protection for an RTCP packet; `None` while it cannot be sent.
    pub fn way_of_reports(&self, stream: Stream) -> Option<Way> {
        let (component, route) = self.reports_route()?;
        self.way(component, route, stream)
    }

    /// Returns where a packet goes and where from, for the console and events.
    pub fn destination(&self, way: &Way) -> Destination {
        let (to, source) = way.route;
        let from = source.unwrap_or_else(|| self.socket(way.component).local());
        // Only a selected pair names the source.
        Destination { to, from, via_ice: source.is_some() }
    }

    pub(super) fn way(&self, component: Component, route: Route, stream: Stream) -> Option<Way> {
        match self.protection_of(stream) {
            Protection::Due => None,
            _ if self.is_silent() => None,
            protection => Some(Way { component, route, is_encrypted: protection == Protection::Srtp }),
        }
    }

    /// Protects a packet as `way` requires, and sends it. Returns whether it was sent.
    pub fn send(&self, way: &Way, which: Which, packet: &mut [u8]) -> bool {
        let Way { component, route, is_encrypted } = *way;
        if self.is_silent() {
            return false;
        }
        let content = if which == Which::Rtcp { Content::Rtcp } else { Content::Rtp };
        self.capture_sent(content, component, route, packet);
        if !is_encrypted {
            return self.put(component, packet, route);
        }
        let on_own_component = which == Which::Rtcp && component == Component::Rtcp;
        self.keys.protect(self.instance(), which, on_own_component, packet, |protected| {
            self.put(component, protected, route)
        })
    }

    /// Sends one datagram of STUN or DTLS. Returns whether it was sent; not while the session is silent.
    pub fn send_plain(
        &self,
        component: Component,
        datagram: &[u8],
        to: SocketAddr,
        source: Option<SocketAddr>,
    ) -> bool {
        !self.is_silent() && self.send_response(component, datagram, to, source)
    }

    /// Sends the answer to a datagram that the peer has just sent, also while the session is silent. Returns whether it was sent.
    pub fn send_response(
        &self,
        component: Component,
        datagram: &[u8],
        to: SocketAddr,
        source: Option<SocketAddr>,
    ) -> bool {
        self.capture_handshake(component, (to, source), datagram);
        self.put(component, datagram, (to, source))
    }

    /// Puts one datagram on the wire. Returns whether it was sent.
    fn put(&self, component: Component, datagram: &[u8], (to, source): Route) -> bool {
        if let Some(sent) = self.send_relayed(datagram, to, source) {
            return sent;
        }
        let is_ours = source.is_none_or(|source| self.is_own(component, source));
        is_ours && self.socket(component).send(datagram, to, source.map(|source| source.ip())).is_ok()
    }

    /// Returns the route of media, even while the host has stopped media.
    pub fn media_route(&self) -> Option<Route> {
        match self.ice.as_ref().filter(|ice| ice.is_active()) {
            Some(ice) => ice.route(Component::Rtp).or_else(|| self.route_without_pair()),
            None => self.signalled_route(),
        }
    }

    /// Returns the component and route of RTCP; `None` while RTCP is off or has no route.
    pub fn reports_route(&self) -> Option<(Component, Route)> {
        if !self.uses_rtcp {
            return None;
        }
        match self.ice.as_ref().filter(|ice| ice.is_active()) {
            Some(ice) if ice.route(Component::Rtp).is_some() => {
                // Without DTLS we never offer a=rtcp-mux, so the peer expects two components.
                let on_own_component = self.dtls.is_none() || self.mux.path() == mux::Path::OwnComponent;
                let component = if on_own_component { Component::Rtcp } else { Component::Rtp };
                ice.route(component).map(|route| (component, route))
            }
            Some(_) if self.dtls.is_some() => None,
            _ if self.mux.is_negotiated() => Some((Component::Rtp, (self.remote.media()?, None))),
            _ => {
                let to = self.remote.reports()?;
                // Without a destination for media, RTCP is not sent either.
                self.remote.media()?;
                Some((Component::Rtcp, (to, None)))
            }
        }
    }

    /// Returns the protection that packets of our own stream currently need.
    pub fn protection(&self) -> Protection {
        match &self.dtls {
            Some(dtls) if !dtls.is_keyed() => Protection::Due,
            Some(_) => Protection::Srtp,
            None if self.has_srtp() => Protection::Srtp,
            None => Protection::Plain,
        }
    }

    /// Returns the protection that packets of `stream` currently need. Keys from SDP (`a=crypto`) cover our own SSRC only.
    pub fn protection_of(&self, stream: Stream) -> Protection {
        match self.protection() {
            Protection::Srtp if stream == Stream::Bundled && self.dtls.is_none() => Protection::Due,
            protection => protection,
        }
    }

    /// Returns whether the SRTP keys came from SDP (`a=crypto`, RFC 4568). chan_sip replaces these under the channel's lock, and
    /// Asterisk's own res_srtp then frees the old ones. So only host threads may protect and unprotect, not the worker thread.
    pub fn is_keyed_by_host(&self) -> bool {
        self.dtls.is_none() && self.has_srtp()
    }

    /// Moves the SRTP policy of an SSRC that is sent over this transport from `old` to `new`.
    pub fn change_source(&self, old: u32, new: u32) {
        self.keys.change_source(self.instance(), old, new);
    }

    /// Returns the route of DTLS for `component`: the selected pair, or else the address that the peer's DTLS datagrams come from.
    pub fn dtls_route(&self, component: Component) -> Option<Route> {
        let last = || {
            let path = self.dtls.as_ref()?.path(component)?;
            self.is_own(component, path.to).then_some((path.from, Some(path.to)))
        };
        match self.ice.as_ref().filter(|ice| ice.is_active()) {
            // During a restart the pair before it may lead to another peer.
            Some(ice) => ice.current_route(component).or_else(last),
            None if component == Component::Rtp => last().or_else(|| self.signalled_route()),
            None => last().or_else(|| self.remote.reports().map(|to| (to, None))),
        }
    }

    /// Returns the route of media while ICE has no selected pair: the signalled address, but none with DTLS, which needs a checked
    /// pair.
    fn route_without_pair(&self) -> Option<Route> {
        if self.dtls.is_some() { None } else { self.signalled_route() }
    }

    fn signalled_route(&self) -> Option<Route> {
        self.remote.media().map(|to| (to, None))
    }

    pub(super) fn has_srtp(&self) -> bool {
        self.instance().is_some_and(|instance| instance.srtp().is_some())
    }
}
