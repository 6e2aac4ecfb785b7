//! The interface between the host and an RTP engine: the engine registers ([`register`]), and the host calls the
//! methods of its sessions ([`Engine`], [`Ice`], [`Dtls`]), each with the [`Instance`] concerned.
//!
//! SRTP is reached through the two tables that an SRTP module registers with the core. They come and go, so [`Srtp`]
//! and [`SrtpPolicy`] read them at each use.

mod bridged;
mod channel;
mod door;
pub(crate) mod dtls;
mod engine;
pub(crate) mod held;
mod ice;
mod instance;
mod own;
mod property;
mod report;
mod srtp;
mod stats;
mod table;
#[cfg(all(test, not(any(feature = "host-16", feature = "host-22"))))]
mod tests;

pub use bridged::BridgedChannel;
pub use channel::{HangUp, hang_up, names as channel_names};
pub use door::{Door, Inside, Shut};
pub use dtls::{Dtls, DtlsConfig, DtlsConnection, Hash, Setup};
pub use engine::{Component, DtmfMode, Engine};
pub use ice::{Candidate, CandidateKind, Ice, Role};
pub use instance::{Instance, InstancePtr, Payload, rtp_code};
pub use own::OwnInstance;
pub use property::{HAS_ASYMMETRIC_FORMATS, Property, RTCP_ON_ONE_PORT};
pub(crate) use report::Kind;
pub use report::{Block, Direction, Figures, Head, Report, Sender};
pub use srtp::{
    AEAD_AES_128_GCM, AEAD_AES_256_GCM, OwnedSrtp, POLICY_MARK, PolicySsrc, Refused, Srtp, SrtpPolicy,
    SrtpRegistration, Suite, Which, register_srtp, srtp_is_ours, srtp_registered,
};
pub use stats::Statistics;
pub(crate) use stats::fill;
pub use table::{Registration, register};

/// Whether the host negotiates `a=rtcp-mux` (RFC 5761 §5.1.1) itself and tells the engine by [`RTCP_ON_ONE_PORT`].
pub const HOST_NEGOTIATES_MUX: bool = crate::host::instance::NEGOTIATES_MUX;

/// The words of the answers to `rtp set debug` and `rtcp set debug`, behind "RTP" or "RTCP".
pub const DEBUGGING: &str = crate::host::reports::DEBUGGING;

/// Whether the host can have chan_sip.
pub const HAS_CHAN_SIP: bool = crate::host::instance::HAS_CHAN_SIP;

/// Whether the host can have chan_pjsip.
pub const HAS_CHAN_PJSIP: bool = crate::host::instance::HAS_CHAN_PJSIP;

/// Whether a hold activates an instance again after it has stopped it. If so, an instance that stays stopped has ended.
pub const HOLD_ACTIVATES_AFTER_STOP: bool = crate::host::instance::HOLD_ACTIVATES_AFTER_STOP;

/// Whether the host makes a manager event of a peer's report that says nothing about our stream.
pub const TELLS_REPORTS_ABOUT_NOBODY: bool = crate::host::instance::TELLS_REPORTS_ABOUT_NOBODY;

/// Whether the address of a description is the last that the engine is told of it, and ICE credentials that it lacks are not
/// mentioned.
pub const ADDRESS_ENDS_DESCRIPTION: bool = crate::host::instance::ADDRESS_ENDS_DESCRIPTION;
