//! A laboratory of networks: a PBX and a browser, each with or without a router that translates its addresses, and between
//! them an internet with a STUN and TURN server. All of it is network namespaces of the test, joined by virtual cables.
//!
//! ```text
//!  browser --- home's router --- internet --- PBX's router --- PBX
//!  192.168.1.2       192.0.2.2      |      198.51.100.10  10.0.0.10
//!  2001:db8:20::2                   |                     2001:db8:10::10
//!                              203.0.113.5, 2001:db8:5::5: coturn
//! ```
//!
//! The internet loses packets to private addresses, and its public ones are those for documentation (RFC 5737,
//! RFC 3849). IPv6 is routed without translation, and the home's router lets nobody in who was not sent to.

pub mod cell;
pub mod coturn;
mod namespace;
mod router;
pub mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::failure::{Failure, Result};
use crate::ports::Ports;

pub use namespace::Namespace;
pub use router::{Nat, Router};

/// The versions of IP that the browser has. The PBX has IPv4, and IPv6 unless the browser has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the table")]
pub enum Family {
    Ipv4,
    Ipv6,
    Both,
}

impl Family {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Both => "both",
        }
    }
}

/// An internet, and two places on it. Removed on drop.
#[derive(Debug)]
pub struct World {
    internet: Namespace,
    // Nobody asks a router anything, but its namespace has to live.
    _routers: Vec<Namespace>,
    pbx: Namespace,
    homes: Vec<Home>,
    family: Family,
}

/// A browser's place behind a router.
#[derive(Debug)]
pub struct Home {
    nat: Nat,
    namespace: Namespace,
}

impl World {
    /// Builds the networks: the PBX behind `pbx`, `None` for a public address of its own, with the ports of `ports`, and
    /// homes behind `homes`.
    pub fn build(pbx: Option<Nat>, homes: &[Nat], family: Family, ports: &Ports) -> Result<Self> {
        let internet = Namespace::create()?;
        internet.ip(&format!("addr add {SERVER} dev lo\naddr add {SERVER_IPV6} dev lo\n"))?;
        let nowhere = nowhere(&internet)?;
        let mut world =
            Self { internet, _routers: vec![nowhere], pbx: Namespace::create()?, homes: Vec::new(), family };
        match pbx {
            None => world.attach_pbx()?,
            Some(nat) => world.attach_pbx_behind(nat, ports)?,
        }
        for nat in homes {
            let home = world.home(*nat)?;
            world.homes.push(home);
        }
        Ok(world)
    }

    /// The internet, where the STUN and TURN server is.
    pub fn internet(&self) -> &Namespace {
        &self.internet
    }

    /// The PBX's place.
    pub fn pbx(&self) -> &Namespace {
        &self.pbx
    }

    /// The browser's place behind this kind of router.
    pub fn behind(&self, nat: Nat) -> Result<&Namespace> {
        let home = self.homes.iter().find(|home| home.nat == nat);
        home.map(|home| &home.namespace).ok_or_else(|| Failure::new(format!("no home is behind {}", nat.name())))
    }

    /// The address that browsers know the PBX by.
    pub fn address_of_pbx(&self) -> IpAddr {
        match self.family {
            Family::Ipv6 => PBX_IPV6.into(),
            _ => PBX_OUTSIDE.into(),
        }
    }

    /// The address of the STUN and TURN server.
    pub fn address_of_server(&self) -> IpAddr {
        match self.family {
            Family::Ipv6 => SERVER_IPV6.into(),
            _ => SERVER.into(),
        }
    }

    /// All addresses of the STUN and TURN server.
    pub fn addresses_of_server(&self) -> [IpAddr; 2] {
        [SERVER.into(), SERVER_IPV6.into()]
    }

    fn attach_pbx(&mut self) -> Result {
        Namespace::connect([(&self.internet, "pbx"), (&self.pbx, "wan")])?;
        self.internet.ip(&up("pbx", &format!("addr add {ROUTER_OF_PBX}/24 dev pbx")))?;
        self.pbx.ip(&up("wan", &format!("addr add {PBX_OUTSIDE}/24 dev wan")))?;
        self.pbx.ip(&format!("route add default via {ROUTER_OF_PBX}\n"))?;
        if self.family != Family::Ipv4 {
            self.internet.ip(&format!("addr add {ROUTER_OF_PBX_IPV6}/64 dev pbx nodad\n"))?;
            self.pbx
                .ip(&format!("addr add {PBX_IPV6}/64 dev wan nodad\nroute add default via {ROUTER_OF_PBX_IPV6}\n"))?;
        }
        Ok(())
    }

    fn attach_pbx_behind(&mut self, nat: Nat, ports: &Ports) -> Result {
        let router = Router {
            nat,
            outside: PBX_OUTSIDE,
            inside: PBX_INSIDE,
            ports: ports.rtp.clone(),
            forwarded: Some(ports.ws),
            open_to_ipv6: true,
        };
        let place = Place {
            name: "pbx",
            uplink: ROUTER_OF_PBX,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            prefix_ipv6: 0x10,
            host_ipv6: PBX_IPV6,
            ipv4: true,
        };
        self.attach_behind(&router, &place, &self.pbx).map(|namespace| self._routers.push(namespace))
    }

    fn home(&mut self, nat: Nat) -> Result<Home> {
        let number = self.homes.len() as u8;
        let namespace = Namespace::create()?;
        namespace.set("ipv4/ip_local_port_range", &format!("{}\t{}", HOME_PORTS.start(), HOME_PORTS.end()))?;
        let router = Router {
            nat,
            outside: Ipv4Addr::new(192, 0, 2, 16 * number + 2),
            inside: Ipv4Addr::new(192, 168, 1, 2),
            ports: HOME_PORTS,
            forwarded: None,
            open_to_ipv6: false,
        };
        let prefix_ipv6 = 0x20 + u16::from(number);
        let place = Place {
            name: &format!("home{number}"),
            uplink: Ipv4Addr::new(192, 0, 2, 16 * number + 1),
            gateway: Ipv4Addr::new(192, 168, 1, 1),
            prefix_ipv6,
            host_ipv6: within(prefix_ipv6, 2),
            ipv4: self.family != Family::Ipv6,
        };
        let gateway = self.attach_behind(&router, &place, &namespace)?;
        self._routers.push(gateway);
        Ok(Home { nat, namespace })
    }

    /// Connects `host` to the internet by a router, and returns the router.
    fn attach_behind(&self, router: &Router, place: &Place<'_>, host: &Namespace) -> Result<Namespace> {
        let gateway = Namespace::create()?;
        let name = place.name;
        Namespace::connect([(&self.internet, name), (&gateway, "wan")])?;
        Namespace::connect([(&gateway, "lan"), (host, "eth0")])?;
        self.internet.ip(&up(name, ""))?;
        gateway.ip(&up("wan", &up("lan", "")))?;
        host.ip(&up("eth0", ""))?;
        if place.ipv4 {
            let Place { uplink, gateway: inner, .. } = place;
            let Router { outside, inside, .. } = router;
            self.internet.ip(&format!("addr add {uplink}/28 dev {name}\n"))?;
            gateway.ip(&format!(
                "addr add {outside}/28 dev wan\naddr add {inner}/24 dev lan\nroute add default via {uplink}\n"
            ))?;
            host.ip(&format!("addr add {inside}/24 dev eth0\nroute add default via {inner}\n"))?;
        }
        if self.family != Family::Ipv4 {
            let [uplink, outside] = [1, 2].map(|host| within(place.prefix_ipv6 + 0x100, host));
            let (inner, inside) = (within(place.prefix_ipv6, 1), place.host_ipv6);
            let network = within(place.prefix_ipv6, 0);
            self.internet
                .ip(&format!("addr add {uplink}/64 dev {name} nodad\nroute add {network}/64 via {outside}\n"))?;
            gateway.ip(&format!(
                "addr add {outside}/64 dev wan nodad\naddr add {inner}/64 dev lan nodad\n\
                 route add default via {uplink}\n"
            ))?;
            host.ip(&format!("addr add {inside}/64 dev eth0 nodad\nroute add default via {inner}\n"))?;
        }
        gateway.filter(&router.rules())?;
        Ok(gateway)
    }
}

/// A router that packets to unknown addresses are lost in. Without one the internet would report an error to their senders, as
/// the relay: the real internet loses them.
fn nowhere(internet: &Namespace) -> Result<Namespace> {
    let nowhere = Namespace::create()?;
    Namespace::connect([(internet, "nowhere"), (&nowhere, "wan")])?;
    let [here, there] = [1, 2].map(|host| within(0x99, host));
    internet
        .ip(&up("nowhere", &format!("addr add 203.0.113.241/28 dev nowhere\naddr add {here}/64 dev nowhere nodad")))?;
    nowhere.ip(&up("wan", &format!("addr add 203.0.113.242/28 dev wan\naddr add {there}/64 dev wan nodad")))?;
    internet.ip(&format!("route add default via 203.0.113.242\nroute add default via {there}\n"))?;
    nowhere.ip(&format!("route add default via 203.0.113.241\nroute add default via {here}\n"))?;
    nowhere.filter("table inet filter {\nchain forward {\ntype filter hook forward priority 0; policy drop\n}\n}\n")?;
    Ok(nowhere)
}

/// A place behind a router.
struct Place<'a> {
    /// The internet's interface to it.
    name: &'a str,
    /// The internet's address on the link to the router.
    uplink: Ipv4Addr,
    /// The router's inner address.
    gateway: Ipv4Addr,
    /// The third group of the IPv6 addresses inside.
    prefix_ipv6: u16,
    /// The host's address of IPv6.
    host_ipv6: Ipv6Addr,
    /// Whether it has IPv4.
    ipv4: bool,
}

/// Lines of `ip` that take an interface up, and then `more`.
fn up(interface: &str, more: &str) -> String {
    format!("link set {interface} up\n{more}\n")
}

/// A host in a network of `2001:db8::/32`.
const fn within(network: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 0, host)
}

/// The STUN and TURN server.
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const SERVER_IPV6: Ipv6Addr = within(5, 5);

/// The PBX's address, or that of its router.
pub const PBX_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

/// The PBX's address behind a router.
pub const PBX_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

const PBX_IPV6: Ipv6Addr = within(0x10, 0x10);
const ROUTER_OF_PBX: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const ROUTER_OF_PBX_IPV6: Ipv6Addr = within(0x10, 1);

/// The UDP ports that a browser may use.
const HOME_PORTS: std::ops::RangeInclusive<u16> = 40_000..=40_999;
