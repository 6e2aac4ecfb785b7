//! Entry points that differ between hosts, beside the names in [`crate::exports`].
//!
//! From Asterisk 16 on, modules look the functions up in a table at run time, and some (ARI) run a WebSocket server with
//! protocols of their own. Some builds of Asterisk 11 look for the exported names in another form.

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

/// Functions that only later hosts ask for: Asterisk 16 asks for none.
#[cfg(feature = "host-16")]
const LATER_FUNCTIONS: &[(&std::ffi::CStr, *const ())] = &[];

/// Whether a client that asks for no subprotocol gets the only one of a server that has just one. Clients of ARI rely on
/// this; Asterisk 11 refuses such clients.
pub const ONLY_PROTOCOL_IS_DEFAULT: bool = cfg!(any(feature = "host-16", feature = "host-22"));

/// Whether we speak for a client in what concerns the transport alone: answer its keepalives of CRLF, and the INVITEs that
/// it can no longer answer. chan_pjsip does the first itself, and learns that a transport is gone.
pub const SPEAKS_FOR_CLIENTS: bool = cfg!(not(any(feature = "host-16", feature = "host-22")));

/// Whether SIP messages are made understandable to the host and to its clients: chan_sip of Asterisk 11 reads and prints
/// descriptions as of 2012. Later hosts get, and send, the messages as they are.
pub const MENDS_SIP: bool = !cfg!(any(feature = "host-16", feature = "host-22"));

/// Does nothing: the exported names are enough on this host.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn provide() {}

/// Does nothing: the exported names go with the module.
#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub fn withdraw() -> Result<(), asterisk::Failed> {
    Ok(())
}
