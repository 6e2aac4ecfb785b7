//! A packet as the packet path hands it over.

use std::net::SocketAddr;
use std::time::Duration;

/// A packet that is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The time since 1970.
    pub at: Duration,
    /// The protocol of the octets.
    pub content: Content,
    /// Whether we have received or sent it.
    pub direction: Direction,
    /// The sender's address.
    pub from: SocketAddr,
    /// The receiver's address.
    pub to: SocketAddr,
    /// The packet, decrypted.
    pub octets: &'a [u8],
}

/// The protocol of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A SIP message (RFC 3261).
    Sip,
    /// An RTP packet (RFC 3550) without encryption.
    Rtp,
    /// A compound RTCP packet (RFC 3550) without encryption.
    Rtcp,
    /// A datagram of DTLS records (RFC 6347).
    Dtls,
    /// A STUN message (RFC 8489).
    Stun,
}

/// The way that a packet went, as seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// We have received it.
    In,
    /// We have sent it.
    Out,
}

impl Content {
    /// All protocols, in the order of the counts.
    pub const ALL: [Self; 5] = [Self::Sip, Self::Rtp, Self::Rtcp, Self::Dtls, Self::Stun];

    /// Returns the name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sip => "SIP",
            Self::Rtp => "RTP",
            Self::Rtcp => "RTCP",
            Self::Dtls => "DTLS",
            Self::Stun => "STUN",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
