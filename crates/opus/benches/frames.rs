//! The cost of transcoding 20 ms each way, with the default settings.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opus::{MAX_PACKET_LEN, Rate, Receiver, Sender, Settings};

fn frames(criterion: &mut Criterion) {
    for rate in Rate::ALL {
        let mut group = criterion.benchmark_group(format!("{} Hz", rate.hz()));
        group.throughput(Throughput::Elements(1));
        let sound = syllables(rate);
        let frames: Vec<&[i16]> = sound.chunks_exact(rate.samples(20)).collect();
        let mut packet = [0; MAX_PACKET_LEN];
        let mut sender = Sender::new(rate, &Settings::default()).expect("an encoder");
        let mut encode = |frame| {
            sender.handle_samples(frame);
            sender.poll_packet(&mut packet).expect("a whole frame").expect("a packet").len
        };
        let mut next = frames.iter().cycle();
        group.bench_function("encode", |bencher| bencher.iter(|| encode(next.next().expect("an endless sound"))));
        let packets = packets(rate, &frames);
        let mut next = packets.iter().cycle();
        let mut receiver = Receiver::new(rate).expect("a decoder");
        let mut samples = vec![0; Receiver::max_output(rate)];
        group.bench_function("decode", |bencher| {
            bencher.iter(|| receiver.handle_packet(None, next.next().expect("an endless sound"), &mut samples).written);
        });
        group.finish();
    }
}

fn packets(rate: Rate, frames: &[&[i16]]) -> Vec<Vec<u8>> {
    let mut sender = Sender::new(rate, &Settings::default()).expect("an encoder");
    let encode = |frame: &&[i16]| {
        let mut packet = [0; MAX_PACKET_LEN];
        sender.handle_samples(frame);
        let sent = sender.poll_packet(&mut packet).expect("a whole frame").expect("a packet");
        packet[..sent.len].to_vec()
    };
    frames.iter().map(encode).collect()
}

/// Two seconds of voiced sound whose pitch glides, in syllables of 200 ms with noise between.
fn syllables(rate: Rate) -> Vec<i16> {
    let (mut phase, mut noise) = (0.0_f64, 1_u32);
    let sample = |index: usize| {
        let time = index as f64 / f64::from(rate.hz());
        let pitch = 120.0 + 60.0 * (time * 2.3).sin();
        phase += std::f64::consts::TAU * pitch / f64::from(rate.hz());
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise >> 16) / 32768.0 - 1.0;
        let loudness = (time * std::f64::consts::TAU * 2.5).sin().max(0.0);
        let voice: f64 = (1..9).map(|harmonic| (phase * f64::from(harmonic)).sin() / f64::from(harmonic)).sum();
        (voice * loudness * 6000.0 + hiss * (1.0 - loudness) * 400.0) as i16
    };
    (0..rate.samples(2000)).map(sample).collect()
}

criterion_group!(benches, frames);
criterion_main!(benches);
