//! Shows RTCP packets to operators: the manager events `RTCPSent` and `RTCPReceived`, and the lines of `rtcp set debug`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use asterisk::rtp::{self as host, Direction};
use rtp::rtcp::{Packet, Report, ReportBlock, SenderInfo};

use crate::notes::Note;

/// Makes the debug lines about a report that we sent. `jitter` is that of the received stream.
pub fn sent(to: SocketAddr, report: &Report<'_>, jitter: Duration) -> Note {
    let kind = if report.sender.is_some() { "SR" } else { "RR" };
    let mut text = format!("* Sent RTCP {kind} to {to}\n  Our SSRC: {}\n", report.ssrc);
    // Writing to a String cannot fail, here and below.
    if let Some(info) = &report.sender {
        let _ = writeln!(text, "  Sent(NTP): {}.{:010}", info.ntp.seconds(), info.ntp.fraction());
        let _ = writeln!(text, "  Sent(RTP): {}", info.rtp_timestamp);
        let _ = writeln!(text, "  Sent packets: {}, octets: {}", info.packet_count, info.octet_count);
    }
    for block in report.blocks {
        let _ = writeln!(text, "  Their SSRC: {}", block.ssrc);
        let _ = writeln!(text, "  Fraction lost: {}, cumulative: {}", block.fraction_lost, block.cumulative_lost);
        let _ = writeln!(text, "  Jitter: {:.4} (sec)", jitter.as_secs_f64());
        let _ = writeln!(text, "  Their last SR: {}, DLSR: {:.4} (sec)", block.last_sr, delay(Some(block)));
    }
    Note::Verbose(text)
}

/// Makes the debug lines about a Full Intra Request that we sent (RFC 5104 §4.3.1).
pub fn picture_request(to: SocketAddr, ssrc: u32, media_ssrc: u32) -> Note {
    Note::Verbose(format!("* Sent RTCP FIR to {to}\n  Our SSRC: {ssrc}\n  Their SSRC: {media_ssrc}\n"))
}

/// Makes the event `RTCPSent` for a report that we sent. `jitter` is that of the received stream.
pub fn sent_report(to: SocketAddr, report: &Report<'_>, jitter: Duration) -> Note {
    Note::Report(host::Report {
        direction: Direction::Sent { jitter },
        peer: to,
        ssrc: report.ssrc,
        sender: report.sender.map(sender),
        block_count: report.blocks.len(),
        block: report.blocks.first().map(block),
    })
}

/// Makes the debug lines about a received RTCP packet.
pub fn received(from: SocketAddr, packet: &Packet<'_>) -> Note {
    let (packet_type, name) = kind(packet);
    let mut text = format!("* Got RTCP from {from}: PT {packet_type}({name})\n");
    let (ssrc, info, blocks) = match packet {
        Packet::SenderReport(report) => (report.ssrc, Some(report.info), report.blocks),
        Packet::ReceiverReport(report) => (report.ssrc, None, report.blocks),
        _ => return Note::Verbose(text),
    };
    let _ = writeln!(text, "  SSRC of sender: {ssrc}, reception reports: {}", blocks.len());
    if let Some(SenderInfo { ntp, rtp_timestamp, packet_count, octet_count }) = info {
        let _ = writeln!(text, "  NTP timestamp: {}.{:010}", ntp.seconds(), ntp.fraction());
        let _ = writeln!(text, "  RTP timestamp: {rtp_timestamp}");
        let _ = writeln!(text, "  SPC: {packet_count} SOC: {octet_count}");
    }
    for block in blocks.iter() {
        let highest = block.extended_highest_sequence_number;
        let _ = writeln!(text, "  About SSRC: {}", block.ssrc);
        let _ = writeln!(text, "  Fraction lost: {}, so far: {}", block.fraction_lost, block.cumulative_lost);
        let _ = writeln!(text, "  Highest sequence number: {}, cycles: {}", highest & 0xFFFF, highest >> 16);
        let _ = writeln!(text, "  Interarrival jitter: {}", block.jitter_in_timestamp_units);
        let _ = writeln!(text, "  Last SR(our NTP): {}, DLSR: {:.4} (sec)", last_sr(&block), delay(Some(&block)));
    }
    Note::Verbose(text)
}

/// Makes the event `RTCPReceived` for the block `about_us` of the peer's report. `ssrc` is the sender of the report, `block_count`
/// the number of its blocks.
pub fn received_report(
    from: SocketAddr,
    ssrc: u32,
    info: Option<SenderInfo>,
    block_count: usize,
    about_us: &ReportBlock,
    round_trip: Option<Duration>,
) -> Note {
    Note::Report(host::Report {
        direction: Direction::Received { round_trip },
        peer: from,
        ssrc,
        sender: info.map(sender),
        block_count,
        block: Some(block(about_us)),
    })
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

fn kind(packet: &Packet<'_>) -> (u8, &'static str) {
    match packet {
        Packet::FirH261 { .. } => (192, "H.261 FUR"),
        Packet::SenderReport(_) => (200, "Sender Report"),
        Packet::ReceiverReport(_) => (201, "Receiver Report"),
        Packet::Sdes(_) => (202, "Source Description"),
        Packet::Bye(_) => (203, "BYE"),
        Packet::App(_) => (204, "Application"),
        Packet::Nack(_) => (205, "NACK"),
        Packet::Pli(_) => (206, "Picture Loss Indication"),
        Packet::Fir(_) => (206, "Full Intra Request"),
        Packet::Remb(_) => (206, "Estimated Bitrate"),
        Packet::ExtendedReport(_) => (207, "Extended Report"),
        Packet::Feedback(feedback) => (feedback.packet_type, "Feedback"),
        Packet::Unknown { packet_type, .. } => (*packet_type, "Unknown"),
        _ => (0, "Unknown"),
    }
}

/// Formats the block's LSR field, the middle 32 bits of an NTP timestamp (RFC 3550 §6.4.1): seconds modulo 65536, then the
/// fraction in units of 2^-32 s.
fn last_sr(block: &ReportBlock) -> String {
    format!("{}.{:010}", block.last_sr >> 16, block.last_sr << 16)
}

fn delay(block: Option<&ReportBlock>) -> f64 {
    block.map_or(0.0, |block| block.delay_since_last_sr().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use rtp::rtcp::NtpTimestamp;

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
    fn a_report_of_ours_is_shown_and_told() {
        let wall = Duration::from_millis(1_700_000_000_500);
        let info =
            SenderInfo { ntp: NtpTimestamp::from_unix(wall), rtp_timestamp: 8000, packet_count: 50, octet_count: 8000 };
        let report = Report { ssrc: 1, sender: Some(info), blocks: &[BLOCK], cname: "", bye: false };
        let jitter = Duration::from_micros(2125);
        let Note::Verbose(text) = sent(address(), &report, jitter) else { panic!("lines") };
        assert!(text.starts_with("* Sent RTCP SR to 192.0.2.1:4001\n"));
        let Note::Report(told) = sent_report(address(), &report, jitter) else { panic!("an event") };
        assert_eq!((told.peer, told.ssrc, told.block_count), (address(), 1, 1));
        assert_eq!(told.sender.map(|sender| (sender.time_of_day, sender.packet_count)), Some((wall, 50)));
        assert_eq!(told.block.map(|block| block.cumulative_lost), Some(25));
    }

    #[test]
    fn every_packet_of_a_compound_is_a_note() {
        let mut buffer = [0; 128];
        let report = Report { ssrc: 9, sender: None, blocks: &[BLOCK], cname: "me", bye: true };
        let len = report.write(&mut buffer).unwrap();
        let compound = rtp::rtcp::Compound::parse(&buffer[..len]).unwrap();
        let texts: Vec<String> = compound
            .flatten()
            .map(|packet| match received(address(), &packet) {
                Note::Verbose(text) => text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts.len(), 3);
        assert!(texts[0].contains("PT 201(Receiver Report)\n  SSRC of sender: 9, reception reports: 1\n"));
        assert_eq!(texts[2], "* Got RTCP from 192.0.2.1:4001: PT 203(BYE)\n");
    }
}
