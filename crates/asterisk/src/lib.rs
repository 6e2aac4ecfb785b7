//! The Asterisk host API, safe: ownership, frames, logging, configuration, the module declaration.
//!
//! This is the only crate that calls [`sys`]. Whoever holds one of its values holds the reference behind it; a callback
//! from the host arrives as a method of a trait, already inside the [`fence::fence`] that keeps panics from reaching C.
//!
//! Code here runs on threads of the host that outlive the module. So nothing in it uses a `thread_local!` with a
//! destructor, `std::thread`, `mpsc` or `println!`: each of them leaves something behind on the thread that points into
//! a module which may be unmapped.

pub use asterisk_sys as sys;

pub mod ao2;
pub mod cli;
pub mod config;
pub mod debug;
pub mod epoll;
pub mod fence;
pub mod format;
pub mod frame;
mod host;
pub mod http;
pub mod limit;
mod lock;
pub mod log;
pub mod manager;
pub mod module;
pub mod pollable;
pub mod random;
pub mod rtp;
pub mod slot;
pub mod smoother;
pub mod sockaddr;
pub mod symbols;
pub mod thread;
pub mod time;
pub mod worker;

pub use ao2::{Ao2, Ao2Box};
pub use format::Format;
pub use frame::{Frame, FrameRef, HostFrame};
pub use lock::lock;
pub use slot::FrameSlot;
pub use smoother::Smoother;
pub use sockaddr::SockAddr;

/// What the host is told with -1: it did not work, and whoever failed has logged why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operation failed")]
pub struct Failed;

/// The host's convention: 0 for success, anything else for failure.
pub(crate) fn check(answer: std::ffi::c_int) -> Result<(), Failed> {
    if answer == 0 { Ok(()) } else { Err(Failed) }
}

/// The other way round.
pub(crate) fn answer(result: Result<(), Failed>) -> std::ffi::c_int {
    if result.is_ok() { 0 } else { -1 }
}

#[cfg(all(test, not(any(feature = "host-16", feature = "host-22"))))]
mod fake_host;
#[cfg(all(test, not(any(feature = "host-16", feature = "host-22"))))]
mod tests;
