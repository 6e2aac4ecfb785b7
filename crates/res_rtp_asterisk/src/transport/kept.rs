//! Packets of media that the worker thread took off a socket that nobody was reading: the newest, in order, and the descriptor
//! that tells the host of them.
//!
//! The memory is taken when the first packet comes and given back when the channel has read the last, so that a dialplan that
//! waits for a minute costs nothing per packet, and a call that goes on costs nothing at all.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use asterisk::pollable::{AlwaysReadable, Pollable};

use super::arrived::Arrived;

/// Packets kept: the newest 640 ms of a 20 ms stream.
const PACKETS: usize = 32;

/// The largest packet that is kept. A peer that minds the path's MTU sends no larger media.
const LARGEST: usize = 2048;

/// Packets that wait for the channel's thread, and the descriptor that the channel polls.
pub struct Kept {
    own: Ring,
    /// Packets of bundled sessions. They have a ring of their own, as pictures would push the sound out.
    bundled: Ring,
    /// The descriptor that the host polls in place of the socket, if it was needed and could be had.
    pollable: Option<Pollable>,
    always: Arc<AlwaysReadable>,
    /// Whether the host has a descriptor to poll.
    is_handed_out: bool,
}

impl Kept {
    /// Makes an empty store. `always` serves all sessions of the module.
    pub fn new(always: Arc<AlwaysReadable>) -> Self {
        let (own, bundled) = Default::default();
        Self { own, bundled, pollable: None, always, is_handed_out: false }
    }

    /// Returns the descriptor to poll for media; `socket` is that of component 1, `is_watched` says that the worker thread may
    /// read it. The answer never changes.
    ///
    /// Without descriptors to spare it is the socket, and nothing is kept then.
    pub fn descriptor(&mut self, socket: RawFd, is_watched: bool) -> RawFd {
        if !std::mem::replace(&mut self.is_handed_out, true) && is_watched {
            self.pollable = Pollable::new(socket, Arc::clone(&self.always)).ok();
            let waits = !self.is_empty();
            self.signal(waits);
        }
        self.pollable.as_ref().map_or(socket, Pollable::as_raw_fd)
    }

    /// Keeps a packet. Returns whether it or an older one is lost.
    pub fn keep(&mut self, packet: &[u8], arrived: Arrived, is_own: bool) -> bool {
        // Nobody would be woken for it: it would come out late, behind what is on the socket by then.
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

    /// Copies the oldest packet into `buffer`, those of the session itself first. Returns its header, and whether it is the
    /// session's own.
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

    /// Drops all packets: nobody will read them.
    pub fn clear(&mut self) {
        (self.own, self.bundled) = (Ring::default(), Ring::default());
        self.signal(false);
    }

    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.bundled.is_empty()
    }

    fn signal(&mut self, waiting: bool) {
        if let Some(pollable) = &mut self.pollable {
            // Fails for no descriptor that is in the set, and this one is from the start.
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
    /// Keeps a packet. Returns whether an older one had to go, or this one was too large.
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

    /// Copies the oldest packet into `buffer`.
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
