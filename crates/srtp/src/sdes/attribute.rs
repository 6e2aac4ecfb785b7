//! One `a=crypto` line (RFC 4568 §4, §9).

use super::key::InlineKey;
use super::param::SessionParam;
use super::refusal::Refusal;
use super::suite::CryptoSuite;
use super::tag::Tag;

/// A parsed `a=crypto` line. It does not implement `Display`, so that its keys do not get into logs by mistake.
///
/// ```
/// use media_srtp::sdes::CryptoAttribute;
///
/// let line = "1 AEAD_AES_128_GCM inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJQ==|2^48";
/// let attribute = CryptoAttribute::parse(line)?;
/// assert_eq!(attribute.to_sdp(), line);
/// # Ok::<(), media_srtp::sdes::Refusal>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CryptoAttribute {
    /// The number of the line within the media section.
    pub tag: Tag,
    /// The transforms of RTP and RTCP.
    pub suite: CryptoSuite,
    /// One key, or several that differ in their master key identifiers.
    pub keys: Vec<InlineKey>,
    /// The session parameters.
    pub params: Vec<SessionParam>,
}

impl CryptoAttribute {
    /// Parses a line without its `a=crypto:`. Ignores unknown parameters that may be ignored (§6.3.7).
    pub fn parse(line: &str) -> Result<Self, Refusal> {
        if line.len() > MAX_LINE_LEN {
            return Err(Refusal::TooLong(line.len()));
        }
        let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
        let mut field = |what| fields.next().ok_or(Refusal::Missing(what));
        let tag = Tag::parse(field("tag")?).ok_or(Refusal::Tag)?;
        let suite = CryptoSuite::from_name(field("crypto-suite")?)?;
        let keys = InlineKey::parse_all(suite.suite(), field("key")?)?;
        let params =
            fields.filter(|param| !param.starts_with('-')).map(|param| SessionParam::parse(suite.suite(), param));
        Ok(Self { tag, suite, keys, params: params.collect::<Result<_, _>>()? })
    }

    /// Writes the line without `a=crypto:`.
    pub fn to_sdp(&self) -> String {
        let mut line = format!("{} {} {}", self.tag, self.suite.name(), InlineKey::all_to_sdp(&self.keys));
        line.extend(self.params.iter().map(|param| format!(" {}", param.to_sdp())));
        line
    }
}

/// The greatest length of a line in bytes: room for more than four keys of the longest suite. Nobody sends even two.
const MAX_LINE_LEN: usize = 1024;
