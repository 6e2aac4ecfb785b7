//! Handshake messages, put together from their fragments (RFC 6347 §4.2.3).
//!
//! ```text
//!    0       1 .. 3  4 .. 5  6 .. 8  9 .. 11
//!   +-------+-------+-------+-------+-------+----------------------+
//!   | type  | length| number| offset| length of this fragment, body|
//!   +-------+-------+-------+-------+-------+----------------------+
//! ```

use std::ops::Range;

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) number: u16,
    /// Header and body as of a message in one fragment, which is how transcripts have it (RFC 6347 §4.2.6).
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u8, number: u16, body: &[u8]) -> Self {
        let [.., l2, l1, l0] = (body.len() as u32).to_be_bytes();
        let [n1, n0] = number.to_be_bytes();
        let header = [kind, l2, l1, l0, n1, n0, 0, 0, 0, l2, l1, l0];
        Self { kind, number, bytes: [&header, body].concat() }
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }
}

/// A fragment of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'a> {
    pub(crate) kind: u8,
    pub(crate) number: u16,
    /// The octets of the whole message's body.
    len: usize,
    offset: usize,
    body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Splits the first fragment off the body of a record.
    pub(crate) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [kind, l2, l1, l0, n1, n0, o2, o1, o0, f2, f1, f0] = *header;
        let uint24 = |high, middle, low| u32::from_be_bytes([0, high, middle, low]) as usize;
        let (body, rest) = rest.split_at_checked(uint24(f2, f1, f0))?;
        let number = u16::from_be_bytes([n1, n0]);
        Some((Self { kind, number, len: uint24(l2, l1, l0), offset: uint24(o2, o1, o0), body }, rest))
    }

    /// Whether the message has no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.body.len()
    }
}

/// Puts messages together. Fragments that contradict those before replace them: the message is whole when its sender
/// repeats it.
#[derive(Debug, Default)]
pub(crate) struct Assembler(Vec<Partial>);

#[derive(Debug)]
struct Partial {
    kind: u8,
    number: u16,
    body: Vec<u8>,
    /// Which octets of the body are there.
    is_there: Vec<bool>,
}

impl Assembler {
    /// Takes in a fragment, and returns the message that it completes. Drops fragments of messages that are too long.
    pub(crate) fn take(&mut self, fragment: &Fragment<'_>) -> Option<Message> {
        let Fragment { kind, number, len, body, .. } = *fragment;
        if len > LONGEST || fragment.range().end > len {
            return None;
        }
        if body.len() == len {
            return Some(Message::new(kind, number, body));
        }
        let known = |partial: &Partial| (partial.kind, partial.number, partial.body.len()) == (kind, number, len);
        let mut partial = match self.0.iter().position(known) {
            Some(at) => self.0.remove(at),
            None => Partial::new(kind, number, len),
        };
        partial.add(fragment);
        if partial.is_there.iter().all(|is_there| *is_there) {
            return Some(Message::new(kind, number, &partial.body));
        }
        if self.0.len() == PARTIALS_MAX {
            self.0.remove(0);
        }
        self.0.push(partial);
        None
    }
}

impl Partial {
    fn new(kind: u8, number: u16, len: usize) -> Self {
        Self { kind, number, body: vec![0; len], is_there: vec![false; len] }
    }

    /// Adds a fragment that lies within the message.
    fn add(&mut self, fragment: &Fragment<'_>) {
        let range = fragment.range();
        let mut here = self.body[range.clone()].iter().zip(&self.is_there[range.clone()]).zip(fragment.body);
        if here.any(|((ours, is_there), theirs)| *is_there && ours != theirs) {
            self.is_there.fill(false);
        }
        self.body[range.clone()].copy_from_slice(fragment.body);
        self.is_there[range].fill(true);
    }
}

const HEADER_LEN: usize = 12;
/// The longest body of a message that is put together, which fits into one record (RFC 6347 §4.1).
const LONGEST: usize = (1 << 14) - HEADER_LEN;
/// The number of messages of which fragments are kept.
const PARTIALS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(offset: usize, body: &[u8]) -> Fragment<'_> {
        Fragment { kind: 11, number: 1, len: 6, offset, body }
    }

    #[test]
    fn rfc6347_section_4_2_3_fragments_overlap_and_come_in_any_order() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.take(&fragment(3, b"def")), None);
        assert_eq!(assembler.take(&fragment(1, b"bcd")), None);
        assert_eq!(assembler.take(&fragment(0, b"ab")).unwrap().body(), b"abcdef");
        assert_eq!(assembler.take(&fragment(0, b"abcdef")).unwrap().body(), b"abcdef");
    }

    #[test]
    fn a_forged_fragment_costs_a_repetition() {
        let mut assembler = Assembler::default();
        assembler.take(&fragment(0, b"abc"));
        assert_eq!(assembler.take(&fragment(2, b"xyz")), None);
        assert_eq!(assembler.take(&fragment(3, b"def")), None);
        assert_eq!(assembler.take(&fragment(0, b"abc")).unwrap().body(), b"abcdef");
    }

    #[test]
    fn fragments_beyond_the_message_and_of_endless_messages_are_dropped() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.take(&fragment(4, b"xyz")), None);
        assert_eq!(assembler.take(&Fragment { len: LONGEST + 1, ..fragment(0, b"abc") }), None);
        assert!(assembler.0.is_empty());
        (0..100).for_each(|number| assert_eq!(assembler.take(&Fragment { number, ..fragment(0, b"a") }), None));
        assert_eq!(assembler.0.len(), PARTIALS_MAX);
    }
}
