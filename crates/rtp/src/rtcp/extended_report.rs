//! Extended reports, XR (RFC 3611 §2, §3). The contents of their blocks are not interpreted.

use crate::wire::{be16, be32};

/// An extended report, XR. The lengths of its blocks were checked when it was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    /// The SSRC of the reporter.
    pub ssrc: u32,
    body: &'a [u8],
}

/// The blocks of an XR packet.
#[derive(Debug, Clone)]
pub struct ExtendedReportBlocks<'a>(&'a [u8]);

/// One block of an extended report (RFC 3611 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedReportBlock<'a> {
    /// The block type (RFC 3611 §4): 4 for receiver reference time, 5 for DLRR, 7 for VoIP metrics.
    pub block_type: u8,
    /// An octet whose meaning depends on the block type.
    pub type_specific: u8,
    /// The block's contents, a whole number of words.
    pub data: &'a [u8],
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let ssrc = be32(body, 0)?;
        let body = &body[4..];
        let mut rest = body;
        while !rest.is_empty() {
            (_, rest) = ExtendedReportBlock::split(rest)?;
        }
        Some(Self { ssrc, body })
    }

    /// The blocks in the order of the packet.
    pub fn blocks(&self) -> ExtendedReportBlocks<'a> {
        ExtendedReportBlocks(self.body)
    }

    pub(super) fn wire(&self) -> &'a [u8] {
        self.body
    }
}

impl<'a> Iterator for ExtendedReportBlocks<'a> {
    type Item = ExtendedReportBlock<'a>;

    fn next(&mut self) -> Option<ExtendedReportBlock<'a>> {
        let (block, rest) = ExtendedReportBlock::split(self.0)?;
        self.0 = rest;
        Some(block)
    }
}

impl<'a> ExtendedReportBlock<'a> {
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let len = usize::from(be16(bytes, 2)?) * 4;
        let (data, rest) = bytes.get(4..)?.split_at_checked(len)?;
        Some((Self { block_type: bytes[0], type_specific: bytes[1], data }, rest))
    }
}
