//! RTCP reports (RFC 3550 §6.4) as the host publishes them: as events of the manager interface.

use std::net::SocketAddr;
use std::time::Duration;

use super::InstancePtr;
use crate::host;

/// One RTCP report, sent or received.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Whether it was sent or received.
    pub direction: Direction,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Our address; its IP may be unspecified.
    pub local: SocketAddr,
    /// The SSRC of the reporter.
    pub ssrc: u32,
    /// The sender information; `None` in a receiver report.
    pub sender: Option<Sender>,
    /// The number of report blocks in the packet.
    pub block_count: usize,
    /// The report block about this stream.
    pub block: Option<Block>,
    /// The score of the stream that the block is about, 0 to 100; 0 before the first. Only Asterisk 22 tells it.
    pub score: f64,
}

/// The direction of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// We sent it.
    Sent {
        /// The jitter of its block, which counts timestamp units, as a time.
        jitter: Duration,
        /// Whether it went along a pair that ICE selected.
        via_ice: bool,
    },
    /// The peer sent it.
    Received {
        /// The round-trip time, if its block has LSR and DLSR to compute it from.
        round_trip: Option<Duration>,
        /// The jitter of its block, which counts timestamp units, as a time.
        jitter: Duration,
        /// How figures are told that Asterisk 11's own module tells wrong.
        figures: Figures,
    },
}

/// How statistics and events tell the figures that Asterisk 11's own module tells wrong: `rxjitter` and `txjitter` are exchanged
/// there, the peer's jitter counts timestamp units, and `RTT` of the event `RTCPReceived` counts milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Figures {
    /// As their names say, in seconds.
    #[default]
    Correct,
    /// As that module does, for tools that expect it.
    Original,
}

/// The beginning of a received RTCP packet of any type, for the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The peer's address.
    pub peer: SocketAddr,
    /// The packet type (RFC 3550 §12.1).
    pub packet_type: u8,
    /// The five bits in front of it: the count of blocks, chunks or sources, or the format of feedback.
    pub count: u8,
    /// The SSRC of the sender; `None` with types that do not begin with one of their sender's.
    pub ssrc: Option<u32>,
}

impl Head {
    /// Returns the lines of `rtcp set debug` about the packet, in the form of the host's own module.
    pub fn lines(&self) -> String {
        match host::reports::kind(self) {
            Some(Kind { packet_type, counted, received }) => {
                let (peer, ssrc) = (self.peer, self.ssrc.unwrap_or(0));
                let head = format!("\nRTCP from {peer}\nPT: {packet_type}\n{counted}\nSSRC of sender: {ssrc}\n");
                head + &received.or_else(|| self.received()).map(|line| line + "\n").unwrap_or_default()
            }
            None => format!("\nRTCP from {}: {}(Unknown) skipping record\n", self.peer, self.packet_type),
        }
    }

    /// The name of a type that all hosts know.
    pub(crate) fn name(&self) -> Option<&'static str> {
        Some(match self.packet_type {
            192 => "H.261 FUR",
            200 => "Sender Report",
            201 => "Receiver Report",
            202 => "Source Description",
            203 => "BYE",
            _ => return None,
        })
    }

    /// The last line of a type that has one with all hosts.
    fn received(&self) -> Option<String> {
        match self.packet_type {
            192 => Some("Received an RTCP Fast Update Request".into()),
            202 => Some(format!("Received an SDES from {}", self.peer)),
            203 => Some(format!("Received a BYE from {}", self.peer)),
            _ => None,
        }
    }
}

/// The lines about a packet in the words of one host.
pub(crate) struct Kind {
    /// The number of the packet type and its name.
    pub packet_type: String,
    /// The line about [`Head::count`].
    pub counted: String,
    /// The last line, if the type has one with this host alone.
    pub received: Option<String>,
}

/// The sender information of a sender report (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The time of the report since 1970.
    pub time_of_day: Duration,
    /// The lower word of the NTP timestamp, in units of 2^-32 s.
    pub ntp_fraction: u32,
    /// The RTP timestamp at the time of the report.
    pub rtp_timestamp: u32,
    /// The number of packets sent so far.
    pub packet_count: u32,
    /// The number of payload bytes sent so far.
    pub octet_count: u32,
}

/// A report block about one stream that the reporter receives (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The SSRC of the stream.
    pub ssrc: u32,
    /// The fraction of packets lost since the previous report, in 256ths.
    pub fraction_lost: u8,
    /// The number of packets lost so far; negative if packets were duplicated.
    pub cumulative_lost: i32,
    /// The highest sequence number, with the number of cycles in the upper 16 bits.
    pub extended_highest_sequence_number: u32,
    /// The interarrival jitter in timestamp units.
    pub jitter_in_timestamp_units: u32,
    /// LSR: the middle 32 bits of the NTP timestamp of the last sender report.
    pub last_sr: u32,
    /// DLSR: the time since the last sender report, in 65536ths of a second.
    pub delay_since_last_sr_in_65536ths: u32,
}

impl Report {
    /// Returns the lines of `rtcp set debug` about the report, in the form of the host's own module. Those about a received one
    /// follow its [`Head`].
    pub fn lines(&self) -> String {
        host::reports::lines(self)
    }

    /// Publishes the report as one of the call of `instance`.
    ///
    /// # Safety
    /// The instance lives during the call. On hosts that lock an instance during calls of its engine, this thread holds
    /// that lock: inside such a call, or through [`super::Door::enter`].
    pub unsafe fn publish(&self, instance: InstancePtr) {
        // SAFETY: guaranteed by our caller.
        unsafe { host::reports::publish(instance.as_ptr(), self) };
    }
}
