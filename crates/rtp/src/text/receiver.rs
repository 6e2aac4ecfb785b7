//! Recovers text that was lost, reordered or repeated by the network (RFC 4103 §4.2, §5.3, §5.4).

use std::ops::Range;

use crate::SequenceNumber;
use crate::red::{RedError, Redundant};

/// The received text of one source, by the sequence numbers of its packets.
///
/// Text is passed on at once: the receiver keeps none, and does not wait for a packet that may still come (RFC 4103 §5.4 allows a
/// second). With redundancy a late packet has nothing new, since its text came in the packet that overtook it. Without, its text comes
/// after the U+FFFD that was put in its place.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    newest: Option<SequenceNumber>,
    /// Bit n: the text of the packet n + 1 before the newest has not arrived.
    missing: u64,
    is_other_source: bool,
}

/// The new text of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Octets of the packet's payload: the blocks that are new, in their order. May be empty.
    pub range: Range<usize>,
    /// Text before it is lost for good, and U+FFFD takes its place.
    pub follows_loss: bool,
}

impl Receiver {
    /// Creates the receiver of a stream that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the next packet comes from another SSRC. A sender that changes its SSRC and counts on is not told apart from one source.
    pub fn change_source(&mut self) {
        self.is_other_source = true;
    }

    /// Takes in a packet of T.140 without redundancy. Returns `None` when its text was passed on before.
    pub fn handle_plain(&mut self, sequence_number: u16, marker: bool, payload: &[u8]) -> Option<Text> {
        let new = self.handle(SequenceNumber(sequence_number), marker, 0)?;
        Some(Text { range: 0..payload.len(), follows_loss: new.follows_loss })
    }

    /// Takes in a packet of RFC 2198. Returns `None` when its text was passed on before. Fails when its lengths do not add up; the
    /// packet then counts as lost.
    pub fn handle_redundant(
        &mut self,
        sequence_number: u16,
        marker: bool,
        payload: &[u8],
    ) -> Result<Option<Text>, RedError> {
        let redundant = Redundant::parse(payload)?;
        let generations = redundant.redundant().count();
        let Some(new) = self.handle(SequenceNumber(sequence_number), marker, generations) else { return Ok(None) };
        // The blocks stand one behind the other, the packet's own last.
        let recovered = redundant.redundant().skip(generations - new.recovered).map(|block| block.data.len());
        let start = redundant.primary_offset() - recovered.sum::<usize>();
        Ok(Some(Text { range: start..payload.len(), follows_loss: new.follows_loss }))
    }

    /// Takes in a packet that repeats the text of the `generations` packets before it.
    fn handle(&mut self, number: SequenceNumber, marker: bool, generations: usize) -> Option<New> {
        let is_other_source = std::mem::take(&mut self.is_other_source);
        let distance = self.newest.map(|newest| i32::from(number.distance_from(newest)));
        match distance {
            Some(distance) if is_other_source && !(1..=COUNTS_ON).contains(&distance) => {
                Some(self.begin(number, marker, generations))
            }
            Some(distance @ 1..=LONGEST_GAP) => Some(self.advance(number, distance, generations)),
            Some(distance @ LATEST..=0) => self.fill(-distance, generations),
            _ => Some(self.begin(number, marker, generations)),
        }
    }

    /// Takes the packet as the first of a source. The marker says that no text of the same spurt came before (RFC 4103 §5.2).
    fn begin(&mut self, number: SequenceNumber, marker: bool, generations: usize) -> New {
        (self.newest, self.missing) = (Some(number), 0);
        New { recovered: if marker { 0 } else { generations }, follows_loss: false }
    }

    /// Takes in a packet that is `distance` after the newest.
    fn advance(&mut self, number: SequenceNumber, distance: i32, generations: usize) -> New {
        let gap = distance.unsigned_abs() - 1;
        let recovered = generations.min(gap as usize);
        self.newest = Some(number);
        let lost = low_bits(gap) & !low_bits(recovered as u32);
        self.missing = self.missing.checked_shl(distance.unsigned_abs()).unwrap_or(0) | lost;
        New { recovered, follows_loss: recovered < gap as usize }
    }

    /// Takes in a packet that is `behind` the newest, or the newest again.
    fn fill(&mut self, behind: i32, generations: usize) -> Option<New> {
        let place = behind.checked_sub(1)?.try_into().ok()?;
        let from_here = self.missing.checked_shr(place)?;
        if from_here & 1 == 0 {
            return None;
        }
        let recovered = generations.min(from_here.trailing_ones() as usize - 1);
        self.missing &= !(low_bits(recovered as u32 + 1) << place);
        Some(New { recovered, follows_loss: false })
    }
}

/// The parts of a packet that are new.
struct New {
    /// Redundant blocks that are new: the last ones, next to the packet's own.
    recovered: usize,
    follows_loss: bool,
}

/// Returns a number with its lowest `count` bits set.
fn low_bits(count: u32) -> u64 {
    1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

/// Packets that may be missing before one that still belongs to the same count (RFC 3550 appendix A.1, `MAX_DROPOUT`).
const LONGEST_GAP: i32 = 3000;

/// Distance from the newest of a late packet, at most; beyond that the sender has begun to count anew.
const LATEST: i32 = -64;

/// A packet of another SSRC that is at most this far after the newest continues its count.
const COUNTS_ON: i32 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MISSING;
    use super::*;
    use crate::fuzzing::write_red;
    use crate::red::Block;

    /// Writes packet `number` of the stream whose packets have the texts `texts`, with this many generations.
    fn redundant(texts: &[&str], number: usize, generations: usize) -> Vec<u8> {
        let text = |back: usize| number.checked_sub(back).map_or(&b""[..], |number| texts[number].as_bytes());
        let blocks: Vec<_> = (0..=generations)
            .rev()
            .map(|back| Block { payload_type: 98, timestamp_offset: back as u16 * 300, data: text(back) })
            .collect();
        write_red(&blocks)
    }

    fn add(shown: &mut String, payload: &[u8], text: Option<Text>) {
        let Some(text) = text else { return };
        if text.follows_loss {
            shown.push_str(str::from_utf8(MISSING).unwrap());
        }
        shown.push_str(str::from_utf8(&payload[text.range]).unwrap());
    }

    /// Returns the text shown for the packets of `arriving`, by their indices.
    fn shown(texts: &[&str], first: u16, generations: usize, arriving: &[usize]) -> String {
        let (mut receiver, mut all) = (Receiver::new(), String::new());
        for &number in arriving {
            let payload = redundant(texts, number, generations);
            let sequence_number = first.wrapping_add(number as u16);
            let text = receiver.handle_redundant(sequence_number, number == 0, &payload).unwrap();
            add(&mut all, &payload, text);
        }
        all
    }

    const WORDS: [&str; 12] =
        ["one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine ", "ten ", "eleven ", "twelve "];

    #[test]
    fn rfc4103_section_4_2_lost_packets_are_recovered_from_the_two_after_them() {
        let arriving = [0, 3, 4, 6, 7, 8, 9, 10, 11];
        assert_eq!(shown(&WORDS, 65_530, 2, &arriving), WORDS.concat());
        assert_eq!(shown(&WORDS, 0, 2, &[2, 3, 4]), "one two three four five ", "the first two are lost");
    }

    #[test]
    fn rfc4103_section_5_3_text_that_is_gone_is_marked_once() {
        assert_eq!(shown(&WORDS, 7, 2, &[0, 4, 5, 6]), "one \u{FFFD}three four five six seven ");
        assert_eq!(shown(&WORDS, 7, 0, &[0, 3, 4, 6]), "one \u{FFFD}four five \u{FFFD}seven ");
        assert_eq!(shown(&WORDS, 7, 1, &[0, 11]), "one \u{FFFD}eleven twelve ");
    }

    #[test]
    fn repeated_and_late_packets_have_nothing_new_once_their_text_is_recovered() {
        assert_eq!(shown(&WORDS, 65_535, 2, &[0, 0, 2, 1, 3, 2, 4, 4]), "one two three four five ");
        assert_eq!(shown(&WORDS, 65_535, 0, &[0, 2, 1, 1, 3]), "one \u{FFFD}three two four ", "without redundancy");
        assert_eq!(shown(&WORDS, 9, 1, &[0, 4, 2, 3, 2]), "one \u{FFFD}four five two three ");
    }

    #[test]
    fn a_new_source_is_read_from_its_beginning_and_a_new_ssrc_alone_is_no_new_source() {
        let mut receiver = Receiver::new();
        let first = redundant(&WORDS, 3, 2);
        assert_eq!(receiver.handle_redundant(500, true, &first).unwrap().unwrap().range.len(), "four ".len());
        receiver.change_source();
        let counted_on = redundant(&WORDS, 5, 2);
        let text = receiver.handle_redundant(502, false, &counted_on).unwrap().unwrap();
        assert_eq!(&counted_on[text.range], b"five six ");
        receiver.change_source();
        let other = receiver.handle_redundant(40_000, false, &counted_on).unwrap().unwrap();
        assert_eq!((&counted_on[other.range], other.follows_loss), (&b"four five six "[..], false));
        receiver.change_source();
        let marked = receiver.handle_redundant(7, true, &counted_on).unwrap().unwrap();
        assert_eq!(&counted_on[marked.range], b"six ");
    }

    #[test]
    fn a_sender_that_counts_anew_is_read_on_without_a_mark() {
        let mut receiver = Receiver::new();
        receiver.handle_plain(30_000, true, b"a");
        for number in [20_000, 45_000] {
            let text = receiver.handle_plain(number, true, b"b").unwrap();
            assert_eq!(text, Text { range: 0..1, follows_loss: false });
        }
    }

    #[test]
    fn a_packet_whose_lengths_lie_is_as_if_it_had_not_come() {
        let mut receiver = Receiver::new();
        receiver.handle_plain(1, true, b"a");
        assert!(receiver.handle_redundant(2, false, &[0x80 | 98, 0, 3, 0xFF, 98, b'x']).is_err());
        let payload = redundant(&WORDS, 2, 2);
        let text = receiver.handle_redundant(3, false, &payload).unwrap().unwrap();
        assert_eq!(&payload[text.range], b"two three ");
    }

    proptest! {
        #[test]
        fn whatever_arrives_the_text_lies_in_the_packet_and_comes_once(input in prop::collection::vec(any::<u8>(), 0..200)) {
            crate::fuzzing::text_packets(&input);
        }

        #[test]
        fn text_arrives_once_and_in_order_unless_three_packets_in_a_row_are_lost(
            texts in prop::collection::vec("[a-zäß€𝄞]{0,9}", 1..40), pauses in prop::collection::vec(0u16..900, 1..9),
            fates in prop::collection::vec(0u8..9, 1..40), first: u16,
        ) {
            crate::fuzzing::text_over_a_bad_network(&texts, &pauses, &fates, first);
        }
    }
}
