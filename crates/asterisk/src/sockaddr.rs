//! Conversion between `ast_sockaddr` and `std::net::SocketAddr`.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;

use crate::sys;

/// An address in the host's type `ast_sockaddr`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct SockAddr(pub sys::ast_sockaddr);

impl SockAddr {
    /// The host's "no address".
    pub fn null() -> Self {
        // SAFETY: all zero is the null address: family unspecified, length 0.
        Self(unsafe { mem::zeroed() })
    }

    /// Converts to the standard type; `None` for the null address and for families other than IPv4 and IPv6.
    pub fn to_std(&self) -> Option<SocketAddr> {
        from_host(&self.0)
    }

    /// The pointer for functions of the host that read the address.
    pub fn as_ptr(&self) -> *const sys::ast_sockaddr {
        &raw const self.0
    }

    /// The pointer for functions of the host that write the address.
    pub fn as_mut_ptr(&mut self) -> *mut sys::ast_sockaddr {
        &raw mut self.0
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(address: SocketAddr) -> Self {
        let mut host = Self::null();
        let storage = (&raw mut host.0.ss).cast::<u8>();
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: all zero is valid for this structure of integers.
                let mut inet: libc::sockaddr_in = unsafe { mem::zeroed() };
                inet.sin_family = libc::AF_INET as libc::sa_family_t;
                inet.sin_port = v4.port().to_be();
                inet.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                host.0.len = size_of::<libc::sockaddr_in>() as _;
                // SAFETY: a `sockaddr_storage` has room and alignment for every kind of socket address.
                unsafe { storage.cast::<libc::sockaddr_in>().write(inet) };
            }
            SocketAddr::V6(v6) => {
                // SAFETY: as above.
                let mut inet: libc::sockaddr_in6 = unsafe { mem::zeroed() };
                inet.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                inet.sin6_port = v6.port().to_be();
                inet.sin6_flowinfo = v6.flowinfo();
                inet.sin6_scope_id = v6.scope_id();
                inet.sin6_addr.s6_addr = v6.ip().octets();
                host.0.len = size_of::<libc::sockaddr_in6>() as _;
                // SAFETY: as above.
                unsafe { storage.cast::<libc::sockaddr_in6>().write(inet) };
            }
        }
        host
    }
}

impl From<Option<SocketAddr>> for SockAddr {
    fn from(address: Option<SocketAddr>) -> Self {
        address.map_or_else(Self::null, Self::from)
    }
}

impl std::fmt::Debug for SockAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_std().fmt(f)
    }
}

/// Converts an address in a structure of the host; `None` for the null address.
pub fn from_host(host: &sys::ast_sockaddr) -> Option<SocketAddr> {
    if host.len == 0 {
        return None;
    }
    let storage = (&raw const host.ss).cast::<u8>();
    // SAFETY: every socket address begins with its family, and the storage is always initialised.
    let family = unsafe { storage.cast::<libc::sa_family_t>().read() };
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: the storage is large and aligned enough, and any bytes are a valid address.
            let inet = unsafe { storage.cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(inet.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(inet.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let inet = unsafe { storage.cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(inet.sin6_addr.s6_addr);
            let port = u16::from_be(inet.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, inet.sin6_flowinfo, inet.sin6_scope_id)))
        }
        _ => None,
    }
}

/// The local address of a socket; the null address if it has none.
pub(crate) fn local(socket: RawFd) -> SockAddr {
    let mut address = SockAddr::null();
    let mut len = size_of_val(&address.0.ss) as libc::socklen_t;
    // SAFETY: the storage has that many bytes, and the kernel writes no more.
    let known = unsafe { libc::getsockname(socket, (&raw mut address.0.ss).cast(), &raw mut len) } == 0;
    address.0.len = if known { len as _ } else { 0 };
    address
}

/// Converts an address behind a pointer of the host; `None` for null and for the null address.
///
/// # Safety
/// `host` is null or points to an address that is not written during the call.
pub unsafe fn from_ptr(host: *const sys::ast_sockaddr) -> Option<SocketAddr> {
    // SAFETY: guaranteed by our caller.
    from_host(unsafe { host.as_ref() }?)
}

/// Converts an IPv4-mapped IPv6 address, as dual-stack sockets report it, to IPv4; others stay as they are.
pub fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Converts an IPv4 address to an IPv4-mapped IPv6 address, as dual-stack sockets require; others stay as they are.
pub fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_host_and_back() {
        for text in ["192.0.2.1:5060", "0.0.0.0:0", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:1", "[::]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SockAddr::from(address).to_std(), Some(address));
        }
        assert_eq!(SockAddr::null().to_std(), None);
        assert_eq!(SockAddr::from(None).to_std(), None);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_maps() {
        let v4: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        assert_eq!(mapped(v4), "[::ffff:192.0.2.1]:5060".parse().unwrap());
        assert_eq!(unmapped(mapped(v4)), v4);
    }
}
