//! The candidate attribute of a description (RFC 8839 §5.1), read from text.

use std::net::{IpAddr, SocketAddr};

use crate::carried::{self, Carried};
use crate::{Candidate, CandidateKind, Component};

/// A candidate as it was signalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signalled {
    /// A candidate with an address.
    Candidate(Candidate),
    /// A candidate with a name of multicast DNS (RFC 6762) in place of its address, which is unspecified.
    Named(Candidate, String),
}

/// Reads `candidate:` and its fields. `None` for another transport than UDP, an unknown type, or text that is no candidate.
pub fn parse(attribute: &str) -> Option<Signalled> {
    let mut words = attribute.strip_prefix("candidate:")?.split(' ').filter(|word| !word.is_empty());
    let (foundation, component, transport) = (words.next()?, words.next()?, words.next()?);
    let (priority, address, port) = (words.next()?, words.next()?, words.next()?);
    let (typ, kind) = (words.next()?, words.next()?);
    if !transport.eq_ignore_ascii_case("udp") || typ != "typ" || foundation.len() > MAX_FOUNDATION {
        return None;
    }
    let ip = ip(address);
    let port = port.parse().ok()?;
    let candidate = Candidate {
        foundation: foundation.to_owned(),
        component: Component::from_id(component.parse().ok()?)?,
        priority: priority.parse().ok()?,
        addr: SocketAddr::new(ip.unwrap_or(NO_ADDRESS), port),
        kind: CandidateKind::from_signalled(kind)?,
        related: None,
    };
    match ip {
        Some(_) => Some(carry(candidate)),
        None => is_mdns_name(address).then(|| Signalled::Named(candidate, address.to_owned())),
    }
}

/// Puts the address that the foundation carries into its place, if it carries one.
pub fn carry(mut candidate: Candidate) -> Signalled {
    let Some((carried, own)) = carried::decode(&candidate.foundation) else { return Signalled::Candidate(candidate) };
    let (own, port) = (own.to_owned(), candidate.addr.port());
    candidate.foundation = own;
    match carried {
        Carried::V6(ip) => {
            candidate.addr = SocketAddr::new(ip.into(), port);
            Signalled::Candidate(candidate)
        }
        Carried::Mdns(name) => {
            candidate.addr = SocketAddr::new(NO_ADDRESS, port);
            Signalled::Named(candidate, name)
        }
    }
}

/// IPv6 addresses have no brackets here (RFC 8839 §5.1), but some agents print them.
fn ip(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn is_mdns_name(name: &str) -> bool {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = name.strip_suffix(".local").unwrap_or_default();
    (1..=63).contains(&label.len()) && label.bytes().all(is_label)
}

/// The longest foundation (RFC 8839 §5.1).
const MAX_FOUNDATION: usize = 32;

const NO_ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(attribute: &str) -> Option<String> {
        Some(match parse(attribute)? {
            Signalled::Candidate(candidate) => candidate.addr.to_string(),
            Signalled::Named(candidate, name) => format!("{name}:{}", candidate.addr.port()),
        })
    }

    #[test]
    fn rfc8839_section_5_1_a_candidate_is_read() {
        let read = parse(
            "candidate:842163049 1 udp 1677729535 203.0.113.9 43210 typ srflx raddr 10.0.0.2 rport 5 generation 0",
        );
        let Some(Signalled::Candidate(read)) = read else { panic!("no candidate") };
        assert_eq!(
            (read.foundation.as_str(), read.component, read.priority),
            ("842163049", Component::Rtp, 1_677_729_535)
        );
        assert_eq!(
            (read.addr, read.kind),
            ("203.0.113.9:43210".parse().expect("address"), CandidateKind::ServerReflexive)
        );
        assert_eq!(address("candidate:1 2 UDP 1 fd00::2 9 typ host").as_deref(), Some("[fd00::2]:9"));
        assert_eq!(address("candidate:1 2 UDP 1 [fd00::2] 9 typ host").as_deref(), Some("[fd00::2]:9"));
    }

    #[test]
    fn an_address_in_the_foundation_takes_its_place() {
        let foundation = carried::encode("fd00::2", "1").expect("carried");
        assert_eq!(
            address(&format!("candidate:{foundation} 1 udp 1 192.0.0.8 9 typ host")).as_deref(),
            Some("[fd00::2]:9")
        );
        let name = "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local";
        let foundation = carried::encode(name, "1").expect("carried");
        let read = address(&format!("candidate:{foundation} 1 udp 1 192.0.0.8 9 typ host"));
        assert_eq!(read, Some(format!("{name}:9")));
        assert_eq!(address(&format!("candidate:1 1 udp 1 {name} 9 typ host")), Some(format!("{name}:9")));
    }

    #[test]
    fn what_is_no_candidate_over_udp_is_not_read() {
        for text in [
            "",
            "candidate:",
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
            "candidate:1 3 udp 1 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 99999 typ host",
            "candidate:1 1 udp 1 192.0.2.1 9 typ odd",
            "candidate:1 1 udp 1 pbx.example 9 typ host",
            "candidate:1 1 udp 1 a.b.local 9 typ host",
            "candidate:1 1 udp x 192.0.2.1 9 typ host",
            "1 1 udp 1 192.0.2.1 9 typ host",
            "candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 9 typ host",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
