//! RTCP (RFC 3550 §6): parses compound packets ([`Compound`]) and writes them ([`Writer`]).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P| RC/FMT  |  packet type  |    length in words, minus one |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |             SSRC of the sender, with most types               |
//! ```
//!
//! The lengths of all packets are checked before any of them is used (A.2). A compound need not begin with a report:
//! browsers send reduced-size packets when the SDP allows them (RFC 5506), and some send them when it does not.
//!
//! | module | section |
//! |---|---|
//! | `report` | RFC 3550 §6.4: sender and receiver reports |
//! | `source_description` | RFC 3550 §6.5, §6.7: SDES and APP |
//! | `bye` | RFC 3550 §6.6: BYE, and when it is said |
//! | [`interval`] | RFC 3550 §6.2: when the next report is due |
//! | `feedback`, `pace` | RFC 4585, RFC 5104: NACK, PLI, FIR, and how often |
//! | [`mux`] | RFC 5761: whether RTCP shares the transport of RTP |
//! | `extended_report` | RFC 3611: XR |

mod bye;
mod extended_report;
mod feedback;
pub mod interval;
pub mod mux;
mod ntp;
mod pace;
mod report;
mod source_description;
mod writer;

pub use bye::{Bye, Goodbye};
pub use extended_report::{ExtendedReport, ExtendedReportBlock, ExtendedReportBlocks};
pub use feedback::{Feedback, Fir, FirEntries, FirEntry, Nack, NackPair, NackPairs, Pli, Remb};
pub use ntp::NtpTimestamp;
pub use pace::{PICTURE_PACE, Pace};
pub use report::{ReceiverReport, ReportBlock, ReportBlocks, SenderInfo, SenderReport};
pub use source_description::{App, Chunk, Chunks, Sdes, SdesItem, SdesItems};
pub use writer::{BufferTooSmall, Report, Writer};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2, RFC 2032 §5.2.1).
pub mod packet_type {
    /// Full intra request of H.261.
    pub const FIR_H261: u8 = 192;
    /// Sender report.
    pub const SENDER_REPORT: u8 = 200;
    /// Receiver report.
    pub const RECEIVER_REPORT: u8 = 201;
    /// Source description.
    pub const SOURCE_DESCRIPTION: u8 = 202;
    /// Goodbye.
    pub const GOODBYE: u8 = 203;
    /// Application-defined.
    pub const APPLICATION: u8 = 204;
    /// Transport layer feedback.
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    /// Payload-specific feedback.
    pub const PAYLOAD_FEEDBACK: u8 = 206;
    /// Extended report.
    pub const EXTENDED_REPORT: u8 = 207;
}

/// One RTCP packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// SR: the peer's statistics about its own stream, and about the streams that it receives.
    SenderReport(SenderReport<'a>),
    /// RR: the peer's statistics about the streams that it receives.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES: the peer's names.
    Sdes(Sdes<'a>),
    /// BYE: sources that leave.
    Bye(Bye<'a>),
    /// APP: application-defined, not interpreted.
    App(App<'a>),
    /// RTPFB 1: packets that the peer has not received.
    Nack(Nack<'a>),
    /// PSFB 1: the peer has lost a picture.
    Pli(Pli),
    /// PSFB 4: the peer asks for a whole picture.
    Fir(Fir<'a>),
    /// PSFB 15 with the name "REMB": the peer's estimate of the bandwidth.
    Remb(Remb<'a>),
    /// Full intra request of H.261 (RFC 2032), which old video phones send for any codec.
    FirH261 {
        /// The SSRC of the participant that asks.
        sender_ssrc: u32,
    },
    /// XR: extended report, blocks not interpreted.
    ExtendedReport(ExtendedReport<'a>),
    /// Feedback of another format, not interpreted.
    Feedback(Feedback<'a>),
    /// A packet of an unknown type, which is to be skipped (§6.1).
    Unknown {
        /// The packet type.
        packet_type: u8,
        /// The five bits in front of the packet type.
        count: u8,
        /// The packet without its header and padding.
        body: &'a [u8],
    },
}

impl Packet<'_> {
    /// The packet type.
    pub fn packet_type(&self) -> u8 {
        match self {
            Self::SenderReport(_) => packet_type::SENDER_REPORT,
            Self::ReceiverReport(_) => packet_type::RECEIVER_REPORT,
            Self::Sdes(_) => packet_type::SOURCE_DESCRIPTION,
            Self::Bye(_) => packet_type::GOODBYE,
            Self::App(_) => packet_type::APPLICATION,
            Self::Nack(_) => packet_type::TRANSPORT_FEEDBACK,
            Self::Pli(_) | Self::Fir(_) | Self::Remb(_) => packet_type::PAYLOAD_FEEDBACK,
            Self::FirH261 { .. } => packet_type::FIR_H261,
            Self::ExtendedReport(_) => packet_type::EXTENDED_REPORT,
            Self::Feedback(feedback) => feedback.packet_type,
            Self::Unknown { packet_type, .. } => *packet_type,
        }
    }

    /// The five bits in front of the packet type: a count of blocks, chunks or sources, or the format of feedback (RFC 4585 §6.1).
    /// 0 for types where they are neither.
    pub fn count(&self) -> u8 {
        match self {
            Self::SenderReport(report) => report.blocks.len() as u8,
            Self::ReceiverReport(report) => report.blocks.len() as u8,
            Self::Sdes(sdes) => sdes.chunks().count() as u8,
            Self::Bye(bye) => bye.sources().count() as u8,
            Self::Nack(_) | Self::Pli(_) => 1,
            Self::Fir(_) => 4,
            Self::Remb(_) => 15,
            Self::Feedback(feedback) => feedback.format,
            Self::Unknown { count, .. } => *count,
            Self::App(_) | Self::ExtendedReport(_) | Self::FirH261 { .. } => 0,
        }
    }

    /// The SSRC of the sender of a report or of feedback; `None` for other types.
    pub fn sender_ssrc(&self) -> Option<u32> {
        match self {
            Self::SenderReport(report) => Some(report.ssrc),
            Self::ReceiverReport(report) => Some(report.ssrc),
            Self::Nack(nack) => Some(nack.sender_ssrc),
            Self::Pli(pli) => Some(pli.sender_ssrc),
            Self::Fir(fir) => Some(fir.sender_ssrc),
            Self::Remb(remb) => Some(remb.sender_ssrc),
            Self::Feedback(feedback) => Some(feedback.sender_ssrc),
            Self::FirH261 { sender_ssrc } => Some(*sender_ssrc),
            _ => None,
        }
    }
}

/// Reasons why a datagram is not RTCP, or why one of its packets is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// The datagram is empty, or not a whole number of words. Holds its length in octets.
    #[error("{0} octets, not a whole RTCP packet")]
    Length(usize),
    /// The version is not 2. Holds the version.
    #[error("RTCP version {0}")]
    Version(u8),
    /// The packet type is not one of RTCP, 192 to 223 (RFC 5761 §4).
    #[error("packet type {0} is not RTCP")]
    PacketType(u8),
    /// The lengths in the packets' headers do not add up to the length of the datagram.
    #[error("packet type {packet_type} of {len} octets runs past the end by {excess}")]
    Truncated {
        /// The type of the packet that does not fit.
        packet_type: u8,
        /// The length in its header, in octets.
        len: usize,
        /// The number of octets that are missing.
        excess: usize,
    },
    /// A packet that is not the last has padding, or the length of the padding is wrong (§6.4.1). Holds the packet
    /// type.
    #[error("bad padding in packet type {0}")]
    Padding(u8),
    /// A packet is too short for its contents.
    #[error("packet type {packet_type} with count {count} in {len} octets")]
    Malformed {
        /// The type of the packet.
        packet_type: u8,
        /// The report or source count, or the feedback format.
        count: u8,
        /// The octets behind its header.
        len: usize,
    },
}

/// An RTCP datagram whose lengths have been checked. Iterates over its packets; a malformed one does not end the
/// iteration.
#[derive(Debug, Clone, Copy)]
pub struct Compound<'a> {
    rest: &'a [u8],
    reduced_size: bool,
}

impl<'a> Compound<'a> {
    /// Checks the datagram as RFC 3550 A.2 does, but does not require that it begins with a report.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtcpError> {
        // The shortest packet is a header alone: a BYE without sources.
        if datagram.is_empty() || !datagram.len().is_multiple_of(4) {
            return Err(RtcpError::Length(datagram.len()));
        }
        let first = datagram.get(1).copied().unwrap_or(0);
        let reduced_size = !matches!(first, packet_type::SENDER_REPORT | packet_type::RECEIVER_REPORT);
        let mut rest = datagram;
        while !rest.is_empty() {
            (_, rest) = RawPacket::split(rest)?;
        }
        Ok(Self { rest: datagram, reduced_size })
    }

    /// Whether the compound does not begin with a report (RFC 5506).
    pub fn is_reduced_size(&self) -> bool {
        self.reduced_size
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (raw, rest) = RawPacket::split(self.rest).ok()?;
        self.rest = rest;
        Some(raw.interpret())
    }
}

/// Header and body of one packet, without padding.
#[derive(Debug, Clone, Copy)]
struct RawPacket<'a> {
    packet_type: u8,
    count: u8,
    body: &'a [u8],
}

impl<'a> RawPacket<'a> {
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RtcpError> {
        let (header, _) = bytes.split_first_chunk::<4>().ok_or(RtcpError::Length(bytes.len()))?;
        let [first, packet_type, high, low] = *header;
        if first >> 6 != 2 {
            return Err(RtcpError::Version(first >> 6));
        }
        if !(192..=223).contains(&packet_type) {
            return Err(RtcpError::PacketType(packet_type));
        }
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (packet, rest) = bytes.split_at_checked(len).ok_or(RtcpError::Truncated {
            packet_type,
            len,
            excess: len - bytes.len().min(len),
        })?;
        let mut body = &packet[4..];
        if first & 0x20 != 0 {
            body = without_padding(body, rest).ok_or(RtcpError::Padding(packet_type))?;
        }
        Ok((Self { packet_type, count: first & 0x1F, body }, rest))
    }

    fn interpret(&self) -> Result<Packet<'a>, RtcpError> {
        use packet_type as pt;
        let Self { packet_type, count, body } = *self;
        let packet = match packet_type {
            pt::SENDER_REPORT => SenderReport::parse(count, body).map(Packet::SenderReport),
            pt::RECEIVER_REPORT => ReceiverReport::parse(count, body).map(Packet::ReceiverReport),
            pt::SOURCE_DESCRIPTION => Sdes::parse(count, body).map(Packet::Sdes),
            pt::GOODBYE => Bye::parse(count, body).map(Packet::Bye),
            pt::APPLICATION => App::parse(count, body).map(Packet::App),
            pt::TRANSPORT_FEEDBACK | pt::PAYLOAD_FEEDBACK => Feedback::parse(packet_type, count, body),
            pt::EXTENDED_REPORT => ExtendedReport::parse(body).map(Packet::ExtendedReport),
            pt::FIR_H261 => crate::wire::be32(body, 0).map(|sender_ssrc| Packet::FirH261 { sender_ssrc }),
            _ => Some(Packet::Unknown { packet_type, count, body }),
        };
        packet.ok_or(RtcpError::Malformed { packet_type, count, len: body.len() })
    }
}

/// Removes the padding, which only the last packet of a compound may have, and which is a whole number of words
/// (§6.4.1).
fn without_padding<'a>(body: &'a [u8], rest: &[u8]) -> Option<&'a [u8]> {
    let padding = usize::from(*body.last()?);
    let sound = rest.is_empty() && padding > 0 && padding.is_multiple_of(4);
    body.get(..body.len().checked_sub(padding)?).filter(|_| sound)
}

#[cfg(test)]
mod tests;
