//! The differences between hosts: `eleven` (Asterisk 11) and `sixteen` (16 and later) have the same names, and one of
//! them is compiled. Code outside of this directory does not depend on which.

#[cfg(not(any(feature = "host-16", feature = "host-22")))]
mod eleven;
#[cfg(any(feature = "host-16", feature = "host-22"))]
mod sixteen;

#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub(crate) use eleven::*;
#[cfg(any(feature = "host-16", feature = "host-22"))]
pub(crate) use sixteen::*;
