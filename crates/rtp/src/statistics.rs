//! Statistics of one media session: what was received, what was sent, and what the peer reports about it.
//!
//! [`ReceiverStatistics`] counts the received stream (RFC 3550 appendix A) and [`SenderStatistics`] the sent one
//! (§6.4). Both give what RTCP reports are made of, and keep the figures that the host asks for in [`Accumulator`]s.

mod accumulator;
mod receiver;
mod sender;
mod sequence;

pub use accumulator::Accumulator;
pub use receiver::ReceiverStatistics;
pub use sender::{Remote, RoundTrip, SenderStatistics};
pub use sequence::Validity;
