//! Finds the addresses of this machine for host candidates (RFC 8445 §5.1.1.1).

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use crate::gathering::interfaces::Use;
use crate::gathering::settings::Gathering;

/// Most host addresses that are used. More would make the SDP too long for SIP over UDP.
const MOST: usize = 16;

/// Returns the addresses that a socket bound to `bound` can be reached at, as far as the settings permit. Link-local addresses are left
/// out, as in browsers. Those of containers' bridges are returned only if there are no others, and loopback addresses only if there
/// are no others at all.
pub fn host_addresses(bound: IpAddr, gathering: &Gathering) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return Some(bound).filter(|ip| gathering.candidates.allows(*ip)).into_iter().collect();
    }
    select(&all(), bound, gathering)
}

fn select(all: &[Interface], bound: IpAddr, gathering: &Gathering) -> Vec<IpAddr> {
    let fits = |one: &&Interface| (bound.is_ipv6() || one.ip.is_ipv4()) && gathering.candidates.allows(one.ip);
    let fitting: Vec<_> = all.iter().filter(fits).map(|one| (one.ip, gathering.interfaces.judge(&one.name))).collect();
    let mut found = Vec::new();
    for wanted in [Use::Always, Use::IfNothingElse] {
        if found.is_empty() {
            let of_this = fitting.iter().filter(|(ip, used)| *used == wanted && is_reachable(*ip));
            found.extend(of_this.map(|(ip, _)| *ip));
        }
    }
    if found.is_empty() {
        found.extend(fitting.iter().filter(|(ip, used)| *used != Use::Never && ip.is_loopback()).map(|(ip, _)| *ip));
    }
    let mut seen = Vec::new();
    found.retain(|ip| {
        !seen.contains(ip) && {
            seen.push(*ip);
            true
        }
    });
    found.truncate(MOST);
    found
}

fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

/// The subnets of this machine's interfaces at one moment.
pub struct Links(Vec<Interface>);

impl Links {
    /// Reads the interfaces.
    pub fn now() -> Self {
        Self(all())
    }

    /// Returns whether `ip` is an address of the same link as this machine: a link-local one, or one in a subnet.
    pub fn have(&self, ip: IpAddr) -> bool {
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        is_link_local || self.0.iter().any(|one| one.mask.is_some_and(|mask| masked(ip, mask) == masked(one.ip, mask)))
    }
}

/// Returns the index of the interface with this address.
pub fn index_of(ip: IpAddr) -> Option<u32> {
    all().into_iter().find(|one| one.ip == ip).map(|one| one.index).filter(|index| *index != 0)
}

/// Returns the part of an address that a netmask selects; `None` if they are of two families.
fn masked(ip: IpAddr, mask: IpAddr) -> Option<u128> {
    match (ip, mask) {
        (IpAddr::V4(ip), IpAddr::V4(mask)) => Some((u32::from(ip) & u32::from(mask)).into()),
        (IpAddr::V6(ip), IpAddr::V6(mask)) => Some(u128::from(ip) & u128::from(mask)),
        _ => None,
    }
}

/// An address of an interface that is up.
struct Interface {
    name: String,
    ip: IpAddr,
    mask: Option<IpAddr>,
    index: u32,
}

fn all() -> Vec<Interface> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    let mut found = Vec::new();
    // SAFETY: getifaddrs either fails or returns a linked list that stays valid until freeifaddrs; an
    // address has the type that its family says, a name ends with a NUL.
    unsafe {
        if libc::getifaddrs(&raw mut list) != 0 {
            return found;
        }
        let mut next = list;
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            let up = entry.ifa_flags & libc::IFF_UP as u32 != 0;
            let address = |raw: *mut libc::sockaddr| raw.as_ref().and_then(|address| ip_of(address));
            if let Some(ip) = address(entry.ifa_addr).filter(|_| up) {
                let index = libc::if_nametoindex(entry.ifa_name);
                let name = CStr::from_ptr(entry.ifa_name).to_string_lossy().into_owned();
                found.push(Interface { name, ip, mask: address(entry.ifa_netmask), index });
            }
        }
        libc::freeifaddrs(list);
    }
    found
}

/// # Safety
/// `address` must have the size of the structure for its family.
unsafe fn ip_of(address: &libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller promises the size, so the family tells the type.
    unsafe {
        match i32::from(address.sa_family) {
            libc::AF_INET => {
                let sin = &*ptr::from_ref(address).cast::<libc::sockaddr_in>();
                Some(Ipv4Addr::from(u32::from_be(sin.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let sin6 = &*ptr::from_ref(address).cast::<libc::sockaddr_in6>();
                Some(Ipv6Addr::from(sin6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gathering::interfaces::Interfaces;

    #[test]
    fn a_bound_socket_has_the_address_it_is_bound_to() {
        let ip = "127.0.0.1".parse().unwrap();
        assert_eq!(host_addresses(ip, &Gathering::default()), [ip]);
    }

    fn selected(interfaces: &[(&str, &str)], bound: &str, gathering: &Gathering) -> Vec<String> {
        let interface = |(name, ip): &(&str, &str)| Interface {
            name: (*name).to_owned(),
            ip: ip.parse().unwrap(),
            mask: None,
            index: 1,
        };
        let all: Vec<_> = interfaces.iter().map(interface).collect();
        select(&all, bound.parse().unwrap(), gathering).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn bridges_of_containers_are_left_out_unless_nothing_else_is_left() {
        let all = [
            ("lo", "127.0.0.1"),
            ("eth0", "192.0.2.5"),
            ("eth0", "2001:db8::5"),
            ("eth0", "fe80::1"),
            ("docker0", "172.17.0.1"),
        ];
        let default = Gathering::default();
        assert_eq!(selected(&all, "0.0.0.0", &default), ["192.0.2.5"]);
        assert_eq!(selected(&all, "::", &default), ["192.0.2.5", "2001:db8::5"]);
        let but = Gathering { interfaces: Interfaces::parse("!eth*").unwrap(), ..Gathering::default() };
        assert_eq!(selected(&all, "0.0.0.0", &but), ["172.17.0.1"]);
        let neither = Gathering { interfaces: Interfaces::parse("!eth*,!docker0").unwrap(), ..Gathering::default() };
        assert_eq!(selected(&all, "0.0.0.0", &neither), ["127.0.0.1"]);
        let only = Gathering { interfaces: Interfaces::parse("docker0").unwrap(), ..Gathering::default() };
        assert_eq!(selected(&all, "0.0.0.0", &only), ["172.17.0.1"]);
    }

    #[test]
    fn some_address_is_always_found() {
        let found = host_addresses("0.0.0.0".parse().unwrap(), &Gathering::default());
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_ipv4));
        assert_eq!(found.iter().any(IpAddr::is_loopback), found.iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn the_link_ends_where_the_subnet_does() {
        for on_link in ["127.0.0.1", "127.200.0.1", "169.254.1.1", "fe80::1"] {
            assert!(Links::now().have(on_link.parse().unwrap()), "{on_link}");
        }
        for elsewhere in ["128.0.0.1", "2001:db8::1"] {
            assert!(!Links::now().have(elsewhere.parse().unwrap()), "{elsewhere}");
        }
        assert!(index_of("127.0.0.1".parse().unwrap()).is_some());
        assert_eq!(index_of("192.0.2.1".parse().unwrap()), None);
    }
}
