//! What `rtp set debug`, `rtcp set debug` and `rtcp set stats` switch on, asked for with every packet
//! and therefore cheap while it is off.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use asterisk::debug::Switch;
use rtp::Header;

use crate::diagnosis::counters::Refused;
use crate::notes::Note;

/// `rtp set debug`.
pub static RTP: Switch = Switch::new();

/// `rtcp set debug`.
pub static RTCP: Switch = Switch::new();

/// `rtcp set stats`: a summary when a session ends.
pub static STATISTICS: AtomicBool = AtomicBool::new(false);

/// The line about a packet that was sent; ask [`Switch::wants`] first.
pub fn sent(to: SocketAddr, header: &Header, payload_len: usize) -> Note {
    Note::Verbose(format!("Sent RTP packet to {to} {}", Shown(header, payload_len)))
}

/// The line about a packet that was to be sent to that address.
pub fn not_sent(to: SocketAddr, reason: Refused) -> Note {
    Note::Verbose(format!("RTP packet not sent to {to}: {}", reason.name()))
}

/// The line about a packet that goes no further; ask [`Switch::wants`] first.
pub fn dropped(from: SocketAddr, len: usize, reason: Refused) -> Note {
    Note::Verbose(format!("Dropped RTP packet from {from} ({len} octets): {}", reason.name()))
}

/// The line about a packet that was received; ask [`Switch::wants`] first.
pub fn received(from: SocketAddr, header: &Header, payload_len: usize) -> Note {
    Note::Verbose(format!("Got RTP packet from {from} {}", Shown(header, payload_len)))
}

/// In the columns that people know from the original.
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
