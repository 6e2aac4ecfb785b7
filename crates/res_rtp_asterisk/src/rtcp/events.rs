//! Shows RTCP packets to operators: converts them to reports of the host, which makes the manager events `RTCPSent` and
//! `RTCPReceived` and the lines of `rtcp set debug` from them.

use std::net::SocketAddr;
use std::time::Duration;

use asterisk::rtp::{self as host, Direction, Figures};
use rtp::rtcp::{Packet, Report, ReportBlock, SenderInfo};

use crate::console::debug::Destination;
use crate::notes::Note;

/// The way that a packet of the peer came.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The peer's address.
    pub peer: SocketAddr,
    /// Our address; its IP may be unspecified.
    pub local: SocketAddr,
}

/// The figures that a report of the peer gives about our stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard {
    /// The round-trip time, if the report allows to compute it.
    pub round_trip: Option<Duration>,
    /// The jitter of our stream at the peer.
    pub jitter: Duration,
    /// The score of our stream at the peer, 0 to 100.
    pub score: f64,
    /// How figures are told that Asterisk 11's own module tells wrong.
    pub figures: Figures,
}

/// Converts a report that we sent. `jitter` and `score` are those of the received stream.
pub fn sent(to: Destination, report: &Report<'_>, jitter: Duration, score: f64) -> host::Report {
    host::Report {
        direction: Direction::Sent { jitter, via_ice: to.via_ice },
        peer: to.to,
        local: to.from,
        ssrc: report.ssrc,
        sender: report.sender.map(sender),
        block_count: report.blocks.len(),
        block: report.blocks.first().map(block),
        score,
    }
}

/// Makes the lines of `rtp set detail` about a Full Intra Request that we sent (RFC 5104 §4.3.1).
pub fn picture_request(to: SocketAddr, ssrc: u32, media_ssrc: u32) -> Note {
    Note::Verbose(format!("* Sent RTCP FIR to {to}\n  Our SSRC: {ssrc}\n  Their SSRC: {media_ssrc}\n"))
}

/// Returns the facts that all types of received RTCP packets have.
pub fn head(from: SocketAddr, packet: &Packet<'_>) -> host::Head {
    host::Head { peer: from, packet_type: packet.packet_type(), count: packet.count(), ssrc: packet.sender_ssrc() }
}

/// Converts a report of the peer for the lines of `rtcp set debug`, with the block about `our_ssrc` or else the first one. `None` if
/// the packet is no report.
pub fn shown(from: Source, heard: Heard, packet: &Packet<'_>, our_ssrc: u32) -> Option<host::Report> {
    let (ssrc, info, blocks) = match packet {
        Packet::SenderReport(report) => (report.ssrc, Some(report.info), report.blocks),
        Packet::ReceiverReport(report) => (report.ssrc, None, report.blocks),
        _ => return None,
    };
    let block = blocks.about(our_ssrc).or_else(|| blocks.iter().next());
    Some(received(from, heard, ssrc, info, (blocks.len(), block)))
}

/// Converts a report of the peer: its sender, the number of its blocks, and one of them.
pub fn received(
    from: Source,
    heard: Heard,
    ssrc: u32,
    info: Option<SenderInfo>,
    (block_count, about): (usize, Option<ReportBlock>),
) -> host::Report {
    let Heard { round_trip, jitter, figures, .. } = heard;
    host::Report {
        direction: Direction::Received { round_trip, jitter, figures },
        peer: from.peer,
        local: from.local,
        ssrc,
        sender: info.map(sender),
        block_count,
        block: about.as_ref().map(block),
        score: heard.score,
    }
}

fn sender(info: SenderInfo) -> host::Sender {
    host::Sender {
        time_of_day: info.ntp.to_unix(),
        ntp_fraction: info.ntp.fraction(),
        rtp_timestamp: info.rtp_timestamp,
        packet_count: info.packet_count,
        octet_count: info.octet_count,
    }
}

fn block(block: &ReportBlock) -> host::Block {
    host::Block {
        ssrc: block.ssrc,
        fraction_lost: block.fraction_lost,
        cumulative_lost: block.cumulative_lost,
        extended_highest_sequence_number: block.extended_highest_sequence_number,
        jitter_in_timestamp_units: block.jitter_in_timestamp_units,
        last_sr: block.last_sr,
        delay_since_last_sr_in_65536ths: block.delay_since_last_sr_in_65536ths,
    }
}

#[cfg(test)]
mod tests {
    use rtp::rtcp::{Compound, NtpTimestamp};

    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 7,
        fraction_lost: 64,
        cumulative_lost: 25,
        extended_highest_sequence_number: 0x0001_0002,
        jitter_in_timestamp_units: 17,
        last_sr: 0xB705_2000,
        delay_since_last_sr_in_65536ths: 0x0005_4000,
    };

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4001))
    }

    #[test]
    fn a_report_of_ours_is_told() {
        let wall = Duration::from_millis(1_700_000_000_500);
        let info =
            SenderInfo { ntp: NtpTimestamp::from_unix(wall), rtp_timestamp: 8000, packet_count: 50, octet_count: 8000 };
        let report = Report { ssrc: 1, sender: Some(info), blocks: &[BLOCK], cname: "", bye: false };
        let jitter = Duration::from_micros(2125);
        let told = sent(Destination { to: address(), from: address(), via_ice: true }, &report, jitter, 88.1);
        assert_eq!(told.score, 88.1);
        assert_eq!(told.direction, Direction::Sent { jitter, via_ice: true });
        assert_eq!((told.peer, told.ssrc, told.block_count), (address(), 1, 1));
        assert_eq!(told.sender.map(|sender| (sender.time_of_day, sender.packet_count)), Some((wall, 50)));
        assert_eq!(told.block.map(|block| block.cumulative_lost), Some(25));
    }

    #[test]
    fn every_packet_of_a_compound_is_shown_and_a_report_with_the_block_about_us() {
        let mut buffer = [0; 160];
        let blocks = [ReportBlock { ssrc: 6, ..BLOCK }, BLOCK];
        let report = Report { ssrc: 9, sender: None, blocks: &blocks, cname: "me", bye: true };
        let len = report.write(&mut buffer).unwrap();
        let packets: Vec<_> = Compound::parse(&buffer[..len]).unwrap().flatten().collect();
        let heads = packets.iter().map(|packet| head(address(), packet));
        let heads: Vec<_> = heads.map(|head| (head.packet_type, head.count, head.ssrc)).collect();
        assert_eq!(heads, [(201, 2, Some(9)), (202, 1, None), (203, 1, None)]);
        let from = Source { peer: address(), local: address() };
        let shown_to = |ssrc| shown(from, Heard::default(), &packets[0], ssrc).unwrap();
        assert_eq!((shown_to(7).block_count, shown_to(7).block.unwrap().ssrc), (2, 7));
        assert_eq!(shown_to(1).block.unwrap().ssrc, 6);
        assert_eq!(shown(from, Heard::default(), &packets[1], 7), None);
    }
}
