//! Keeps the newest media packets that the worker thread has read while the channel was not reading, and signals them to the host
//! through a descriptor.
//!
//! Memory is allocated with the first kept packet and freed when the channel has read the last one. So no packet allocates by
//! itself, and a call whose channel reads uses no memory here.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use asterisk::pollable::{AlwaysReadable, Pollable};

use super::arrived::Arrived;

/// Packets kept per ring: 640 ms of a stream with 20 ms per packet.
const PACKETS: usize = 32;

/// Largest packet that is kept, in octets. Media packets within any common path MTU are smaller.
const LARGEST: usize = 2048;

/// Media packets that wait for the channel's thread, and the descriptor that the channel polls.
pub struct Kept {
    own: Ring,
    /// Packets of bundled sessions, in a ring of their own: video packets would otherwise displace the audio.
    bundled: Ring,
    /// The descriptor that the host polls in place of the socket, if it was needed and could be created.
    pollable: Option<Pollable>,
    always: Arc<AlwaysReadable>,
    /// Whether the host has asked for a descriptor.
    is_handed_out: bool,
}

impl Kept {
    /// Creates an empty store. All sessions share `always`.
    pub fn new(always: Arc<AlwaysReadable>) -> Self {
        let (own, bundled) = Default::default();
        Self { own, bundled, pollable: None, always, is_handed_out: false }
    }

    /// Returns the descriptor that the host polls for media. `socket` is that of component 1; `is_watched`: the worker thread may
    /// read it. The first result is final.
    ///
    /// Returns the socket itself if the process has no descriptor left; then nothing is kept.
    pub fn descriptor(&mut self, socket: RawFd, is_watched: bool) -> RawFd {
        if !std::mem::replace(&mut self.is_handed_out, true) && is_watched {
            self.pollable = Pollable::new(socket, Arc::clone(&self.always)).ok();
            let waits = !self.is_empty();
            self.signal(waits);
        }
        self.pollable.as_ref().map_or(socket, Pollable::as_raw_fd)
    }

    /// Keeps a packet. Returns whether this or an older packet was dropped.
    pub fn keep(&mut self, packet: &[u8], arrived: Arrived, is_own: bool) -> bool {
        // The host polls the socket and would not be woken for a kept packet. It would be read late and out of order.
        if self.is_handed_out && self.pollable.is_none() {
            return true;
        }
        let was_empty = self.is_empty();
        let ring = if is_own { &mut self.own } else { &mut self.bundled };
        let lost = ring.keep(packet, arrived);
        if was_empty && !self.is_empty() {
            self.signal(true);
        }
        lost
    }

    /// Moves the oldest packet into `buffer`; the session's own packets go before those of bundled sessions. Returns the packet's
    /// header, and whether it is the session's own.
    pub fn take(&mut self, buffer: &mut [u8]) -> Option<(Arrived, bool)> {
        if self.is_empty() {
            return None;
        }
        let own = self.own.take(buffer).map(|arrived| (arrived, true));
        let taken = own.or_else(|| Some((self.bundled.take(buffer)?, false)));
        if self.is_empty() {
            self.signal(false);
        }
        taken
    }

    /// Drops all packets.
    pub fn clear(&mut self) {
        (self.own, self.bundled) = (Ring::default(), Ring::default());
        self.signal(false);
    }

    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.bundled.is_empty()
    }

    fn signal(&mut self, waiting: bool) {
        if let Some(pollable) = &mut self.pollable {
            // Fails only for a descriptor outside the epoll set, and this one was added at creation.
            let _ = pollable.set_ready(waiting);
        }
    }
}

/// A bounded queue of packets, already decrypted.
#[derive(Default)]
struct Ring {
    memory: Vec<u8>,
    order: VecDeque<Place>,
    free: Vec<usize>,
}

struct Place {
    slot: usize,
    arrived: Arrived,
}

impl Ring {
    /// Keeps a packet. Returns whether the oldest packet was dropped, or this one because it is too large.
    fn keep(&mut self, packet: &[u8], arrived: Arrived) -> bool {
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
        self.order.push_back(Place { slot, arrived });
        lost
    }

    /// Moves the oldest packet into `buffer`.
    fn take(&mut self, buffer: &mut [u8]) -> Option<Arrived> {
        let Place { slot, arrived } = self.order.pop_front()?;
        self.free.push(slot);
        let packet = self.memory.get(slot * LARGEST..slot * LARGEST + arrived.len)?;
        buffer.get_mut(..arrived.len)?.copy_from_slice(packet);
        if self.order.is_empty() {
            *self = Self::default();
        }
        Some(arrived)
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(len: usize) -> Arrived {
        let header = rtp::Header { marker: false, payload_type: 0, sequence_number: 1, timestamp: 2, ssrc: 3 };
        Arrived { from: "192.0.2.1:4000".parse().unwrap(), len, header, payload: 12..len }
    }

    #[test]
    fn the_newest_packets_stay_in_order() {
        let mut ring = Ring::default();
        let lost = (0..40u8).filter(|n| ring.keep(&[*n; 100], arrived(100))).count();
        assert_eq!(lost, 8);
        let mut buffer = [0; LARGEST];
        for n in 8..40 {
            assert_eq!(ring.take(&mut buffer), Some(arrived(100)));
            assert_eq!(buffer[99], n);
        }
        assert!(ring.is_empty() && ring.take(&mut buffer).is_none());
        assert!(ring.keep(&[0; LARGEST + 1], arrived(LARGEST + 1)));
    }

    #[test]
    fn packets_of_the_session_itself_come_first() {
        let mut kept = Kept::new(Arc::new(AlwaysReadable::new().unwrap()));
        let mut buffer = [0; LARGEST];
        assert!(!kept.keep(&[1; 50], arrived(50), false));
        assert!(!kept.keep(&[2; 60], arrived(60), true));
        assert_eq!(kept.take(&mut buffer), Some((arrived(60), true)));
        assert_eq!(kept.take(&mut buffer), Some((arrived(50), false)));
        assert_eq!(kept.take(&mut buffer), None);
    }
}
