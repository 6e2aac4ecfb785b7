//! Datagrams in batches: one system call for as many as are there (recvmmsg(2), sendmmsg(2)).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_uint, c_void, iovec, mmsghdr, sockaddr_in, socklen_t};

/// The most datagrams of one system call.
const BATCH: usize = 128;

/// The longest datagram.
pub const LONGEST: usize = 1500;

/// The octets that the kernel keeps for a socket of all calls: 10,000 packets.
const BUFFER: c_int = 8 << 20;

/// A socket that all calls share.
#[derive(Debug)]
pub struct Socket(UdpSocket);

impl Socket {
    /// Binds it; reading does not wait.
    pub fn bind(address: SocketAddrV4) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE, libc::SO_RCVBUF, libc::SO_SNDBUF] {
            // The first two need root; the kernel limits the others.
            let is_forced = option == libc::SO_RCVBUFFORCE || option == libc::SO_SNDBUFFORCE;
            if set(&socket, option, BUFFER).is_ok() && option == libc::SO_SNDBUFFORCE && is_forced {
                break;
            }
        }
        Ok(Self(socket))
    }

    /// An even port and the next one (RFC 3550 §11).
    pub fn bind_pair(ip: Ipv4Addr) -> io::Result<[Self; 2]> {
        for _ in 0..1000 {
            let first = Self::bind(SocketAddrV4::new(ip, 0))?;
            let port = first.port()?;
            if port % 2 == 0
                && let Ok(second) = Self::bind(SocketAddrV4::new(ip, port + 1))
            {
                return Ok([first, second]);
            }
        }
        Err(io::Error::other("no two ports in a row are free"))
    }

    /// Its port.
    pub fn port(&self) -> io::Result<u16> {
        self.0.local_addr().map(|address| address.port())
    }

    /// The descriptor, to wait for.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.0.as_fd()
    }
}

fn set(socket: &UdpSocket, option: c_int, value: c_int) -> io::Result<()> {
    let (value, len) = ((&raw const value).cast::<c_void>(), size_of::<c_int>() as socklen_t);
    // SAFETY: the value is read for its length during the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Space for the datagrams of one call.
struct Space {
    bytes: Vec<[u8; LONGEST]>,
    names: Vec<sockaddr_in>,
    vectors: Vec<iovec>,
    headers: Vec<mmsghdr>,
}

impl Space {
    fn new() -> Self {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let (name, header) = unsafe { (zeroed::<sockaddr_in>(), zeroed::<mmsghdr>()) };
        let empty = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Self {
            bytes: vec![[0; LONGEST]; BATCH],
            names: vec![name; BATCH],
            vectors: vec![empty; BATCH],
            headers: vec![header; BATCH],
        }
    }

    /// Points the headers to the datagrams, which have these lengths.
    fn arm(&mut self, lengths: impl Iterator<Item = usize>) -> usize {
        let mut count = 0;
        for (at, length) in lengths.enumerate().take(BATCH) {
            self.vectors[at] = iovec { iov_base: self.bytes[at].as_mut_ptr().cast(), iov_len: length };
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = (&raw mut self.names[at]).cast();
            header.msg_namelen = size_of::<sockaddr_in>() as socklen_t;
            header.msg_iov = &raw mut self.vectors[at];
            header.msg_iovlen = 1;
            count = at + 1;
        }
        count
    }
}

/// Reads datagrams.
pub struct Inbox(Space);

impl Inbox {
    /// Space for a batch.
    pub fn new() -> Self {
        Self(Space::new())
    }

    /// Hands every datagram that is there to `take`, with its source.
    pub fn receive(&mut self, socket: &Socket, mut take: impl FnMut(SocketAddrV4, &mut [u8])) {
        loop {
            let space = &mut self.0;
            space.arm(std::iter::repeat_n(LONGEST, BATCH));
            let headers = space.headers.as_mut_ptr();
            // SAFETY: the headers point into `space`, which outlives the call.
            let count = unsafe { libc::recvmmsg(socket.0.as_raw_fd(), headers, BATCH as c_uint, 0, ptr::null_mut()) };
            let count = usize::try_from(count).unwrap_or(0);
            for at in 0..count {
                let length = (space.headers[at].msg_len as usize).min(LONGEST);
                take(address(&space.names[at]), &mut space.bytes[at][..length]);
            }
            if count < BATCH {
                return;
            }
        }
    }
}

/// Collects datagrams for one socket.
pub struct Outbox {
    space: Space,
    lengths: Vec<usize>,
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        Self { space: Space::new(), lengths: Vec::with_capacity(BATCH) }
    }

    /// Adds the datagram that `write` puts into the buffer; it returns the length, or `None` for nothing.
    pub fn push(&mut self, socket: &Socket, to: SocketAddrV4, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let at = self.lengths.len();
        let Some(length) = write(&mut self.space.bytes[at]) else { return };
        self.space.names[at] = name(to);
        self.lengths.push(length);
        if self.lengths.len() == BATCH {
            self.flush(socket);
        }
    }

    /// Sends what was collected. What the kernel does not take is lost, as on a network.
    pub fn flush(&mut self, socket: &Socket) {
        let count = self.space.arm(self.lengths.drain(..));
        let mut sent = 0;
        while sent < count {
            let headers = &mut self.space.headers[sent..count];
            let number = headers.len() as c_uint;
            // SAFETY: the headers point into the space, which outlives the call.
            let result = unsafe { libc::sendmmsg(socket.0.as_raw_fd(), headers.as_mut_ptr(), number, 0) };
            // An error is that of the first datagram: a port that was closed (ECONNREFUSED), or no memory.
            sent += usize::try_from(result).unwrap_or(0).max(1);
        }
    }
}

fn address(name: &sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)), u16::from_be(name.sin_port))
}

fn name(address: SocketAddrV4) -> sockaddr_in {
    sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_datagrams_than_a_batch_arrive_in_their_order() {
        let [one, other] = Socket::bind_pair(Ipv4Addr::LOCALHOST).unwrap();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, other.port().unwrap());
        let mut outbox = Outbox::new();
        for number in 0..300_u16 {
            outbox.push(&one, to, |buffer| {
                buffer[..2].copy_from_slice(&number.to_be_bytes());
                Some(2)
            });
        }
        outbox.flush(&one);
        let mut numbers = Vec::new();
        Inbox::new().receive(&other, |from, bytes| {
            assert_eq!(from.port(), one.port().unwrap());
            numbers.push(u16::from_be_bytes([bytes[0], bytes[1]]));
        });
        assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    }
}
