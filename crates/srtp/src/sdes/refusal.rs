//! The reasons for refusing a line of the peer.

use super::tag::Tag;

/// Why a line of the peer was refused. The reason never contains its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    // The line breaks the grammar (RFC 4568 §9) or a rule.
    /// The line is longer than any meaningful line.
    #[error("the line is too long ({0} bytes)")]
    TooLong(usize),
    /// Tag, suite or key parameters are missing.
    #[error("the line has no {0}")]
    Missing(&'static str),
    /// The tag is not a number of at most nine digits.
    #[error("the tag is malformed")]
    Tag,
    /// The suite is not a word.
    #[error("the crypto-suite is malformed")]
    Suite,
    /// The key method is not `inline:`, the only one for SRTP (§6.1).
    #[error("the key method is not inline")]
    KeyMethod,
    /// Key and salt do not have the length that the suite requires (§6.1).
    #[error("master key and salt have {len} base64 characters, the suite requires {expected}")]
    KeyLength {
        /// The given length in characters, without padding.
        len: usize,
        /// The required length in characters.
        expected: usize,
    },
    /// Key and salt are not valid base64 (§6.1).
    #[error("master key and salt are not base64")]
    KeyEncoding,
    /// The lifetime is not a number, or greater than any suite allows (§6.1).
    #[error("the lifetime is malformed or too long")]
    Lifetime,
    /// The master key identifier is not `number:length`, or the number does not fit (§6.1).
    #[error("the master key identifier is malformed")]
    MalformedKeyIdentifier,
    /// There are several keys, but they do not all have identifiers of one length (§6.1).
    #[error("several keys do not each have an identifier")]
    AmbiguousKeys,
    /// A session parameter does not follow §6.3.
    #[error("the session parameter {0} is malformed")]
    MalformedParam(&'static str),

    // The line is well-formed, but asks for something that we do not support.
    /// A suite that we do not support.
    #[error("the crypto-suite {0} is not supported")]
    UnknownSuite(String),
    /// An unknown session parameter that is not marked as one to be ignored (§6.3.7).
    #[error("a session parameter is unknown")]
    UnknownParam,
    /// A known session parameter that we do not support.
    #[error("the session parameter {0} is not supported")]
    UnsupportedParam(&'static str),
    /// A master key identifier, which would be in every packet.
    #[error("master key identifiers are not supported")]
    KeyIdentifier,

    // The line is not an answer to our offer (§5.1.3).
    /// We offered no line with this tag.
    #[error("the answer accepts line {0}, which we did not offer")]
    NotOffered(Tag),
    /// We offered another suite under this tag.
    #[error("the answer accepts line {tag} with suite {answered}, but we offered {offered}")]
    OtherSuite {
        /// The tag of both lines.
        tag: Tag,
        /// The suite of our offer.
        offered: &'static str,
        /// The suite of the answer.
        answered: &'static str,
    },
}
