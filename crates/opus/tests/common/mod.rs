//! Sounds, and how alike two of them are.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::f64::consts::TAU;

use opus::{MAX_PACKET_LEN, Position, Rate, Sender, Settings};

/// A tone of 440 Hz.
pub fn tone(rate: Rate, milliseconds: usize) -> Vec<i16> {
    let sample = |index| ((index as f64 * TAU * 440.0 / f64::from(rate.hz())).sin() * 8000.0) as i16;
    (0..rate.samples(milliseconds)).map(sample).collect()
}

/// Voiced sound whose pitch glides, in syllables of 200 ms with noise between: what concealment cannot guess.
pub fn syllables(rate: Rate, milliseconds: usize) -> Vec<i16> {
    let (mut phase, mut random) = (0.0_f64, Random(1));
    let sample = |index: usize| {
        let time = index as f64 / f64::from(rate.hz());
        phase += TAU * (140.0 + 70.0 * (time * 9.0).sin()) / f64::from(rate.hz());
        let loudness = (time * TAU * 2.5).sin().max(0.0);
        let voice: f64 = (1..9).map(|harmonic| (phase * f64::from(harmonic)).sin() / f64::from(harmonic)).sum();
        (voice * loudness * 6000.0 + (random.next() * 2.0 - 1.0) * (1.0 - loudness) * 600.0) as i16
    };
    (0..rate.samples(milliseconds)).map(sample).collect()
}

/// Numbers from 0 to 1, the same in each run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

/// The packets of 20 ms of a sound.
pub fn packets(rate: Rate, settings: &Settings, sound: &[i16]) -> Vec<Vec<u8>> {
    let mut sender = Sender::new(rate, settings).unwrap();
    let encode = |frame: &[i16]| {
        let mut packet = [0; MAX_PACKET_LEN];
        assert_eq!(sender.handle_samples(frame), 0);
        let sent = sender.poll_packet(&mut packet).expect("a whole frame").unwrap();
        packet[..sent.len].to_vec()
    };
    sound.chunks_exact(rate.samples(20)).map(encode).collect()
}

/// The position of the packet with that number in a stream of 20 ms each.
pub fn position(number: usize) -> Option<Position> {
    Some(Position { sequence_number: (65_500 + number) as u16, timestamp_ms: number as i64 * 20 })
}

/// The largest correlation of `heard` with `sound`, over delays of up to 20 ms of the codec. 1 is equality but for the loudness.
pub fn likeness(rate: Rate, sound: &[i16], heard: &[i16]) -> f64 {
    let window = rate.samples(100)..rate.samples(300);
    (0..rate.samples(20))
        .step_by(rate.samples(1) / 8)
        .map(|delay| correlation(&sound[window.clone()], &heard[window.start + delay..window.end + delay]))
        .fold(0.0, f64::max)
}

fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let product = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt().max(1.0)
}

/// The energy of the difference of two sounds, per energy of the first.
pub fn difference(sound: &[i16], heard: &[i16]) -> f64 {
    let energy = |of: &mut dyn Iterator<Item = f64>| of.map(|sample| sample * sample).sum::<f64>();
    let apart = energy(&mut sound.iter().zip(heard).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    apart / energy(&mut sound.iter().map(|sample| f64::from(*sample)))
}
