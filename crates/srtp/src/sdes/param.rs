//! Session parameters (RFC 4568 §6.3, §9.2).

use super::key::{InlineKey, decimal};
use super::refusal::Refusal;
use crate::policy::Suite;

/// A session parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionParam {
    /// Session keys are derived again every 2^n packets; n is 1 to 24 (§6.3.1).
    KeyDerivationRate(u8),
    /// RTP is authenticated only (§6.3.2).
    UnencryptedSrtp,
    /// RTCP is authenticated only (§6.3.2).
    UnencryptedSrtcp,
    /// RTP is encrypted only (§6.3.3).
    UnauthenticatedSrtp,
    /// The order of forward error correction and encryption (§6.3.4).
    FecOrder(FecOrder),
    /// The keys of the forward error correction stream (§6.3.5).
    FecKey(Vec<InlineKey>),
    /// The size of the replay window in packets, at least 64 (§6.3.6).
    WindowSizeHint(u32),
}

/// The order in which a sender applies forward error correction and SRTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FecOrder {
    /// First error correction, then encryption of both streams: the default.
    FecSrtp,
    /// First encryption, then error correction.
    SrtpFec,
}

impl SessionParam {
    pub(super) fn parse(suite: Suite, param: &str) -> Result<Self, Refusal> {
        let (name, value) = param.split_once('=').map_or((param, None), |(name, value)| (name, Some(value)));
        match (name.to_ascii_uppercase().as_str(), value) {
            (KDR, Some(rate)) => decimal(rate, 1..=24).map(Self::KeyDerivationRate).ok_or(Refusal::MalformedParam(KDR)),
            (UNENCRYPTED_SRTP, None) => Ok(Self::UnencryptedSrtp),
            (UNENCRYPTED_SRTCP, None) => Ok(Self::UnencryptedSrtcp),
            (UNAUTHENTICATED_SRTP, None) => Ok(Self::UnauthenticatedSrtp),
            (FEC_ORDER, Some(order)) => FecOrder::parse(order).map(Self::FecOrder),
            (FEC_KEY, Some(keys)) => InlineKey::parse_all(suite, keys).map(Self::FecKey),
            (WSH, Some(packets)) => {
                decimal(packets, 64..=u64::MAX).map(Self::WindowSizeHint).ok_or(Refusal::MalformedParam(WSH))
            }
            _ => Err(Refusal::UnknownParam),
        }
    }

    pub(super) fn to_sdp(&self) -> String {
        match self {
            Self::KeyDerivationRate(rate) => format!("{KDR}={rate}"),
            Self::UnencryptedSrtp => UNENCRYPTED_SRTP.to_owned(),
            Self::UnencryptedSrtcp => UNENCRYPTED_SRTCP.to_owned(),
            Self::UnauthenticatedSrtp => UNAUTHENTICATED_SRTP.to_owned(),
            Self::FecOrder(order) => format!("{FEC_ORDER}={}", order.name()),
            Self::FecKey(keys) => format!("{FEC_KEY}={}", InlineKey::all_to_sdp(keys)),
            Self::WindowSizeHint(packets) => format!("{WSH}={packets}"),
        }
    }

    /// The name of the parameter if it would change the format of packets, which we do not support.
    pub(super) fn unsupported(&self) -> Option<&'static str> {
        match self {
            Self::KeyDerivationRate(_) => Some(KDR),
            Self::UnencryptedSrtp => Some(UNENCRYPTED_SRTP),
            Self::UnencryptedSrtcp => Some(UNENCRYPTED_SRTCP),
            Self::UnauthenticatedSrtp => Some(UNAUTHENTICATED_SRTP),
            Self::FecOrder(_) | Self::FecKey(_) | Self::WindowSizeHint(_) => None,
        }
    }
}

impl FecOrder {
    fn parse(order: &str) -> Result<Self, Refusal> {
        let known = [Self::FecSrtp, Self::SrtpFec].into_iter().find(|known| known.name().eq_ignore_ascii_case(order));
        known.ok_or(Refusal::MalformedParam(FEC_ORDER))
    }

    fn name(self) -> &'static str {
        match self {
            Self::FecSrtp => "FEC_SRTP",
            Self::SrtpFec => "SRTP_FEC",
        }
    }
}

const KDR: &str = "KDR";
const UNENCRYPTED_SRTP: &str = "UNENCRYPTED_SRTP";
const UNENCRYPTED_SRTCP: &str = "UNENCRYPTED_SRTCP";
const UNAUTHENTICATED_SRTP: &str = "UNAUTHENTICATED_SRTP";
const FEC_ORDER: &str = "FEC_ORDER";
const FEC_KEY: &str = "FEC_KEY";
const WSH: &str = "WSH";
