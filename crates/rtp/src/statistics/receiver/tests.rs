//! Tests of RFC 3550 A.1, A.3 and A.8 against vectors and against a plain 64-bit counter.

use proptest::prelude::*;

use super::*;
use crate::packet::{Header, Packet};

const RATE: u32 = 8000;
const FRAME: Duration = Duration::from_millis(20);

struct Stream {
    receiver: ReceiverStatistics,
    now: Instant,
    ssrc: u32,
}

impl Stream {
    fn new(probation: u16) -> Self {
        Self { receiver: ReceiverStatistics::new(probation), now: Instant::now(), ssrc: 1 }
    }

    fn packet(&mut self, sequence_number: u16, timestamp: u32) -> Validity {
        let header = Header { marker: false, payload_type: 0, sequence_number, timestamp, ssrc: self.ssrc };
        let mut bytes = [0; 172];
        header.write(&mut bytes);
        let packet = Packet::parse(&bytes).unwrap();
        self.receiver.update(self.now, &packet.header(), packet.payload.len(), Some(RATE))
    }

    /// Receives the packet `number` of an undisturbed stream.
    fn steady(&mut self, number: u16) -> Validity {
        self.now += FRAME;
        self.packet(number, u32::from(number) * 160)
    }
}

#[test]
fn rfc3550_a1_sequence_wraps_into_the_next_cycle() {
    let mut stream = Stream::new(0);
    assert_eq!(stream.steady(65534), Validity::First);
    assert_eq!(stream.steady(65535), Validity::Ok { missing: 0 });
    assert_eq!(stream.steady(0), Validity::Ok { missing: 0 });
    assert_eq!(stream.steady(2), Validity::Ok { missing: 1 });
    assert_eq!(stream.receiver.extended_highest_sequence_number(), 65536 + 2);
    assert_eq!((stream.receiver.expected(), stream.receiver.cumulative_lost()), (5, 1));
    assert_eq!(stream.steady(1), Validity::Late);
    assert_eq!(stream.steady(65535), Validity::Duplicate);
    assert_eq!(stream.receiver.cumulative_lost(), 0);
}

#[test]
fn rfc3550_a1_source_is_valid_after_min_sequential_packets() {
    let mut stream = Stream::new(2);
    assert_eq!(stream.steady(10), Validity::Probation);
    assert!(stream.receiver.report_block(stream.now).is_none());
    assert_eq!(stream.steady(12), Validity::Probation);
    assert_eq!(stream.steady(13), Validity::Probation);
    assert_eq!(stream.steady(14), Validity::First);
    assert_eq!((stream.receiver.packets(), stream.receiver.expected()), (1, 1));
}

#[test]
fn rfc3550_a1_large_jump_needs_two_packets_in_sequence() {
    let mut stream = Stream::new(0);
    stream.steady(100);
    assert_eq!(stream.steady(40000), Validity::Jump);
    assert_eq!(stream.steady(101), Validity::Ok { missing: 0 });
    assert_eq!(stream.steady(40000), Validity::Jump);
    assert_eq!(stream.steady(40001), Validity::Restarted);
    assert_eq!(stream.steady(40002), Validity::Ok { missing: 0 });
    assert_eq!((stream.receiver.expected(), stream.receiver.cumulative_lost()), (2, 0));
    assert_eq!(stream.receiver.packets(), 6, "those that jumped are heard");
}

#[test]
fn a_jump_costs_no_packet() {
    let mut stream = Stream::new(0);
    let numbers = (1..16).chain(5016..5031).chain(3..18);
    assert!(numbers.clone().all(|number| stream.steady(number).is_usable()));
    assert_eq!(stream.receiver.packets(), 45);
    assert_eq!(stream.receiver.cumulative_lost(), 0);
    assert_eq!(stream.steady(30_000), Validity::Jump);
    assert_eq!(stream.steady(30_000), Validity::Duplicate);
}

#[test]
fn a_sequence_number_that_stands_still_loses_no_packet_and_a_duplicate_is_one() {
    let mut stream = Stream::new(0);
    assert_eq!(stream.packet(4711, 0), Validity::First);
    for n in 1..30 {
        assert_eq!(stream.packet(4711, n * 160), Validity::StandsStill);
        assert_eq!(stream.packet(4711, n * 160), Validity::Duplicate);
    }
    assert_eq!((stream.receiver.packets(), stream.receiver.cumulative_lost()), (30, 0));
    assert_eq!(stream.packet(4712, 30 * 160), Validity::Ok { missing: 0 });
}

#[test]
fn a_second_count_on_one_ssrc_costs_no_packet() {
    let mut stream = Stream::new(0);
    for n in 0..20u16 {
        assert!(stream.packet(20_000 + n, u32::from(n) * 160).is_usable());
        assert!(stream.packet(19_990 + n / 2, 90_000 + u32::from(n)).is_usable());
    }
}

#[test]
fn another_ssrc_starts_over_and_keeps_the_totals() {
    let mut stream = Stream::new(0);
    (0..10).for_each(|n| {
        stream.steady(n);
    });
    stream.ssrc = 2;
    assert_eq!(stream.steady(50000), Validity::NewSource);
    assert_eq!((stream.receiver.ssrc(), stream.receiver.expected()), (Some(2), 1));
    assert_eq!(stream.receiver.packets(), 11);
    assert_eq!(stream.receiver.octets(), 11 * 160);
}

#[test]
fn rfc3550_a3_fraction_lost_counts_the_interval_and_cumulative_the_call() {
    let mut stream = Stream::new(0);
    (0..100).filter(|n| n % 4 != 1).for_each(|n| {
        stream.steady(n);
    });
    let block = stream.receiver.report_block(stream.now).unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (64, 25));
    (100..200).for_each(|n| {
        stream.steady(n);
    });
    let block = stream.receiver.report_block(stream.now).unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 25));
    assert_eq!(block.extended_highest_sequence_number, 199);
    assert_eq!((stream.receiver.loss_statistics().max(), stream.receiver.loss_statistics().mean()), (25.0, 12.5));
}

#[test]
fn nothing_received_in_an_interval_is_no_loss() {
    let mut stream = Stream::new(0);
    stream.steady(1);
    stream.receiver.report_block(stream.now);
    assert_eq!(stream.receiver.report_block(stream.now).unwrap().fraction_lost, 0);
}

#[test]
fn rfc3550_a8_jitter_of_a_steady_stream_is_zero_and_of_alternating_delay_converges() {
    let mut stream = Stream::new(0);
    (0..500).for_each(|n| {
        stream.steady(n);
    });
    assert_eq!(stream.receiver.jitter_in_timestamp_units(), 0);
    for n in 500..1500u16 {
        stream.now += if n % 2 == 0 { FRAME / 2 } else { FRAME * 3 / 2 };
        stream.packet(n, u32::from(n) * 160);
    }
    // |D| is 80 ticks for every packet.
    assert!((79..=80).contains(&stream.receiver.jitter_in_timestamp_units()));
    assert!((9..=10).contains(&stream.receiver.jitter().as_millis()));
    assert!(stream.receiver.jitter_statistics().max() <= 0.010);
}

#[test]
fn a_timestamp_jump_is_not_jitter() {
    let mut stream = Stream::new(0);
    stream.steady(1);
    stream.now += FRAME;
    stream.packet(2, 0x8000_0000);
    stream.now += FRAME;
    stream.packet(3, 0x8000_0000 + 160);
    assert_eq!(stream.receiver.jitter_in_timestamp_units(), 0);
}

#[test]
fn rfc3550_section_6_4_1_lsr_and_dlsr() {
    let mut stream = Stream::new(0);
    stream.steady(1);
    let ntp = NtpTimestamp(0x0102_0304_0506_0708);
    stream.receiver.handle_sender_report(stream.now, 99, ntp);
    assert_eq!(stream.receiver.report_block(stream.now).unwrap().last_sr, 0);
    stream.receiver.handle_sender_report(stream.now, 1, ntp);
    let block = stream.receiver.report_block(stream.now + Duration::from_millis(5250)).unwrap();
    assert_eq!(block.last_sr, 0x0304_0506);
    assert_eq!(block.delay_since_last_sr_in_65536ths, 0x0005_4000);
}

proptest! {
    /// Compares RFC 3550 A.1 with a counter that does not wrap.
    #[test]
    fn sequence_extension_agrees_with_a_64_bit_counter(
        start in 0u64..65536,
        steps in prop::collection::vec(-50i64..2000, 1..400),
    ) {
        let mut stream = Stream::new(0);
        stream.steady(u16::try_from(start).unwrap());
        let (mut highest, mut lowest) = (start.cast_signed(), start.cast_signed());
        let mut seen = std::collections::HashSet::from([highest]);
        for step in steps {
            let number = highest + step;
            let validity = stream.steady(number.rem_euclid(65536) as u16);
            prop_assert_eq!(validity == Validity::Duplicate, !seen.insert(number), "{} {:?}", number, validity);
            prop_assert_eq!(validity == Validity::Late, step <= 0 && validity != Validity::Duplicate);
            highest = highest.max(number);
            lowest = lowest.min(number);
            if lowest >= 0 {
                prop_assert_eq!(stream.receiver.extended_highest_sequence_number().cast_signed(), highest);
            }
            prop_assert_eq!(stream.receiver.expected().cast_signed(), highest - lowest + 1);
            let lost = highest - lowest + 1 - i64::try_from(seen.len()).unwrap();
            prop_assert_eq!(stream.receiver.cumulative_lost(), lost);
        }
    }
}
