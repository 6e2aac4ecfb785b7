//! Packets of media become frames of the host, and frames become packets.

pub mod frames;
pub mod incoming;
pub mod outgoing;
