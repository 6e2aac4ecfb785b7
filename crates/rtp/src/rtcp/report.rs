//! Sender and receiver reports (RFC 3550 §6.4).
//!
//! ```text
//! SR only: NTP timestamp (2 words), RTP timestamp, packet count, octet count
//! each block:
//! |                 SSRC of the source it is about                |
//! | fraction lost |       cumulative number of packets lost       |
//! |           extended highest sequence number received           |
//! |                      interarrival jitter                      |
//! |                         last SR (LSR)                         |
//! |                   delay since last SR (DLSR)                  |
//! ```

use super::NtpTimestamp;
use crate::wire::{Cursor, be32, be64};

/// A sender report, SR (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// The SSRC of the reporter.
    pub ssrc: u32,
    /// The counts of the stream that the reporter sends.
    pub info: SenderInfo,
    /// The statistics of the streams that the reporter receives, a block for each.
    pub blocks: ReportBlocks<'a>,
    /// Profile-specific extensions at the end, a whole number of words.
    pub extension: &'a [u8],
}

/// A receiver report, RR (§6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// The SSRC of the reporter.
    pub ssrc: u32,
    /// The statistics of the streams that the reporter receives, a block for each.
    pub blocks: ReportBlocks<'a>,
    /// Profile-specific extensions at the end, a whole number of words.
    pub extension: &'a [u8],
}

/// The sender information of an SR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// The time of day at which the report was sent, by the sender's clock.
    pub ntp: NtpTimestamp,
    /// The moment of `ntp` on the stream's own timeline, in timestamp units.
    pub rtp_timestamp: u32,
    /// Packets sent with this SSRC.
    pub packet_count: u32,
    /// Octets of payload sent with this SSRC.
    pub octet_count: u32,
}

/// A report block: the reporter's statistics about one source that it receives (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The SSRC of the source that the block is about.
    pub ssrc: u32,
    /// Packets lost since the last report, in 256ths of the packets expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, a signed 24-bit number; negative if more duplicates arrived than packets were
    /// lost.
    pub cumulative_lost: i32,
    /// The highest sequence number in the lower 16 bits, the number of times that it wrapped in the upper 16 bits.
    pub extended_highest_sequence_number: u32,
    /// Interarrival jitter in timestamp units (A.8).
    pub jitter_in_timestamp_units: u32,
    /// LSR: the middle 32 bits of the NTP timestamp of the last SR from the source; 0 before the first.
    pub last_sr: u32,
    /// DLSR: the time since that SR was received, in units of 1/65536 seconds; 0 before the first.
    pub delay_since_last_sr_in_65536ths: u32,
}

/// The report blocks of one packet, at most 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [[u8; BLOCK_LEN]]);

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (blocks, extension) = ReportBlocks::split(count, body.get(4 + INFO_LEN..)?)?;
        Some(Self { ssrc: be32(body, 0)?, info: SenderInfo::parse(&body[4..])?, blocks, extension })
    }
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (blocks, extension) = ReportBlocks::split(count, body.get(4..)?)?;
        Some(Self { ssrc: be32(body, 0)?, blocks, extension })
    }
}

impl SenderInfo {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            ntp: NtpTimestamp(be64(bytes, 0)?),
            rtp_timestamp: be32(bytes, 8)?,
            packet_count: be32(bytes, 12)?,
            octet_count: be32(bytes, 16)?,
        })
    }

    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        out.put(&self.ntp.0.to_be_bytes());
        out.put_u32(self.rtp_timestamp);
        out.put_u32(self.packet_count);
        out.put_u32(self.octet_count);
    }
}

impl<'a> ReportBlocks<'a> {
    fn split(count: u8, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (blocks, extension) = bytes.split_at_checked(usize::from(count) * BLOCK_LEN)?;
        Some((Self(blocks.as_chunks().0), extension))
    }

    /// The number of blocks.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no blocks: the reporter has received nothing since its last report.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The blocks in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0.iter().map(ReportBlock::from_bytes)
    }

    /// The block about `ssrc`, if there is one.
    pub fn about(&self, ssrc: u32) -> Option<ReportBlock> {
        self.iter().find(|block| block.ssrc == ssrc)
    }
}

impl ReportBlock {
    fn from_bytes(bytes: &[u8; BLOCK_LEN]) -> Self {
        let mut word = [0u32; 6];
        for (word, octets) in word.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*octets);
        }
        Self {
            ssrc: word[0],
            fraction_lost: bytes[4],
            // Shifting the 24 bits up and down again extends the sign.
            cumulative_lost: (word[1] << 8).cast_signed() >> 8,
            extended_highest_sequence_number: word[2],
            jitter_in_timestamp_units: word[3],
            last_sr: word[4],
            delay_since_last_sr_in_65536ths: word[5],
        }
    }

    pub(super) fn write(&self, out: &mut Cursor<'_>) {
        out.put_u32(self.ssrc);
        out.put_u32(u32::from(self.fraction_lost) << 24 | self.cumulative_lost.cast_unsigned() & 0x00FF_FFFF);
        out.put_u32(self.extended_highest_sequence_number);
        out.put_u32(self.jitter_in_timestamp_units);
        out.put_u32(self.last_sr);
        out.put_u32(self.delay_since_last_sr_in_65536ths);
    }

    /// The time between the arrival of the last SR from the source and the report (DLSR).
    pub fn delay_since_last_sr(&self) -> std::time::Duration {
        crate::timestamp::duration(u64::from(self.delay_since_last_sr_in_65536ths), 1 << 16)
    }
}

const INFO_LEN: usize = 20;
const BLOCK_LEN: usize = 24;
