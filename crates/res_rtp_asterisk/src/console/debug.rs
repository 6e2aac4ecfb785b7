//! The switches behind `rtp set debug`, `rtcp set debug` and `rtcp set stats`, and the debug lines about RTP packets. Every packet
//! reads a switch, so reading one that is off is cheap.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use asterisk::debug::Switch;
use rtp::Header;

use crate::diagnosis::counters::Refused;
use crate::notes::Note;

/// The switch of `rtp set debug`.
pub static RTP: Switch = Switch::new();

/// The switch of `rtcp set debug`.
pub static RTCP: Switch = Switch::new();

/// The switch of `rtcp set stats`, which shows statistics when a session ends.
pub static STATISTICS: AtomicBool = AtomicBool::new(false);

/// Makes the line about a sent packet. Check [`Switch::wants`] first.
pub fn sent(to: SocketAddr, header: &Header, payload_len: usize) -> Note {
    Note::Verbose(format!("Sent RTP packet to {to} {}", Shown(header, payload_len)))
}

/// Makes the line about a packet that could not be sent to `to`. Check [`Switch::wants`] first.
pub fn not_sent(to: SocketAddr, reason: Refused) -> Note {
    Note::Verbose(format!("RTP packet not sent to {to}: {}", reason.name()))
}

/// Makes the line about a refused packet of `len` octets. Check [`Switch::wants`] first.
pub fn dropped(from: SocketAddr, len: usize, reason: Refused) -> Note {
    Note::Verbose(format!("Dropped RTP packet from {from} ({len} octets): {}", reason.name()))
}

/// Makes the line about a received packet. Check [`Switch::wants`] first.
pub fn received(from: SocketAddr, header: &Header, payload_len: usize) -> Note {
    Note::Verbose(format!("Got RTP packet from {from} {}", Shown(header, payload_len)))
}

/// Formats header and payload length in the columns of Asterisk's own module.
struct Shown<'a>(&'a Header, usize);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { marker, payload_type, sequence_number, timestamp, .. } = self.0;
        let marker = if *marker { ", mark" } else { "" };
        write!(f, "(type {payload_type:02}, seq {sequence_number:06}, ts {timestamp:06}, len {:06}{marker})", self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_line_in_columns() {
        let header = Header { marker: true, payload_type: 0, sequence_number: 7, timestamp: 160, ssrc: 1 };
        let line = "Sent RTP packet to 192.0.2.1:4000 (type 00, seq 000007, ts 000160, len 000160, mark)";
        let Note::Verbose(text) = sent("192.0.2.1:4000".parse().unwrap(), &header, 160) else { panic!("a line") };
        assert_eq!(text, line);
    }
}
