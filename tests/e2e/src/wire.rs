//! The loopback interface as somebody on the path sees it: reads the datagrams of others, and sends some under any address.
//!
//! Both need root. Times are the kernel's, so that a busy machine does not falsify them.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::{Range, RangeInclusive};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use libc::{c_int, c_void, socklen_t};

/// The TTL of [`Forger`]'s datagrams, by which [`Capture`] leaves them out.
const FORGED: u8 = 63;

/// The length of an IPv4 header without options, and of a UDP header.
const IP: usize = 20;
const UDP: usize = 8;

/// Reads the UDP datagrams of loopback that come from a range of ports or go there, but for forged ones.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The time of the kernel, since 1970.
    pub at: Duration,
    /// The source.
    pub from: SocketAddrV4,
    /// The destination.
    pub to: SocketAddrV4,
    /// The place of the payload in the buffer.
    pub payload: Range<usize>,
}

impl Capture {
    /// Begins to read datagrams of these ports.
    pub fn start(ports: &RangeInclusive<u16>) -> io::Result<Self> {
        let protocol = c_int::from((libc::ETH_P_IP as u16).to_be());
        let socket = open(libc::AF_PACKET, libc::SOCK_DGRAM, protocol)?;
        let mut filter = filter(ports);
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        set(&socket, libc::SO_ATTACH_FILTER, &program)?;
        set(&socket, libc::SO_TIMESTAMPNS, &c_int::from(true))?;
        set(&socket, libc::SO_RCVBUFFORCE, &(8 << 20_i32))?;
        set(&socket, libc::SO_RCVTIMEO, &libc::timeval { tv_sec: 0, tv_usec: 50_000 })?;
        Ok(Self { socket })
    }

    /// Waits up to 50 ms for the next datagram.
    pub fn next(&self, buffer: &mut [u8]) -> Option<Seen> {
        // SAFETY: all-zero is a valid value of this plain C structure.
        let mut message: libc::msghdr = unsafe { zeroed() };
        let mut control = Control([0; 64]);
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        // SAFETY: every pointer in `message` points to a local, or to `buffer`, and outlives the call.
        let len = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let packet = buffer.get(..usize::try_from(len).ok()?)?;
        let (head, _) = packet.split_first_chunk::<{ IP + UDP }>()?;
        let address = |at: usize, port: usize| {
            let ip = Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]);
            SocketAddrV4::new(ip, u16::from_be_bytes([head[port], head[port + 1]]))
        };
        let (from, to) = (address(12, IP), address(16, IP + 2));
        Some(Seen { at: time(&message)?, from, to, payload: IP + UDP..packet.len() })
    }
}

/// Sends datagrams under any address.
#[derive(Debug)]
pub struct Forger {
    socket: OwnedFd,
    packet: Vec<u8>,
}

impl Forger {
    /// Opens its socket.
    pub fn new() -> io::Result<Self> {
        Ok(Self { socket: open(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)?, packet: Vec::new() })
    }

    /// Sends `payload` as if it came from `from`.
    pub fn send(&mut self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> io::Result<()> {
        // The kernel fills in the length and the checksum of IP. A UDP checksum of 0 means that there is none.
        let len = ((UDP + payload.len()) as u16).to_be_bytes();
        self.packet.clear();
        self.packet.extend([0x45, 0, 0, 0, 0, 0, 0, 0, FORGED, libc::IPPROTO_UDP as u8, 0, 0]);
        self.packet.extend(from.ip().octets().into_iter().chain(to.ip().octets()));
        self.packet.extend(from.port().to_be_bytes().into_iter().chain(to.port().to_be_bytes()));
        self.packet.extend(len.into_iter().chain([0, 0]));
        self.packet.extend(payload);
        let name = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from(*to.ip()).to_be() },
            sin_zero: [0; 8],
        };
        let len = size_of::<libc::sockaddr_in>() as socklen_t;
        let (packet, fd) = (&self.packet, self.socket.as_raw_fd());
        // SAFETY: packet and address are read for their lengths during the call.
        let sent = unsafe { libc::sendto(fd, packet.as_ptr().cast(), packet.len(), 0, (&raw const name).cast(), len) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Space for a control message, aligned for its header.
#[repr(align(8))]
struct Control([u8; 64]);

/// The kernel's time of a datagram.
fn time(message: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel filled in `message`; the macros stay within its control buffer.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message).as_ref()?;
        let is_time = (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS);
        let time = is_time.then(|| libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned())?;
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
}

/// A filter in the kernel (packet(7)): datagrams of `ports` that arrive, with another TTL than [`FORGED`].
fn filter(ports: &RangeInclusive<u16>) -> [libc::sock_filter; 14] {
    const BYTE: u16 = 0x30;
    const HALF: u16 = 0x28;
    const IS: u16 = 0x15;
    const IS_ABOVE: u16 = 0x25;
    const IS_NOT_BELOW: u16 = 0x35;
    const RETURN: u16 = 0x06;
    // The kind of the packet, as an ancillary load; loopback shows each packet on its way out as well.
    const KIND: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    let (first, last) = (u32::from(*ports.start()), u32::from(*ports.end()));
    [
        (BYTE, 0, 0, KIND),
        (IS, 11, 0, libc::PACKET_OUTGOING.into()),
        (BYTE, 0, 0, 8),
        (IS, 9, 0, FORGED.into()),
        (BYTE, 0, 0, 9),
        (IS, 0, 7, libc::IPPROTO_UDP as u32),
        (HALF, 0, 0, IP as u32),
        (IS_NOT_BELOW, 0, 1, first),
        (IS_ABOVE, 0, 3, last),
        (HALF, 0, 0, IP as u32 + 2),
        (IS_NOT_BELOW, 0, 2, first),
        (IS_ABOVE, 1, 0, last),
        (RETURN, 0, 0, 0xFFFF),
        (RETURN, 0, 0, 0),
    ]
    .map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
}

fn open(family: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed; a descriptor that is not negative is new and owned by us.
    unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn set<T>(socket: &OwnedFd, option: c_int, value: &T) -> io::Result<()> {
    let (value, len) = ((&raw const *value).cast::<c_void>(), size_of::<T>() as socklen_t);
    // SAFETY: `value` is read for its length during the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
