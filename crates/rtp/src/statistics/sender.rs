//! Statistics of the stream that we send: the counts for sender reports (RFC 3550 §6.4.1), and the figures that the
//! peer's reports give about it.

use std::time::{Duration, Instant};

use crate::Header;
use crate::rtcp::{NtpTimestamp, ReportBlock, SenderInfo};
use crate::statistics::Accumulator;
use crate::timestamp::{RtpTimestamp, duration, ticks};

/// Counts one stream that we send, and evaluates the peer's reports about it.
#[derive(Debug, Clone)]
pub struct SenderStatistics {
    source: Counts,
    /// The SSRC of our own packets; that of the source is another one while a bridge passes packets on.
    own: u32,
    /// The sources before, the newest first, and our own among them whatever its age.
    former: [Option<Counts>; FORMER],
    total_packets: u64,
    total_octets: u64,
    reports: [Option<SentReport>; REMEMBERED_REPORTS],
    next_report: usize,
    remote: Remote,
}

/// The counts of one SSRC (§6.4.1).
#[derive(Debug, Clone, Copy)]
struct Counts {
    ssrc: u32,
    packets: u32,
    octets: u32,
    last: Option<LastPacket>,
    packets_at_last_report: u32,
}

#[derive(Debug, Clone, Copy)]
struct LastPacket {
    timestamp: RtpTimestamp,
    at: Instant,
    clock_rate: u32,
}

#[derive(Debug, Clone, Copy)]
struct SentReport {
    middle: u32,
    at: Instant,
}

/// The figures that the peer has reported about our stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remote {
    /// The newest report block.
    pub last: Option<ReportBlock>,
    /// Cumulative loss in packets, a sample per report.
    pub lost: Accumulator,
    /// Jitter in seconds, by the clock of the packet that we sent last, a sample per report.
    pub jitter: Accumulator,
    /// Round trip in seconds, a sample per report that allows to measure it.
    pub round_trip: Accumulator,
}

/// The round trip that one report block gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundTrip {
    /// The block is about another stream.
    NotOurs,
    /// The block refers to no report of ours, or to an unknown one.
    Unknown,
    /// The time from our report to the peer and back, without the time that the peer held it (§6.4.1).
    Measured(Duration),
}

impl SenderStatistics {
    /// Creates the statistics of a stream of which nothing has been sent.
    pub fn new(ssrc: u32) -> Self {
        Self {
            source: Counts::new(ssrc),
            own: ssrc,
            former: [None; FORMER],
            total_packets: 0,
            total_octets: 0,
            reports: [None; REMEMBERED_REPORTS],
            next_report: 0,
            remote: Remote::default(),
        }
    }

    /// Changes our SSRC. The counts of a new one start at zero, those of one of the last before go on (§6.4.1). The totals of the
    /// session go on.
    pub fn change_ssrc(&mut self, ssrc: u32) {
        self.own = ssrc;
        self.change_source(ssrc);
    }

    /// Goes over to the counts of this SSRC.
    fn change_source(&mut self, ssrc: u32) {
        if ssrc == self.source.ssrc {
            return;
        }
        let place = |ssrc| move |former: &Option<Counts>| former.is_some_and(|former| former.ssrc == ssrc);
        let oldest = self.former.iter().rposition(|former| !place(self.own)(former)).unwrap_or(FORMER - 1);
        let at = self.former.iter().position(place(ssrc)).unwrap_or(oldest);
        let known = self.former[at].take().filter(|former| former.ssrc == ssrc);
        self.former[..=at].rotate_right(1);
        self.former[0] = Some(std::mem::replace(&mut self.source, known.unwrap_or(Counts::new(ssrc))));
        self.reports = [None; REMEMBERED_REPORTS];
    }

    /// Counts a packet that was sent, with `payload_len` octets of payload. `timestamp` is the RTP timestamp of this
    /// moment; the packet of a telephone-event carries an earlier one.
    pub fn sent(&mut self, now: Instant, payload_len: usize, timestamp: u32, clock_rate: u32) {
        let source = &mut self.source;
        source.last = Some(LastPacket { timestamp: RtpTimestamp(timestamp), at: now, clock_rate });
        source.packets = source.packets.wrapping_add(1);
        source.octets = source.octets.wrapping_add(payload_len as u32);
        self.total_packets += 1;
        self.total_octets += payload_len as u64;
    }

    /// Counts a packet that was passed on from another session, with its SSRC. `clock_rate` is that of its timestamp in Hz; `None`
    /// for a timestamp that is not of this moment, as in a telephone-event.
    pub fn passed_on(&mut self, now: Instant, payload_len: usize, header: &Header, clock_rate: Option<u32>) {
        // Digits may have an SSRC of their own beside the media.
        if header.ssrc != self.source.ssrc && (clock_rate.is_some() || self.source.packets == 0) {
            self.change_source(header.ssrc);
        }
        let (timestamp, clock_rate) = match (clock_rate, self.source.last) {
            (None, Some(last)) => (self.timestamp_at(now), last.clock_rate),
            (clock_rate, _) => (header.timestamp, clock_rate.unwrap_or(0)),
        };
        self.sent(now, payload_len, timestamp, clock_rate);
    }

    /// Whether the next report is a sender report, because a packet was sent since the last report (§6.4).
    pub fn has_sent_since_report(&self) -> bool {
        self.source.packets != self.source.packets_at_last_report
    }

    /// Returns the sender information for a report that is sent `now`; `ntp` is the time of day at this moment. The RTP
    /// timestamp is that of the moment too, and not of the last packet. Call it once for each report:
    /// [`Self::handle_report`] measures the round trip against it.
    pub fn sender_info(&mut self, now: Instant, ntp: NtpTimestamp) -> SenderInfo {
        self.reports[self.next_report] = Some(SentReport { middle: ntp.middle(), at: now });
        self.next_report = (self.next_report + 1) % REMEMBERED_REPORTS;
        let rtp_timestamp = self.timestamp_at(now);
        let Counts { packets, octets, packets_at_last_report, .. } = &mut self.source;
        *packets_at_last_report = *packets;
        SenderInfo { ntp, rtp_timestamp, packet_count: *packets, octet_count: *octets }
    }

    /// Takes in a block of a peer's report that arrived `now`.
    pub fn handle_report(&mut self, now: Instant, block: &ReportBlock) -> RoundTrip {
        if block.ssrc != self.source.ssrc {
            return RoundTrip::NotOurs;
        }
        self.remote.last = Some(*block);
        self.remote.lost.add(f64::from(block.cumulative_lost));
        if let Some(clock_rate) = self.clock_rate() {
            self.remote.jitter.add(f64::from(block.jitter_in_timestamp_units) / f64::from(clock_rate));
        }
        let Some(round_trip) = self.round_trip(now, block) else { return RoundTrip::Unknown };
        self.remote.round_trip.add(round_trip.as_secs_f64());
        RoundTrip::Measured(round_trip)
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.source.ssrc
    }

    /// The clock of the packet that we sent last, in hertz.
    pub fn clock_rate(&self) -> Option<u32> {
        self.source.last.map(|last| last.clock_rate).filter(|rate| *rate > 0)
    }

    /// The time at which the last packet with this SSRC was sent.
    pub fn last_packet(&self) -> Option<Instant> {
        self.source.last.map(|last| last.at)
    }

    /// Packets sent in this session, with any SSRC.
    pub fn packets(&self) -> u64 {
        self.total_packets
    }

    /// Octets of payload sent in this session, with any SSRC.
    pub fn octets(&self) -> u64 {
        self.total_octets
    }

    /// The figures that the peer has reported about our stream.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The RTP timestamp of this moment; 0 before the first packet.
    fn timestamp_at(&self, now: Instant) -> u32 {
        self.source.last.map_or(0, |last| {
            let elapsed = ticks(now.saturating_duration_since(last.at), last.clock_rate);
            last.timestamp.plus(elapsed as u32).0
        })
    }

    fn round_trip(&self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        // Zero means that the peer has not received a report of ours yet (§6.4.1).
        let reports = self.reports.iter().flatten().filter(|_| block.last_sr != 0);
        let sent = reports.filter(|report| report.middle == block.last_sr).map(|report| report.at).max()?;
        let held = duration(u64::from(block.delay_since_last_sr_in_65536ths), 1 << 16);
        // A peer whose clock runs fast may claim to have held the report for longer than it was away.
        Some(now.saturating_duration_since(sent).saturating_sub(held))
    }
}

impl Counts {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, packets: 0, octets: 0, last: None, packets_at_last_report: 0 }
    }
}

/// The number of sources before the current one whose counts are kept: our own, which is never forgotten, and one of the peer of a bridge.
const FORMER: usize = 2;

/// The number of reports that are kept. A peer that reports less often than we do may refer to an older one.
const REMEMBERED_REPORTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: u32 = 77;

    fn block(last_sr: u32, delay: u32) -> ReportBlock {
        ReportBlock {
            ssrc: SSRC,
            fraction_lost: 0,
            cumulative_lost: 3,
            extended_highest_sequence_number: 9,
            jitter_in_timestamp_units: 40,
            last_sr,
            delay_since_last_sr_in_65536ths: delay,
        }
    }

    #[test]
    fn rfc3550_figure_2_round_trip() {
        // The figure's numbers: SR sent at b3:0544, reported back with LSR b705:2000, DLSR 5.250 s,
        // arriving 11.375 s after it was sent; delay 6.125 s.
        let start = Instant::now();
        let mut sender = SenderStatistics::new(SSRC);
        let ntp = NtpTimestamp(0xB44D_B705_2000_0000);
        sender.sent(start, 160, 0, 8000);
        sender.sender_info(start, ntp);
        let arrival = start + Duration::from_millis(11_375);
        let round_trip = sender.handle_report(arrival, &block(0xB705_2000, 0x0005_4000));
        assert_eq!(round_trip, RoundTrip::Measured(Duration::from_millis(6125)));
        assert_eq!(sender.remote().round_trip.last(), 6.125);
        assert_eq!((sender.remote().lost.max(), sender.remote().jitter.mean()), (3.0, 0.005));
    }

    #[test]
    fn invented_and_missing_lsr_measure_nothing() {
        let now = Instant::now();
        let mut sender = SenderStatistics::new(SSRC);
        assert_eq!(sender.handle_report(now, &block(0, 0)), RoundTrip::Unknown);
        sender.sender_info(now, NtpTimestamp(0x1_0000_0000));
        assert_eq!(sender.handle_report(now, &block(0x1234_5678, 0)), RoundTrip::Unknown);
        assert_eq!(sender.handle_report(now, &ReportBlock { ssrc: 1, ..block(0, 0) }), RoundTrip::NotOurs);
        assert_eq!(sender.remote().round_trip.count(), 0);
    }

    #[test]
    fn a_report_may_refer_to_one_of_the_last_eight() {
        let start = Instant::now();
        let mut sender = SenderStatistics::new(SSRC);
        for second in 1..=9u32 {
            let at = start + Duration::from_secs(u64::from(second));
            sender.sender_info(at, NtpTimestamp(u64::from(second) << 32));
        }
        let now = start + Duration::from_secs(10);
        assert_eq!(sender.handle_report(now, &block(1 << 16, 0)), RoundTrip::Unknown);
        assert_eq!(sender.handle_report(now, &block(2 << 16, 0)), RoundTrip::Measured(Duration::from_secs(8)));
        let held_too_long = block(9 << 16, 5 << 16);
        assert_eq!(sender.handle_report(now, &held_too_long), RoundTrip::Measured(Duration::ZERO));
    }

    #[test]
    fn rfc3550_section_6_4_1_sender_info_is_of_the_moment_it_is_sent() {
        let start = Instant::now();
        let mut sender = SenderStatistics::new(SSRC);
        assert!(!sender.has_sent_since_report());
        sender.sent(start, 160, u32::MAX, 8000);
        assert!(sender.has_sent_since_report());
        let info = sender.sender_info(start + Duration::from_millis(10), NtpTimestamp(5));
        assert_eq!((info.rtp_timestamp, info.packet_count, info.octet_count), (79, 1, 160));
        assert!(!sender.has_sent_since_report());
        sender.change_ssrc(78);
        assert_eq!(sender.sender_info(start, NtpTimestamp(6)).packet_count, 0);
        assert_eq!((sender.packets(), sender.octets()), (1, 160));
    }

    #[test]
    fn packets_passed_on_are_reported_with_their_own_ssrc() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let header = |timestamp| Header { marker: false, payload_type: 0, sequence_number: 1, timestamp, ssrc: 99 };
        let mut sender = SenderStatistics::new(SSRC);
        sender.sent(start, 160, 5, 8000);
        sender.passed_on(at(20), 160, &header(8000), Some(8000));
        assert_eq!((sender.ssrc(), sender.packets(), sender.octets()), (99, 2, 320));
        // The packets of an event carry the timestamp of its beginning.
        sender.passed_on(at(120), 4, &header(8000), None);
        let info = sender.sender_info(at(130), NtpTimestamp(5));
        assert_eq!((info.rtp_timestamp, info.packet_count, info.octet_count), (8000 + 880, 2, 164));
    }

    #[test]
    fn rfc3550_section_6_4_1_counts_of_an_ssrc_go_on_after_a_bridge() {
        let now = Instant::now();
        let header = |ssrc| Header { marker: false, payload_type: 0, sequence_number: 1, timestamp: 2, ssrc };
        let mut sender = SenderStatistics::new(SSRC);
        for stretch in 1..=3 {
            sender.change_ssrc(SSRC);
            sender.sent(now, 160, 5, 8000);
            assert_eq!(sender.sender_info(now, NtpTimestamp(5)).packet_count, stretch);
            sender.passed_on(now, 160, &header(99), Some(8000));
            assert_eq!((sender.ssrc(), sender.sender_info(now, NtpTimestamp(5)).packet_count), (99, stretch));
        }
        // Our own source is not forgotten for those of a peer that changes, nor is the one before.
        for foreign in 100..110 {
            sender.passed_on(now, 160, &header(foreign), Some(8000));
        }
        sender.passed_on(now, 160, &header(108), Some(8000));
        assert_eq!(sender.sender_info(now, NtpTimestamp(5)).packet_count, 2);
        sender.change_ssrc(SSRC);
        assert_eq!((sender.sender_info(now, NtpTimestamp(5)).octet_count, sender.packets()), (480, 17));
        assert!(!sender.has_sent_since_report());
        // A new SSRC of ours is the one that is kept from then on.
        sender.change_ssrc(SSRC + 1);
        sender.sent(now, 160, 5, 8000);
        for foreign in 100..110 {
            sender.passed_on(now, 160, &header(foreign), Some(8000));
        }
        sender.change_ssrc(SSRC + 1);
        assert_eq!(sender.sender_info(now, NtpTimestamp(5)).packet_count, 1);
    }
}
