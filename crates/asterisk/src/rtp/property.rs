//! Properties that the host sets on an instance.

use crate::{host, sys};

/// The value of [`Property::Rtcp`] that means: `a=rtcp-mux` was negotiated by the host.
pub const RTCP_ON_ONE_PORT: i32 = 2;

/// Whether the host has [`Property::AsymmetricFormats`].
pub const HAS_ASYMMETRIC_FORMATS: bool = host::instance::ASYMMETRIC_FORMATS.is_some();

/// A property of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Send to the address that media comes from.
    Nat,
    /// telephone-event is used.
    Dtmf,
    /// The peer sends faulty telephone-event packets, for which we must compensate.
    DtmfCompensate,
    /// STUN requests are to be answered.
    Stun,
    /// RTCP: 0 for off, 1 for on, [`RTCP_ON_ONE_PORT`] for on and multiplexed with RTP (RFC 5761).
    Rtcp,
    /// The peer may be sent another format than the one that it sends. Asterisk 11 has no such property.
    AsymmetricFormats,
}

impl Property {
    pub(super) fn from_host(property: sys::ast_rtp_property) -> Option<Self> {
        Some(match property {
            sys::AST_RTP_PROPERTY_NAT => Self::Nat,
            sys::AST_RTP_PROPERTY_DTMF => Self::Dtmf,
            sys::AST_RTP_PROPERTY_DTMF_COMPENSATE => Self::DtmfCompensate,
            sys::AST_RTP_PROPERTY_STUN => Self::Stun,
            sys::AST_RTP_PROPERTY_RTCP => Self::Rtcp,
            _ if host::instance::ASYMMETRIC_FORMATS == Some(property) => Self::AsymmetricFormats,
            _ => return None,
        })
    }

    /// `None`: this host has no such property.
    pub(super) fn to_host(self) -> Option<sys::ast_rtp_property> {
        Some(match self {
            Self::Nat => sys::AST_RTP_PROPERTY_NAT,
            Self::Dtmf => sys::AST_RTP_PROPERTY_DTMF,
            Self::DtmfCompensate => sys::AST_RTP_PROPERTY_DTMF_COMPENSATE,
            Self::Stun => sys::AST_RTP_PROPERTY_STUN,
            Self::Rtcp => sys::AST_RTP_PROPERTY_RTCP,
            Self::AsymmetricFormats => return host::instance::ASYMMETRIC_FORMATS,
        })
    }
}
