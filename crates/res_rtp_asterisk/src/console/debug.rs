//! The switches behind `rtp set debug`, `rtcp set debug`, `rtp set detail` and `rtcp set stats`, and the lines about RTP packets.
//! Every packet reads a switch, so reading one that is off is cheap.
//!
//! The lines of `rtp set debug` have the words and columns of Asterisk's own module, because scripts parse them. Lines about
//! packets that it does not mention belong to `rtp set detail`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use asterisk::debug::Switch;
use rtp::Header;
use rtp::comfort_noise::ComfortNoise;
use rtp::telephone_event::Event;

use crate::diagnosis::counters::Refused;
use crate::media::source::{Content, Written};
use crate::notes::Note;

/// The switch of `rtp set debug`.
pub static RTP: Switch = Switch::new();

/// The switch of `rtcp set debug`.
pub static RTCP: Switch = Switch::new();

/// The switch of `rtp set detail`: packets that were refused or not sent, and why, and requests for pictures.
pub static DETAIL: Switch = Switch::new();

/// The switch of `rtcp set stats`, which shows statistics when a session ends.
pub static STATISTICS: AtomicBool = AtomicBool::new(false);

/// Where a packet went.
#[derive(Debug, Clone, Copy)]
pub struct Destination {
    /// The address.
    pub to: SocketAddr,
    /// The address of ours that it left from; its IP may be unspecified.
    pub from: SocketAddr,
    /// Whether it is the remote address of a pair that ICE selected.
    pub via_ice: bool,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.to, if self.via_ice { " (via ICE)" } else { "" })
    }
}

/// Makes the line about a sent packet. Check [`Switch::wants`] first.
pub fn sent(to: Destination, written: &Written) -> Note {
    let what = match written.content {
        Content::Media => "Sent RTP packet to     ",
        Content::Digit => "Sent RTP DTMF packet to",
        Content::ComfortNoise => "Sent Comfort Noise RTP packet to",
    };
    Note::Verbose(format!("{what} {to} ({})", Columns(&written.header, written.payload_len)))
}

/// Formats the line about a packet that a bridge passed on, with `len` octets behind the fixed header. Check [`Switch::wants`] first.
pub fn passed_on(to: Destination, payload_type: u8, len: usize) -> String {
    format!("Sent RTP P2P packet to {to} (type {payload_type:02}, len {len:06})")
}

/// Makes the line about a received packet. Check [`Switch::wants`] first.
pub fn received(from: SocketAddr, header: &Header, payload_len: usize) -> Note {
    Note::Verbose(format!("Got  RTP packet from    {from} ({})", Columns(header, payload_len)))
}

/// Formats the line about the telephone-event (RFC 4733) in a received packet; `None` if the payload is none. Its trailing space
/// belongs to the form.
pub fn event(from: SocketAddr, header: &Header, payload: &[u8]) -> Option<String> {
    let Event { event, end, duration, .. } = Event::parse(payload)?;
    let columns = Columns(header, payload.len());
    let (mark, end) = (u8::from(header.marker), u8::from(end));
    Some(format!(
        "Got  RTP RFC2833 from   {from} ({columns}, mark {mark}, event {event:08x}, end {end}, duration {duration:05}) "
    ))
}

/// Formats the line of the debug log about the same telephone-event; `None` if the payload is none.
pub fn event_for_log(payload: &[u8]) -> Option<String> {
    Event::parse(payload).map(|Event { event, .. }| format!("- RTP 2833 Event: {event:08x} (len = {})", payload.len()))
}

/// Formats the line about received comfort noise (RFC 3389); `None` if the payload is none.
pub fn comfort_noise(payload: &[u8]) -> Option<String> {
    let level = ComfortNoise::parse(payload)?.level_in_minus_dbov;
    Some(format!("- RTP 3389 Comfort noise event: Level {level} (len = {})", payload.len()))
}

/// Makes the line about a packet that could not be sent to `to`. Check [`Switch::wants`] first.
pub fn not_sent(to: SocketAddr, reason: Refused) -> Note {
    Note::Verbose(format!("RTP packet not sent to {to}: {}", reason.name()))
}

/// Makes the line about a refused packet of `len` octets. Check [`Switch::wants`] first.
pub fn dropped(from: SocketAddr, len: usize, reason: Refused) -> Note {
    Note::Verbose(format!("Dropped RTP packet from {from} ({len} octets): {}", reason.name()))
}

/// Formats the fields that all lines about packets share: numbers with leading zeros.
struct Columns<'a>(&'a Header, usize);

impl fmt::Display for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { payload_type, sequence_number, timestamp, .. } = self.0;
        write!(f, "type {payload_type:02}, seq {sequence_number:06}, ts {timestamp:06}, len {:06}", self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { marker: true, payload_type: 0, sequence_number: 7, timestamp: 160, ssrc: 1 };

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4000))
    }

    fn line(note: Note) -> String {
        let Note::Verbose(line) = note else { panic!("a line") };
        line
    }

    #[test]
    fn a_sent_packet_is_a_line_in_the_columns_of_the_original() {
        let line_of = |content, via_ice, payload_type, len| {
            let written = Written::of(Header { payload_type, ..HEADER }, len, content);
            line(sent(Destination { to: peer(), from: peer(), via_ice }, &written))
        };
        let media = "Sent RTP packet to      192.0.2.1:4000 (type 00, seq 000007, ts 000160, len 000160)";
        assert_eq!(line_of(Content::Media, false, 0, 160), media);
        let passed = "Sent RTP P2P packet to 192.0.2.1:4000 (type 08, len 000160)";
        assert_eq!(passed_on(Destination { to: peer(), from: peer(), via_ice: false }, 8, 160), passed);
        let digit = "Sent RTP DTMF packet to 192.0.2.1:4000 (via ICE) (type 101, seq 000007, ts 000160, len 000004)";
        assert_eq!(line_of(Content::Digit, true, 101, 4), digit);
        let noise = "Sent Comfort Noise RTP packet to 192.0.2.1:4000 (type 13, seq 000007, ts 000160, len 000001)";
        assert_eq!(line_of(Content::ComfortNoise, false, 13, 1), noise);
    }

    #[test]
    fn a_received_packet_is_a_line_in_the_columns_of_the_original() {
        let wide = Header { payload_type: 8, sequence_number: 65_535, timestamp: 4_294_967_295, ..HEADER };
        let expected = "Got  RTP packet from    192.0.2.1:4000 (type 08, seq 065535, ts 4294967295, len 000160)";
        assert_eq!(line(received(peer(), &wide, 160)), expected);
    }

    #[test]
    fn a_telephone_event_has_a_second_line() {
        let header = Header { payload_type: 101, ..HEADER };
        let expected = "Got  RTP RFC2833 from   192.0.2.1:4000 (type 101, seq 000007, ts 000160, len 000004, mark 1, \
            event 0000000b, end 1, duration 00800) ";
        assert_eq!(event(peer(), &header, &[11, 0x8A, 0x03, 0x20]).as_deref(), Some(expected));
        assert_eq!(event(peer(), &header, &[11, 0x8A]), None);
        assert_eq!(event_for_log(&[11, 0x8A, 3, 32]).as_deref(), Some("- RTP 2833 Event: 0000000b (len = 4)"));
    }

    #[test]
    fn comfort_noise_has_a_line_of_its_own() {
        let expected = "- RTP 3389 Comfort noise event: Level 40 (len = 3)";
        assert_eq!(comfort_noise(&[40, 1, 2]).as_deref(), Some(expected));
        assert_eq!(comfort_noise(&[]), None);
    }
}
