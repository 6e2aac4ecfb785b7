//! RTCP reports as manager events, with the headers of the original module.
//!
//! Two headers differ from it on purpose: `SenderSSRC` is the reporter's SSRC (the original prints another word of the
//! packet), and `SentNTP` has a correct binary fraction. `RTT` is in milliseconds as in the original, although that
//! claims seconds: monitoring tools rely on it.

use std::time::Duration;

use crate::manager::{Category, Event};
use crate::rtp::{Block, Direction, Report, Sender};
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
        (Direction::Sent { jitter }, Some(sender), block) => Some(sent(report, sender, block, jitter)),
        (Direction::Received { round_trip }, _, Some(block)) => Some(received(report, block, round_trip)),
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
        .header("ReportBlock", "")
        .header("FractionLost", block.map_or(0, |block| block.fraction_lost))
        .header("CumulativeLoss", block.map_or(0, |block| block.cumulative_lost))
        .header("IAJitter", format_args!("{:.4}", jitter.as_secs_f64()))
        .header("TheirLastSR", block.map_or(0, |block| block.last_sr))
        .header("DLSR", format_args!("{:.4} (sec)", block.map_or(0.0, |block| delay(&block))))
}

fn received(report: &Report, block: Block, round_trip: Option<Duration>) -> Event {
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
        // Seconds modulo 65536, and a binary fraction.
        .header("LastSR", format_args!("{}.{:010}", block.last_sr >> 16, block.last_sr << 16))
        .header("DLSR", format_args!("{:.4}(sec)", delay(&block)));
    match round_trip {
        Some(round_trip) => event.header("RTT", format_args!("{}(sec)", round_trip.as_millis())),
        None => event,
    }
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
        Report { direction, peer, ssrc, sender, block_count: 1, block: Some(BLOCK) }
    }

    #[test]
    fn rtcp_sent_has_the_headers_of_the_original() {
        let jitter = Duration::from_micros(2125);
        let ours = report(Direction::Sent { jitter }, 1, Some(SENDER));
        let expected = "To: 192.0.2.1:4001\r\nOurSSRC: 1\r\nSentNTP: 1700000000.2147483648\r\nSentRTP: 8000\r\n\
             SentPackets: 50\r\nSentOctets: 8000\r\nReportBlock: \r\nFractionLost: 64\r\nCumulativeLoss: 25\r\n\
             IAJitter: 0.0021\r\nTheirLastSR: 3070566400\r\nDLSR: 5.2500 (sec)\r\n";
        assert_eq!(event(&ours).unwrap().headers(), expected);
        let nothing_received = Report { block: None, ..ours.clone() };
        assert!(event(&nothing_received).unwrap().headers().contains("CumulativeLoss: 0\r\n"));
        assert!(event(&Report { sender: None, ..ours }).is_none());
    }

    #[test]
    fn rtcp_received_has_the_headers_of_the_original() {
        let round_trip = Some(Duration::from_millis(23));
        let theirs = report(Direction::Received { round_trip }, 9, None);
        let expected = "From: 192.0.2.1:4001\r\nPT: 201(Receiver Report)\r\nReceptionReports: 1\r\nSenderSSRC: 9\r\n\
             FractionLost: 64\r\nPacketsLost: 25\r\nHighestSequence: 2\r\nSequenceNumberCycles: 1\r\nIAJitter: 17\r\n\
             LastSR: 46853.0536870912\r\nDLSR: 5.2500(sec)\r\nRTT: 23(sec)\r\n";
        assert_eq!(event(&theirs).unwrap().headers(), expected);
        let of_a_sender = report(Direction::Received { round_trip: None }, 9, Some(SENDER));
        assert!(!event(&of_a_sender).unwrap().headers().contains("RTT"));
    }
}
