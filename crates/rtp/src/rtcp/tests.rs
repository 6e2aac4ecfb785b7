//! Vectors by section, and the identity of parsing and writing.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0xAABB_CCDD,
    fraction_lost: 64,
    cumulative_lost: -3,
    extended_highest_sequence_number: 0x0001_0002,
    jitter_in_timestamp_units: 17,
    last_sr: 0xB705_2000,
    delay_since_last_sr_in_65536ths: 0x0005_4000,
};

const INFO: SenderInfo =
    SenderInfo { ntp: NtpTimestamp(0xB44D_B705_2000_0000), rtp_timestamp: 8000, packet_count: 50, octet_count: 8000 };

fn packets(datagram: &[u8]) -> Vec<Packet<'_>> {
    Compound::parse(datagram).unwrap().map(Result::unwrap).collect()
}

#[test]
fn rfc3550_section_6_1_compound_of_sr_sdes_bye() {
    let mut buffer = [0; 256];
    let report = Report { ssrc: 0x1234_5678, sender: Some(INFO), blocks: &[BLOCK], cname: "ab@c", bye: true };
    let len = report.write(&mut buffer).unwrap();
    #[rustfmt::skip]
    let expected = [
        0x81, 200, 0, 12, 0x12, 0x34, 0x56, 0x78,
        0xB4, 0x4D, 0xB7, 0x05, 0x20, 0, 0, 0, 0, 0, 0x1F, 0x40, 0, 0, 0, 50, 0, 0, 0x1F, 0x40,
        0xAA, 0xBB, 0xCC, 0xDD, 64, 0xFF, 0xFF, 0xFD, 0, 1, 0, 2, 0, 0, 0, 17,
        0xB7, 0x05, 0x20, 0, 0, 5, 0x40, 0,
        0x81, 202, 0, 3, 0x12, 0x34, 0x56, 0x78, 1, 4, b'a', b'b', b'@', b'c', 0, 0,
        0x81, 203, 0, 1, 0x12, 0x34, 0x56, 0x78,
    ];
    assert_eq!(buffer[..len], expected);

    let [Packet::SenderReport(report), Packet::Sdes(sdes), Packet::Bye(bye)] = packets(&buffer[..len])[..] else {
        panic!("three packets")
    };
    assert_eq!((report.ssrc, report.info), (0x1234_5678, INFO));
    assert_eq!(report.blocks.about(0xAABB_CCDD), Some(BLOCK));
    assert_eq!(report.blocks.about(1), None);
    assert_eq!(BLOCK.delay_since_last_sr(), Duration::from_millis(5250));
    assert_eq!(sdes.cname(0x1234_5678), Some(&b"ab@c"[..]));
    assert_eq!(sdes.cname(1), None);
    assert_eq!(bye.sources().collect::<Vec<_>>(), [0x1234_5678]);
}

#[test]
fn rfc3550_section_6_4_2_empty_receiver_report() {
    let mut buffer = [0; 64];
    let report = Report { ssrc: 9, sender: None, blocks: &[], cname: "", bye: false };
    let len = report.write(&mut buffer).unwrap();
    assert_eq!(buffer[..len], [0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 202, 0, 2, 0, 0, 0, 9, 1, 0, 0, 0]);
    assert!(!Compound::parse(&buffer[..len]).unwrap().is_reduced_size());
}

#[test]
fn rfc3550_section_6_5_chunk_ends_with_a_zero_octet_even_on_a_word() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    writer.cname(1, "ab");
    let len = writer.finish().unwrap();
    assert_eq!(buffer[..len], [0x81, 202, 0, 3, 0, 0, 0, 1, 1, 2, b'a', b'b', 0, 0, 0, 0]);
    // Without the terminating word the chunk runs past the end.
    let cut = [0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b'];
    let malformed = RtcpError::Malformed { packet_type: 202, count: 1, len: 8 };
    assert_eq!(Compound::parse(&cut).unwrap().next(), Some(Err(malformed)));
}

#[test]
fn rfc3550_a2_lengths_versions_and_types_are_checked_before_anything_is_believed() {
    let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    let parse = |bytes: &[u8]| Compound::parse(bytes).map(|_| ()).unwrap_err();
    assert_eq!(parse(&[]), RtcpError::Length(0));
    assert_eq!(parse(&receiver_report[..7]), RtcpError::Length(7));
    assert_eq!(parse(&receiver_report[..4]), RtcpError::Truncated { packet_type: 201, len: 8, excess: 4 });
    assert_eq!(parse(&[0x40, 201, 0, 0]), RtcpError::Version(1));
    assert_eq!(parse(&[0x80, 96, 0, 0]), RtcpError::PacketType(96));
    let good_then_bad = [&receiver_report[..], &[0x00, 202, 0, 0]].concat();
    assert_eq!(parse(&good_then_bad), RtcpError::Version(0));
}

#[test]
fn rfc3550_section_6_4_1_padding_is_for_the_last_packet_only() {
    let padded = [0xA0, 201, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4];
    let [Packet::ReceiverReport(report)] = packets(&padded)[..] else { panic!("one report") };
    assert_eq!((report.ssrc, report.extension), (9, &[][..]));
    let not_last = [&padded[..], &[0x80, 203, 0, 0]].concat();
    assert_eq!(Compound::parse(&not_last).map(|_| ()), Err(RtcpError::Padding(201)));
    for count in [0, 3, 12] {
        let mut wrong = padded;
        wrong[11] = count;
        assert_eq!(Compound::parse(&wrong).map(|_| ()), Err(RtcpError::Padding(201)), "count {count}");
    }
}

#[test]
fn a_report_that_counts_more_blocks_than_it_has_is_refused_alone() {
    let lying = [0x82, 201, 0, 1, 0, 0, 0, 9];
    let bye = [0x81, 203, 0, 1, 0, 0, 0, 9];
    let datagram = [lying, bye].concat();
    let mut compound = Compound::parse(&datagram).unwrap();
    assert_eq!(compound.next(), Some(Err(RtcpError::Malformed { packet_type: 201, count: 2, len: 4 })));
    assert!(matches!(compound.next(), Some(Ok(Packet::Bye(_)))));
    assert_eq!(compound.next(), None);
}

#[test]
fn rfc5506_reduced_size_feedback() {
    let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    assert!(Compound::parse(&pli).unwrap().is_reduced_size());
    assert_eq!(packets(&pli), [Packet::Pli(Pli { sender_ssrc: 1, media_ssrc: 2 })]);
}

#[test]
fn rfc4585_section_6_2_1_nack() {
    let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF, 0x80, 0x01];
    let [Packet::Nack(nack)] = packets(&nack)[..] else { panic!("one NACK") };
    assert_eq!(nack.pairs.missing().collect::<Vec<_>>(), [0xFFFF, 0, 15]);
}

#[test]
fn rfc5104_section_4_3_1_fir() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    writer.fir(1, 2, 7);
    let len = writer.finish().unwrap();
    assert_eq!(buffer[..len], [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 0]);
    let [Packet::Fir(fir)] = packets(&buffer[..len])[..] else { panic!("one FIR") };
    assert_eq!(fir.entries.iter().collect::<Vec<_>>(), [FirEntry { ssrc: 2, command_sequence: 7 }]);
}

#[test]
fn remb_as_chrome_sends_it() {
    // 1 SSRC, exponent 3, mantissa 0x2_0001.
    let remb = [0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 3 << 2 | 2, 0, 1, 0, 0, 0, 9];
    let [Packet::Remb(remb)] = packets(&remb)[..] else { panic!("one REMB") };
    assert_eq!(remb.bitrate(), 0x2_0001 << 3);
    assert_eq!(remb.ssrcs().collect::<Vec<_>>(), [9]);
}

#[test]
fn rfc3611_section_2_extended_report_blocks() {
    let report = [0x80, 207, 0, 4, 0, 0, 0, 1, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
    let [Packet::ExtendedReport(report)] = packets(&report)[..] else { panic!("one XR") };
    let block = ExtendedReportBlock { block_type: 4, type_specific: 0, data: &[1, 2, 3, 4, 5, 6, 7, 8] };
    assert_eq!(report.blocks().collect::<Vec<_>>(), [block]);
}

#[test]
fn rfc2032_full_intra_request() {
    assert_eq!(packets(&[0x80, 192, 0, 1, 0, 0, 0, 5]), [Packet::FirH261 { sender_ssrc: 5 }]);
}

#[test]
fn a_compound_that_does_not_fit_says_so_and_stays_whole() {
    for size in 0..76 {
        let mut buffer = vec![0; size];
        let report = Report { ssrc: 1, sender: Some(INFO), blocks: &[BLOCK], cname: "ab@c", bye: true };
        assert!(report.write(&mut buffer).is_err(), "{size} octets");
    }
}

proptest! {
    #[test]
    fn reports_are_read_as_written(
        ssrc: u32, sender: bool, ntp: u64, counts: [u32; 3], bye: bool, cname in "[ -~]{0,255}",
        blocks in prop::collection::vec((any::<[u32; 5]>(), any::<u8>(), -0x80_0000i32..0x80_0000), 0..31),
    ) {
        let blocks: Vec<_> = blocks.into_iter().map(|(words, fraction_lost, cumulative_lost)| ReportBlock {
            ssrc: words[0], fraction_lost, cumulative_lost, extended_highest_sequence_number: words[1],
            jitter_in_timestamp_units: words[2], last_sr: words[3], delay_since_last_sr_in_65536ths: words[4],
        }).collect();
        let [rtp_timestamp, packet_count, octet_count] = counts;
        let info = SenderInfo { ntp: NtpTimestamp(ntp), rtp_timestamp, packet_count, octet_count };
        let mut buffer = [0; 1200];
        let report = Report { ssrc, sender: sender.then_some(info), blocks: &blocks, cname: &cname, bye };
        let len = report.write(&mut buffer).unwrap();
        let read = packets(&buffer[..len]);
        prop_assert_eq!(read.len(), 2 + usize::from(bye));
        match read[0] {
            Packet::SenderReport(report) => {
                prop_assert!(sender);
                prop_assert_eq!((report.ssrc, report.info), (ssrc, info));
                prop_assert_eq!(report.blocks.iter().collect::<Vec<_>>(), blocks);
            }
            Packet::ReceiverReport(report) => {
                prop_assert!(!sender);
                prop_assert_eq!(report.blocks.iter().collect::<Vec<_>>(), blocks);
            }
            ref other => prop_assert!(false, "{:?}", other),
        }
        let Packet::Sdes(sdes) = read[1] else { panic!("SDES second") };
        prop_assert_eq!(sdes.cname(ssrc), Some(cname.as_bytes()));
    }

    #[test]
    fn what_is_parsed_is_written_back_the_same(bytes in prop::collection::vec(any::<u8>(), 0..40), packet_type in 192u8..=208) {
        let mut datagram = vec![0x80 | bytes.first().unwrap_or(&0) & 0x1F, packet_type, 0, (bytes.len() / 4) as u8];
        datagram.extend_from_slice(&bytes[..bytes.len() / 4 * 4]);
        crate::fuzzing::rtcp_compound(&datagram);
    }
}
