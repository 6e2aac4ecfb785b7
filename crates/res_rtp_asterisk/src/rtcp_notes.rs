//! Reports as the host's operators see them: the manager events `RTCPSent` and `RTCPReceived`, with
//! the headers of the original, and the lines of `rtcp set debug`.
//!
//! Two headers differ from the original on purpose: `SenderSSRC` is the reporter's SSRC (the original
//! prints another word of the packet), and `SentNTP` has a true binary fraction. `RTT` is in
//! milliseconds, though the original calls it seconds, and monitoring has learned to read it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use rtp::rtcp::{Packet, Report, ReportBlock, SenderInfo};

use crate::notes::Note;

/// The lines about a report that we sent.
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

/// The event about a report that we sent: about sender reports only, as the original.
pub fn sent_event(to: SocketAddr, report: &Report<'_>, time_of_day: Duration, jitter: Duration) -> Option<Note> {
    let info = report.sender?;
    let block = report.blocks.first();
    let of = |field: fn(&ReportBlock) -> i64| block.map_or(0, field).to_string();
    let headers = vec![
        ("To", to.to_string()),
        ("OurSSRC", report.ssrc.to_string()),
        ("SentNTP", format!("{}.{:010}", time_of_day.as_secs(), info.ntp.fraction())),
        ("SentRTP", info.rtp_timestamp.to_string()),
        ("SentPackets", info.packet_count.to_string()),
        ("SentOctets", info.octet_count.to_string()),
        ("ReportBlock", String::new()),
        ("FractionLost", of(|block| block.fraction_lost.into())),
        ("CumulativeLoss", of(|block| block.cumulative_lost.into())),
        ("IAJitter", format!("{:.4}", jitter.as_secs_f64())),
        ("TheirLastSR", of(|block| block.last_sr.into())),
        ("DLSR", format!("{:.4} (sec)", delay(block))),
    ];
    Some(Note::Manager(c"RTCPSent", headers))
}

/// The lines about a packet of RTCP from the peer.
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

/// The event about one block of the peer's report.
pub fn received_event(
    from: SocketAddr,
    ssrc: u32,
    is_sender: bool,
    count: usize,
    block: &ReportBlock,
    round_trip: Option<Duration>,
) -> Note {
    let (packet_type, name) = if is_sender { (200, "Sender Report") } else { (201, "Receiver Report") };
    let highest = block.extended_highest_sequence_number;
    let mut headers = vec![
        ("From", from.to_string()),
        ("PT", format!("{packet_type}({name})")),
        ("ReceptionReports", count.to_string()),
        ("SenderSSRC", ssrc.to_string()),
        ("FractionLost", block.fraction_lost.to_string()),
        ("PacketsLost", block.cumulative_lost.to_string()),
        ("HighestSequence", (highest & 0xFFFF).to_string()),
        ("SequenceNumberCycles", (highest >> 16).to_string()),
        ("IAJitter", block.jitter_in_timestamp_units.to_string()),
        ("LastSR", last_sr(block)),
        ("DLSR", format!("{:.4}(sec)", delay(Some(block)))),
    ];
    headers.extend(round_trip.map(|round_trip| ("RTT", format!("{}(sec)", round_trip.as_millis()))));
    Note::Manager(c"RTCPReceived", headers)
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

/// The middle of an NTP timestamp, as seconds modulo 65536 and a binary fraction.
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

    fn headers(note: Note) -> String {
        let Note::Manager(_, headers) = note else { panic!("an event") };
        headers.into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    #[test]
    fn rtcp_sent_has_the_headers_of_the_original() {
        let wall = Duration::from_millis(1_700_000_000_500);
        let info =
            SenderInfo { ntp: NtpTimestamp::from_unix(wall), rtp_timestamp: 8000, packet_count: 50, octet_count: 8000 };
        let report = Report { ssrc: 1, sender: Some(info), blocks: &[BLOCK], cname: "", bye: false };
        let jitter = Duration::from_micros(2125);
        let expected = "To: 192.0.2.1:4001\nOurSSRC: 1\nSentNTP: 1700000000.2147483648\nSentRTP: 8000\n\
             SentPackets: 50\nSentOctets: 8000\nReportBlock: \nFractionLost: 64\nCumulativeLoss: 25\n\
             IAJitter: 0.0021\nTheirLastSR: 3070566400\nDLSR: 5.2500 (sec)\n";
        assert_eq!(headers(sent_event(address(), &report, wall, jitter).unwrap()), expected);
        let Note::Verbose(text) = sent(address(), &report, jitter) else { panic!("lines") };
        assert!(text.starts_with("* Sent RTCP SR to 192.0.2.1:4001\n"));
        let nothing_received = Report { blocks: &[], ..report };
        let event = sent_event(address(), &nothing_received, wall, Duration::ZERO).unwrap();
        assert!(headers(event).contains("CumulativeLoss: 0\n"));
        assert!(sent_event(address(), &Report { sender: None, ..report }, wall, jitter).is_none());
    }

    #[test]
    fn rtcp_received_has_the_headers_of_the_original() {
        let round_trip = Some(Duration::from_millis(23));
        let expected = "From: 192.0.2.1:4001\nPT: 201(Receiver Report)\nReceptionReports: 1\nSenderSSRC: 9\n\
             FractionLost: 64\nPacketsLost: 25\nHighestSequence: 2\nSequenceNumberCycles: 1\nIAJitter: 17\n\
             LastSR: 46853.0536870912\nDLSR: 5.2500(sec)\nRTT: 23(sec)\n";
        assert_eq!(headers(received_event(address(), 9, false, 1, &BLOCK, round_trip)), expected);
        assert!(!headers(received_event(address(), 9, true, 1, &BLOCK, None)).contains("RTT"));
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
