//! Packets of media become frames of the host, and frames become packets.

pub mod clock_rates;
pub mod digits;
pub mod frames;
pub mod incoming;
pub mod outgoing;
pub mod source;
