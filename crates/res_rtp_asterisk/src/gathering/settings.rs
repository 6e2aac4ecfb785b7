//! The keys of `rtp.conf` that say which addresses are offered as candidates, and how further ones are found.

use std::net::IpAddr;

use asterisk::config::Entry;

use super::acl::{Acl, Keys};
use super::interfaces::Interfaces;
use crate::config::{Lines, Outside};

/// The settings of candidates. The keys are those of Asterisk 11.25.3, 16 and 22, and `ice_interfaces`, `ice_external_address` and
/// `stunpool`, which are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathering {
    /// The STUN server (`stunaddr`).
    pub stun: Option<Server>,
    /// The number of sessions whose sockets are kept mapped ahead of calls, behind a NAT that changes ports (`stunpool`).
    pub pool: usize,
    /// The interfaces whose addresses are candidates (`ice_interfaces`).
    pub interfaces: Interfaces,
    /// The addresses that may be candidates (`ice_permit`, `ice_deny`, `ice_acl`).
    pub candidates: Acl,
    /// The addresses that the STUN server may be asked from (`stun_permit`, `stun_deny`, `stun_acl`).
    pub stun_from: Acl,
    /// Public addresses that a 1:1 NAT forwards to this machine (`ice_external_address`), at most one of each family.
    pub external: Vec<IpAddr>,
    /// The lines of `[ice_host_candidates]`.
    pub advertised: Vec<Advertised>,
}

/// A server, by address or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address or the name.
    pub host: Host,
    /// The UDP port.
    pub port: u16,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// At an address.
    Address(IpAddr),
    /// At the addresses of a name.
    Name(String),
}

/// A line of `[ice_host_candidates]`: a local address and the address that peers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertised {
    /// An address of this machine.
    pub local: IpAddr,
    /// The address that a 1:1 NAT forwards from.
    pub public: IpAddr,
    /// Whether peers are told the local address as well (`include_local_address`).
    pub tells_local: bool,
}

impl Default for Gathering {
    fn default() -> Self {
        Self {
            stun: None,
            pool: DEFAULT_POOL as usize,
            interfaces: Interfaces::default(),
            candidates: Acl::default(),
            stun_from: Acl::default(),
            external: Vec::new(),
            advertised: Vec::new(),
        }
    }
}

impl Gathering {
    /// Reads the keys. A value that cannot be used is noted in `lines` as a problem and left out.
    pub fn read(lines: &mut Lines<'_>) -> Self {
        let stun = lines.value("stunaddr").and_then(|entry| {
            let server = Server::parse(entry.value.trim());
            lines.usable(server.ok_or_else(|| {
                format!("{}; no STUN server is asked", entry.bad("a name or an address, with or without :port".into()))
            }))
        });
        Self {
            stun,
            pool: lines.number("stunpool", 0..=LARGEST_POOL, Outside::Nearest, DEFAULT_POOL) as usize,
            interfaces: read_interfaces(lines),
            candidates: Acl::read(lines, CANDIDATES),
            stun_from: Acl::read(lines, STUN_FROM),
            external: read_external(lines),
            advertised: read_advertised(lines),
        }
    }
}

impl Server {
    /// Parses `host[:port]`; an IPv6 address with a port stands in brackets. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self { host: Host::Address(ip), port: STUN_PORT });
        }
        if let Some((ip, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let host = Host::Address(IpAddr::V6(ip.parse().ok()?));
            return Some(Self { host, port: port_of(port.strip_prefix(':'), port.is_empty())? });
        }
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        let port = port_of(port, port.is_none())?;
        let host = match host.parse() {
            Ok(ip) => Host::Address(ip),
            Err(_) => Host::Name(Some(host.to_ascii_lowercase()).filter(|host| is_name(host))?),
        };
        Some(Self { host, port })
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Host::Address(ip) => std::net::SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

fn port_of(text: Option<&str>, absent: bool) -> Option<u16> {
    if absent {
        return Some(STUN_PORT);
    }
    text?.parse().ok().filter(|port| *port != 0)
}

/// Returns whether this may be a name in DNS (RFC 1035 §2.3.1, with the underscores that are in use). One of digits and dots alone is
/// an address with a mistake in it.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.split('.').all(is_label) && name.bytes().any(|c| c.is_ascii_alphabetic())
}

fn read_interfaces(lines: &mut Lines<'_>) -> Interfaces {
    let Some(entry) = lines.value("ice_interfaces") else { return Interfaces::default() };
    let interfaces = Interfaces::parse(entry.value);
    let wanted = "names of interfaces, separated by commas, each with or without ! before it";
    lines
        .usable(interfaces.ok_or_else(|| format!("{}; using all interfaces", entry.bad(wanted.into()))))
        .unwrap_or_default()
}

fn read_external(lines: &mut Lines<'_>) -> Vec<IpAddr> {
    let Some(entry) = lines.value("ice_external_address") else { return Vec::new() };
    let addresses: Option<Vec<IpAddr>> = entry.value.split(',').map(|ip| public(ip.trim())).collect();
    let is_one_each =
        |ips: &Vec<IpAddr>| [true, false].iter().all(|v4| ips.iter().filter(|ip| ip.is_ipv4() == *v4).count() < 2);
    let wanted = "an address, or one of IPv4 and one of IPv6 with a comma between them";
    lines
        .usable(addresses.filter(is_one_each).ok_or_else(|| format!("{}; ignored", entry.bad(wanted.into()))))
        .unwrap_or_default()
}

fn read_advertised(lines: &mut Lines<'_>) -> Vec<Advertised> {
    let entries = std::mem::take(&mut lines.host_candidates);
    let mut read = Vec::new();
    for entry in entries {
        if let Some(line) = lines.usable(advertised(&entry)) {
            read.push(line);
        }
    }
    read
}

/// Parses a line of `[ice_host_candidates]`: `local => public` or `local => public,include_local_address`.
fn advertised(entry: &Entry<'_>) -> Result<Advertised, String> {
    let Entry { name, value, file, line } = *entry;
    let local: IpAddr = name.trim().parse().map_err(|_| {
        format!("{file}, line {line}: '{name}' in [ice_host_candidates] is not an IP address; the line is ignored")
    })?;
    let (address, option) = value.split_once(',').map_or((value, ""), |(address, option)| (address, option.trim()));
    let bad = |wanted: &str| format!("{}; the line is ignored", entry.bad(wanted.to_owned()));
    let public = public(address.trim()).filter(|public| public.is_ipv4() == local.is_ipv4());
    let public = public.ok_or_else(|| bad("an IP address of the same family"))?;
    match option {
        "" => Ok(Advertised { local, public, tells_local: false }),
        _ if option.eq_ignore_ascii_case("include_local_address") => {
            Ok(Advertised { local, public, tells_local: true })
        }
        _ => Err(bad("an address, or an address and include_local_address")),
    }
}

/// Parses an address that a peer can send to.
fn public(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    Some(ip).filter(|ip| !ip.is_unspecified() && !ip.is_multicast())
}

const CANDIDATES: Keys = Keys { permit: "ice_permit", deny: "ice_deny", blacklist: "ice_blacklist", acl: "ice_acl" };
const STUN_FROM: Keys = Keys { permit: "stun_permit", deny: "stun_deny", blacklist: "stun_blacklist", acl: "stun_acl" };

/// The port of STUN servers (RFC 8489 §18.6).
const STUN_PORT: u16 = 3478;

const DEFAULT_POOL: u32 = 8;
const LARGEST_POOL: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(written: &[(&'static str, &'static str)]) -> Vec<Entry<'static>> {
        let entry = |(line, (name, value))| Entry { name, value, file: "rtp.conf", line };
        (1..).zip(written.iter().copied()).map(entry).collect()
    }

    fn read(
        general: &[(&'static str, &'static str)],
        hosts: &[(&'static str, &'static str)],
    ) -> (Gathering, Vec<String>) {
        let mut lines = Lines { entries: entries(general), host_candidates: entries(hosts), ..Lines::default() };
        let gathering = Gathering::read(&mut lines);
        (gathering, lines.problems)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_stun_server_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, shown) in [
            ("stun.example.org", "stun.example.org:3478"),
            ("STUN.example.org:19302", "stun.example.org:19302"),
            ("203.0.113.9", "203.0.113.9:3478"),
            ("203.0.113.9:53", "203.0.113.9:53"),
            ("2001:db8::1", "[2001:db8::1]:3478"),
            ("[2001:db8::1]:53", "[2001:db8::1]:53"),
            ("localhost", "localhost:3478"),
        ] {
            assert_eq!(Server::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["a b", "host:", "host:0", "host:70000", "300.1.2.3", "[::1", "[::1]9", ".", "a..b", "", ":3478"] {
            assert_eq!(Server::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_key_is_read() {
        let (gathering, problems) = read(
            &[
                ("stunaddr", "stun.example.org"),
                ("stunpool", "3"),
                ("ice_interfaces", "eth0, !docker0"),
                ("ice_deny", "0.0.0.0/0"),
                ("ice_permit", "192.0.2.0/24"),
                ("stun_blacklist", "192.0.2.7"),
                ("ice_external_address", "203.0.113.5, 2001:db8::5"),
            ],
            &[("192.0.2.5", "203.0.113.5"), ("192.0.2.6", "203.0.113.6, include_local_address")],
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!((gathering.pool, gathering.external), (3, vec![ip("203.0.113.5"), ip("2001:db8::5")]));
        assert!(gathering.candidates.allows(ip("192.0.2.9")) && !gathering.candidates.allows(ip("198.51.100.1")));
        assert!(!gathering.stun_from.allows(ip("192.0.2.7")) && gathering.stun_from.allows(ip("192.0.2.8")));
        let [first, second] = gathering.advertised[..] else { panic!("{:?}", gathering.advertised) };
        assert_eq!(first, Advertised { local: ip("192.0.2.5"), public: ip("203.0.113.5"), tells_local: false });
        assert_eq!(second, Advertised { local: ip("192.0.2.6"), public: ip("203.0.113.6"), tells_local: true });
    }

    #[test]
    fn an_empty_value_is_as_if_the_key_was_not_there() {
        let keys = ["stunaddr", "ice_interfaces", "ice_external_address", "ice_permit", "ice_acl", "stun_deny"];
        let (gathering, problems) = read(&keys.map(|key| (key, " ")), &[]);
        assert_eq!((gathering, problems.len()), (Gathering::default(), 0));
    }

    #[test]
    fn a_broken_value_is_named_with_file_line_and_key() {
        let general = [
            ("stunaddr", "two words"),
            ("stunpool", "many"),
            ("ice_interfaces", "eth0,,"),
            ("ice_external_address", "203.0.113.5,203.0.113.6"),
            ("ice_permit", "192.0.2.0/33"),
            ("stun_deny", "everything"),
            ("stun_acl", "nobody"),
        ];
        let hosts = [("eth0", "203.0.113.5"), ("192.0.2.5", "2001:db8::1"), ("192.0.2.5", "203.0.113.5,include")];
        let (gathering, problems) = read(&general, &hosts);
        assert_eq!((gathering.stun, gathering.pool, gathering.advertised), (None, 8, vec![]));
        assert_eq!(problems.len(), general.len() + hosts.len(), "{problems:#?}");
        for (line, (key, value)) in (1..).zip(general) {
            let start = format!("rtp.conf, line {line}: {key} = '{value}' is not ");
            assert!(problems.iter().any(|problem| problem.starts_with(&start)), "{start} in {problems:#?}");
        }
        assert!(
            problems.iter().any(|problem| problem.starts_with("rtp.conf, line 1: 'eth0' in [ice_host_candidates]"))
        );
    }
}
