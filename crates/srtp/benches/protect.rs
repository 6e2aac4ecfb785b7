//! Protecting and unprotecting payloads of 160 bytes (20 ms of G.711) and 1200 bytes (video), with the suite that every
//! implementation has and with the one that browsers prefer.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use media_srtp::{MAX_TRAILER_LEN, Policy, Session, Streams, Suite};

fn packets(criterion: &mut Criterion) {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        for payload in [160, 1200] {
            let mut group = criterion.benchmark_group(format!("{suite:?}/{payload}"));
            group.throughput(Throughput::Elements(1));
            group.bench_function("protect", |bencher| {
                let mut sender = session(suite, Streams::AnyOutbound);
                let mut sequence_number = 0_u16;
                let mut buffer = packet(payload);
                bencher.iter(|| {
                    sequence_number = sequence_number.wrapping_add(1);
                    buffer[2..4].copy_from_slice(&sequence_number.to_be_bytes());
                    sender.protect_rtp(&mut buffer, 12 + payload).expect("a fresh sequence number")
                });
            });
            // As the module does on host threads.
            group.bench_function("protect and thread_stop", |bencher| {
                let mut sender = session(suite, Streams::AnyOutbound);
                let mut sequence_number = 0_u16;
                let mut buffer = packet(payload);
                bencher.iter(|| {
                    sequence_number = sequence_number.wrapping_add(1);
                    buffer[2..4].copy_from_slice(&sequence_number.to_be_bytes());
                    let len = sender.protect_rtp(&mut buffer, 12 + payload).expect("a fresh sequence number");
                    media_srtp::thread_stop();
                    len
                });
            });
            group.bench_function("unprotect", |bencher| {
                let mut sender = session(suite, Streams::AnyOutbound);
                let mut receiver = session(suite, Streams::AnyInbound);
                let mut sequence_number = 0_u16;
                bencher.iter_batched_ref(
                    || {
                        sequence_number = sequence_number.wrapping_add(1);
                        let mut buffer = packet(payload);
                        buffer[2..4].copy_from_slice(&sequence_number.to_be_bytes());
                        let len = sender.protect_rtp(&mut buffer, 12 + payload).expect("a fresh sequence number");
                        buffer.truncate(len);
                        buffer
                    },
                    |buffer| receiver.unprotect_rtp(buffer).expect("what the sender protected"),
                    BatchSize::SmallInput,
                );
            });
            group.finish();
        }
    }
}

fn session(suite: Suite, streams: Streams) -> Session {
    let key = vec![0x5a; suite.master_len()];
    let policy = Policy::new(streams, suite, &key).expect("a key of the suite's length");
    Session::new(&[policy]).expect("libsrtp makes a session")
}

fn packet(payload: usize) -> Vec<u8> {
    let mut packet = vec![0xd5; 12 + payload + MAX_TRAILER_LEN];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 160, 0xca, 0xfe, 0xba, 0xbe]);
    packet
}

criterion_group!(benches, packets);
criterion_main!(benches);
