//! Packets in memory between the packet path and the thread that writes them.
//!
//! They lie one behind the other in one piece of memory, so that a packet costs a copy and, once the memory has grown to what is
//! usual, no allocation.

use std::mem::{size_of, take};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::packet::{Content, Direction, Packet};

/// Packets that wait to be written, up to a number of octets.
#[derive(Debug)]
pub struct Queue {
    octets: Vec<u8>,
    most: usize,
    lost: u64,
}

/// Packets that were taken out of a [`Queue`], oldest first.
#[derive(Debug, Default)]
pub struct Batch(Vec<u8>);

impl Queue {
    /// Makes an empty queue with room for `most` octets, of which each packet takes 56 beside its own.
    pub fn new(most: usize) -> Self {
        Self { octets: Vec::new(), most, lost: 0 }
    }

    /// Copies a packet into the queue. Returns false, and counts the packet as lost, if there is no room.
    pub fn push(&mut self, packet: &Packet<'_>) -> bool {
        let len = self.octets.len() + HEADER + packet.octets.len();
        if len > self.most {
            self.lost += 1;
            return false;
        }
        self.grow(len);
        let nanoseconds = u64::try_from(packet.at.as_nanos()).unwrap_or(u64::MAX);
        self.octets.extend_from_slice(&nanoseconds.to_ne_bytes());
        self.octets.extend_from_slice(&packet.octets.len().to_ne_bytes());
        self.octets.extend_from_slice(&[packet.content as u8, packet.direction as u8]);
        [packet.from, packet.to].into_iter().for_each(|address| self.push_address(address));
        self.octets.extend_from_slice(packet.octets);
        true
    }

    /// Takes all packets out. The memory of `batch` is used for the next ones.
    pub fn take(&mut self, batch: &mut Batch) {
        batch.0.clear();
        std::mem::swap(&mut self.octets, &mut batch.0);
    }

    /// Returns the number of packets for which there was no room.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Makes room for `len` octets in all. The memory doubles, as a vector's does, but not past the limit.
    fn grow(&mut self, len: usize) {
        if len > self.octets.capacity() {
            let wanted = self.octets.capacity().saturating_mul(2).min(self.most).max(len);
            self.octets.reserve_exact(wanted - self.octets.len());
        }
    }

    fn push_address(&mut self, address: SocketAddr) {
        let (ip, is_v4) = match address.ip() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 1),
            IpAddr::V6(v6) => (v6, 0),
        };
        self.octets.push(is_v4);
        self.octets.extend_from_slice(&ip.octets());
        self.octets.extend_from_slice(&address.port().to_ne_bytes());
    }
}

impl Batch {
    /// Forgets the packets, and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the packets.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        let mut rest = Reader(&self.0);
        std::iter::from_fn(move || rest.packet())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn packet(&mut self) -> Option<Packet<'a>> {
        let at = Duration::from_nanos(u64::from_ne_bytes(self.array()?));
        let len = usize::from_ne_bytes(self.array()?);
        let [content, direction] = self.array()?;
        let content = *Content::ALL.get(usize::from(content))?;
        let direction = if direction == Direction::In as u8 { Direction::In } else { Direction::Out };
        let (from, to) = (self.address()?, self.address()?);
        Some(Packet { at, content, direction, from, to, octets: self.slice(len)? })
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let [is_v4] = self.array()?;
        let ip = std::net::Ipv6Addr::from(self.array::<16>()?);
        let port = u16::from_ne_bytes(self.array()?);
        let v4 = ip.to_ipv4_mapped().filter(|_| is_v4 == 1);
        Some(SocketAddr::new(v4.map_or(IpAddr::V6(ip), IpAddr::V4), port))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = take(&mut self.0).split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }
}

/// Octets of a packet beside its own.
const HEADER: usize = size_of::<u64>() + size_of::<usize>() + 2 + 2 * (1 + 16 + 2);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(from: &str, to: &str, octets: &'static [u8]) -> Packet<'static> {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let (content, direction) = (Content::Rtcp, Direction::Out);
        Packet { at: Duration::from_nanos(1_234_567_890_123_456_789), content, direction, from, to, octets }
    }

    #[test]
    fn packets_come_out_as_they_went_in() {
        let packets = [
            packet("192.0.2.1:5004", "192.0.2.2:4000", b"one"),
            packet("[2001:db8::1]:1", "[::ffff:192.0.2.2]:2", b""),
        ];
        let (mut queue, mut batch) = (Queue::new(1000), Batch::default());
        assert!(packets.iter().all(|packet| queue.push(packet)));
        queue.take(&mut batch);
        assert_eq!(batch.packets().collect::<Vec<_>>(), packets);
        queue.take(&mut batch);
        assert_eq!(batch.packets().count(), 0);
    }

    #[test]
    fn a_packet_without_room_is_lost_and_counted() {
        let packet = packet("192.0.2.1:5004", "192.0.2.2:4000", b"four");
        let mut queue = Queue::new(2 * (HEADER + 4) + 1);
        let pushed = [(); 3].map(|()| queue.push(&packet));
        assert_eq!((pushed, queue.lost()), ([true, true, false], 1));
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert!(queue.push(&packet), "there is room again");
        assert_eq!((batch.packets().count(), HEADER), (2, 56));
    }

    #[test]
    fn the_memory_does_not_grow_past_the_limit() {
        let packet = packet("192.0.2.1:5004", "192.0.2.2:4000", b"four");
        let most = 5 * (HEADER + 4);
        let mut queue = Queue::new(most);
        while queue.push(&packet) {}
        assert_eq!((queue.octets.len(), queue.octets.capacity()), (most, most));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets: Vec<u8>) {
            let _ = Batch(octets).packets().count();
        }
    }
}
