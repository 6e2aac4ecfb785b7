//! The path of a datagram: a component (RFC 8445 §13), our address and the peer's.

use std::net::SocketAddr;

/// A component of the data stream (RFC 8445 §5.1.1): RTP, or RTCP on a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Component {
    /// Component 1: RTP, and RTCP too when it is multiplexed with RTP (RFC 5761).
    Rtp = 1,
    /// Component 2: RTCP on its own port.
    Rtcp = 2,
}

impl Component {
    /// Both components, RTP first.
    pub const ALL: [Component; 2] = [Component::Rtp, Component::Rtcp];

    /// The component with the number `id` in a candidate line (RFC 8839 §5.1); `None` for any number but 1 and 2.
    pub fn from_id(id: u16) -> Option<Self> {
        match id {
            1 => Some(Self::Rtp),
            2 => Some(Self::Rtcp),
            _ => None,
        }
    }

    /// The number of the component in a candidate line: 1 or 2.
    pub fn id(self) -> u8 {
        self as u8
    }
}

/// The path of a datagram: sent from (or received on) `local`, to (or from) `remote`.
///
/// `local` is an address of this machine, the base of a candidate (RFC 8445 §4). For a received datagram it may be
/// the unspecified IP address if the caller's socket does not report the destination; the agent then uses
/// whichever of its candidates fits. IPv4-mapped IPv6 addresses are converted to IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// The component that the socket belongs to.
    pub component: Component,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

impl Path {
    pub(crate) fn canonical(self) -> Self {
        Self { component: self.component, local: canonical(self.local), remote: canonical(self.remote) }
    }

    /// Whether this path of a received datagram runs between `local` and `remote`.
    pub(crate) fn joins(&self, component: Component, local: SocketAddr, remote: SocketAddr) -> bool {
        self.component == component && self.remote == remote && is_or_may_be(self.local, local)
    }
}

/// A datagram that [`crate::Agent::poll_transmit`] has written into the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// The path to send it on. A response leaves on the path its request arrived on.
    pub path: Path,
    /// The length of the datagram in bytes.
    pub len: usize,
    /// Whether the datagram is the response to a check of the peer, not a check of ours.
    pub is_response: bool,
}

/// Converts an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) to IPv4; clears the flow label and scope of others.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(addr.ip().to_canonical(), addr.port())
        }
        // Flow label and scope are not signalled in candidates; with them, equal addresses would compare as different.
        SocketAddr::V6(v6) => SocketAddr::new((*v6.ip()).into(), addr.port()),
        SocketAddr::V4(_) => addr,
    }
}

/// Whether a datagram received on `seen` may have been addressed to `base`: `seen` may be a wildcard address.
pub(crate) fn is_or_may_be(seen: SocketAddr, base: SocketAddr) -> bool {
    seen == base || (seen.ip().is_unspecified() && seen.port() == base.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_mapped_address_becomes_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.1:5".parse().unwrap());
    }

    #[test]
    fn a_wildcard_address_matches_any_of_our_addresses_on_its_port() {
        let wildcard = "0.0.0.0:5".parse().unwrap();
        assert!(is_or_may_be(wildcard, "192.0.2.1:5".parse().unwrap()));
        assert!(!is_or_may_be(wildcard, "192.0.2.1:6".parse().unwrap()));
    }
}
