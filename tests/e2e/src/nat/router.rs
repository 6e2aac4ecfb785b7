//! Routers that translate addresses, as nftables rules.
//!
//! Their interfaces are `wan`, to the internet, and `lan`, with one host behind it.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// Translation of IPv4 addresses by a router. The words of RFC 3489 §5 name the kinds, as browsers' users know them; RFC 4787
/// has the behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Another port for each destination, and only that destination may answer: address and port-dependent mapping and
    /// filtering.
    Symmetric,
    /// Gives a socket one port for all destinations, and lets only those answer that it has sent to: endpoint-independent
    /// mapping, address and port-dependent filtering (RFC 4787). Most routers of homes are like this.
    Cone,
    /// Gives a socket one port for all destinations, and lets everybody in: endpoint-independent mapping and filtering.
    /// The port is another one than the host's.
    FullCone,
    /// A public address for the host alone, all of whose ports lead to it, as in a cloud.
    OneToOne,
    /// A [`Nat::Cone`] whose firewall lets no UDP through.
    UdpBlocked,
}

impl Nat {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Symmetric => "symmetric",
            Self::Cone => "cone",
            Self::FullCone => "full cone",
            Self::OneToOne => "1:1",
            Self::UdpBlocked => "UDP blocked",
        }
    }
}

/// A router with a host behind it.
#[derive(Clone, Debug)]
pub struct Router {
    /// Its translation of IPv4.
    pub nat: Nat,
    /// Its address on the internet.
    pub outside: Ipv4Addr,
    /// The host's address.
    pub inside: Ipv4Addr,
    /// The host's UDP ports, whose mappings a full cone knows.
    pub ports: RangeInclusive<u16>,
    /// A TCP port of the host that the internet may connect to.
    pub forwarded: Option<u16>,
    /// Whether the internet may begin to send to the host over IPv6.
    pub open_to_ipv6: bool,
}

impl Router {
    /// Its rules. Packets for ports that nobody has asked for are dropped before they leave a trace: otherwise the kernel
    /// would take the port for theirs, and give the host's own packets to that sender another one.
    pub fn rules(&self) -> String {
        format!(
            "table ip nat {{\n\
             chain before {{\ntype nat hook prerouting priority dstnat\n{}}}\n\
             chain after {{\ntype nat hook postrouting priority srcnat\n{}}}\n}}\n\
             table inet filter {{\n\
             chain input {{\ntype filter hook input priority 0; policy drop\n\
             iifname != \"wan\" accept\nct state established,related accept\nmeta l4proto {{ icmp, ipv6-icmp }} accept\n}}\n\
             chain forward {{\ntype filter hook forward priority 0; policy accept\n{}}}\n}}\n",
            self.towards_the_host(),
            self.towards_the_internet(),
            self.forwarding()
        )
    }

    fn towards_the_host(&self) -> String {
        let inside = self.inside;
        let mut rules = match self.nat {
            Nat::OneToOne => format!("iifname \"wan\" dnat to {inside}\n"),
            Nat::FullCone => {
                let mapped = self.mapped(|inner, outer| (outer, inner));
                format!("iifname \"wan\" meta l4proto udp dnat ip to {inside} : udp dport map {{ {mapped} }}\n")
            }
            _ => String::new(),
        };
        if let Some(port) = self.forwarded {
            let _ = writeln!(rules, "iifname \"wan\" tcp dport {port} dnat to {inside}");
        }
        rules
    }

    fn towards_the_internet(&self) -> String {
        let outside = self.outside;
        match self.nat {
            Nat::Symmetric => "oifname \"wan\" masquerade random,fully-random\n".to_owned(),
            Nat::Cone | Nat::UdpBlocked => "oifname \"wan\" masquerade\n".to_owned(),
            Nat::OneToOne => format!("oifname \"wan\" snat to {outside}\n"),
            Nat::FullCone => {
                let mapped = self.mapped(|inner, outer| (inner, outer));
                format!(
                    "oifname \"wan\" meta l4proto udp snat ip to {outside} : udp sport map {{ {mapped} }}\n\
                     oifname \"wan\" masquerade\n"
                )
            }
        }
    }

    fn forwarding(&self) -> String {
        let mut rules = String::new();
        if self.nat == Nat::UdpBlocked {
            rules.push_str("meta l4proto udp drop\n");
        }
        if !self.open_to_ipv6 {
            rules.push_str("iifname \"wan\" meta nfproto ipv6 ct state new drop\n");
        }
        rules
    }

    /// The elements of a map of ports; the port outside is this far from the host's.
    fn mapped(&self, direction: impl Fn(u16, u16) -> (u16, u16)) -> String {
        let pairs = self.ports.clone().map(|port| direction(port, port + SHIFT));
        let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key} : {value}")).collect();
        pairs.join(", ")
    }
}

/// The distance of a full cone's ports from the host's.
const SHIFT: u16 = 10_000;
