//! Versions of a client's descriptions (RFC 8866 §5.2, RFC 3264 §8), as the host is told them.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use crate::sdp::Description;

/// The last version that the host was told, and what it stood for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    version: u64,
    content: u64,
}

impl Told {
    /// Makes the memory of a description that the host is told now.
    pub fn new(version: u64, content: u64) -> Self {
        Self { version, content }
    }

    /// The version of a further description, which names `own`: a higher one than before, unless the content is the same.
    pub fn next(self, own: u64, content: u64) -> u64 {
        let least = self.version.saturating_add(u64::from(content != self.content));
        own.max(least)
    }
}

/// The version of a description, and where it stands; `None` for one that the host could not read either.
pub fn of(description: &Description<'_>) -> Option<(Range<usize>, u64)> {
    let origin = description.origin.as_ref()?;
    let mut at = origin.value.start;
    let mut words = description.text(&origin.value).split(|byte| *byte == b' ').map(|word| {
        let range = at..at + word.len();
        at = range.end + 1;
        range
    });
    let range = words.nth(2)?;
    let digits = std::str::from_utf8(description.text(&range)).ok()?;
    // Longer numbers than the host reads: 63 bits.
    let version = digits.parse().ok().filter(|version| *version <= i64::MAX.unsigned_abs())?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some((range, version))
}

/// A number that tells descriptions apart, whatever their `o=` lines say.
pub fn content(description: &Description<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let origin = description.origin.as_ref().map_or(0..0, |origin| origin.whole.clone());
    hasher.write(description.text(&(description.span.start..origin.start.max(description.span.start))));
    hasher.write(description.text(&(origin.end.max(description.span.start)..description.span.end)));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3264_section_8_another_content_has_a_higher_version() {
        let told = Told::new(7, 1);
        assert_eq!((told.next(7, 1), told.next(0, 1), told.next(9, 1)), (7, 7, 9));
        assert_eq!((told.next(7, 2), told.next(0, 2), told.next(9, 2)), (8, 8, 9));
    }

    #[test]
    fn the_content_is_all_but_the_origin() {
        let parse = |text: &'static str| Description::parse(text.as_bytes(), 0..text.len()).expect("a description");
        let [first, again, other, long] = [
            "v=0\no=- 1 2 IN IP4 a\ns=-\n",
            "v=0\no=- 9 3 IN IP4 a\ns=-\n",
            "v=0\no=- 1 2 IN IP4 a\ns=x\n",
            "v=0\no=- 1 99999999999999999999 IN IP4 a\n",
        ]
        .map(parse);
        assert_eq!(of(&first).map(|(_, version)| version), Some(2));
        assert_eq!(content(&first), content(&again));
        assert_ne!(content(&first), content(&other));
        assert_eq!(of(&long), None);
    }
}
