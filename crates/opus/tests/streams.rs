//! Packets that are late, doubled, cut off or lie, and samples that do not come in frames of 20 ms.

mod common;

use common::{packets, position, tone};
use opus::{MAX_PACKET_LEN, Position, Rate, Read, Receiver, Sender, Settings, packet_samples};

const RATE: Rate = Rate::Hz8000;

struct Ear(Receiver, Vec<i16>);

impl Ear {
    fn new() -> Self {
        Self(Receiver::new(RATE).unwrap(), vec![0; Receiver::max_output(RATE)])
    }

    fn hear(&mut self, position: Option<Position>, packet: &[u8]) -> (usize, usize) {
        let Read { written, recovered, was_malformed } = self.0.handle_packet(position, packet, &mut self.1);
        assert!(!was_malformed);
        (written, recovered)
    }
}

fn second() -> Vec<Vec<u8>> {
    packets(RATE, &Settings::default(), &tone(RATE, 1000))
}

#[test]
fn a_late_or_doubled_packet_is_not_played_again() {
    let (packets, mut ear) = (second(), Ear::new());
    let mut hear = |number: usize| ear.hear(position(number), &packets[number]);
    assert_eq!((hear(0), hear(1)), ((160, 0), (160, 0)));
    assert_eq!(hear(1), (0, 0), "doubled");
    assert_eq!(hear(3), (320, 160), "2 is recovered from 3");
    assert_eq!(hear(2), (0, 0), "late");
    assert_eq!(hear(4), (160, 0));
}

#[test]
fn a_gap_is_filled_up_to_120_ms() {
    let (packets, mut ear) = (second(), Ear::new());
    ear.hear(position(0), &packets[0]);
    assert_eq!(ear.hear(position(30), &packets[30]), (160 + 960, 960));
}

#[test]
fn a_pause_of_the_sender_is_no_gap() {
    let (packets, mut ear) = (second(), Ear::new());
    ear.hear(position(0), &packets[0]);
    // The next number, half a second later.
    let after = Position { sequence_number: 65_501, timestamp_ms: 500 };
    assert_eq!(ear.hear(Some(after), &packets[1]), (160, 0));
}

#[test]
fn timestamps_that_wrap_make_a_gap_of_packets() {
    let (packets, mut ear) = (second(), Ear::new());
    let last_ms = i64::from(u32::MAX / 48);
    ear.hear(Some(Position { sequence_number: 9, timestamp_ms: last_ms }), &packets[0]);
    assert_eq!(ear.hear(Some(Position { sequence_number: 11, timestamp_ms: 20 }), &packets[2]), (320, 160));
}

#[test]
fn another_stream_begins_without_a_gap() {
    let (packets, mut ear) = (second(), Ear::new());
    ear.hear(position(0), &packets[0]);
    let other = |number: u16| {
        Some(Position { sequence_number: 30_000 + number, timestamp_ms: 90_000 + 20 * i64::from(number) })
    };
    assert_eq!(ear.hear(other(0), &packets[1]), (160, 0));
    assert_eq!(ear.hear(other(2), &packets[3]), (320, 160));
}

#[test]
fn a_stream_that_goes_on_behind_the_last_one_is_heard_again() {
    let (packets, mut ear) = (second(), Ear::new());
    ear.hear(position(40), &packets[40]);
    let heard: Vec<usize> = (15..40).map(|number| ear.hear(position(number), &packets[number]).0).collect();
    assert_eq!(heard.iter().filter(|written| **written == 0).count(), 10, "{heard:?}");
}

#[test]
fn what_a_jitter_buffer_has_concealed_is_not_filled_again() {
    let (packets, mut ear) = (second(), Ear::new());
    ear.hear(position(0), &packets[0]);
    assert_eq!(ear.0.handle_loss(160, &mut ear.1), 160);
    assert_eq!(ear.hear(position(2), &packets[2]), (160, 0));
    assert_eq!(ear.0.handle_loss(160, &mut ear.1), 160);
    assert_eq!(ear.hear(position(5), &packets[5]), (320, 160), "one of two");
}

#[test]
fn packets_of_every_configuration_last_what_rfc6716_section_3_1_says() {
    for configuration in 0..32_u8 {
        let tenths = match configuration {
            0..=11 => [100, 200, 400, 600][usize::from(configuration % 4)],
            12..=15 => [100, 200][usize::from(configuration % 2)],
            _ => [25, 50, 100, 200][usize::from(configuration % 4)],
        };
        for stereo in [0, 4] {
            let toc = configuration << 3 | stereo;
            assert_eq!(packet_samples(&[toc], Rate::Hz48000), Ok(tenths * 48 / 10), "{configuration}");
            // Two frames of the same length, of one octet each.
            assert_eq!(packet_samples(&[toc | 1, 0, 0], RATE), Ok(2 * tenths * 8 / 10));
            let mut ear = Ear::new();
            assert_eq!(ear.hear(None, &[toc | 1, 0, 0]), (2 * tenths * 8 / 10, 0), "{configuration}");
        }
    }
}

#[test]
fn cut_off_and_lying_packets_are_refused_and_concealed() {
    let mut receiver = Receiver::new(RATE).unwrap();
    let mut samples = vec![0; Receiver::max_output(RATE)];
    // The octets, and the milliseconds that their first says, or else those of an ordinary packet.
    let lying: [(&[u8], usize); 8] = [
        (&[], 20),
        (&[0x0b], 20),             // RFC 6716 section 3.2.5: code 3 without its second octet
        (&[0x0b, 0x00], 20),       // no frame
        (&[0x0b, 0x3f], 20),       // 63 frames of 20 ms
        (&[0x09, 1, 2, 3], 40),    // section 3.2.3: two equal frames in three octets
        (&[0x0a, 200, 1], 40),     // section 3.2.4: a first frame longer than the packet
        (&[0x0a], 40),             // no length
        (&[0x0b, 0xc2, 0xff], 40), // padding without end
    ];
    for (packet, milliseconds) in lying {
        let mut receiver = Receiver::new(RATE).unwrap();
        let read = receiver.handle_packet(None, packet, &mut samples);
        let expected = Read { written: RATE.samples(milliseconds), recovered: 0, was_malformed: true };
        assert_eq!(read, expected, "{packet:02x?}");
    }
    for packet in second() {
        for len in 1..packet.len() {
            let read = receiver.handle_packet(None, &packet[..len], &mut samples);
            assert_eq!(read.written, 160, "a frame has no length of its own, so any part of it is a frame");
        }
    }
}

#[test]
fn samples_come_out_in_frames_of_20_ms_however_they_come_in() {
    for milliseconds in [10, 20, 30, 40, 60, 100, 120, 160] {
        let mut sender = Sender::new(RATE, &Settings::default()).unwrap();
        let mut packet = [0; MAX_PACKET_LEN];
        let mut ticks = 0;
        for part in tone(RATE, 1920).chunks_exact(RATE.samples(milliseconds)) {
            assert_eq!(sender.handle_samples(part), 0);
            let Some(sent) = sender.poll_packet(&mut packet) else { continue };
            let sent = sent.unwrap();
            assert_eq!((sent.ticks % 960, sent.ticks <= 5760), (0, true), "{sent:?}");
            assert_eq!(packet_samples(&packet[..sent.len], Rate::Hz48000), Ok(sent.ticks));
            ticks += sent.ticks;
        }
        let given = 1920 / milliseconds * milliseconds * 48;
        assert_eq!(ticks + sender.waiting() * 6, given, "{milliseconds} ms");
    }
}

#[test]
fn more_than_a_second_does_not_wait() {
    let mut sender = Sender::new(RATE, &Settings::default()).unwrap();
    assert_eq!(sender.handle_samples(&tone(RATE, 900)), 0);
    assert_eq!(sender.handle_samples(&tone(RATE, 200)), 800);
}

#[test]
fn settings_outside_of_their_ranges_are_refused() {
    let refused = |settings| Sender::new(RATE, &settings).is_err();
    assert!(refused(Settings { complexity: 11, ..Settings::default() }));
    assert!(refused(Settings { expected_loss: 101, ..Settings::default() }));
    assert!(refused(Settings { bitrate: Some(0), ..Settings::default() }));
    assert!(!refused(Settings { bitrate: Some(510_000), complexity: 0, ..Settings::default() }));
}

#[test]
fn the_body_of_the_fuzz_target_takes_its_seeds() {
    let mut input = vec![0];
    for (number, packet) in second().iter().enumerate() {
        input.extend([packet.len() as u8, if number % 5 == 0 { 2 } else { 1 }]);
        input.extend(packet);
    }
    opus::fuzzing::opus_packet(&input);
    input[0] = 2;
    opus::fuzzing::opus_packet(&input);
}
