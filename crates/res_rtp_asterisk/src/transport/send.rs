//! One packet out: where it goes, how it is protected, and the sending.

use std::net::{IpAddr, SocketAddr};

use ::ice::Component;
use asterisk::rtp::Which;
use rtp::rtcp::mux;

use super::Transport;
use super::keys::Protection;
use crate::diagnosis::counters::Refused;

/// A destination, and the address of ours to send from if it is a certain one.
pub type Route = (SocketAddr, Option<IpAddr>);

/// The stream that a packet belongs to, as seen by the transport that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The stream of the session that owns the transport.
    Own,
    /// The stream of a session that is bundled with it (RFC 9143).
    Bundled,
}

/// The answer to where a packet goes at this moment, and how it is protected. It holds as long as the session is locked.
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
    /// There is no address, or no pair that ICE found usable.
    NoRoute,
    /// The keys are not there yet, for a packet to this address.
    KeysDue(SocketAddr),
}

impl Obstacle {
    /// Returns the reason under which it is counted.
    pub fn reason(self) -> Refused {
        match self {
            Self::NoRoute => Refused::Unsendable,
            Self::KeysDue(_) => Refused::KeysDue,
        }
    }
}

impl Transport {
    /// Finds the way for a packet of media. It is asked for before the packet takes a sequence number: the first packet that the
    /// peer gets is to be the first of its count, and to have the marker.
    pub fn way_of_media(&self, stream: Stream) -> Result<Way, Obstacle> {
        let route = self.media_route().ok_or(Obstacle::NoRoute)?;
        self.way(Component::Rtp, route, stream).ok_or(Obstacle::KeysDue(route.0))
    }

    /// Finds the way for a report.
    pub fn way_of_reports(&self, stream: Stream) -> Option<Way> {
        let (component, route) = self.reports_route()?;
        self.way(component, route, stream)
    }

    fn way(&self, component: Component, route: Route, stream: Stream) -> Option<Way> {
        match self.protection_of(stream) {
            Protection::Due => None,
            protection => Some(Way { component, route, is_encrypted: protection == Protection::Srtp }),
        }
    }

    /// Protects a packet as its way says, and sends it. Returns whether it went out.
    pub fn send(&self, way: &Way, which: Which, packet: &mut [u8]) -> bool {
        let Way { component, route: (to, source), is_encrypted } = *way;
        if !is_encrypted {
            return self.send_plain(component, packet, to, source);
        }
        let on_own_component = which == Which::Rtcp && component == Component::Rtcp;
        self.keys.protect(self.instance(), which, on_own_component, packet, |protected| {
            self.send_plain(component, protected, to, source)
        })
    }

    /// Sends one datagram as it is. Returns whether it went out.
    pub fn send_plain(&self, component: Component, datagram: &[u8], to: SocketAddr, source: Option<IpAddr>) -> bool {
        self.socket(component).send(datagram, to, source).is_ok()
    }

    /// Returns the route of media, whether or not the host has stopped it.
    pub fn media_route(&self) -> Option<Route> {
        match self.ice.as_ref().filter(|ice| ice.is_active()) {
            Some(ice) => ice.route(Component::Rtp).or_else(|| self.route_without_pair()),
            None => self.signalled_route(),
        }
    }

    /// Returns the component and route of reports.
    pub fn reports_route(&self) -> Option<(Component, Route)> {
        if !self.uses_rtcp {
            return None;
        }
        match self.ice.as_ref().filter(|ice| ice.is_active()) {
            Some(ice) if ice.route(Component::Rtp).is_some() => {
                // A peer without DTLS never saw our a=rtcp-mux: it expects two components.
                let on_own_component = self.dtls.is_none() || self.mux.path() == mux::Path::OwnComponent;
                let component = if on_own_component { Component::Rtcp } else { Component::Rtp };
                ice.route(component).map(|route| (component, route))
            }
            Some(_) if self.dtls.is_some() => None,
            _ if self.mux.is_negotiated() => Some((Component::Rtp, (self.remote.media()?, None))),
            _ => {
                let to = self.remote.reports()?;
                // While media goes nowhere, reports go nowhere.
                self.remote.media()?;
                Some((Component::Rtcp, (to, None)))
            }
        }
    }

    /// Returns the protection that packets of our own stream have to have at this moment.
    pub fn protection(&self) -> Protection {
        match &self.dtls {
            Some(dtls) if !dtls.is_keyed() => Protection::Due,
            Some(_) => Protection::Srtp,
            None if self.has_srtp() => Protection::Srtp,
            None => Protection::Plain,
        }
    }

    /// Returns the protection that packets of that stream have to have. Keys from SDP (`a=crypto`) are for our own source alone.
    pub fn protection_of(&self, stream: Stream) -> Protection {
        match self.protection() {
            Protection::Srtp if stream == Stream::Bundled && self.dtls.is_none() => Protection::Due,
            protection => protection,
        }
    }

    /// Whether the keys came by SDP (`a=crypto`). chan_sip exchanges them under the channel's lock, and the original res_srtp
    /// frees the old ones then: only a thread of the host may protect or unprotect.
    pub fn is_keyed_by_host(&self) -> bool {
        self.dtls.is_none() && self.has_srtp()
    }

    /// Tells SRTP that a source that leaves by this transport has another SSRC.
    pub fn change_source(&self, old: u32, new: u32) {
        self.keys.change_source(self.instance(), old, new);
    }

    /// Returns the route of DTLS at that component: the selected pair, before that the address that the peer's datagrams come from.
    pub fn dtls_route(&self, component: Component) -> Option<Route> {
        let last = || {
            let path = self.dtls.as_ref()?.path(component)?;
            Some((path.from, Some(path.to.ip())))
        };
        match self.ice.as_ref().filter(|ice| ice.is_active()) {
            Some(ice) => ice.route(component).or_else(last),
            None if component == Component::Rtp => last().or_else(|| self.signalled_route()),
            None => last().or_else(|| self.remote.reports().map(|to| (to, None))),
        }
    }

    /// Returns the route of media while ICE has no pair: the signalled address, unless DTLS wants a pair that was checked.
    fn route_without_pair(&self) -> Option<Route> {
        if self.dtls.is_some() { None } else { self.signalled_route() }
    }

    fn signalled_route(&self) -> Option<Route> {
        self.remote.media().map(|to| (to, None))
    }

    fn has_srtp(&self) -> bool {
        self.instance().is_some_and(|instance| instance.srtp().is_some())
    }
}
