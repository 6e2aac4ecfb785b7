//! RTP between the host and an engine: the engine registers ([`register`]) and the host calls the methods of its sessions
//! ([`Engine`], [`Ice`], [`Dtls`]), each with the [`Instance`] it is about.
//!
//! Asterisk 11 has two layouts of the DTLS interface, and `dtls.rs` is the one file that knows both. SRTP is reached through the
//! two tables that an SRTP module registers with the core; they come and go, so [`Srtp`] and [`SrtpPolicy`] read them at
//! each use.

mod dtls;
mod engine;
mod held;
mod ice;
mod instance;
mod srtp;
mod stats;
mod table;
#[cfg(test)]
mod tests;

pub use dtls::{Dtls, DtlsConfig, DtlsConnection, Hash, Setup};
pub use engine::{Component, DtmfMode, Engine, Property};
pub use ice::{Candidate, CandidateKind, Ice, Role};
pub use instance::{Instance, InstancePtr, Payload, rtp_code};
pub use srtp::{
    AEAD_AES_128_GCM, AEAD_AES_256_GCM, OwnedSrtp, PolicySsrc, Refused, Srtp, SrtpPolicy, SrtpRegistration, Suite,
    Which, register_srtp, srtp_registered,
};
pub use stats::Statistics;
pub use table::{Registration, register};
