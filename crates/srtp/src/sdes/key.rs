//! Key parameters (RFC 4568 §6.1, §9.2).

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::refusal::Refusal;
use crate::master::MasterKey;
use crate::policy::Suite;

/// One `inline:` key with its lifetime and identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineKey {
    /// Master key and salt.
    pub master: MasterKey,
    /// The number of packets that it may protect; `None` for the maximum of the suite.
    pub lifetime: Option<Lifetime>,
    /// The master key identifier, by which packets name their key.
    pub mki: Option<MasterKeyIdentifier>,
}

impl InlineKey {
    /// Parses one key or more, separated by `;`.
    pub(super) fn parse_all(suite: Suite, params: &str) -> Result<Vec<Self>, Refusal> {
        let keys = params.split(';').map(|param| Self::parse(suite, param)).collect::<Result<Vec<_>, _>>()?;
        if are_told_apart(&keys) { Ok(keys) } else { Err(Refusal::AmbiguousKeys) }
    }

    pub(super) fn all_to_sdp(keys: &[Self]) -> String {
        keys.iter().map(Self::to_sdp).collect::<Vec<_>>().join(";")
    }

    fn parse(suite: Suite, param: &str) -> Result<Self, Refusal> {
        let (method, info) = param.split_once(':').ok_or(Refusal::KeyMethod)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(Refusal::KeyMethod);
        }
        let (key_and_salt, rest) = info.split_once('|').map_or((info, None), |(key, rest)| (key, Some(rest)));
        let master = decode(suite, key_and_salt)?;
        // A lifetime never contains a colon and an identifier always does, so either may be missing.
        let (lifetime, mki) = match rest {
            None => (None, None),
            Some(rest) => match rest.split_once('|') {
                Some((lifetime, mki)) => (Some(lifetime), Some(mki)),
                None if rest.contains(':') => (None, Some(rest)),
                None => (Some(rest), None),
            },
        };
        Ok(Self {
            master,
            lifetime: lifetime.map(Lifetime::parse).transpose()?,
            mki: mki.map(MasterKeyIdentifier::parse).transpose()?,
        })
    }

    fn to_sdp(&self) -> String {
        let mut param = format!("inline:{}", BASE64.encode(self.master.as_bytes()));
        param.extend(self.lifetime.map(|lifetime| format!("|{lifetime}")));
        param.extend(self.mki.map(|mki| format!("|{mki}")));
        param
    }
}

/// The number of packets that a key may protect, in the notation of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Two to the power of this number, which is at most 48.
    PowerOfTwo(u8),
    /// The number itself.
    Packets(u64),
}

impl Lifetime {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let lifetime = match text.strip_prefix("2^") {
            Some(exponent) => decimal(exponent, 0..=MAX_LIFETIME.ilog2().into()).map(Self::PowerOfTwo),
            None => decimal(text, 1..=MAX_LIFETIME).map(Self::Packets),
        };
        lifetime.ok_or(Refusal::Lifetime)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOfTwo(exponent) => write!(formatter, "2^{exponent}"),
            Self::Packets(packets) => write!(formatter, "{packets}"),
        }
    }
}

/// The master key identifier (MKI), which precedes the authentication tag of every packet (RFC 3711 §3.1). The grammar
/// does not limit the number; we accept 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterKeyIdentifier {
    value: u64,
    len: u8,
}

impl MasterKeyIdentifier {
    /// Takes a positive number and its length in packets, 1 to 128 bytes. `None` if the number does not fit.
    pub fn new(value: u64, len: u8) -> Option<Self> {
        let needed = 8 - value.leading_zeros() / 8;
        (value > 0 && u32::from(len) >= needed && len <= MAX_MKI_LEN).then_some(Self { value, len })
    }

    /// The number of the key.
    pub fn value(self) -> u64 {
        self.value
    }

    /// The length of the identifier in packets, in bytes.
    pub fn len_in_packet(self) -> usize {
        self.len.into()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let (value, len) = text.split_once(':').ok_or(Refusal::MalformedKeyIdentifier)?;
        let value = decimal(value, 1..=u64::MAX);
        let len = decimal(len, 1..=MAX_MKI_LEN.into());
        value.zip(len).and_then(|(value, len)| Self::new(value, len)).ok_or(Refusal::MalformedKeyIdentifier)
    }
}

impl fmt::Display for MasterKeyIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.value, self.len)
    }
}

/// Whether there is only one key, or each has its own identifier, all of one length.
fn are_told_apart(keys: &[InlineKey]) -> bool {
    let [first, others @ ..] = keys else { return false };
    let Some(MasterKeyIdentifier { len, .. }) = first.mki else { return others.is_empty() };
    let has_its_own =
        |at: usize, mki: MasterKeyIdentifier| mki.len == len && keys[..at].iter().all(|before| before.mki != Some(mki));
    keys.iter().enumerate().all(|(at, key)| key.mki.is_some_and(|mki| has_its_own(at, mki)))
}

/// Decodes key and salt from base64; padding is optional.
fn decode(suite: Suite, key_and_salt: &str) -> Result<MasterKey, Refusal> {
    let encoded = key_and_salt.trim_end_matches('=');
    let expected = (suite.master_len() * 4).div_ceil(3);
    if encoded.len() != expected {
        return Err(Refusal::KeyLength { len: encoded.len(), expected });
    }
    let mut decoded = Ok(0);
    let master = MasterKey::fill_with(suite, |bytes| decoded = BASE64.decode_slice(encoded, bytes));
    decoded.map(|_| master).map_err(|_| Refusal::KeyEncoding)
}

/// Parses a decimal number within `range`, without sign and leading zeros.
pub(super) fn decimal<N: TryFrom<u64>>(digits: &str, range: std::ops::RangeInclusive<u64>) -> Option<N> {
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0');
    if has_leading_zero || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| range.contains(number)).and_then(|number| N::try_from(number).ok())
}

/// Base64 without padding that ignores unused bits of the last character (RFC 4648 §3.5).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The most SRTP packets that any suite may protect with one key (RFC 3711 §9.2).
const MAX_LIFETIME: u64 = 1 << 48;

/// The greatest length of an identifier in bytes (RFC 4568 §6.1).
const MAX_MKI_LEN: u8 = 128;
