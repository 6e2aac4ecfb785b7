//! RTCP reports (RFC 3550 §6.4) as the host tells them to those who subscribe: events of the manager interface.

use std::net::SocketAddr;
use std::time::Duration;

use super::InstancePtr;
use crate::host;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose it is.
    pub direction: Direction,
    /// Where it went or came from.
    pub peer: SocketAddr,
    /// The source that reports.
    pub ssrc: u32,
    /// What a sender report says of the sender; a receiver report has none.
    pub sender: Option<Sender>,
    /// How many blocks the packet has.
    pub block_count: usize,
    /// The block that is about a stream of ours.
    pub block: Option<Block>,
}

/// Whose report it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ours, with the jitter that its block reports, as a time.
    Sent {
        /// The same as in the block, in which it counts timestamps.
        jitter: Duration,
    },
    /// The peer's, and how long a packet takes to it and back, if its block told.
    Received {
        /// From the block's LSR and DLSR.
        round_trip: Option<Duration>,
    },
}

/// Of the sender of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The time of the report, since 1970.
    pub time_of_day: Duration,
    /// The less significant word of the NTP timestamp: 2^-32 s.
    pub ntp_fraction: u32,
    /// The same moment on the stream's clock.
    pub rtp_timestamp: u32,
    /// Sent since it began.
    pub packet_count: u32,
    /// Likewise, without headers.
    pub octet_count: u32,
}

/// Of one stream that the reporter receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Which stream.
    pub ssrc: u32,
    /// Lost since the report before, in 256ths.
    pub fraction_lost: u8,
    /// Lost since it began; less than 0 when packets came twice.
    pub cumulative_lost: i32,
    /// With the number of cycles in the upper half.
    pub extended_highest_sequence_number: u32,
    /// Interarrival jitter.
    pub jitter_in_timestamp_units: u32,
    /// LSR: the middle of the NTP timestamp of the last sender report.
    pub last_sr: u32,
    /// DLSR, in 65536ths of a second.
    pub delay_since_last_sr_in_65536ths: u32,
}

impl Report {
    /// Tells it to whoever subscribed. It concerns the call of that instance.
    ///
    /// # Safety
    /// The instance stays for the call, and on hosts that lock an instance around calls of its engine this thread has that
    /// lock: in such a call, or through [`super::Door::enter`].
    pub unsafe fn publish(&self, instance: InstancePtr) {
        // SAFETY: the caller's word.
        unsafe { host::reports::publish(instance.as_ptr(), self) };
    }
}
