//! Relayed candidates: allocations at TURN servers (RFC 8656), made ahead of calls and kept ready.
//!
//! ```text
//!   thread rtp-relay                                        a session
//!     slot: resolve, connect, allocate, keep alive   -->      takes what is ready when its description is printed
//!     slot: release                                  <--      gives it back when it ends
//! ```
//!
//! A session never waits: without a ready allocation it offers no relayed candidate. An allocation serves one session, because the
//! peers of the next must not reach it by the permissions of the last.

pub mod link;
pub mod pool;
mod servers;
pub mod settings;
mod slot;
mod stream;
