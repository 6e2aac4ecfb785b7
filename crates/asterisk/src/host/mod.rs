//! What one host does another way than the next: the same names in `eleven` (Asterisk 11) and in `sixteen` (16 and later),
//! of which one is compiled. Nothing outside of this directory asks which it is.

#[cfg(not(any(feature = "host-16", feature = "host-22")))]
mod eleven;
#[cfg(any(feature = "host-16", feature = "host-22"))]
mod sixteen;

#[cfg(not(any(feature = "host-16", feature = "host-22")))]
pub(crate) use eleven::*;
#[cfg(any(feature = "host-16", feature = "host-22"))]
pub(crate) use sixteen::*;
