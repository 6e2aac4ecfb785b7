//! Candidate attributes (RFC 8839 §5.1), as they come one at a time with trickle ICE (RFC 8840).
//!
//! ```text
//! candidate:842163049 1 udp 1677729535 192.0.2.3 4000 typ srflx raddr 10.0.1.1 rport 8998 generation 0 ufrag h6vY
//! ```

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use crate::carried::{self, Carried};
use crate::{Candidate, CandidateKind, Component};

/// A candidate of the peer as its signalling names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signalled {
    /// The candidate. Its address is 0.0.0.0 while only `name` is known.
    pub candidate: Candidate,
    /// The name of multicast DNS (RFC 6762) that the signalling has in place of the address.
    pub name: Option<String>,
    /// The peer's username fragment, if the attribute has it. Browsers add it to tell generations apart.
    pub ufrag: Option<String>,
}

/// Why a candidate attribute cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// It does not follow the grammar.
    #[error("not a candidate attribute")]
    Malformed,
    /// Its transport is not UDP. ICE-TCP (RFC 6544) is not supported.
    #[error("its transport is not UDP")]
    NotUdp,
    /// Its component is neither 1 nor 2.
    #[error("its component is neither 1 nor 2")]
    UnknownComponent,
    /// Its type is none of RFC 8839's.
    #[error("its type is unknown")]
    UnknownKind,
    /// Its address is a name that is not one of multicast DNS.
    #[error("its address is a name outside .local")]
    UnknownName,
}

impl Signalled {
    /// Adds what is carried in the candidate's foundation, if its address is the one that says so.
    pub fn uncarried(mut candidate: Candidate) -> Self {
        let is_carried = candidate.addr.ip() == carried::PLACEHOLDER;
        let carried = is_carried.then(|| carried::decode(&candidate.foundation)).flatten();
        let (address, name) = match carried.map(|(carried, _)| carried) {
            None => (candidate.addr.ip(), None),
            Some(Carried::V6(address)) => (address.into(), None),
            Some(Carried::Mdns(name)) => (Ipv4Addr::UNSPECIFIED.into(), Some(name)),
        };
        candidate.addr.set_ip(address);
        Self { candidate, name, ufrag: None }
    }
}

impl FromStr for Signalled {
    type Err = AttributeError;

    /// Parses an attribute, with or without the `a=` before it. Ignores extensions that it does not know.
    fn from_str(attribute: &str) -> Result<Self, AttributeError> {
        use AttributeError::{Malformed, NotUdp, UnknownComponent, UnknownKind};
        let attribute = attribute.trim();
        let attribute = attribute.strip_prefix("a=").unwrap_or(attribute);
        let mut words = attribute.strip_prefix("candidate:").ok_or(Malformed)?.split_ascii_whitespace();
        let mut next = || words.next().ok_or(Malformed);
        let (foundation, component, transport, priority) = (next()?, next()?, next()?, next()?);
        let (address, port, typ, kind) = (next()?, next()?, next()?, next()?);
        if typ != "typ" || !is_foundation(foundation) {
            return Err(Malformed);
        }
        if !transport.eq_ignore_ascii_case("udp") {
            return Err(NotUdp);
        }
        let (ip, name) = address_of(address)?;
        let extensions = Extensions::of(words);
        let candidate = Candidate {
            foundation: foundation.to_owned(),
            component: component.parse().ok().and_then(Component::from_id).ok_or(UnknownComponent)?,
            priority: priority.parse().map_err(|_| Malformed)?,
            addr: SocketAddr::new(ip, port.parse().map_err(|_| Malformed)?),
            kind: CandidateKind::from_signalled(kind).ok_or(UnknownKind)?,
            related: extensions.related(),
        };
        let carried = Self::uncarried(candidate);
        Ok(Self { name: name.or(carried.name), ufrag: extensions.ufrag.map(str::to_owned), ..carried })
    }
}

impl Display for Candidate {
    /// Writes the candidate as in an attribute, without the `candidate:` before it. IPv6 addresses have no brackets (RFC 8839 §5.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, priority, addr, kind, related } = self;
        write!(
            f,
            "{foundation} {} UDP {priority} {} {} typ {}",
            component.id(),
            addr.ip(),
            addr.port(),
            kind.signalled()
        )?;
        match related {
            Some(related) => write!(f, " raddr {} rport {}", related.ip(), related.port()),
            None => Ok(()),
        }
    }
}

/// The extensions at the end of an attribute that we know.
#[derive(Default)]
struct Extensions<'a> {
    related_address: Option<&'a str>,
    related_port: Option<&'a str>,
    ufrag: Option<&'a str>,
}

impl<'a> Extensions<'a> {
    fn of(mut words: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "raddr" => found.related_address = Some(value),
                "rport" => found.related_port = Some(value),
                "ufrag" => found.ufrag = Some(value),
                _ => {}
            }
        }
        found
    }

    /// Returns the related address. Browsers hide it as 0.0.0.0 and port 0, or as port 9.
    fn related(&self) -> Option<SocketAddr> {
        let ip = ip_of(self.related_address?)?;
        Some(SocketAddr::new(ip, self.related_port?.parse().ok()?))
    }
}

fn address_of(text: &str) -> Result<(IpAddr, Option<String>), AttributeError> {
    if let Some(ip) = ip_of(text) {
        return Ok((ip, None));
    }
    let name = text.to_ascii_lowercase();
    let host = name.strip_suffix(".local").ok_or(AttributeError::UnknownName)?;
    let is_label = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let is_name = (1..=MAX_LABEL).contains(&host.len()) && host.bytes().all(is_label);
    if is_name { Ok((Ipv4Addr::UNSPECIFIED.into(), Some(name))) } else { Err(AttributeError::UnknownName) }
}

/// Parses an address; IPv6 may stand in brackets.
fn ip_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

fn is_foundation(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/')
}

/// The most octets of a label in DNS (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Signalled, AttributeError> {
        text.parse()
    }

    #[test]
    fn a_candidate_that_is_written_is_read_back() {
        for (kind, addr, related) in [
            (CandidateKind::Host, "[fd99::1]:40000", None),
            (CandidateKind::ServerReflexive, "203.0.113.5:40000", Some("192.0.2.1:30000")),
        ] {
            let (addr, related) = (addr.parse().unwrap(), related.map(|text| text.parse().unwrap()));
            let (foundation, component) = ("7".to_owned(), Component::Rtcp);
            let candidate = Candidate { foundation, component, priority: 9, addr, kind, related };
            let written = format!("candidate:{candidate}");
            assert_eq!(written.parse::<Signalled>().unwrap().candidate, candidate, "{written}");
            assert!(!written.contains('['), "{written}");
        }
    }

    #[test]
    fn rfc8839_section_5_1_the_example_is_read() {
        let line = "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998";
        let signalled = parse(line).unwrap();
        let expected = Candidate {
            foundation: "2".to_owned(),
            component: Component::Rtp,
            priority: 1_694_498_815,
            addr: "192.0.2.3:45664".parse().unwrap(),
            kind: CandidateKind::ServerReflexive,
            related: Some("203.0.113.141:8998".parse().unwrap()),
        };
        assert_eq!(signalled, Signalled { candidate: expected, name: None, ufrag: None });
    }

    #[test]
    fn addresses_of_every_kind_are_read() {
        let with =
            |address: &str| parse(&format!("a=candidate:1 1 udp 2122260223 {address} 40000 typ host generation 0"));
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:40000"),
            ("2001:db8::1", "[2001:db8::1]:40000"),
            ("[2001:db8::1]", "[2001:db8::1]:40000"),
        ] {
            let signalled = with(text).unwrap();
            assert_eq!((signalled.candidate.addr, signalled.name), (address.parse().unwrap(), None));
        }
        let name = "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local";
        assert_eq!(with(name).unwrap().name.as_deref(), Some(name));
        for bad in ["pbx.example", ".local", "a.b.local", "[::1", &format!("{}.local", "a".repeat(64))] {
            assert_eq!(with(bad), Err(AttributeError::UnknownName), "{bad}");
        }
    }

    #[test]
    fn an_address_that_is_carried_in_the_foundation_is_found_there() {
        let foundation = carried::encode("fd00::1", "842163049").unwrap();
        let line = format!("candidate:{foundation} 1 udp 1 192.0.0.8 40000 typ host");
        assert_eq!(parse(&line).unwrap().candidate.addr, "[fd00::1]:40000".parse().unwrap());
        let name = "0e2a7b1c-9d3f-4c5e-8a6b-7f0d1e2c3b4a.local";
        let line = format!("candidate:{} 1 udp 1 192.0.0.8 40000 typ host", carried::encode(name, "1").unwrap());
        assert_eq!(parse(&line).unwrap().name.as_deref(), Some(name));
    }

    #[test]
    fn a_foundation_carries_nothing_beside_an_address_or_a_name() {
        let foundation = carried::encode("fd00::1", "1").unwrap();
        let with = |address: &str| parse(&format!("candidate:{foundation} 1 udp 1 {address} 40000 typ host")).unwrap();
        assert_eq!(with("192.0.2.1").candidate.addr, "192.0.2.1:40000".parse().unwrap());
        let named = with("192.local");
        assert_eq!(
            (named.candidate.addr.ip(), named.name.as_deref()),
            (Ipv4Addr::UNSPECIFIED.into(), Some("192.local"))
        );
    }

    #[test]
    fn extensions_are_skipped_and_the_generation_is_kept() {
        let line = "candidate:0 2 UDP 2122252543 192.0.2.1 9 typ host generation 0 ufrag h6vY network-cost 999";
        assert_eq!(parse(line).unwrap().ufrag.as_deref(), Some("h6vY"));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        use AttributeError::{Malformed, NotUdp, UnknownComponent, UnknownKind};
        for (line, error) in [
            ("", Malformed),
            ("candidate:", Malformed),
            ("candidate:1 1 udp 1 192.0.2.1 9 typ", Malformed),
            ("candidate:1 1 udp 1 192.0.2.1 9 type host", Malformed),
            ("candidate:1 1 udp 4294967296 192.0.2.1 9 typ host", Malformed),
            ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", Malformed),
            ("candidate:1=2 1 udp 1 192.0.2.1 9 typ host", Malformed),
            ("candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active", NotUdp),
            ("candidate:1 3 udp 1 192.0.2.1 9 typ host", UnknownComponent),
            ("candidate:1 1 udp 1 192.0.2.1 9 typ odd", UnknownKind),
        ] {
            assert_eq!(parse(line), Err(error), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(candidate:)?[ -~é]{0,120}") {
            let _ = parse(&text);
        }

        #[test]
        fn an_attribute_is_read_as_it_was_written(
            foundation in "[a-z0-9/]{1,20}", component in 1u16..=2, priority: u32, ip: IpAddr, port: u16,
        ) {
            let line = format!("candidate:{foundation} {component} udp {priority} {ip} {port} typ host");
            let candidate = parse(&line).unwrap().candidate;
            prop_assert_eq!(candidate.addr, SocketAddr::new(ip, port));
            prop_assert_eq!((candidate.foundation, candidate.priority), (foundation, priority));
            prop_assert_eq!(candidate.component.id(), component as u8);
        }
    }
}
