//! The story of one call, for whoever looks after the PBX: what happened when, and the likely cause if there is no audio.
//!
//! This crate opens no files and reads no clock. The caller notes [`Event`]s in a [`Timeline`], reads SIP messages with [`sip`], and
//! asks [`verdict`] for the cause. Nothing here is called for each packet.
//!
//! | file | content |
//! |---|---|
//! | `event` | the events, and their text |
//! | `timeline` | the events of one session or call, in 4 KiB at most |
//! | `sip` | what SIP messages tell about a call (RFC 3261, RFC 8866) |
//! | `driver` | the channel drivers, and the names of their settings |
//! | `verdict` | the likely cause, and the setting to change |
//! | `mos` | an estimate of the quality (ITU-T G.107) |
//!
//! Left out: SIP beyond what tells one call from another and why it failed. `sip-dialect` has a parser that can change messages; this one
//! only looks.
#![forbid(unsafe_code)]

pub mod driver;
pub mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod mos;
pub mod sip;
pub mod timeline;
pub mod verdict;

pub use driver::Driver;
pub use event::Event;
pub use timeline::Timeline;
pub use verdict::{Facts, Verdict};
