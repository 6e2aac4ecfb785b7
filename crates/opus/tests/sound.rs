//! The sound that is heard: a tone through both ways, and sound with packets missing.

mod common;

use common::{Random, difference, likeness, packets, position, syllables, tone};
use opus::{Rate, Receiver, Settings};

/// Decodes packets, without those that `is_lost` names, and fills what is missing at the end with silence.
fn heard(rate: Rate, packets: &[Vec<u8>], is_lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let mut receiver = Receiver::new(rate).unwrap();
    let mut samples = vec![0; Receiver::max_output(rate)];
    let mut all = Vec::new();
    for (number, packet) in packets.iter().enumerate().filter(|(number, _)| !is_lost(*number)) {
        let read = receiver.handle_packet(position(number), packet, &mut samples);
        assert!(!read.was_malformed);
        all.extend_from_slice(&samples[..read.written]);
    }
    all
}

#[test]
fn a_tone_passes_between_all_rates() {
    for from in Rate::ALL {
        let packets = packets(from, &Settings::default(), &tone(from, 500));
        for to in Rate::ALL {
            let alike = likeness(to, &tone(to, 500), &heard(to, &packets, |_| false));
            assert!(alike > 0.95, "{from:?} to {to:?}: {alike}");
        }
    }
}

#[test]
fn lost_packets_leave_no_hole_and_the_clock_keeps_time() {
    for rate in Rate::ALL {
        let packets = packets(rate, &Settings::default(), &tone(rate, 2000));
        let heard = heard(rate, &packets, |number| matches!(number, 8 | 12 | 13 | 60..=62));
        assert_eq!(heard.len(), rate.samples(2000), "{rate:?}");
        let alike = likeness(rate, &tone(rate, 2000), &heard);
        assert!(alike > 0.9, "{rate:?}: {alike}");
    }
}

#[test]
fn at_five_percent_loss_copies_sound_better_than_concealment() {
    for rate in Rate::ALL {
        let sound = syllables(rate, 10_000);
        let [with, without] = [true, false].map(|forward_error_correction| {
            let settings = Settings { forward_error_correction, ..Settings::default() };
            let packets = packets(rate, &settings, &sound);
            let mut random = Random(7);
            let lost: Vec<bool> = packets.iter().map(|_| random.next() < 0.05).collect();
            let (whole, holed) = (heard(rate, &packets, |_| false), heard(rate, &packets, |number| lost[number]));
            difference(&whole, &holed)
        });
        assert!(with < without * 0.7, "{rate:?}: {with} with copies, {without} without");
    }
}

#[test]
fn a_stereo_packet_is_mixed_down() {
    let left: Vec<i16> = tone(Rate::Hz48000, 500);
    let both: Vec<i16> = left.iter().flat_map(|sample| [*sample, *sample]).collect();
    let packets = stereo_packets(&both);
    assert!(packets.iter().skip(5).all(|packet| packet[0] & 4 != 0), "RFC 6716 section 3.1: the bit s");
    for rate in Rate::ALL {
        let alike = likeness(rate, &tone(rate, 500), &heard(rate, &packets, |_| false));
        assert!(alike > 0.95, "{rate:?}: {alike}");
    }
}

fn stereo_packets(samples: &[i16]) -> Vec<Vec<u8>> {
    use opusic_sys as sys;
    let mut code = 0;
    // SAFETY: libopus writes the code and makes an encoder, which is destroyed below. Each call reads 960 pairs of samples and writes
    // at most 1275 bytes. The request takes one int.
    unsafe {
        let encoder = sys::opus_encoder_create(48_000, 2, sys::OPUS_APPLICATION_AUDIO, &raw mut code);
        assert!(!encoder.is_null());
        sys::opus_encoder_ctl(encoder, sys::OPUS_SET_FORCE_CHANNELS_REQUEST, 2);
        let encode = |frame: &[i16]| {
            let mut packet = vec![0; 1275];
            let len = sys::opus_encode(encoder, frame.as_ptr(), 960, packet.as_mut_ptr(), 1275);
            packet.truncate(len.try_into().expect("a packet"));
            packet
        };
        let packets = samples.chunks_exact(1920).map(encode).collect();
        sys::opus_encoder_destroy(encoder);
        packets
    }
}
