//! The two sockets of a media session: an even port for RTP, the next one for RTCP (RFC 3550 §11).
//!
//! Each packet costs one system call. On a socket bound to the wildcard address the kernel reports the destination address of
//! each datagram, and the answer is sent from that address. On a multihomed machine the kernel might choose another one, and an
//! ICE peer would drop the answer (RFC 8445 §7.3.1.2). Without ICE and DTLS nothing depends on that address, and no control messages
//! are exchanged with the kernel.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asterisk::pollable::{AlwaysReadable, Pollable};
use libc::{c_int, c_void, socklen_t};
use rtp::demux::{Class, classify};

use super::ports::{Claim, Search};
use crate::gathering::pool::Reflexive;

/// The length and addresses of a received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Length of the datagram in octets, at most that of the buffer.
    pub len: usize,
    /// Source address. IPv4-mapped IPv6 addresses are converted to IPv4.
    pub from: SocketAddr,
    /// Destination address as the kernel reported it, or else the address that the socket is bound to.
    pub to: SocketAddr,
}

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct MediaSocket {
    fd: OwnedFd,
    local: SocketAddr,
    /// A datagram came for which the destination address matters: from our own port, maybe of this machine, or STUN.
    needs_destination: AtomicBool,
}

/// The sockets of one session.
#[derive(Debug)]
pub struct Pair {
    /// The socket for RTP, on an even port.
    pub rtp: MediaSocket,
    /// The socket for RTCP, on the next port.
    pub rtcp: MediaSocket,
    /// Their addresses behind a NAT, if those are known already.
    pub mapped: Option<Reflexive>,
    /// Keeps the ports ours. Dropped after the sockets.
    pub _claim: Claim,
}

impl Pair {
    /// Binds two adjacent free ports of `ip`. The search starts at a place in the range that `random` selects, and wraps once.
    /// `checksums`: the kernel computes UDP checksums. Fails with `EADDRINUSE` when no pair is free, and with `EACCES` when the process may
    /// bind none of them.
    pub fn bind(ip: IpAddr, ports: (u16, u16), random: u32, checksums: bool) -> io::Result<Self> {
        let mut search = Search::new(ports, random);
        let mut rtp = MediaSocket::open(ip, checksums)?;
        let mut refusals = Refusals::default();
        while let Some(claim) = search.claim(ip) {
            if refusals.has(rtp.bind(claim.port()))? {
                continue;
            }
            let mut rtcp = MediaSocket::open(ip, checksums)?;
            if !refusals.has(rtcp.bind(claim.port() | 1))? {
                return Ok(Self { rtp, rtcp, mapped: None, _claim: claim });
            }
            // A bound socket cannot be bound again.
            rtp = rtcp;
        }
        Err(refusals.error(search.pairs()))
    }
}

/// The ports of a search that could not be bound.
#[derive(Debug, Default)]
struct Refusals {
    forbidden: u32,
}

impl Refusals {
    /// Returns whether a port was refused because it is in use or forbidden: then another one may be tried.
    fn has(&mut self, bound: io::Result<()>) -> io::Result<bool> {
        match bound.as_ref().map_err(io::Error::raw_os_error) {
            Ok(()) => Ok(false),
            Err(Some(libc::EADDRINUSE)) => Ok(true),
            Err(Some(libc::EACCES | libc::EPERM)) => {
                self.forbidden += 1;
                Ok(true)
            }
            Err(_) => bound.map(|()| false),
        }
    }

    /// Returns the error of a search in `pairs` pairs that has found none.
    fn error(&self, pairs: u32) -> io::Error {
        io::Error::from_raw_os_error(if self.forbidden >= pairs { libc::EACCES } else { libc::EADDRINUSE })
    }
}

/// Opens a UDP socket of the family of `address`, which never blocks.
pub fn open(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers are passed; a descriptor that is not negative is new and owned by us.
    let fd = unsafe {
        let fd = libc::socket(family, kind, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    Ok(fd)
}

impl MediaSocket {
    /// Opens a socket that is not bound yet, for the local address `ip`.
    fn open(ip: IpAddr, checksums: bool) -> io::Result<Self> {
        let local = SocketAddr::new(ip, 0);
        let socket = Self { fd: open(local)?, local, needs_destination: AtomicBool::new(false) };
        if ip.is_ipv6() && ip.is_unspecified() {
            socket.set_option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
        }
        if !checksums {
            let _ = socket.set_option(libc::SOL_SOCKET, libc::SO_NO_CHECK, 1);
        }
        if ip.is_unspecified() {
            socket.ask_for_destination();
        }
        Ok(socket)
    }

    /// Binds the socket to `port`.
    fn bind(&mut self, port: u16) -> io::Result<()> {
        let local = SocketAddr::new(self.local.ip(), port);
        bind_to(self.fd(), local)?;
        self.local = local;
        Ok(())
    }

    /// Returns the descriptor, for polling.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Moves the socket to another descriptor. The returned one has its number, and is readable while the socket is.
    pub fn give_number_up(&mut self, always: Arc<AlwaysReadable>) -> io::Result<Pollable> {
        Pollable::in_place_of(&mut self.fd, always)
    }

    /// Returns the address that the socket is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Receives the next datagram into `buffer`. Returns `None` when there is none, and also on an error, such as the ICMP error
    /// of a closed port at the peer.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<Received> {
        if self.local.ip().is_unspecified() {
            self.receive_with_destination(buffer)
        } else {
            self.receive_plainly(buffer)
        }
    }

    /// Like [`Self::receive`], for a session without ICE and DTLS. [`Received::to`] is the address that the socket is bound to, until a
    /// datagram has come for which it matters. The kernel spends a fifth less time.
    pub fn receive_anywhere(&self, buffer: &mut [u8]) -> Option<Received> {
        if self.needs_destination.load(Ordering::Relaxed) { self.receive(buffer) } else { self.receive_plainly(buffer) }
    }

    fn receive_plainly(&self, buffer: &mut [u8]) -> Option<Received> {
        let mut name = MaybeUninit::<libc::sockaddr_storage>::uninit();
        let mut name_len = size_of::<libc::sockaddr_storage>() as socklen_t;
        // SAFETY: `buffer` and `name` have room for as much as is said, and outlive the call.
        let (len, name) = unsafe {
            let (buffer, room) = (buffer.as_mut_ptr().cast(), buffer.len());
            let len = libc::recvfrom(self.fd(), buffer, room, 0, name.as_mut_ptr().cast(), &raw mut name_len);
            if len < 0 || (name_len as usize) < size_of::<libc::sockaddr_in>() {
                return None;
            }
            (len, name.as_ptr())
        };
        // SAFETY: the kernel wrote an address, whose family says how long it is.
        let from = unsafe { from_kernel(name) }?;
        let len = usize::try_from(len).ok()?;
        let is_stun = buffer.get(..len).is_some_and(|datagram| classify(datagram) == Class::Stun);
        if is_stun || from.port() == self.local.port() {
            // It may be our own, or the answer may leave from another address. The next ones come with their destination.
            self.needs_destination.store(true, Ordering::Relaxed);
        }
        Some(Received { len, from, to: self.local })
    }

    fn receive_with_destination(&self, buffer: &mut [u8]) -> Option<Received> {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let (mut name, mut message): (libc::sockaddr_storage, libc::msghdr) = unsafe { zeroed() };
        let mut control = Control([0; CONTROL]);
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        message.msg_name = (&raw mut name).cast();
        message.msg_namelen = size_of::<libc::sockaddr_storage>() as socklen_t;
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = CONTROL as _;
        // SAFETY: every pointer in `message` points to a local of sufficient size that outlives the call.
        let len = unsafe { libc::recvmsg(self.fd(), &raw mut message, 0) };
        let len = usize::try_from(len).ok()?;
        // SAFETY: the kernel wrote an address into the zeroed storage.
        let from = unsafe { from_kernel(&raw const name) }?;
        let to = destination(&message).map_or(self.local, |ip| SocketAddr::new(ip, self.local.port()));
        Some(Received { len, from, to })
    }

    /// Sends one datagram. `source` is our address to send from; `None` lets the kernel choose. Returns the octets sent.
    pub fn send(&self, datagram: &[u8], to: SocketAddr, source: Option<IpAddr>) -> io::Result<usize> {
        let family = if self.local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        if family == libc::AF_INET && to.is_ipv6() {
            return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
        }
        let (mut name, name_len) = to_kernel(to, family);
        let source = source.filter(|source| !source.is_unspecified() && self.local.ip().is_unspecified());
        let Some(source) = source else {
            // SAFETY: `datagram` and `name` are only read, and outlive the call.
            let sent = unsafe {
                let (data, name) = (datagram.as_ptr().cast(), (&raw const name).cast());
                libc::sendto(self.fd(), data, datagram.len(), libc::MSG_NOSIGNAL, name, name_len)
            };
            return usize::try_from(sent).map_err(|_| io::Error::last_os_error());
        };
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut message: libc::msghdr = unsafe { zeroed() };
        let mut control = Control([0; CONTROL]);
        let mut vector = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
        message.msg_name = (&raw mut name).cast();
        message.msg_namelen = name_len;
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        set_source(&mut message, &mut control, source, family);
        // SAFETY: every pointer in `message` points to a local, or to `datagram`, which is only read.
        let sent = unsafe { libc::sendmsg(self.fd(), &raw const message, libc::MSG_NOSIGNAL) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Marks sent datagrams: `tos` is the IP header's TOS or traffic class octet, `cos` the VLAN priority; 0 sets no priority.
    pub fn set_quality(&self, tos: c_int, cos: c_int) -> io::Result<()> {
        if self.local.is_ipv6() {
            self.set_option(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos)?;
            // For IPv4 over a dual-stack socket, which not every kernel supports.
            let _ = self.set_option(libc::IPPROTO_IP, libc::IP_TOS, tos);
        } else {
            self.set_option(libc::IPPROTO_IP, libc::IP_TOS, tos)?;
        }
        if cos != 0 { self.set_option(libc::SOL_SOCKET, libc::SO_PRIORITY, cos) } else { Ok(()) }
    }

    fn ask_for_destination(&self) {
        // If this fails, the kernel chooses the source address of answers, which is right on most machines.
        if self.local.is_ipv4() {
            let _ = self.set_option(libc::IPPROTO_IP, libc::IP_PKTINFO, 1);
        } else {
            let _ = self.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1);
        }
    }

    /// Returns the size of the receive buffer, in octets as the kernel counts them: with its own overhead.
    pub fn receive_buffer(&self) -> usize {
        let (mut value, mut len): (c_int, _) = (0, size_of::<c_int>() as socklen_t);
        // SAFETY: `value` has room for the `len` octets that the kernel writes during the call.
        let got = check(unsafe {
            let value = (&raw mut value).cast::<c_void>();
            libc::getsockopt(self.fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, value, &raw mut len)
        });
        got.ok().and_then(|()| usize::try_from(value).ok()).unwrap_or_default()
    }

    fn set_option(&self, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
        let len = size_of::<c_int>() as socklen_t;
        // SAFETY: `value` is read for `len` octets during the call.
        check(unsafe { libc::setsockopt(self.fd(), level, option, (&raw const value).cast::<c_void>(), len) })
    }
}

/// Buffer for control messages, aligned as `cmsghdr` requires.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Size of the control buffer in octets: room for one `in6_pktinfo` with its header (CMSG_SPACE is 40).
const CONTROL: usize = 64;

/// Returns the destination address of a received datagram, if the kernel reported it.
fn destination(message: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled in `message`; the macros stay within its control buffer, and the
    // data of the two message types has the layout that ip(7) and ipv6(7) document.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        let header = header.as_ref()?;
        let data = libc::CMSG_DATA(header);
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                Some(IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical())
            }
            _ => None,
        }
    }
}

/// Adds a control message that makes the datagram leave from the address `source`.
fn set_source(message: &mut libc::msghdr, control: &mut Control, source: IpAddr, family: c_int) {
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    // SAFETY: the control buffer is zeroed, aligned and larger than the one header and its data;
    // the length is then set to what was written.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        let data = libc::CMSG_DATA(header);
        let (level, kind, len) = match (family, source) {
            (libc::AF_INET, IpAddr::V4(source)) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(source).to_be();
                data.cast::<libc::in_pktinfo>().write_unaligned(info);
                (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>())
            }
            (_, source) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = to_ipv6(source).octets();
                data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>())
            }
        };
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(len as u32) as _;
        message.msg_controllen = libc::CMSG_SPACE(len as u32) as _;
    }
}

/// Returns the address as IPv6; an IPv4 address becomes IPv4-mapped.
fn to_ipv6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Converts an address to the kernel's format for a socket of that family; returns it with its length in octets.
fn to_kernel(address: SocketAddr, family: c_int) -> (libc::sockaddr_storage, socklen_t) {
    // SAFETY: all-zero is a valid value; each of the two types fits into the storage, which is
    // aligned for both.
    unsafe {
        let mut storage: libc::sockaddr_storage = zeroed();
        if let (libc::AF_INET, SocketAddr::V4(v4)) = (family, address) {
            let sin = &mut *(&raw mut storage).cast::<libc::sockaddr_in>();
            sin.sin_family = libc::AF_INET as _;
            sin.sin_port = v4.port().to_be();
            sin.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            return (storage, size_of::<libc::sockaddr_in>() as socklen_t);
        }
        let sin6 = &mut *(&raw mut storage).cast::<libc::sockaddr_in6>();
        sin6.sin6_family = libc::AF_INET6 as _;
        sin6.sin6_port = address.port().to_be();
        sin6.sin6_addr.s6_addr = to_ipv6(address.ip()).octets();
        if let SocketAddr::V6(v6) = address {
            sin6.sin6_scope_id = v6.scope_id();
        }
        (storage, size_of::<libc::sockaddr_in6>() as socklen_t)
    }
}

/// # Safety
/// `storage` points to an address of which as many octets are written as its family has.
unsafe fn from_kernel(storage: *const libc::sockaddr_storage) -> Option<SocketAddr> {
    // SAFETY: the family says which of the two types the kernel wrote, and both fit.
    unsafe {
        match c_int::from((*storage).ss_family) {
            libc::AF_INET => {
                let sin = &*storage.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(u32::from_be(sin.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(sin.sin_port)).into())
            }
            libc::AF_INET6 => {
                let sin6 = &*storage.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(sin6.sin6_addr.s6_addr);
                let port = u16::from_be(sin6.sin6_port);
                Some(match ip.to_ipv4_mapped() {
                    Some(v4) => SocketAddrV4::new(v4, port).into(),
                    None => SocketAddrV6::new(ip, port, 0, sin6.sin6_scope_id).into(),
                })
            }
            _ => None,
        }
    }
}

/// Opens a TCP socket that never blocks, and begins to connect it.
pub fn connect_stream(server: SocketAddr) -> io::Result<OwnedFd> {
    let family = if server.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers are passed; a descriptor that is not negative is new and owned by us.
    let fd = unsafe {
        let fd = libc::socket(family, kind, 0);
        check(fd)?;
        OwnedFd::from_raw_fd(fd)
    };
    let (address, len) = to_kernel(server, family);
    // SAFETY: `address` holds `len` initialised octets for the length of the call.
    match check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), len) }) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(fd),
    }
}

/// Binds a socket of the address's family.
pub fn bind_to(fd: RawFd, local: SocketAddr) -> io::Result<()> {
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let (address, len) = to_kernel(local, family);
    // SAFETY: `address` holds `len` initialised octets for the length of the call.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), len) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ip: &str) -> Pair {
        Pair::bind(ip.parse().unwrap(), (20_000, 29_999), std::process::id(), true).unwrap()
    }

    #[test]
    fn rtcp_is_the_port_after_an_even_rtp_port() {
        let sockets = pair("127.0.0.1");
        assert_eq!(sockets.rtp.local().port() % 2, 0);
        assert_eq!(sockets.rtcp.local().port(), sockets.rtp.local().port() + 1);
    }

    #[test]
    fn a_full_range_is_an_error_and_not_a_loop() {
        let taken = pair("127.0.0.1");
        let port = taken.rtp.local().port();
        let error = Pair::bind("127.0.0.1".parse().unwrap(), (port, port + 1), 7, true).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    }

    #[test]
    fn only_a_range_in_use_is_told_to_be_in_use() {
        let foreign = Pair::bind([192, 0, 2, 1].into(), (20_000, 20_003), 0, true).unwrap_err();
        assert_eq!(foreign.raw_os_error(), Some(libc::EADDRNOTAVAIL));
        let mut refusals = Refusals::default();
        let mut has = |error| refusals.has(Err(io::Error::from_raw_os_error(error)));
        assert!(has(libc::EACCES).unwrap() && has(libc::EADDRINUSE).unwrap() && has(libc::EACCES).unwrap());
        assert_eq!(has(libc::EMFILE).unwrap_err().raw_os_error(), Some(libc::EMFILE));
        assert_eq!(refusals.error(3).raw_os_error(), Some(libc::EADDRINUSE), "one of the three is in use");
        assert_eq!(refusals.error(2).raw_os_error(), Some(libc::EACCES));
    }

    #[test]
    fn ports_that_other_processes_have_are_passed_over() {
        // Tests that run beside this one may use ports of this address too: the wildcard address has it.
        let ip = IpAddr::from([127, 0, 0, 9]);
        let bind = |port| std::net::UdpSocket::bind((ip, port)).ok();
        let four = |port: u16| (port..port + 4).map(bind).collect::<Option<Vec<_>>>();
        let (port, mut held) = (21_000..28_000).step_by(4).find_map(|port| Some((port, four(port)?))).unwrap();
        let found = || Pair::bind(ip, (port, port + 3), 0, true).map(|pair| pair.rtp.local().port());
        assert_eq!(found().unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        // The RTP port of the first pair is free, and both of the second.
        held.truncate(2);
        held.remove(0);
        assert_eq!(found().unwrap(), port + 2);
    }

    #[test]
    fn the_wildcard_socket_knows_where_a_datagram_came_to_and_answers_from_there() {
        let ours = pair("0.0.0.0");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"ping", ("127.0.0.2", ours.rtp.local().port())).unwrap();
        let mut buffer = [0; 16];
        let received = ours.rtp.receive(&mut buffer).unwrap();
        assert_eq!((received.len, received.from), (4, peer.local_addr().unwrap()));
        assert_eq!(received.to.ip(), "127.0.0.2".parse::<IpAddr>().unwrap());
        ours.rtp.send(b"pong", received.from, Some(received.to.ip())).unwrap();
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((len, from), (4, received.to));
        assert!(ours.rtp.receive(&mut buffer).is_none());
    }

    #[test]
    fn a_packet_of_our_own_is_known_from_the_second_one_on() {
        let ours = pair("0.0.0.0");
        let own = SocketAddr::from(([127, 0, 0, 1], ours.rtp.local().port()));
        let mut buffer = [0; 16];
        let mut received = || {
            ours.rtp.send(b"ping", own, None).unwrap();
            ours.rtp.receive_anywhere(&mut buffer).unwrap()
        };
        let (first, second) = (received(), received());
        assert_eq!((first.len, first.from, first.to), (4, own, ours.rtp.local()));
        assert_eq!((second.len, second.from, second.to), (4, own, own));
    }

    #[test]
    fn media_comes_without_its_destination_until_there_is_stun() {
        let ours = pair("0.0.0.0");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = [0; 64];
        let mut received = |first: u8| {
            peer.send_to(&[first; 20], ("127.0.0.2", ours.rtp.local().port())).unwrap();
            ours.rtp.receive_anywhere(&mut buffer).unwrap().to.ip()
        };
        let (any, exact) = (IpAddr::from([0; 4]), IpAddr::from([127, 0, 0, 2]));
        assert_eq!([0x80, 0x80, 0, 0, 0x80].map(&mut received), [any, any, any, exact, exact]);
    }

    #[test]
    fn dual_stack_sends_and_receives_ipv4() {
        let ours = pair("::");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(b"ping", ("127.0.0.1", ours.rtcp.local().port())).unwrap();
        let mut buffer = [0; 16];
        let received = ours.rtcp.receive(&mut buffer).unwrap();
        assert_eq!(received.from, peer.local_addr().unwrap());
        assert_eq!(received.to.ip(), "127.0.0.1".parse::<IpAddr>().unwrap());
        ours.rtcp.send(b"pong", received.from, Some(received.to.ip())).unwrap();
        assert_eq!(peer.recv_from(&mut buffer).unwrap().0, 4);
    }
}
