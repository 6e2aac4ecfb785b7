//! RTP as a phone in a test sends and receives it: packets field by field, and the two sockets of a stream.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// An RTP packet (RFC 3550 §5.1), version 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the RFC")]
pub struct Rtp {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub csrc: Vec<u32>,
    /// The profile's number, and the words as octets.
    pub extension: Option<(u16, Vec<u8>)>,
    /// Octets of padding.
    pub padding: u8,
    pub payload: Vec<u8>,
}

impl Rtp {
    /// The packet on the wire.
    pub fn write(&self) -> Vec<u8> {
        let flags = u8::from(self.padding > 0) << 5 | u8::from(self.extension.is_some()) << 4;
        let mut wire = vec![0x80 | flags | self.csrc.len() as u8, u8::from(self.marker) << 7 | self.payload_type];
        wire.extend(self.sequence.to_be_bytes());
        wire.extend(self.timestamp.to_be_bytes());
        wire.extend(self.ssrc.to_be_bytes());
        wire.extend(self.csrc.iter().flat_map(|source| source.to_be_bytes()));
        if let Some((profile, words)) = &self.extension {
            wire.extend(profile.to_be_bytes());
            wire.extend(((words.len() / 4) as u16).to_be_bytes());
            wire.extend(words);
        }
        wire.extend(&self.payload);
        wire.extend((0..self.padding).map(|at| if at + 1 == self.padding { self.padding } else { 0 }));
        wire
    }

    /// Parses a datagram; `None` if it is no RTP.
    pub fn parse(wire: &[u8]) -> Option<Self> {
        let (head, mut rest) = wire.split_first_chunk::<12>()?;
        if head[0] >> 6 != 2 || (64..=95).contains(&(head[1] & 0x7F)) {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut csrc = Vec::new();
        for _ in 0..head[0] & 0x0F {
            let (source, more) = rest.split_first_chunk::<4>()?;
            csrc.push(u32::from_be_bytes(*source));
            rest = more;
        }
        let mut extension = None;
        if head[0] & 0x10 != 0 {
            let ([a, b, c, d], more) = rest.split_first_chunk::<4>()?;
            let (words, more) = more.split_at_checked(4 * usize::from(u16::from_be_bytes([*c, *d])))?;
            extension = Some((u16::from_be_bytes([*a, *b]), words.to_vec()));
            rest = more;
        }
        let padding = if head[0] & 0x20 != 0 { *rest.last()? } else { 0 };
        let payload = rest.get(..rest.len().checked_sub(usize::from(padding))?)?.to_vec();
        Some(Self {
            payload_type: head[1] & 0x7F,
            marker: head[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: word(4),
            ssrc: word(8),
            csrc,
            extension,
            padding,
            payload,
        })
    }
}

/// A datagram that came in.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// When it was read.
    pub at: Instant,
    /// The sender.
    pub from: SocketAddr,
    /// Whether it came to the socket of RTCP.
    pub is_rtcp: bool,
    /// The octets.
    pub bytes: Vec<u8>,
}

/// The two sockets of a stream, RTP at an even port and RTCP at the next one. Everything that arrives is kept.
#[derive(Debug)]
pub struct Media {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    ended: Arc<AtomicBool>,
    readers: Vec<JoinHandle<()>>,
}

impl Media {
    /// Binds a pair of ports at this address and begins to read.
    pub fn bind(address: IpAddr) -> io::Result<Self> {
        let (rtp, rtcp) = pair(address)?;
        let (arrived, ended) = <(Arc<Mutex<Vec<Arrived>>>, Arc<AtomicBool>)>::default();
        let mut readers = Vec::new();
        for (socket, is_rtcp) in [(&rtp, false), (&rtcp, true)] {
            let (socket, arrived, ended) = (socket.try_clone()?, Arc::clone(&arrived), Arc::clone(&ended));
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            readers.push(thread::spawn(move || keep(&socket, is_rtcp, &arrived, &ended)));
        }
        Ok(Self { address: rtp.local_addr()?, rtp, rtcp, arrived, ended, readers })
    }

    /// The port of RTP.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Sends a datagram from the socket of RTP.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.rtp.send_to(datagram, to).map(drop)
    }

    /// Sends a datagram from the socket of RTCP to the port after that of `to`.
    pub fn send_rtcp(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.rtcp.send_to(datagram, SocketAddr::new(to.ip(), to.port() + 1)).map(drop)
    }

    /// All datagrams so far, in the order of arrival on each socket.
    pub fn arrived(&self) -> Vec<Arrived> {
        lock(&self.arrived).clone()
    }

    /// The RTP packets so far.
    pub fn packets(&self) -> Vec<Rtp> {
        lock(&self.arrived).iter().filter(|arrived| !arrived.is_rtcp).filter_map(|one| Rtp::parse(&one.bytes)).collect()
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

fn keep(socket: &UdpSocket, is_rtcp: bool, arrived: &Mutex<Vec<Arrived>>, ended: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !ended.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            lock(arrived).push(Arrived { at: Instant::now(), from, is_rtcp, bytes: buffer[..length].to_vec() });
        }
    }
}

/// An even port and the next one, both free.
fn pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..1000 {
        let first = UdpSocket::bind((address, 0))?;
        let port = first.local_addr()?.port();
        if port % 2 == 0
            && port < u16::MAX
            && let Ok(second) = UdpSocket::bind((address, port + 1))
        {
            return Ok((first, second));
        }
    }
    Err(io::Error::other("no two ports in a row are free"))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_everything_comes_back() {
        let packet = Rtp {
            payload_type: 8,
            marker: true,
            sequence: 65_535,
            timestamp: 1,
            ssrc: 2,
            csrc: vec![3, 4],
            extension: Some((0xBEDE, vec![1, 2, 3, 4])),
            padding: 3,
            payload: vec![5; 7],
        };
        assert_eq!(Rtp::parse(&packet.write()), Some(packet));
    }

    #[test]
    fn padding_longer_than_the_packet_is_refused() {
        let mut wire = Rtp { padding: 1, payload: vec![9], ..Rtp::default() }.write();
        *wire.last_mut().unwrap() = 200;
        assert_eq!(Rtp::parse(&wire), None);
    }
}
