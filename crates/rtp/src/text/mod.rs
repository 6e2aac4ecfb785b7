//! Real-time text (T.140 over RTP, RFC 4103), with and without the redundancy of RFC 2198.
//!
//! A sender with redundancy repeats the text of each packet in the packets after it. [`Receiver`] finds there the text of packets that
//! were lost, [`Sender`] writes such packets. The sequence number of a redundant block is not sent: it is counted back from that of the
//! packet (RFC 4103 §4.2), so a sender repeats empty blocks as well.
//!
//! Both pass text on as it is, and look at UTF-8 only where a long text is split into blocks. [`mend`] is for those who read it.

mod receiver;
mod sender;
mod utf8;

pub use receiver::{Receiver, Text};
pub use sender::{Full, LARGEST_PAYLOAD, Sender, Transmit};
pub use utf8::mend;

/// The RTP clock rate of text in Hz (RFC 4103 §3).
pub const CLOCK_RATE: u32 = 1000;

/// The replacement character U+FFFD in UTF-8, which stands for text that is lost for good (T.140 addendum 1, RFC 4103 §5.3).
pub const MISSING: &[u8] = "\u{FFFD}".as_bytes();
