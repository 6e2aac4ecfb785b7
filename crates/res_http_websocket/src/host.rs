//! What hosts want beside the names that [`crate::exports`] has: from Asterisk 16 on a table of functions at run time, and
//! servers of other modules (ARI) with protocols of their own; some of Asterisk 11 the same names in another form.

#[cfg(any(feature = "host-16", feature = "host-22"))]
mod optional_api;
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
mod unprefixed;
#[cfg(feature = "host-22")]
mod words;

#[cfg(any(feature = "host-16", feature = "host-22"))]
pub use optional_api::{provide, withdraw};

#[cfg(feature = "host-22")]
use words::FUNCTIONS as LATER_FUNCTIONS;

/// Asterisk 16 asks for no others.
#[cfg(feature = "host-16")]
const LATER_FUNCTIONS: &[(&std::ffi::CStr, *const ())] = &[];

/// A client that asks for no subprotocol gets the one that its server has, if that has just one: clients of ARI count on
/// it. Asterisk 11 refuses them.
pub const ONLY_PROTOCOL_IS_DEFAULT: bool = cfg!(any(feature = "host-16", feature = "host-22"));

/// The names are enough.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn provide() {}

/// Names go with the module.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn withdraw() -> Result<(), asterisk::Failed> {
    Ok(())
}
