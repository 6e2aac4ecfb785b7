//! Keeps the packets that the worker thread has read while the channel was not reading, and signals them to the host through a
//! descriptor.
//!
//! They are what the socket's own buffer would have kept: as many, in order, and none that comes when it is full. Memory is allocated
//! with the first kept packet and freed when the channel has read the last one. So no packet allocates by itself, and a call whose
//! channel reads uses no memory here.

use std::collections::VecDeque;
use std::io;
use std::io::Read;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::ice::Component;
use asterisk::pollable::{AlwaysReadable, Pollable};

use super::arrived::Arrived;
use super::sockets::{MediaSocket, Received};

/// A packet that waits for the channel's thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Media, decrypted, checked and parsed. `is_own`: of the session's own stream, not of a bundled session.
    Media { arrived: Arrived, is_own: bool },
    /// Media or RTCP as it was received, which only the channel's thread may decrypt.
    Raw { component: Component, received: Received },
}

impl Packet {
    fn len(&self) -> usize {
        match self {
            Self::Media { arrived, .. } => arrived.len,
            Self::Raw { received, .. } => received.len,
        }
    }

    fn is_of_bundled(&self) -> bool {
        matches!(self, Self::Media { is_own: false, .. })
    }
}

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
    /// The channel is woken though nothing is kept.
    is_woken: bool,
    /// When the channel was last woken so.
    woken_at: Option<Instant>,
}

/// A channel whose packets pass by other threads is woken as often as this while there are any: chan_sip and chan_pjsip end calls
/// of which no packet was read (`rtptimeout`), and count in seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);

impl Kept {
    /// Creates an empty store. `receive_buffer` is the size of the socket's buffer, which this one equals. All sessions share `always`.
    pub fn new(receive_buffer: usize, always: Arc<AlwaysReadable>) -> Self {
        let room = receive_buffer.clamp(LEAST_ROOM, MOST_ROOM);
        let [own, bundled] = [Ring::new(room), Ring::new(room)];
        Self { own, bundled, pollable: None, always, is_handed_out: false, is_woken: false, woken_at: None }
    }

    /// Returns the descriptor that the host polls for media. `socket` is that of component 1; `is_watched`: the worker thread may
    /// read it. The first result is final.
    ///
    /// Returns the socket itself if the process has no descriptor left; then nothing is kept.
    pub fn descriptor(&mut self, socket: RawFd, is_watched: bool) -> RawFd {
        if !std::mem::replace(&mut self.is_handed_out, true) && is_watched && self.pollable.is_none() {
            self.pollable = Pollable::new(socket, Arc::clone(&self.always)).ok();
            self.signal();
        }
        self.pollable.as_ref().map_or(socket, Pollable::as_raw_fd)
    }

    /// Hides what the socket holds from the host, because another thread reads it. Fails if the process has no descriptor left.
    pub fn hide(&mut self, socket: &mut MediaSocket) -> io::Result<()> {
        let pollable = match &mut self.pollable {
            Some(pollable) => pollable,
            none => none.insert(socket.give_number_up(Arc::clone(&self.always))?),
        };
        pollable.set_listening(socket.fd(), false)
    }

    /// Shows the host again what the socket holds.
    pub fn unhide(&mut self, socket: RawFd) {
        if let Some(pollable) = &mut self.pollable {
            // Fails only when memory is exhausted.
            let _ = pollable.set_listening(socket, true);
        }
    }

    /// Has the channel read, though nothing may be kept for it.
    pub fn wake(&mut self, now: Instant) {
        (self.is_woken, self.woken_at) = (true, Some(now));
        self.signal();
    }

    /// Has the channel read if it was woken no less than a second ago.
    pub fn wake_in_time(&mut self, now: Instant) {
        if self.woken_at.is_none_or(|at| now.saturating_duration_since(at) >= HEARTBEAT) {
            self.wake(now);
        }
    }

    /// Keeps a packet, whose octets are at the start of `datagram`. Returns whether there was room for it.
    pub fn keep(&mut self, packet: Packet, datagram: &[u8]) -> bool {
        // The host polls the socket and would not be woken for a kept packet. It would be read late and out of order.
        if self.is_handed_out && self.pollable.is_none() {
            return false;
        }
        let ring = if packet.is_of_bundled() { &mut self.bundled } else { &mut self.own };
        let is_kept = ring.keep(packet, datagram);
        if is_kept {
            self.signal();
        }
        is_kept
    }

    /// Moves the oldest packet into `buffer`; the session's own packets go before those of bundled sessions.
    pub fn take(&mut self, buffer: &mut [u8]) -> Option<Packet> {
        if self.is_empty() && !self.is_woken {
            return None;
        }
        self.is_woken = false;
        let taken = self.own.take(buffer).or_else(|| self.bundled.take(buffer));
        self.signal();
        if self.is_empty() {
            [&mut self.own, &mut self.bundled].into_iter().for_each(Ring::give_back);
        }
        taken
    }

    /// Drops all packets.
    pub fn clear(&mut self) {
        self.own.clear();
        self.bundled.clear();
        self.signal();
    }

    /// Returns whether no packet is kept.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.bundled.is_empty()
    }

    fn signal(&mut self) {
        let waiting = self.is_woken || !self.is_empty();
        if let Some(pollable) = &mut self.pollable {
            // Fails only for a descriptor outside the epoll set, and this one was added at creation.
            let _ = pollable.set_ready(waiting);
        }
    }
}

/// Memory in octets that an empty queue keeps.
const SHORT: usize = 2048;

/// A bounded queue of packets.
#[derive(Debug)]
struct Ring {
    octets: VecDeque<u8>,
    order: VecDeque<Packet>,
    room: usize,
}

impl Ring {
    /// Creates an empty queue, whose `room` in octets counts [`OVERHEAD`] for each packet.
    fn new(room: usize) -> Self {
        Self { octets: VecDeque::new(), order: VecDeque::new(), room }
    }

    /// Frees the memory of an empty queue that was long. A short one keeps it: with a relayed address each packet is kept for a moment.
    fn give_back(&mut self) {
        if self.octets.capacity() > SHORT {
            (self.octets, self.order) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// Keeps a packet. Returns whether there was room.
    fn keep(&mut self, packet: Packet, datagram: &[u8]) -> bool {
        let used = self.octets.len() + self.order.len() * OVERHEAD;
        let octets = datagram.get(..packet.len()).filter(|octets| used + octets.len() + OVERHEAD <= self.room);
        let Some(octets) = octets else { return false };
        self.octets.extend(octets);
        self.order.push_back(packet);
        true
    }

    /// Moves the oldest packet into `buffer`.
    fn take(&mut self, buffer: &mut [u8]) -> Option<Packet> {
        let packet = self.order.pop_front()?;
        let room = buffer.get_mut(..packet.len());
        let is_whole = room.is_some_and(|room| self.octets.read_exact(room).is_ok());
        if self.order.is_empty() || !is_whole {
            self.clear();
        }
        Some(packet).filter(|_| is_whole)
    }

    fn clear(&mut self) {
        *self = Self::new(self.room);
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// Octets that a kept packet counts besides its own. The kernel counts more for each datagram in a socket's buffer (its `truesize`), so
/// whatever fits there has room here.
const OVERHEAD: usize = 512;

/// The limits of a ring's room in octets, whatever the size of the socket's buffer is (`net.core.rmem_default`, 208 KiB unless set).
/// 208 KiB are 6 s of audio with 20 ms per packet.
const LEAST_ROOM: usize = 64 << 10;
const MOST_ROOM: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn media(len: usize, is_own: bool) -> Packet {
        let header = rtp::Header { marker: false, payload_type: 0, sequence_number: 1, timestamp: 2, ssrc: 3 };
        let from = "192.0.2.1:4000".parse().unwrap();
        Packet::Media { arrived: Arrived { from, len, header, payload: 12..len, is_repeated: false }, is_own }
    }

    fn raw(len: usize) -> Packet {
        let [from, to] = ["192.0.2.1:4000", "192.0.2.2:5000"].map(|address| address.parse().unwrap());
        Packet::Raw { component: Component::Rtcp, received: Received { len, from, to } }
    }

    fn kept() -> Kept {
        Kept::new(212_992, Arc::new(AlwaysReadable::new().unwrap()))
    }

    #[test]
    fn what_a_socket_would_keep_is_kept_in_order_and_no_more() {
        let mut kept = kept();
        let is_kept = (0..1000_u32).filter(|n| kept.keep(media(172, true), &[*n as u8; 300])).count();
        // A Linux socket of this size counts 768 octets for each of these datagrams, and takes one beyond its limit.
        assert!((278..=350).contains(&is_kept), "{is_kept}");
        let mut buffer = [0; 2048];
        for n in 0..is_kept {
            assert_eq!(kept.take(&mut buffer), Some(media(172, true)));
            assert_eq!(buffer[..172], [n as u8; 172]);
        }
        assert_eq!(kept.take(&mut buffer), None);
        assert_eq!((kept.own.octets.capacity(), kept.own.order.capacity()), (0, 0));
        assert!(kept.keep(media(172, true), &[0; 172]), "there is room again");
        kept.clear();
        assert_eq!(kept.take(&mut buffer), None);
    }

    #[test]
    fn packets_of_the_session_itself_come_first() {
        let mut kept = kept();
        let mut buffer = [0; 2048];
        for packet in [media(50, false), media(60, true), raw(70)] {
            assert!(kept.keep(packet, &[1; 100]));
        }
        for packet in [media(60, true), raw(70), media(50, false)] {
            assert_eq!(kept.take(&mut buffer), Some(packet));
        }
        assert_eq!(kept.take(&mut buffer), None);
    }
}
