//! Where datagrams go and come from: a component (RFC 8445 §13), our address and the peer's.

use std::net::SocketAddr;

/// A component of the data stream (RFC 8445 §5.1.1): RTP, and RTCP when it has a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Component {
    /// Component 1.
    Rtp = 1,
    /// Component 2, unless RTCP is multiplexed with RTP (RFC 5761).
    Rtcp = 2,
}

impl Component {
    /// Both, in order.
    pub const ALL: [Component; 2] = [Component::Rtp, Component::Rtcp];

    /// The component of a candidate line; `None` when there is no such component.
    pub fn from_id(id: u16) -> Option<Self> {
        match id {
            1 => Some(Self::Rtp),
            2 => Some(Self::Rtcp),
            _ => None,
        }
    }

    /// 1 or 2, as signalled.
    pub fn id(self) -> u8 {
        self as u8
    }
}

/// The way of a datagram: out of (or into) `local`, to (or from) `remote`.
///
/// `local` is an address of the host, the base of a candidate (RFC 8445 §4). For an incoming datagram
/// it may have the unspecified IP address when the caller's socket does not tell; the agent then
/// takes it for whichever of its candidates fits. IPv4 addresses in IPv6 clothes are undressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Whose socket.
    pub component: Component,
    /// Our side.
    pub local: SocketAddr,
    /// The peer's side.
    pub remote: SocketAddr,
}

impl Path {
    pub(crate) fn canonical(self) -> Self {
        Self { component: self.component, local: canonical(self.local), remote: canonical(self.remote) }
    }

    /// Whether `local` and `remote` are the two ends of this (incoming) path.
    pub(crate) fn joins(&self, component: Component, local: SocketAddr, remote: SocketAddr) -> bool {
        self.component == component && self.remote == remote && is_or_may_be(self.local, local)
    }
}

/// A datagram that [`crate::Agent::poll_transmit`] has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Which way it has to go. An answer leaves by the path its request came in on.
    pub path: Path,
    /// How many bytes of the buffer it takes.
    pub len: usize,
}

/// An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is the IPv4 address for ICE.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(addr.ip().to_canonical(), addr.port())
        }
        // Flow label and scope are no part of a candidate, and would make equal addresses differ.
        SocketAddr::V6(v6) => SocketAddr::new((*v6.ip()).into(), addr.port()),
        SocketAddr::V4(_) => addr,
    }
}

/// Whether a datagram that came in on `seen` may have come in on `base`.
pub(crate) fn is_or_may_be(seen: SocketAddr, base: SocketAddr) -> bool {
    seen == base || (seen.ip().is_unspecified() && seen.port() == base.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_in_ipv6_clothes_is_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.1:5".parse().unwrap());
    }

    #[test]
    fn a_wildcard_socket_may_be_any_of_our_addresses_on_its_port() {
        let wildcard = "0.0.0.0:5".parse().unwrap();
        assert!(is_or_may_be(wildcard, "192.0.2.1:5".parse().unwrap()));
        assert!(!is_or_may_be(wildcard, "192.0.2.1:6".parse().unwrap()));
    }
}
