//! The header and position of a received media packet.

use std::net::SocketAddr;
use std::ops::Range;

use rtp::{Header, Packet};

/// A decrypted media packet. Its octets are at the start of the buffer that it was received into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The sender's address.
    pub from: SocketAddr,
    /// Length of the whole packet in octets.
    pub len: usize,
    /// Marker, payload type, sequence number, timestamp and SSRC.
    pub header: Header,
    /// Position of the payload within the buffer.
    pub payload: Range<usize>,
    /// Whether the packet is a repetition (RFC 3550 §A.1), or of a source on probation. A bridge passes it on, a channel does not
    /// hear it.
    pub is_repeated: bool,
}

impl Arrived {
    /// Keeps the header and payload range of `packet`, so that it is parsed only once.
    pub fn new(from: SocketAddr, len: usize, packet: &Packet<'_>) -> Self {
        Self { from, len, header: packet.header(), payload: packet.payload_range(), is_repeated: false }
    }
}
