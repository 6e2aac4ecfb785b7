//! A packet of media that was received, by its header.

use std::net::SocketAddr;
use std::ops::Range;

use rtp::{Header, Packet};

/// A decrypted packet of media. Its octets lie at the start of the buffer that it was received into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The sender's address.
    pub from: SocketAddr,
    /// Octets of the whole packet.
    pub len: usize,
    /// Marker, payload type, sequence number, timestamp and SSRC.
    pub header: Header,
    /// Position of the payload within the buffer.
    pub payload: Range<usize>,
}

impl Arrived {
    /// Notes what was parsed, so that it is parsed once.
    pub fn new(from: SocketAddr, len: usize, packet: &Packet<'_>) -> Self {
        Self { from, len, header: packet.header(), payload: packet.payload_range() }
    }
}
