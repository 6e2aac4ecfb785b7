//! Captures what passes the transport: RTP and RTCP in clear, STUN and DTLS as they are on the wire. Nothing of the
//! self-test, which is no call.

use std::net::SocketAddr;

use ::ice::Component;
use rtp::demux::{Class, classify};

use super::Transport;
use super::send::Route;
use super::sockets::Received;
use crate::diagnosis::capture::{self, Content, Direction, Mark, Seen};

impl Transport {
    /// Notes that the capture with this mark wants the packets of this transport.
    pub fn set_mark(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Captures a received datagram, or the packet that was in it.
    pub(super) fn capture_received(&self, content: Content, received: &Received, octets: &[u8]) {
        if capture::is_on() && !self.is_trial() {
            let (from, to) = (received.from, received.to);
            capture::take(self.mark, &Seen { content, direction: Direction::In, from, to, octets });
        }
    }

    /// Captures a packet that is about to be sent, before it is encrypted.
    pub(super) fn capture_sent(&self, content: Content, component: Component, route: Route, octets: &[u8]) {
        if capture::is_on() && !self.is_trial() {
            let (to, source) = route;
            let from = self.own_address(component, source);
            capture::take(self.mark, &Seen { content, direction: Direction::Out, from, to, octets });
        }
    }

    /// Captures a datagram of STUN or DTLS that is about to be sent.
    pub(super) fn capture_handshake(&self, component: Component, route: Route, datagram: &[u8]) {
        let content = match classify(datagram) {
            Class::Stun => Content::Stun,
            Class::Dtls => Content::Dtls,
            _ => return,
        };
        self.capture_sent(content, component, route, datagram);
    }

    fn own_address(&self, component: Component, source: Option<SocketAddr>) -> SocketAddr {
        source.unwrap_or_else(|| self.socket(component).local())
    }
}
