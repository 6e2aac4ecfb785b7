//! RTCP reports as manager events and as lines of the console, with the headers and words of the original module.
//!
//! Some values differ from it on purpose, as `contrib/UPGRADING.md` says: `SenderSSRC` is the reporter's SSRC (the original prints
//! another word of the packet), NTP timestamps have a correct binary fraction, `PacketsLost` may be negative, and `RTT` is in the
//! seconds that it claims, unless [`Figures::Original`] asks for milliseconds.

use std::fmt::Write as _;
use std::time::Duration;

use crate::manager::{Category, Event};
use crate::rtp::{Block, Direction, Figures, Head, Kind, Report, Sender};
use crate::sys;

/// Sends the event of a report. As in the original, our own reports cause one only if they are sender reports.
///
/// # Safety
/// There are no requirements. The instance is used by hosts whose events name the call.
pub unsafe fn publish(_instance: *mut sys::ast_rtp_instance, report: &Report) {
    if let Some(event) = event(report) {
        event.send();
    }
}

fn event(report: &Report) -> Option<Event> {
    match (report.direction, report.sender, report.block) {
        (Direction::Sent { jitter, .. }, Some(sender), block) => Some(sent(report, sender, block, jitter)),
        (Direction::Received { round_trip, figures, .. }, _, Some(block)) => {
            Some(received(report, block, round_trip.map(|time| shown_round_trip(time, figures))))
        }
        _ => None,
    }
}

fn sent(report: &Report, sender: Sender, block: Option<Block>, jitter: Duration) -> Event {
    Event::new(Category::Reporting, c"RTCPSent")
        .header("To", report.peer)
        .header("OurSSRC", report.ssrc)
        .header("SentNTP", format_args!("{}.{:010}", sender.time_of_day.as_secs(), sender.ntp_fraction))
        .header("SentRTP", sender.rtp_timestamp)
        .header("SentPackets", sender.packet_count)
        .header("SentOctets", sender.octet_count)
        .bare("ReportBlock")
        .header("FractionLost", block.map_or(0, |block| block.fraction_lost))
        .header("CumulativeLoss", block.map_or(0, |block| block.cumulative_lost))
        .header("IAJitter", format_args!("{:.4}", jitter.as_secs_f64()))
        .header("TheirLastSR", block.map_or(0, |block| block.last_sr))
        .header("DLSR", format_args!("{:.4} (sec)", block.map_or(0.0, |block| delay(&block))))
}

fn received(report: &Report, block: Block, round_trip: Option<String>) -> Event {
    let kind = if report.sender.is_some() { "200(Sender Report)" } else { "201(Receiver Report)" };
    let highest = block.extended_highest_sequence_number;
    let event = Event::new(Category::Reporting, c"RTCPReceived")
        .header("From", report.peer)
        .header("PT", kind)
        .header("ReceptionReports", report.block_count)
        .header("SenderSSRC", report.ssrc)
        .header("FractionLost", block.fraction_lost)
        .header("PacketsLost", block.cumulative_lost)
        .header("HighestSequence", highest & 0xFFFF)
        .header("SequenceNumberCycles", highest >> 16)
        .header("IAJitter", block.jitter_in_timestamp_units)
        .header("LastSR", last_sr(&block))
        .header("DLSR", format_args!("{:.4}(sec)", delay(&block)));
    match round_trip {
        Some(round_trip) => event.header("RTT", round_trip),
        None => event,
    }
}

fn shown_round_trip(time: Duration, figures: Figures) -> String {
    match figures {
        Figures::Correct => format!("{:.4}(sec)", time.as_secs_f64()),
        Figures::Original => format!("{}(sec)", time.as_millis()),
    }
}

/// The words of the answers to `rtp set debug` and `rtcp set debug`, behind "RTP" or "RTCP".
pub const DEBUGGING: &str = "Debugging";

/// The words about a received packet; `None` for types that this host does not know.
pub(crate) fn kind(head: &Head) -> Option<Kind> {
    let (packet_type, name) = (head.packet_type, head.name()?);
    let counted = format!("Reception reports: {}", head.count);
    Some(Kind { packet_type: format!("{packet_type}({name})"), counted, received: None })
}

/// Returns the lines about a report.
pub fn lines(report: &Report) -> String {
    match (report.direction, report.sender) {
        (Direction::Sent { jitter, via_ice }, Some(sender)) => sender_report_lines(report, sender, jitter, via_ice),
        (Direction::Sent { jitter, via_ice }, None) => receiver_report_lines(report, jitter, via_ice),
        (Direction::Received { round_trip, figures, .. }, _) => {
            received_lines(report, round_trip.map(|time| shown_round_trip(time, figures)))
        }
    }
}

fn via(ice: bool) -> &'static str {
    if ice { " (via ICE)" } else { "" }
}

fn sender_report_lines(report: &Report, sender: Sender, jitter: Duration, via_ice: bool) -> String {
    let Sender { time_of_day, ntp_fraction, rtp_timestamp, packet_count, octet_count } = sender;
    let block = Shown::of(report.block);
    format!(
        "* Sent RTCP SR to {}{}\n  Our SSRC: {}\n  Sent(NTP): {}.{ntp_fraction:010}\n  Sent(RTP): {rtp_timestamp}\n  \
         Sent packets: {packet_count}\n  Sent octets: {octet_count}\n  Report block:\n  Fraction lost: {}\n  \
         Cumulative loss: {}\n  IA jitter: {:.4}\n  Their last SR: {}\n  DLSR: {:.4} (sec)\n\n",
        report.peer,
        via(via_ice),
        report.ssrc,
        time_of_day.as_secs(),
        block.fraction_lost,
        block.cumulative_lost,
        jitter.as_secs_f64(),
        block.last_sr,
        block.delay
    )
}

/// Returns the lines about a receiver report of ours. Those about the block are indented by no rule, and scripts know them so.
fn receiver_report_lines(report: &Report, jitter: Duration, via_ice: bool) -> String {
    let block = Shown::of(report.block);
    format!(
        "\n* Sending RTCP RR to {}{}\n  Our SSRC: {}\nTheir SSRC: {}\niFraction lost: {}\nCumulative loss: {}\n  \
         IA jitter: {:.4}\n  Their last SR: {}\n  DLSR: {:.4} (sec)\n\n",
        report.peer,
        via(via_ice),
        report.ssrc,
        block.ssrc,
        block.fraction_lost,
        block.cumulative_lost,
        jitter.as_secs_f64(),
        block.last_sr,
        block.delay
    )
}

fn received_lines(report: &Report, round_trip: Option<String>) -> String {
    let mut lines = String::new();
    // Writing to a String cannot fail, here and below.
    if let Some(Sender { time_of_day, ntp_fraction, rtp_timestamp, packet_count, octet_count }) = report.sender {
        let seconds = time_of_day.as_secs().wrapping_add(SECONDS_FROM_1900_TO_1970) & 0xFFFF_FFFF;
        let _ = write!(
            lines,
            "NTP timestamp: {seconds}.{ntp_fraction:010}\nRTP timestamp: {rtp_timestamp}\nSPC: {packet_count}\tSOC: {octet_count}\n"
        );
    }
    if let Some(block) = report.block {
        let highest = block.extended_highest_sequence_number;
        let _ = write!(
            lines,
            "  Fraction lost: {}\n  Packets lost so far: {}\n  Highest sequence number: {}\n  Sequence number cycles: {}\n  \
             Interarrival jitter: {}\n  Last SR(our NTP): {}\n  DLSR: {:.4} (sec)\n",
            block.fraction_lost,
            block.cumulative_lost,
            highest & 0xFFFF,
            highest >> 16,
            block.jitter_in_timestamp_units,
            last_sr(&block),
            delay(&block)
        );
        if let Some(round_trip) = round_trip {
            let _ = writeln!(lines, "  RTT: {round_trip}");
        }
    }
    lines
}

/// The seconds from the epoch of NTP to that of Unix (RFC 3550 §4).
const SECONDS_FROM_1900_TO_1970: u64 = 2_208_988_800;

/// A block of ours as the lines show it: zeros before there is one.
#[derive(Default)]
struct Shown {
    ssrc: u32,
    fraction_lost: u8,
    cumulative_lost: i32,
    last_sr: u32,
    delay: f64,
}

impl Shown {
    fn of(block: Option<Block>) -> Self {
        block.map_or_else(Self::default, |block| Self {
            ssrc: block.ssrc,
            fraction_lost: block.fraction_lost,
            cumulative_lost: block.cumulative_lost,
            last_sr: block.last_sr,
            delay: delay(&block),
        })
    }
}

/// Formats LSR, the middle 32 bits of an NTP timestamp (RFC 3550 §6.4.1): seconds modulo 65536, and a binary fraction.
fn last_sr(block: &Block) -> String {
    format!("{}.{:010}", block.last_sr >> 16, block.last_sr << 16)
}

fn delay(block: &Block) -> f64 {
    f64::from(block.delay_since_last_sr_in_65536ths) / 65536.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block {
        ssrc: 7,
        fraction_lost: 64,
        cumulative_lost: 25,
        extended_highest_sequence_number: 0x0001_0002,
        jitter_in_timestamp_units: 17,
        last_sr: 0xB705_2000,
        delay_since_last_sr_in_65536ths: 0x0005_4000,
    };

    const SENDER: Sender = Sender {
        time_of_day: Duration::from_millis(1_700_000_000_500),
        ntp_fraction: 0x8000_0000,
        rtp_timestamp: 8000,
        packet_count: 50,
        octet_count: 8000,
    };

    fn report(direction: Direction, ssrc: u32, sender: Option<Sender>) -> Report {
        let peer = ([192, 0, 2, 1], 4001).into();
        Report { direction, peer, local: peer, ssrc, sender, block_count: 1, block: Some(BLOCK), score: 0.0 }
    }

    #[test]
    fn rtcp_sent_has_the_headers_of_the_original() {
        let jitter = Duration::from_micros(2125);
        let ours = report(Direction::Sent { jitter, via_ice: false }, 1, Some(SENDER));
        let expected = "To: 192.0.2.1:4001\r\nOurSSRC: 1\r\nSentNTP: 1700000000.2147483648\r\nSentRTP: 8000\r\n\
             SentPackets: 50\r\nSentOctets: 8000\r\nReportBlock:\r\nFractionLost: 64\r\nCumulativeLoss: 25\r\n\
             IAJitter: 0.0021\r\nTheirLastSR: 3070566400\r\nDLSR: 5.2500 (sec)\r\n";
        assert_eq!(event(&ours).unwrap().headers(), expected);
        let nothing_received = Report { block: None, ..ours.clone() };
        assert!(event(&nothing_received).unwrap().headers().contains("CumulativeLoss: 0\r\n"));
        assert!(event(&Report { sender: None, ..ours }).is_none());
    }

    #[test]
    fn rtcp_received_has_the_headers_of_the_original() {
        let received = |round_trip, figures| Direction::Received { round_trip, jitter: Duration::ZERO, figures };
        let round_trip = Some(Duration::from_millis(23));
        let theirs = report(received(round_trip, Figures::Correct), 9, None);
        let expected = "From: 192.0.2.1:4001\r\nPT: 201(Receiver Report)\r\nReceptionReports: 1\r\nSenderSSRC: 9\r\n\
             FractionLost: 64\r\nPacketsLost: 25\r\nHighestSequence: 2\r\nSequenceNumberCycles: 1\r\nIAJitter: 17\r\n\
             LastSR: 46853.0536870912\r\nDLSR: 5.2500(sec)\r\nRTT: 0.0230(sec)\r\n";
        assert_eq!(event(&theirs).unwrap().headers(), expected);
        let as_original = report(received(round_trip, Figures::Original), 9, None);
        assert!(event(&as_original).unwrap().headers().ends_with("\r\nRTT: 23(sec)\r\n"));
        let of_a_sender = report(received(None, Figures::Correct), 9, Some(SENDER));
        assert!(!event(&of_a_sender).unwrap().headers().contains("RTT"));
    }

    #[test]
    fn a_report_of_ours_is_shown_as_by_the_original() {
        let jitter = Duration::from_micros(2125);
        let sender = report(Direction::Sent { jitter, via_ice: true }, 1, Some(SENDER));
        let expected = "* Sent RTCP SR to 192.0.2.1:4001 (via ICE)\n  Our SSRC: 1\n  Sent(NTP): 1700000000.2147483648\n  \
             Sent(RTP): 8000\n  Sent packets: 50\n  Sent octets: 8000\n  Report block:\n  Fraction lost: 64\n  \
             Cumulative loss: 25\n  IA jitter: 0.0021\n  Their last SR: 3070566400\n  DLSR: 5.2500 (sec)\n\n";
        assert_eq!(lines(&sender), expected);
        let receiver = report(Direction::Sent { jitter, via_ice: false }, 1, None);
        let expected = "\n* Sending RTCP RR to 192.0.2.1:4001\n  Our SSRC: 1\nTheir SSRC: 7\niFraction lost: 64\n\
             Cumulative loss: 25\n  IA jitter: 0.0021\n  Their last SR: 3070566400\n  DLSR: 5.2500 (sec)\n\n";
        assert_eq!(lines(&receiver), expected);
    }

    #[test]
    fn a_report_of_the_peer_is_shown_as_by_the_original() {
        let round_trip = Some(Duration::from_millis(23));
        let direction = Direction::Received { round_trip, jitter: Duration::ZERO, figures: Figures::Correct };
        let theirs = report(direction, 9, Some(SENDER));
        let expected = "NTP timestamp: 3908988800.2147483648\nRTP timestamp: 8000\nSPC: 50\tSOC: 8000\n  \
             Fraction lost: 64\n  Packets lost so far: 25\n  Highest sequence number: 2\n  Sequence number cycles: 1\n  \
             Interarrival jitter: 17\n  Last SR(our NTP): 46853.0536870912\n  DLSR: 5.2500 (sec)\n  RTT: 0.0230(sec)\n";
        assert_eq!(lines(&theirs), expected);
        assert_eq!(lines(&Report { sender: None, block: None, ..theirs }), "");
    }

    #[test]
    fn every_type_of_packet_has_its_lines() {
        let head = |packet_type, ssrc| Head { peer: ([192, 0, 2, 1], 4001).into(), packet_type, count: 1, ssrc };
        let expected = "\nRTCP from 192.0.2.1:4001\nPT: 200(Sender Report)\nReception reports: 1\nSSRC of sender: 9\n";
        assert_eq!(head(200, Some(9)).lines(), expected);
        assert!(head(203, None).lines().ends_with("SSRC of sender: 0\nReceived a BYE from 192.0.2.1:4001\n"));
        assert!(head(202, None).lines().ends_with("\nReceived an SDES from 192.0.2.1:4001\n"));
        assert!(head(192, Some(9)).lines().ends_with("\nReceived an RTCP Fast Update Request\n"));
        assert_eq!(head(206, Some(9)).lines(), "\nRTCP from 192.0.2.1:4001: 206(Unknown) skipping record\n");
    }
}
