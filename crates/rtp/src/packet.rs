//! The RTP data packet (RFC 3550 §5.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           synchronization source (SSRC) identifier            |
//! +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//! |   CSRC list (CC words), extension when X, payload, padding    |
//! ```

use std::ops::Range;

use crate::wire::{be16, be32, words};

/// Length of a header without CSRC list and extension.
pub const HEADER_LEN: usize = 12;

/// A received RTP packet, borrowed from its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Marker bit: for audio the first packet of a talkspurt (RFC 3551 §4.1), for video the last of a frame.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number; see [`crate::SequenceNumber`] for comparing it.
    pub sequence_number: u16,
    /// Sampling instant of the first octet, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// The header extension, when there is one (§5.3.1).
    pub extension: Option<Extension<'a>>,
    /// The payload: the datagram without header and padding.
    pub payload: &'a [u8],
    /// Octets of padding behind the payload, including the count itself; 0 without padding.
    pub padding: u8,
    csrc: &'a [u8],
}

/// A header extension (RFC 3550 §5.3.1), whose contents are not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The field "defined by profile": 0xBEDE for one-byte elements (RFC 8285 §4.2).
    pub profile: u16,
    /// The extension's contents, a multiple of four octets.
    pub data: &'a [u8],
}

/// Reasons why a datagram is not an RTP packet (RFC 3550 A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The datagram is shorter than the fixed header. Holds its length in octets.
    #[error("{0} octets, an RTP header has 12")]
    TooShort(usize),
    /// The version is not 2. Holds the version.
    #[error("RTP version {0}")]
    Version(u8),
    /// The CSRC list or the extension reaches beyond the end of the datagram. Holds its length in octets.
    #[error("header runs past the end of {0} octets")]
    HeaderTruncated(usize),
    /// The padding count is zero, or larger than what follows the header.
    #[error("padding of {padding} in {available} octets")]
    Padding {
        /// The padding count in the last octet.
        padding: u8,
        /// Octets behind the header.
        available: usize,
    },
}

impl<'a> Packet<'a> {
    /// Parses a datagram. Every field is checked against the length before it is used.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let (fixed, rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(PacketError::TooShort(datagram.len()))?;
        if fixed[0] >> 6 != 2 {
            return Err(PacketError::Version(fixed[0] >> 6));
        }
        let truncated = PacketError::HeaderTruncated(datagram.len());
        let csrc_len = usize::from(fixed[0] & 0x0F) * 4;
        let (csrc, rest) = rest.split_at_checked(csrc_len).ok_or(truncated)?;
        let has_extension = fixed[0] & 0x10 != 0;
        let (extension, rest) = if has_extension {
            Extension::parse(rest).map(|(extension, rest)| (Some(extension), rest)).ok_or(truncated)?
        } else {
            (None, rest)
        };
        let has_padding = fixed[0] & 0x20 != 0;
        let (payload, padding) = if has_padding { without_padding(rest)? } else { (rest, 0) };
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence_number: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            extension,
            payload,
            padding,
            csrc,
        })
    }

    /// The contributing sources that a mixer has listed, at most fifteen (§5.1).
    pub fn csrc(&self) -> impl Iterator<Item = u32> + 'a {
        words(self.csrc)
    }

    /// The number of octets in front of the payload.
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.csrc.len() + self.extension.map_or(0, |extension| 4 + extension.data.len())
    }

    /// Returns the fields of the fixed header, which outlive the datagram.
    pub fn header(&self) -> Header {
        let Self { marker, payload_type, sequence_number, timestamp, ssrc, .. } = *self;
        Header { marker, payload_type, sequence_number, timestamp, ssrc }
    }

    /// The position of the payload within the datagram that was parsed.
    pub fn payload_range(&self) -> Range<usize> {
        let start = self.header_len();
        start..start + self.payload.len()
    }
}

impl<'a> Extension<'a> {
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let profile = be16(bytes, 0)?;
        let len = usize::from(be16(bytes, 2)?) * 4;
        let (data, rest) = bytes.get(4..)?.split_at_checked(len)?;
        Some((Self { profile, data }, rest))
    }
}

fn without_padding(bytes: &[u8]) -> Result<(&[u8], u8), PacketError> {
    let padding = bytes.last().copied().unwrap_or(0);
    match bytes.len().checked_sub(usize::from(padding)) {
        Some(len) if padding > 0 => Ok((&bytes[..len], padding)),
        _ => Err(PacketError::Padding { padding, available: bytes.len() }),
    }
}

/// The fixed header of a packet to be sent. We send neither CSRCs nor extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127; only the lower seven bits are sent.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence_number: u16,
    /// Timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Our synchronization source.
    pub ssrc: u32,
}

impl Header {
    /// Returns the header as it goes on the wire.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = 2 << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7F;
        bytes[2..4].copy_from_slice(&self.sequence_number.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }

    /// Writes the header to the front of `buffer` and returns its length, which is always [`HEADER_LEN`].
    ///
    /// # Panics
    /// If `buffer` is shorter than [`HEADER_LEN`].
    pub fn write(&self, buffer: &mut [u8]) -> usize {
        buffer[..HEADER_LEN].copy_from_slice(&self.to_bytes());
        HEADER_LEN
    }
}

/// Reads the SSRC of an RTP packet without parsing the rest, to look up a stream before its packet is decrypted.
pub fn peek_ssrc(datagram: &[u8]) -> Option<u32> {
    be32(datagram, 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 111, sequence_number: 0xFFFE, timestamp: 0x0102_0304, ssrc: 0xDEAD_BEEF };

    fn datagram(first: u8, after_header: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] = first;
        bytes.extend_from_slice(after_header);
        bytes
    }

    #[test]
    fn rfc3550_section_5_1_fixed_header() {
        let bytes = datagram(0x80, b"payload");
        assert_eq!(bytes[..12], [0x80, 0xEF, 0xFF, 0xFE, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF]);
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence_number), (111, 0xFFFE));
        assert_eq!((packet.timestamp, packet.ssrc), (0x0102_0304, 0xDEAD_BEEF));
        assert_eq!(packet.payload, b"payload");
        assert_eq!(packet.payload_range(), 12..19);
        assert_eq!(peek_ssrc(&bytes), Some(0xDEAD_BEEF));
    }

    #[test]
    fn rfc3550_section_5_1_csrc_list() {
        let packet_bytes = datagram(0x82, &[0, 0, 0, 1, 0, 0, 0, 2, 9]);
        let packet = Packet::parse(&packet_bytes).unwrap();
        assert_eq!(packet.csrc().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packet.payload, [9]);
        assert_eq!(Packet::parse(&packet_bytes[..19]), Err(PacketError::HeaderTruncated(19)));
    }

    #[test]
    fn rfc3550_section_5_3_1_extension() {
        let packet_bytes = datagram(0x90, &[0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0, 7, 8]);
        let packet = Packet::parse(&packet_bytes).unwrap();
        assert_eq!(packet.extension, Some(Extension { profile: 0xBEDE, data: &[0x10, 0xFF, 0, 0] }));
        assert_eq!(packet.payload, [7, 8]);
        for cut in 12..20 {
            assert_eq!(Packet::parse(&packet_bytes[..cut]), Err(PacketError::HeaderTruncated(cut)));
        }
    }

    #[test]
    fn rfc3550_section_5_1_padding() {
        let padded = datagram(0xA0, &[5, 6, 0, 0, 3]);
        let packet = Packet::parse(&padded).unwrap();
        assert_eq!((packet.payload, packet.padding), (&[5u8, 6][..], 3));
        let all_padding = datagram(0xA0, &[0, 2]);
        assert_eq!(Packet::parse(&all_padding).unwrap().payload, [0u8; 0]);
    }

    #[test]
    fn padding_that_eats_the_header_is_refused() {
        assert_eq!(Packet::parse(&datagram(0xA0, &[1, 2, 4])), Err(PacketError::Padding { padding: 4, available: 3 }));
        assert_eq!(Packet::parse(&datagram(0xA0, &[1, 0])), Err(PacketError::Padding { padding: 0, available: 2 }));
        assert_eq!(Packet::parse(&datagram(0xA0, &[])), Err(PacketError::Padding { padding: 0, available: 0 }));
    }

    #[test]
    fn other_versions_are_refused() {
        for version in [0u8, 1, 3] {
            assert_eq!(Packet::parse(&datagram(version << 6, &[])), Err(PacketError::Version(version)));
        }
        assert_eq!(Packet::parse(&[0x80; 11]), Err(PacketError::TooShort(11)));
    }

    proptest! {
        #[test]
        fn parse_gives_back_what_was_written(
            marker: bool, payload_type in 0u8..128, sequence_number: u16, timestamp: u32, ssrc: u32,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = Header { marker, payload_type, sequence_number, timestamp, ssrc };
            let mut bytes = vec![0; HEADER_LEN];
            header.write(&mut bytes);
            bytes.extend_from_slice(&payload);
            let packet = Packet::parse(&bytes).unwrap();
            let read = Header {
                marker: packet.marker, payload_type: packet.payload_type, sequence_number: packet.sequence_number,
                timestamp: packet.timestamp, ssrc: packet.ssrc,
            };
            prop_assert_eq!(read, header);
            prop_assert_eq!(packet.payload, &payload[..]);
        }

        #[test]
        fn every_octet_belongs_to_one_part(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            crate::fuzzing::rtp_packet(&bytes);
        }
    }
}
