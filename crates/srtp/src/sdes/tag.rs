//! The tag of an `a=crypto` line (RFC 4568 §4.1).

use std::fmt;

/// The tag of a line, unique within its media section (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// The greatest tag: it has at most nine digits.
    pub const MAX: u32 = 999_999_999;

    /// Makes a tag; `None` above [`MAX`](Self::MAX).
    pub fn new(number: u32) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    /// Parses a tag; `None` if it is not one. Unlike other numbers of a line, it may have leading zeros (§9.1).
    pub(super) fn parse(digits: &str) -> Option<Self> {
        let is_number = digits.len() <= 9 && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| digits.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
