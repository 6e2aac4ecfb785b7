//! Properties that the host sets on an instance.

use crate::sys;

/// The value of [`Property::Rtcp`] that means: `a=rtcp-mux` was negotiated by the host.
pub const RTCP_ON_ONE_PORT: i32 = 2;

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
}

impl Property {
    pub(super) fn from_host(property: sys::ast_rtp_property) -> Option<Self> {
        Some(match property {
            sys::AST_RTP_PROPERTY_NAT => Self::Nat,
            sys::AST_RTP_PROPERTY_DTMF => Self::Dtmf,
            sys::AST_RTP_PROPERTY_DTMF_COMPENSATE => Self::DtmfCompensate,
            sys::AST_RTP_PROPERTY_STUN => Self::Stun,
            sys::AST_RTP_PROPERTY_RTCP => Self::Rtcp,
            _ => return None,
        })
    }

    pub(super) fn to_host(self) -> sys::ast_rtp_property {
        match self {
            Self::Nat => sys::AST_RTP_PROPERTY_NAT,
            Self::Dtmf => sys::AST_RTP_PROPERTY_DTMF,
            Self::DtmfCompensate => sys::AST_RTP_PROPERTY_DTMF_COMPENSATE,
            Self::Stun => sys::AST_RTP_PROPERTY_STUN,
            Self::Rtcp => sys::AST_RTP_PROPERTY_RTCP,
        }
    }
}
