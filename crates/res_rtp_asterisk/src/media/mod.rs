//! Converts received media packets to frames of the host, and frames to packets.

pub mod carried;
pub mod clock_rates;
pub mod digits;
pub mod frames;
pub mod incoming;
pub mod native;
pub mod outgoing;
pub mod passing;
pub mod source;
pub mod text;
