//! Why a line of the peer was not taken.

use super::attribute::Tag;

/// Why a line of the peer was not taken. Its keys are never part of the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    // It does not follow the grammar (RFC 4568 §9), or says what it must not.
    /// The line is longer than any that means something.
    #[error("line of {0} bytes")]
    TooLong(usize),
    /// Tag, suite or key parameters are missing.
    #[error("no {0} in the line")]
    Missing(&'static str),
    /// The tag is not a number of at most nine digits.
    #[error("malformed tag")]
    Tag,
    /// The suite is not a word.
    #[error("malformed crypto-suite")]
    Suite,
    /// The key is not after `inline:`, the one method there is for SRTP (§6.1).
    #[error("key method other than inline")]
    KeyMethod,
    /// Key and salt do not have the length that the suite asks for (§6.1).
    #[error("master key and salt of {len} base64 characters, the suite takes {expected}")]
    KeyLength {
        /// Without padding.
        len: usize,
        /// What the suite takes.
        expected: usize,
    },
    /// Key and salt are not base64 (§6.1).
    #[error("master key and salt are not base64")]
    KeyEncoding,
    /// The lifetime is no number, or more than any suite allows (§6.1).
    #[error("malformed or too long lifetime")]
    Lifetime,
    /// The master key identifier is not `number:length`, or the number does not fit (§6.1).
    #[error("malformed master key identifier")]
    MalformedKeyIdentifier,
    /// There are several keys that are not told apart by identifiers of the same length (§6.1).
    #[error("several keys without an identifier each")]
    AmbiguousKeys,
    /// A session parameter is not written as §6.3 says.
    #[error("malformed session parameter {0}")]
    MalformedParam(&'static str),

    // It is well formed, and asks for what we do not do.
    /// A suite that we do not have.
    #[error("unknown crypto-suite {0}")]
    UnknownSuite(String),
    /// A session parameter that we do not know, and that does not say that this is no matter (§6.3.7).
    #[error("unknown session parameter")]
    UnknownParam,
    /// A session parameter that we know and do not follow.
    #[error("session parameter {0} is not supported")]
    UnsupportedParam(&'static str),
    /// A master key identifier, which would be part of every packet.
    #[error("master key identifiers are not supported")]
    KeyIdentifier,

    // It does not answer what we offered (§5.1.3).
    /// We offered no line with this tag.
    #[error("the answer takes line {0}, which was not offered")]
    NotOffered(Tag),
    /// We offered another suite under this tag.
    #[error("the answer takes line {tag} with suite {answered}, offered was {offered}")]
    OtherSuite {
        /// Of both lines.
        tag: Tag,
        /// In our offer.
        offered: &'static str,
        /// In the answer.
        answered: &'static str,
    },
}
