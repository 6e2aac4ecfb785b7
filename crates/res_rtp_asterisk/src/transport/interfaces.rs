//! Finds the addresses of this machine for host candidates (RFC 8445 §5.1.1.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Most host addresses that are used. More would make the SDP too long for SIP over UDP.
const MOST: usize = 16;

/// Returns the addresses that a socket bound to `bound` can be reached at. Link-local addresses are left out, as in browsers;
/// loopback addresses are returned only if there are no others.
pub fn host_addresses(bound: IpAddr) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let all = addresses();
    let fits = |ip: &IpAddr| bound.is_ipv6() || ip.is_ipv4();
    let mut found: Vec<IpAddr> = all.iter().copied().filter(|ip| fits(ip) && is_reachable(*ip)).collect();
    if found.is_empty() {
        found = all.into_iter().filter(|ip| fits(ip) && ip.is_loopback()).collect();
    }
    found.truncate(MOST);
    found
}

fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

/// Returns the addresses of all interfaces that are up.
fn addresses() -> Vec<IpAddr> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    let mut found = Vec::new();
    // SAFETY: getifaddrs either fails or returns a linked list that stays valid until freeifaddrs; an
    // address has the type that its family says.
    unsafe {
        if libc::getifaddrs(&raw mut list) != 0 {
            return found;
        }
        let mut next = list;
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            let up = entry.ifa_flags & libc::IFF_UP as u32 != 0;
            let ip = entry.ifa_addr.as_ref().and_then(|address| ip_of(address));
            if let Some(ip) = ip.filter(|ip| up && !found.contains(ip)) {
                found.push(ip);
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

    #[test]
    fn a_bound_socket_has_the_address_it_is_bound_to() {
        let ip = "127.0.0.1".parse().unwrap();
        assert_eq!(host_addresses(ip), [ip]);
    }

    #[test]
    fn some_address_is_always_found() {
        let found = host_addresses("0.0.0.0".parse().unwrap());
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_ipv4));
        assert_eq!(found.iter().any(IpAddr::is_loopback), found.iter().all(IpAddr::is_loopback));
    }
}
