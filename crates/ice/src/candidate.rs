//! Candidates (RFC 8445 §5.1): transport addresses at which one side may be reached.
//!
//! The preference of local candidates is the order in which they are added: the first address gets
//! 65535, each further one less (§5.1.2.2). Both components of one address share a preference.

use std::net::{IpAddr, SocketAddr};

use crate::Component;
use crate::path::canonical;

/// How a candidate was found (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the machine itself.
    Host,
    /// Our address as a STUN server saw it.
    ServerReflexive,
    /// Our address as the peer saw it, or the peer's address as we saw it.
    PeerReflexive,
    /// An address at a TURN server, which relays to us.
    Relayed,
}

impl CandidateKind {
    /// The kind named by the `typ` of a candidate line (RFC 8839 §5.1); `None` for an unknown name.
    pub fn from_signalled(typ: &str) -> Option<Self> {
        match typ {
            "host" => Some(Self::Host),
            "srflx" => Some(Self::ServerReflexive),
            "prflx" => Some(Self::PeerReflexive),
            "relay" => Some(Self::Relayed),
            _ => None,
        }
    }

    /// The name of the kind in a candidate line's `typ` (RFC 8839 §5.1).
    pub fn signalled(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }

    /// The type preference recommended by §5.1.2.2.
    fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }
}

/// A candidate, ours or the peer's (RFC 8445 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates that are likely to work or fail together (§5.1.1.3).
    pub foundation: String,
    /// The component it is for.
    pub component: Component,
    /// Its priority (§5.1.2): higher ones are checked first.
    pub priority: u32,
    /// The address to which the other side sends.
    pub addr: SocketAddr,
    /// How it was found.
    pub kind: CandidateKind,
    /// The base of a reflexive candidate; for a relayed one the mapped address that the TURN server reported.
    pub related: Option<SocketAddr>,
}

impl Candidate {
    /// The address from which we send for a local candidate (RFC 8445 §4, "Base").
    pub(crate) fn base(&self) -> SocketAddr {
        match self.kind {
            CandidateKind::Host | CandidateKind::Relayed => self.addr,
            CandidateKind::ServerReflexive | CandidateKind::PeerReflexive => self.related.unwrap_or(self.addr),
        }
    }

    /// The local preference within the priority of a local candidate (§5.1.2.1).
    pub(crate) fn local_preference(&self) -> u16 {
        (self.priority >> 8) as u16
    }

    /// Converts IPv4-mapped IPv6 addresses to IPv4; `None` if nothing can be sent to the candidate's address.
    pub(crate) fn into_usable(mut self) -> Option<Self> {
        self.addr = canonical(self.addr);
        self.related = self.related.map(canonical);
        let ip = self.addr.ip();
        let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        let usable = self.addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast;
        (usable && self.foundation.len() <= 32).then_some(self)
    }
}

/// The priority formula of §5.1.2.1.
pub(crate) fn priority(kind: CandidateKind, local_preference: u16, component: Component) -> u32 {
    kind.preference() << 24 | u32::from(local_preference) << 8 | (256 - u32::from(component.id()))
}

/// Makes a local candidate, with foundation (§5.1.1.3) and preference chosen to fit those in `known`.
pub(crate) fn local(
    known: &[Candidate],
    component: Component,
    kind: CandidateKind,
    addr: SocketAddr,
    related: Option<SocketAddr>,
) -> Candidate {
    let (addr, related) = (canonical(addr), related.map(canonical));
    let mut candidate = Candidate { foundation: String::new(), component, priority: 0, addr, kind, related };
    let base = candidate.base().ip();
    candidate.foundation = known
        .iter()
        .find(|other| other.kind == kind && other.base().ip() == base)
        .map_or_else(|| next_foundation(known), |other| other.foundation.clone());
    candidate.priority = priority(kind, preference_of(base, known), component);
    candidate
}

/// Whether two addresses may form a pair (§6.1.2.2): they are of one family, and both or neither are link-local.
pub(crate) fn can_reach(local: SocketAddr, remote: SocketAddr) -> bool {
    match (local.ip(), remote.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(local), IpAddr::V6(remote)) => local.is_unicast_link_local() == remote.is_unicast_link_local(),
        _ => false,
    }
}

fn preference_of(base: IpAddr, known: &[Candidate]) -> u16 {
    let of_same_base = known.iter().find(|other| other.base().ip() == base).map(Candidate::local_preference);
    let lowest = known.iter().map(Candidate::local_preference).min();
    of_same_base.unwrap_or_else(|| lowest.map_or(u16::MAX, |lowest| lowest.saturating_sub(1)))
}

fn next_foundation(known: &[Candidate]) -> String {
    let highest = known.iter().filter_map(|other| other.foundation.parse::<u32>().ok()).max();
    (highest.unwrap_or(0) + 1).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn host(known: &[Candidate], component: Component, text: &str) -> Candidate {
        local(known, component, CandidateKind::Host, addr(text), None)
    }

    #[test]
    fn rfc8445_5_1_2_1_priority_of_the_only_host_candidate() {
        assert_eq!(priority(CandidateKind::Host, 65535, Component::Rtp), 2_130_706_431);
        assert_eq!(priority(CandidateKind::Host, 65535, Component::Rtcp), 2_130_706_430);
        // The PRIORITY of RFC 8445 §15's example check is that of a peer-reflexive candidate.
        assert_eq!(priority(CandidateKind::PeerReflexive, 65535, Component::Rtp), 1_862_270_975);
    }

    #[test]
    fn rfc8445_5_1_1_3_foundations_follow_kind_and_base() {
        let mut known = vec![host(&[], Component::Rtp, "192.0.2.1:10000")];
        known.push(host(&known, Component::Rtcp, "192.0.2.1:10001"));
        known.push(host(&known, Component::Rtp, "198.51.100.1:10000"));
        assert_eq!(known[0].foundation, known[1].foundation);
        assert_ne!(known[0].foundation, known[2].foundation);
        let reflexive =
            local(&known, Component::Rtp, CandidateKind::ServerReflexive, addr("203.0.113.1:9"), Some(known[0].addr));
        assert_ne!(reflexive.foundation, known[0].foundation);
        assert_eq!(reflexive.local_preference(), known[0].local_preference());
    }

    #[test]
    fn rfc8445_5_1_2_2_addresses_of_one_machine_differ_in_preference() {
        let mut known = vec![host(&[], Component::Rtp, "192.0.2.1:10000")];
        known.push(host(&known, Component::Rtp, "198.51.100.1:10000"));
        known.push(host(&known, Component::Rtcp, "198.51.100.1:10001"));
        assert!(known[0].priority > known[1].priority && known[1].priority > known[2].priority);
        assert_eq!(known[1].local_preference(), known[2].local_preference());
    }

    #[test]
    fn rfc8445_6_1_2_2_families_and_scopes_do_not_mix() {
        assert!(can_reach(addr("192.0.2.1:1"), addr("198.51.100.1:1")));
        assert!(!can_reach(addr("192.0.2.1:1"), addr("[2001:db8::1]:1")));
        assert!(!can_reach(addr("[fe80::1]:1"), addr("[2001:db8::1]:1")));
    }

    #[test]
    fn an_address_that_cannot_receive_is_unusable() {
        for bad in ["192.0.2.1:0", "0.0.0.0:9", "224.0.0.1:9", "255.255.255.255:9", "[ff02::1]:9"] {
            assert_eq!(Candidate { addr: addr(bad), ..host(&[], Component::Rtp, "192.0.2.1:1") }.into_usable(), None);
        }
    }
}
