//! Redundant data (RFC 2198): one packet that carries earlier payloads again in front of its own.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |1|  block PT   |  timestamp offset         |   block length    |  one for each redundant block
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0|  block PT   |                                                  the primary block
//! +-+-+-+-+-+-+-+-+
//! | data of the blocks, in the order of their headers             |
//! ```
//!
//! T.140 text uses it (RFC 4103 §4): a receiver that misses a packet finds its text in the next.

/// A payload of RFC 2198 whose lengths add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redundant<'a> {
    payload: &'a [u8],
    redundant_blocks: usize,
    primary_offset: usize,
}

/// One block of a [`Redundant`] payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// The payload type of the data, 0 to 127.
    pub payload_type: u8,
    /// How much earlier than the packet's timestamp the data belongs, in timestamp units: 0 to 16383, and 0 for the
    /// primary block.
    pub timestamp_offset: u16,
    /// The payload as it would be in a packet of its own; at most 1023 octets in a redundant block.
    pub data: &'a [u8],
}

/// Reasons why a payload is not one of RFC 2198.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedError {
    /// The payload ends before the header of a primary block.
    #[error("no header of a primary block in {0} octets of redundant data")]
    NoPrimary(usize),
    /// The headers announce more data than there is.
    #[error("the headers of redundant data announce {announced} octets, {available} follow")]
    Truncated {
        /// The sum of the block lengths in the headers.
        announced: usize,
        /// Octets behind the headers.
        available: usize,
    },
}

impl<'a> Redundant<'a> {
    /// Checks the headers and the lengths of all blocks (§3).
    pub fn parse(payload: &'a [u8]) -> Result<Self, RedError> {
        let (mut redundant_blocks, mut announced) = (0, 0);
        while let Some(header) = Header::read(payload, redundant_blocks) {
            announced += header.len;
            redundant_blocks += 1;
        }
        let headers = redundant_blocks * HEADER_LEN;
        // The list has to end with the header of the primary block, and not with the payload.
        match payload.get(headers) {
            Some(last) if last & FOLLOWED == 0 => {}
            _ => return Err(RedError::NoPrimary(payload.len())),
        }
        let available = payload.len() - headers - 1;
        if announced > available {
            return Err(RedError::Truncated { announced, available });
        }
        Ok(Self { payload, redundant_blocks, primary_offset: headers + 1 + announced })
    }

    /// The block that is the packet's own payload (§3).
    pub fn primary(&self) -> Block<'a> {
        let payload_type = self.payload.get(self.redundant_blocks * HEADER_LEN).copied().unwrap_or_default();
        let data = self.payload.get(self.primary_offset..).unwrap_or_default();
        Block { payload_type, timestamp_offset: 0, data }
    }

    /// Octets of the payload in front of the data of the primary block.
    pub fn primary_offset(&self) -> usize {
        self.primary_offset
    }

    /// The redundant blocks, in the order of the packet: senders put the oldest first.
    pub fn redundant(&self) -> impl Iterator<Item = Block<'a>> + 'a {
        let payload = self.payload;
        let mut rest = payload.get(self.redundant_blocks * HEADER_LEN + 1..).unwrap_or_default();
        (0..self.redundant_blocks).map_while(move |index| {
            let header = Header::read(payload, index)?;
            let (data, behind) = rest.split_at_checked(header.len)?;
            rest = behind;
            Some(Block { payload_type: header.payload_type, timestamp_offset: header.timestamp_offset, data })
        })
    }

    /// All blocks in the order of the packet, the primary block last.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'a>> + 'a {
        self.redundant().chain(std::iter::once(self.primary()))
    }
}

/// The header of a redundant block.
struct Header {
    payload_type: u8,
    timestamp_offset: u16,
    len: usize,
}

impl Header {
    /// Reads the header number `index`; `None` where the list of such headers has ended.
    fn read(payload: &[u8], index: usize) -> Option<Self> {
        let [first, middle @ .., low] = *payload.get(index * HEADER_LEN..)?.first_chunk::<HEADER_LEN>()?;
        if first & FOLLOWED == 0 {
            return None;
        }
        let [high, shared] = middle;
        Some(Self {
            payload_type: first & !FOLLOWED,
            timestamp_offset: u16::from_be_bytes([high, shared]) >> 2,
            len: usize::from(u16::from_be_bytes([shared & 0x03, low])),
        })
    }
}

/// Octets of the header of a redundant block; that of the primary block has one.
const HEADER_LEN: usize = 4;

/// Bit F: the header of another block follows.
const FOLLOWED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc2198_section_3_primary_data_lies_behind_the_older_generations() {
        let two_generations = [0x80 | 98, 0, 0, 2, 0x80 | 98, 0, 0, 1, 98, b'a', b'b', b'c', b'd', b'e'];
        assert_eq!(Redundant::parse(&two_generations).unwrap().primary_offset(), 12);
        assert_eq!(Redundant::parse(&[98, b'a']).unwrap().primary_offset(), 1);
    }

    #[test]
    fn rfc2198_section_3_every_block_has_its_type_offset_and_data() {
        let payload = [0x80 | 5, 0x3F, 0xFC, 1, 0x80 | 6, 0, 0x04, 2, 7, b'a', b'b', b'c', b'd', b'e'];
        let redundant = Redundant::parse(&payload).unwrap();
        let blocks: Vec<_> = redundant.blocks().collect();
        assert_eq!(
            blocks,
            [
                Block { payload_type: 5, timestamp_offset: 0x0FFF, data: b"a" },
                Block { payload_type: 6, timestamp_offset: 1, data: b"bc" },
                Block { payload_type: 7, timestamp_offset: 0, data: b"de" },
            ]
        );
        assert_eq!((redundant.primary(), redundant.redundant().count()), (blocks[2], 2));
    }

    #[test]
    fn rfc4103_section_4_blocks_may_be_empty() {
        let nothing_new = [0x80 | 98, 0, 0, 1, 98, b'a'];
        assert_eq!(Redundant::parse(&nothing_new).unwrap().primary().data, b"");
        assert_eq!(Redundant::parse(&[98]).unwrap().primary().data, b"");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(Redundant::parse(&[]), Err(RedError::NoPrimary(0)));
        assert_eq!(Redundant::parse(&[0x80 | 98, 0, 0]), Err(RedError::NoPrimary(3)));
        assert_eq!(Redundant::parse(&[0x80 | 98, 0, 0, 0]), Err(RedError::NoPrimary(4)));
        let short = [0x80 | 98, 0, 3, 0xFF, 98, b'a'];
        assert_eq!(Redundant::parse(&short), Err(RedError::Truncated { announced: 1023, available: 1 }));
    }

    proptest! {
        #[test]
        fn blocks_are_read_as_written(
            older in prop::collection::vec((0u8..128, 0u16..1 << 14, prop::collection::vec(any::<u8>(), 0..40)), 0..5),
            (payload_type, data) in (0u8..128, prop::collection::vec(any::<u8>(), 0..40)),
        ) {
            let mut blocks: Vec<_> = older.iter().map(|(payload_type, timestamp_offset, data)| {
                Block { payload_type: *payload_type, timestamp_offset: *timestamp_offset, data }
            }).collect();
            blocks.push(Block { payload_type, timestamp_offset: 0, data: &data });
            let payload = crate::fuzzing::write_red(&blocks);
            let read = Redundant::parse(&payload).unwrap();
            prop_assert_eq!(read.blocks().collect::<Vec<_>>(), blocks);
        }

        #[test]
        fn whatever_is_accepted_is_written_back_the_same(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            crate::fuzzing::red(&payload);
        }

        #[test]
        fn short_blocks_are_written_back_the_same(mut payload in prop::collection::vec(any::<u8>(), 0..60), headers in 0usize..4) {
            // Lengths below 4, so that much of what is generated is sound.
            for header in payload.chunks_exact_mut(4).take(headers) {
                (header[0], header[2], header[3]) = (header[0] | 0x80, header[2] & 0xFC, header[3] & 0x03);
            }
            if let Some(primary) = payload.get_mut(headers * 4) {
                *primary &= 0x7F;
            }
            crate::fuzzing::red(&payload);
        }
    }
}
