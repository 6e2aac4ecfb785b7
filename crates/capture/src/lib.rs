//! Captures of calls for Wireshark, as pcapng: SIP, and RTP and RTCP in clear, each told apart from the others.
//!
//! This crate opens no file and reads no clock. The packet path puts each [`Packet`] into a [`Queue`]; a thread takes them out as a
//! [`Batch`] and writes them by a [`Capture`].
//!
//! Each packet is written as an "exported PDU" (link type 252): the name of the protocol and both addresses, then the octets. Packets
//! of IP would have to be made up, and Wireshark would have to guess: it takes RTP for STUN once a STUN message was on the same ports
//! (4.0), RTP on ports that no description names for nothing, and SIP on a WebSocket's ports for nothing. A UDP packet also has an
//! end after 65507 octets. So each packet says what it is. The price: programs other than Wireshark, such as tcpdump and sngrep, do
//! not read this link type.
//!
//! A description of an encrypted stream is written with another profile (`clear.rs`), because Wireshark takes the packets of a stream
//! under `SAVP` for encrypted.
#![forbid(unsafe_code)]

mod clear;
mod exported;
mod file;
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod packet;
mod queue;

pub use clear::{InClear, in_clear};
pub use file::{Capture, Counts, Written};
pub use limits::{LimitError, Limits};
pub use packet::{Content, Direction, Packet};
pub use queue::{Batch, Queue};
