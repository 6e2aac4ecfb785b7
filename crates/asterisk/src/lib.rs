//! A safe interface to the Asterisk host API: ownership, frames, logging, configuration, the module declaration.
//!
//! This is the only crate that calls [`sys`]. A value of this crate owns the reference to the C object behind it. A
//! callback from the host arrives as a method of a trait, inside [`fence::fence`], which keeps panics from reaching C.
//!
//! Code here runs on host threads that outlive the module. Therefore it must not use a `thread_local!` with a
//! destructor, `std::thread`, `mpsc` or `println!`: each of them leaves something behind on the thread that points into
//! a module which may be unmapped.
pub use asterisk_sys as sys;

pub mod ao2;
pub mod callers;
pub mod cli;
pub mod config;
pub mod debug;
pub mod epoll;
pub mod executor;
pub mod fence;
pub mod format;
pub mod frame;
mod host;
pub mod http;
pub mod limit;
mod lock;
pub mod log;
pub mod manager;
pub mod metrics;
pub mod module;
pub mod node;
pub mod pollable;
pub mod random;
pub mod rtp;
pub mod signalling;
pub mod slot;
pub mod smoother;
pub mod sockaddr;
pub mod stack;
pub mod symbols;
pub mod thread;
pub mod time;
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub mod translator;
pub mod worker;

pub use ao2::{Ao2, Ao2Box};
pub use format::Format;
pub use frame::{Frame, FrameRef, HostFrame};
pub use lock::lock;
pub use slot::FrameSlot;
pub use smoother::Smoother;
pub use sockaddr::SockAddr;

/// An operation failed; its function has logged the reason. The host is told by the return value -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operation failed")]
pub struct Failed;

/// Converts a return value of the host: 0 means success, anything else failure.
pub(crate) fn check(answer: std::ffi::c_int) -> Result<(), Failed> {
    if answer == 0 { Ok(()) } else { Err(Failed) }
}

/// Converts a result into a return value for the host: 0 for success, -1 for failure.
pub(crate) fn answer(result: Result<(), Failed>) -> std::ffi::c_int {
    if result.is_ok() { 0 } else { -1 }
}

#[cfg(all(test, not(any(feature = "host-16", feature = "host-22"))))]
mod fake_host;
#[cfg(all(test, not(any(feature = "host-16", feature = "host-22"))))]
mod tests;
