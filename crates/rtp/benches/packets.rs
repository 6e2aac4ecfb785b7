//! The work for every packet of a call: reads and writes a header, and counts a received packet.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtp::statistics::ReceiverStatistics;
use rtp::{Header, Packet};

const HEADER: Header = Header { marker: false, payload_type: 0, sequence_number: 1, timestamp: 160, ssrc: 0x1234_5678 };

fn header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    group.throughput(Throughput::Elements(1));
    let mut datagram = [0; 172];
    HEADER.write(&mut datagram);
    group.bench_function("parse 160 octets", |bencher| bencher.iter(|| Packet::parse(black_box(&datagram)).is_ok()));
    group.bench_function("write", |bencher| bencher.iter(|| black_box(HEADER).write(black_box(&mut datagram))));
    group.finish();
}

fn reception(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reception");
    group.throughput(Throughput::Elements(1));
    let (mut receiver, mut now, mut header) = (ReceiverStatistics::default(), Instant::now(), HEADER);
    let mut datagram = [0; 172];
    group.bench_function("update", |bencher| {
        bencher.iter(|| {
            now += Duration::from_millis(20);
            header.sequence_number = header.sequence_number.wrapping_add(1);
            header.timestamp = header.timestamp.wrapping_add(160);
            header.write(&mut datagram);
            Packet::parse(&datagram)
                .map(|packet| receiver.update(now, &packet.header(), packet.payload.len(), Some(8000)))
        });
    });
    group.finish();
}

criterion_group!(benches, header, reception);
criterion_main!(benches);
