//! RTP, RTCP, telephone-event and text (RFC 3550, 3551, 4733, 4103), for one media session.
//!
//! This crate opens no sockets and reads no clock. Datagrams come in as byte slices and time as
//! `now: Instant`; where a protocol field needs the time of day, the caller passes it too. Nothing
//! on the path of a packet allocates.
//!
//! A datagram takes this way: [`demux::classify`] tells RTP and RTCP from STUN and DTLS,
//! [`source::StrictRtp`] decides whether its sender is the one we listen to, [`Packet::parse`] or
//! [`rtcp::Compound::parse`] takes it apart, and [`statistics::ReceiverStatistics`] counts it. In the other
//! direction [`timestamp::Timeline`] gives a frame its timestamp, [`Header::write`] puts twelve octets
//! in front of it, and [`statistics::SenderStatistics`] counts it and turns the peer's reports into a round trip.
//! [`quality`] estimates from these figures how good the call sounds.
//!
//! Deliberate departures from the RFCs:
//! - jitter is not fed by a packet with the marker bit (RFC 3550 A.8 would): senders that restart
//!   their timestamps there would otherwise report seconds of jitter;
//! - the round trip is measured against our own record of the reports we sent instead of the time
//!   of day (§6.4.1), so that neither a stepped clock nor an invented LSR can falsify it;
//! - text is passed on as it arrives: a packet that others have overtaken is not waited for (RFC 4103 §5.4 allows a second);
//! - the three final packets of a telephone-event leave at once instead of 20 ms apart
//!   (RFC 4733 §2.5.1.4), because nothing drives this side of the host after a digit has ended;
//! - packets that jump, or whose number stands still, are used, though A.1 of RFC 3550 counts none of them as received
//!   at once: a sender may count as it likes, and only a duplicate is of no use.
//!
//! [`bridge`] passes packets of one session on to another. [`opus`] tells how long a packet of Opus is.
//!
//! Left out: mixers (§7), header extensions beyond skipping them, the limit of characters per second that a
//! peer may set for text (`cps`, RFC 4103 §6; the host does not pass it on), and redundancy for anything but text.
#![forbid(unsafe_code)]

pub mod bridge;
pub mod comfort_noise;
pub mod demux;
#[doc(hidden)]
pub mod fuzzing;
pub mod opus;
pub mod packet;
pub mod pictures;
pub mod quality;
pub mod red;
pub mod rtcp;
pub mod source;
pub mod statistics;
pub mod telephone_event;
pub mod text;
pub mod timestamp;
mod wire;

pub use packet::{Header, Packet, PacketError};
pub use timestamp::{RtpTimestamp, SequenceNumber};
