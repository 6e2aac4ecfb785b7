//! The work for every message: unmasking, and the path of a SIP message through a connection.

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use websocket::frame::Header;
use websocket::{Config, Connection, Deflate, Opcode, mask};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn masking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for len in [64, 64 * 1024] {
        group.throughput(Throughput::Bytes(len as u64));
        let mut data = vec![b'x'; len];
        group.bench_function(format!("{len} octets"), |bencher| {
            bencher.iter(|| mask::apply(black_box(KEY), 0, black_box(&mut data)));
        });
    }
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message");
    for len in [64, 1024, 8192] {
        let now = Instant::now();
        let mut server = Connection::server(now, Config::default());
        let mut wire = Vec::new();
        Header { fin: true, compressed: false, opcode: Opcode::Text, masking_key: Some(KEY), payload_len: len as u64 }
            .write(&mut wire);
        let mut payload = vec![b'x'; len];
        mask::apply(KEY, 0, &mut payload);
        wire.extend_from_slice(&payload);
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("in, {len} octets"), |bencher| {
            bencher.iter(|| {
                server.handle_data(now, black_box(&wire));
                server.poll_event(now)
            });
        });
        let text = vec![b'x'; len];
        group.bench_function(format!("out, {len} octets"), |bencher| {
            bencher.iter_batched(
                || (),
                |()| {
                    server.send(now, Opcode::Text, black_box(&text)).expect("nothing waits");
                    let taken = server.poll_transmit().map_or(0, <[u8]>::len);
                    server.handle_transmitted(taken);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Measures a message that compresses as SIP does, in both directions.
fn compressed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("permessage-deflate");
    let now = Instant::now();
    let config = Config { deflate: Some(Deflate::default()), ..Config::default() };
    let mut client = Connection::client(now, config.clone(), Box::new(|| KEY));
    let mut server = Connection::server(now, config);
    let sip = "Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks\r\n".repeat(16);
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("there and back, {} octets", sip.len()), |bencher| {
        bencher.iter(|| {
            client.send(now, Opcode::Text, black_box(sip.as_bytes())).expect("nothing waits");
            let taken = client.poll_transmit().map_or(0, |wire| {
                server.handle_data(now, wire);
                wire.len()
            });
            client.handle_transmitted(taken);
            server.poll_event(now)
        });
    });
    group.finish();
}

criterion_group!(benches, masking, messages, compressed);
criterion_main!(benches);
