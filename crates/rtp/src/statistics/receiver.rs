//! Statistics of the stream that we receive: loss (RFC 3550 A.3), jitter (A.8), and the report block made of them
//! (§6.4.1). The sequence numbers are validated in `sequence`.

use std::time::{Duration, Instant};

use super::sequence::Sequence;
use super::{Accumulator, Validity};
use crate::packet::Header;
use crate::rtcp::{NtpTimestamp, ReportBlock};
use crate::timestamp::{RtpTimestamp, SequenceNumber, ticks};

/// Counts one stream that we receive, and validates its sequence numbers.
#[derive(Debug, Clone)]
pub struct ReceiverStatistics {
    probation: u16,
    source: Option<Source>,
    packets: u64,
    octets: u64,
    first_packet: Option<Instant>,
    last_packet: Option<Instant>,
    jitter: Accumulator,
    loss: Accumulator,
}

/// The state of the current SSRC, with the names of RFC 3550 A.1.
#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    sequence: Sequence,
    transit: Option<Transit>,
    /// Sixteen times the jitter (A.8).
    jitter_q4: u32,
    clock_rate: u32,
    last_sender_report: Option<(NtpTimestamp, Instant)>,
    expected_prior: u64,
    received_prior: u64,
}

/// The difference between arrival and timestamp of one packet, which the next packet is compared with (A.8).
#[derive(Debug, Clone, Copy)]
struct Transit {
    base: Instant,
    ticks: u32,
    clock_rate: u32,
}

impl Default for ReceiverStatistics {
    fn default() -> Self {
        Self::new(0)
    }
}

impl ReceiverStatistics {
    /// Creates statistics that accept a source after `probation` packets in sequence. RFC 3550 A.1 suggests two; with
    /// 0, a call between two parties whose addresses are known does not lose its first packets.
    pub fn new(probation: u16) -> Self {
        let (jitter, loss) = Default::default();
        Self { probation, source: None, packets: 0, octets: 0, first_packet: None, last_packet: None, jitter, loss }
    }

    /// Counts a packet that arrived `now` with `payload_len` octets of payload. `clock_rate` is the clock of its payload in hertz, or `None` for payloads
    /// whose timestamps stand still while packets arrive (telephone-event), which say nothing about jitter.
    pub fn update(&mut self, now: Instant, packet: &Header, payload_len: usize, clock_rate: Option<u32>) -> Validity {
        let (number, timestamp) = (SequenceNumber(packet.sequence_number), RtpTimestamp(packet.timestamp));
        let validity = match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => source.sequence.update(number, timestamp),
            known => {
                self.first_packet.get_or_insert(now);
                let first = if known.is_some() { Validity::NewSource } else { Validity::First };
                *known = Some(Source::new(packet.ssrc, number, timestamp, self.probation));
                if self.probation > 0 { Validity::Probation } else { first }
            }
        };
        if validity.is_usable() {
            self.packets += 1;
            self.octets += payload_len as u64;
            self.last_packet = Some(now);
            if let (Some(source), Some(rate)) = (&mut self.source, clock_rate.filter(|rate| *rate > 0)) {
                source.update_jitter(now, packet, rate);
                let jitter = source.jitter().as_secs_f64();
                self.jitter.add(jitter);
            }
        }
        validity
    }

    /// Takes in a sender report of the source that arrived `now`, for LSR and DLSR of our next report.
    pub fn handle_sender_report(&mut self, now: Instant, ssrc: u32, ntp: NtpTimestamp) {
        if let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc) {
            source.last_sender_report = Some((ntp, now));
        }
    }

    /// Returns the block about the source for a report that is sent `now`, and begins the next interval (A.3). `None`
    /// while there is no source, or one on probation.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let source = self.source.as_mut().filter(|source| source.sequence.is_valid())?;
        let (lost, fraction) = source.close_interval();
        self.loss.add(lost as f64);
        let (last_sr, delay) = source.last_sender_report.map_or((0, 0), |(ntp, at)| {
            (ntp.middle(), u32::try_from(ticks(now.saturating_duration_since(at), 1 << 16)).unwrap_or(u32::MAX))
        });
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: fraction,
            cumulative_lost: source.sequence.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            // The low 32 bits hold 16 bits of cycles and the sequence number (A.1).
            extended_highest_sequence_number: source.sequence.extended_highest() as u32,
            jitter_in_timestamp_units: source.jitter_q4 >> 4,
            last_sr,
            delay_since_last_sr_in_65536ths: delay,
        })
    }

    /// Forgets the source, but keeps the totals: the session was stopped or put on hold.
    pub fn reset(&mut self) {
        self.source = None;
    }

    /// The SSRC of the source that we receive.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Packets received and used in this session, from all sources.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Octets of payload received and used in this session, from all sources.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The arrival time of the first packet, used or not.
    pub fn first_packet(&self) -> Option<Instant> {
        self.first_packet
    }

    /// The arrival time of the last packet that was used.
    pub fn last_packet(&self) -> Option<Instant> {
        self.last_packet
    }

    /// Packets of the current source that should have arrived so far (A.3).
    pub fn expected(&self) -> u64 {
        self.source.as_ref().map_or(0, |source| source.sequence.expected())
    }

    /// Packets of the current source that have not arrived; negative if more duplicates arrived than packets were lost
    /// (A.3).
    pub fn cumulative_lost(&self) -> i64 {
        self.source.as_ref().map_or(0, |source| source.sequence.lost())
    }

    /// The highest sequence number of the current source in the low 16 bits, with the number of times that it wrapped
    /// above.
    pub fn extended_highest_sequence_number(&self) -> u64 {
        self.source.as_ref().map_or(0, |source| source.sequence.extended_highest())
    }

    /// Interarrival jitter of the current source in timestamp units (A.8).
    pub fn jitter_in_timestamp_units(&self) -> u32 {
        self.source.as_ref().map_or(0, |source| source.jitter_q4 >> 4)
    }

    /// Interarrival jitter of the current source, as a duration (A.8).
    pub fn jitter(&self) -> Duration {
        self.source.as_ref().map_or(Duration::ZERO, Source::jitter)
    }

    /// The jitter in seconds, a sample per packet.
    pub fn jitter_statistics(&self) -> &Accumulator {
        &self.jitter
    }

    /// Packets lost between two of our reports, a sample per report.
    pub fn loss_statistics(&self) -> &Accumulator {
        &self.loss
    }
}

impl Source {
    fn new(ssrc: u32, first: SequenceNumber, timestamp: RtpTimestamp, probation: u16) -> Self {
        Self {
            ssrc,
            sequence: Sequence::new(first, timestamp, probation),
            transit: None,
            jitter_q4: 0,
            clock_rate: 0,
            last_sender_report: None,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    /// Updates the jitter as A.8 does, in integers: J += (|D| - J) / 16.
    fn update_jitter(&mut self, now: Instant, packet: &Header, clock_rate: u32) {
        self.clock_rate = clock_rate;
        let known = self.transit.filter(|transit| transit.clock_rate == clock_rate);
        let base = known.map_or(now, |transit| transit.base);
        // Truncated to 32 bits, as the timestamp that it is compared with.
        let arrival = ticks(now.saturating_duration_since(base), clock_rate) as u32;
        let ticks = arrival.wrapping_sub(packet.timestamp);
        self.transit = Some(Transit { base, ticks, clock_rate });
        if let Some(before) = known.filter(|_| !packet.marker) {
            let difference = ticks.wrapping_sub(before.ticks).cast_signed().unsigned_abs();
            // No network holds a packet for this long: it is a jump of the timestamps, and not jitter.
            if difference < clock_rate.saturating_mul(MAX_TRANSIT_SECONDS) {
                self.jitter_q4 = self.jitter_q4 + difference - ((self.jitter_q4 + 8) >> 4);
            }
        }
    }

    fn jitter(&self) -> Duration {
        crate::timestamp::duration(u64::from(self.jitter_q4 >> 4), self.clock_rate)
    }

    /// Ends the interval of a report (A.3). Returns the packets lost since the last one, and the loss in 256ths.
    fn close_interval(&mut self) -> (u64, u8) {
        let (expected, received) = (self.sequence.expected(), self.sequence.received());
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = received.saturating_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, received);
        let lost = expected_interval.saturating_sub(received_interval);
        let fraction = (lost << 8).checked_div(expected_interval).unwrap_or(0);
        (lost, u8::try_from(fraction).unwrap_or(u8::MAX))
    }
}

/// A change of the transit time by this much is a jump of the timestamps.
const MAX_TRANSIT_SECONDS: u32 = 10;

#[cfg(test)]
mod tests;
