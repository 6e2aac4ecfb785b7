//! Feedback (RFC 4585 §6.1, RFC 5104 §4.3.1, draft-alvestrand-rmcat-remb).
//!
//! ```text
//! |V=2|P|   FMT   |   PT 205/206  |          length               |
//! |                  SSRC of packet sender                        |
//! |                  SSRC of media source                         |
//! :            feedback control information (FCI)                 :
//! ```

use super::{Packet, packet_type};
use crate::wire::{be16, be32, words};

/// Feedback of a format that is not interpreted, such as transport-cc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// 205 for transport layer, 206 for payload-specific feedback.
    pub packet_type: u8,
    /// The feedback message type (FMT).
    pub format: u8,
    /// The SSRC of the participant that sent it.
    pub sender_ssrc: u32,
    /// The SSRC of the stream that it is about; 0 if the FCI names the streams.
    pub media_ssrc: u32,
    /// The feedback control information, a whole number of words.
    pub fci: &'a [u8],
}

/// Generic NACK (RFC 4585 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    /// The SSRC of the participant that sent it.
    pub sender_ssrc: u32,
    /// The SSRC of the stream that it is about.
    pub media_ssrc: u32,
    /// The packets that are missing.
    pub pairs: NackPairs<'a>,
}

/// The pairs of a [`Nack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NackPairs<'a>(&'a [u8]);

/// A missing packet, and which of the sixteen after it are missing too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NackPair {
    /// The sequence number of a missing packet (PID).
    pub packet_id: u16,
    /// If bit n is set, the packet `packet_id + n + 1` is missing too (BLP).
    pub following: u16,
}

/// Picture loss indication (RFC 4585 §6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pli {
    /// The SSRC of the participant that sent it.
    pub sender_ssrc: u32,
    /// The SSRC of the stream that it is about.
    pub media_ssrc: u32,
}

/// Full intra request (RFC 5104 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fir<'a> {
    /// The SSRC of the participant that sent it.
    pub sender_ssrc: u32,
    /// The streams that whole pictures are wanted of.
    pub entries: FirEntries<'a>,
}

/// The entries of a [`Fir`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirEntries<'a>(&'a [u8]);

/// One stream that a whole picture is wanted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirEntry {
    /// The SSRC of the stream.
    pub ssrc: u32,
    /// Counts the requests. A repeated request has the number of the first.
    pub command_sequence: u8,
}

/// Receiver estimated maximum bitrate, REMB (draft-alvestrand-rmcat-remb §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb<'a> {
    /// The SSRC of the participant that sent it.
    pub sender_ssrc: u32,
    mantissa: u32,
    exponent: u8,
    ssrcs: &'a [u8],
}

impl<'a> Feedback<'a> {
    pub(super) fn parse(packet_type: u8, format: u8, body: &'a [u8]) -> Option<Packet<'a>> {
        let (sender_ssrc, media_ssrc) = (be32(body, 0)?, be32(body, 4)?);
        let fci = &body[8..];
        let other = Self { packet_type, format, sender_ssrc, media_ssrc, fci };
        let packet = match (packet_type, format) {
            (packet_type::TRANSPORT_FEEDBACK, NACK) => {
                Packet::Nack(Nack { sender_ssrc, media_ssrc, pairs: NackPairs(whole(fci, 4)?) })
            }
            (packet_type::PAYLOAD_FEEDBACK, PLI) => Packet::Pli(Pli { sender_ssrc, media_ssrc }),
            (packet_type::PAYLOAD_FEEDBACK, FIR) => {
                Packet::Fir(Fir { sender_ssrc, entries: FirEntries(whole(fci, 8)?) })
            }
            (packet_type::PAYLOAD_FEEDBACK, APPLICATION_LAYER) => {
                Remb::parse(sender_ssrc, fci).map_or(Packet::Feedback(other), Packet::Remb)
            }
            _ => Packet::Feedback(other),
        };
        Some(packet)
    }
}

impl NackPairs<'_> {
    /// The pairs in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = NackPair> + '_ {
        words(self.0).map(|word| NackPair { packet_id: (word >> 16) as u16, following: word as u16 })
    }

    /// The sequence number of every missing packet.
    pub fn missing(&self) -> impl Iterator<Item = u16> + '_ {
        self.iter().flat_map(|pair| {
            let set = (0..16u16).filter(move |bit| pair.following & 1 << bit != 0);
            let following = set.map(move |bit| pair.packet_id.wrapping_add(bit + 1));
            std::iter::once(pair.packet_id).chain(following)
        })
    }

    pub(super) fn wire(&self) -> &[u8] {
        self.0
    }
}

impl FirEntries<'_> {
    /// The entries in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = FirEntry> + '_ {
        let entries = self.0.as_chunks::<8>().0.iter();
        entries.map(|entry| FirEntry {
            ssrc: u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]),
            command_sequence: entry[4],
        })
    }

    pub(super) fn wire(&self) -> &[u8] {
        self.0
    }
}

impl<'a> Remb<'a> {
    fn parse(sender_ssrc: u32, fci: &'a [u8]) -> Option<Self> {
        if fci.first_chunk::<4>()? != REMB_IDENTIFIER {
            return None;
        }
        let (count, high) = (*fci.get(4)?, *fci.get(5)?);
        let mantissa = u32::from(high & 0x03) << 16 | u32::from(be16(fci, 6)?);
        let ssrcs = fci.get(8..8 + usize::from(count) * 4)?;
        Some(Self { sender_ssrc, mantissa, exponent: high >> 2, ssrcs })
    }

    /// The estimate in bits per second; [`u64::MAX`] if it does not fit.
    pub fn bitrate(&self) -> u64 {
        let mantissa = u64::from(self.mantissa);
        if u32::from(self.exponent) < mantissa.leading_zeros() { mantissa << self.exponent } else { u64::MAX }
    }

    /// The SSRCs of the streams that share the bitrate.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + 'a {
        words(self.ssrcs)
    }

    pub(super) fn wire(&self) -> ([u8; 8], &'a [u8]) {
        let [_, high, middle, low] = self.mantissa.to_be_bytes();
        let [r, e, m, b] = *REMB_IDENTIFIER;
        ([r, e, m, b, (self.ssrcs.len() / 4) as u8, self.exponent << 2 | high, middle, low], self.ssrcs)
    }
}

fn whole(fci: &[u8], entry: usize) -> Option<&[u8]> {
    Some(fci).filter(|fci| !fci.is_empty() && fci.len().is_multiple_of(entry))
}

pub(super) const NACK: u8 = 1;
pub(super) const PLI: u8 = 1;
pub(super) const FIR: u8 = 4;
pub(super) const APPLICATION_LAYER: u8 = 15;

const REMB_IDENTIFIER: &[u8; 4] = b"REMB";
