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

/// SR (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// What it sent.
    pub info: SenderInfo,
    /// What it received.
    pub blocks: ReportBlocks<'a>,
    /// Profile-specific words at the end.
    pub extension: &'a [u8],
}

/// RR (§6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// What it received.
    pub blocks: ReportBlocks<'a>,
    /// Profile-specific words at the end.
    pub extension: &'a [u8],
}

/// The sender information of an SR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent, by the sender's clock.
    pub ntp: NtpTimestamp,
    /// The same moment in the units of the stream's timestamps.
    pub rtp_timestamp: u32,
    /// Packets sent with this SSRC.
    pub packet_count: u32,
    /// Octets of payload sent with this SSRC.
    pub octet_count: u32,
}

/// What the reporter received of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths of what was expected.
    pub fraction_lost: u8,
    /// Lost since the beginning, 24 bits; negative when duplicates arrived.
    pub cumulative_lost: i32,
    /// Cycles in the upper, highest sequence number in the lower half.
    pub extended_highest_sequence_number: u32,
    /// Interarrival jitter (A.8).
    pub jitter_in_timestamp_units: u32,
    /// Middle of the NTP timestamp of the last SR received from the source; 0 for none.
    pub last_sr: u32,
    /// Time since that SR was received; 0 for none.
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

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the reporter received nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0.iter().map(ReportBlock::from_bytes)
    }

    /// The block about `ssrc`.
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
            // 24 bits, two's complement: the shift there and back extends the sign.
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

    /// Time since the last SR was received.
    pub fn delay_since_last_sr(&self) -> std::time::Duration {
        crate::timestamp::duration(u64::from(self.delay_since_last_sr_in_65536ths), 1 << 16)
    }
}

const INFO_LEN: usize = 20;
const BLOCK_LEN: usize = 24;
