//! Media that the engine thread took off a socket nobody was reading: the newest, in order.
//!
//! The memory is taken when the first packet comes and given back when the channel has read the last,
//! so that a dialplan that waits for a minute costs nothing per packet, and a call that goes on costs
//! nothing at all.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// Packets kept: the newest 640 ms of a 20 ms stream.
const PACKETS: usize = 32;

/// Longer ones are not media of a peer that minds the path's MTU.
const LARGEST: usize = 2048;

/// A bounded queue of packets, without SRTP already.
#[derive(Default)]
pub struct Ring {
    memory: Vec<u8>,
    order: VecDeque<Kept>,
    free: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Kept {
    slot: usize,
    len: usize,
    from: SocketAddr,
}

impl Ring {
    /// Keeps a packet. Returns whether an older one had to go, or this one was too large.
    pub fn keep(&mut self, packet: &[u8], from: SocketAddr) -> bool {
        if packet.len() > LARGEST {
            return true;
        }
        if self.memory.is_empty() {
            self.memory = vec![0; PACKETS * LARGEST];
            self.free = (0..PACKETS).collect();
            self.order.reserve(PACKETS);
        }
        let (slot, lost) = match self.free.pop() {
            Some(slot) => (slot, false),
            None => match self.order.pop_front() {
                Some(oldest) => (oldest.slot, true),
                None => return true,
            },
        };
        if let Some(room) = self.memory.get_mut(slot * LARGEST..slot * LARGEST + packet.len()) {
            room.copy_from_slice(packet);
        }
        self.order.push_back(Kept { slot, len: packet.len(), from });
        lost
    }

    /// Copies the oldest packet into `buffer`; its length and sender.
    pub fn take(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let Kept { slot, len, from } = self.order.pop_front()?;
        self.free.push(slot);
        let packet = self.memory.get(slot * LARGEST..slot * LARGEST + len)?;
        buffer.get_mut(..len)?.copy_from_slice(packet);
        if self.order.is_empty() {
            *self = Self::default();
        }
        Some((len, from))
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_packets_stay_in_order() {
        let from = "192.0.2.1:4000".parse().unwrap();
        let mut ring = Ring::default();
        let lost = (0..40u8).filter(|n| ring.keep(&[*n; 100], from)).count();
        assert_eq!(lost, 8);
        let mut buffer = [0; LARGEST];
        for n in 8..40 {
            assert_eq!(ring.take(&mut buffer), Some((100, from)));
            assert_eq!(buffer[99], n);
        }
        assert!(ring.is_empty() && ring.take(&mut buffer).is_none());
        assert!(ring.keep(&[0; LARGEST + 1], from));
    }
}
