//! Time per message: recorded messages of four clients in their order, a message of 60 KB, and hostile descriptions.
//!
//! ```sh
//! cargo bench -p sip-dialect
//! ```

#![allow(clippy::disallowed_macros, reason = "a benchmark prints what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip_dialect::{Dialect, Outcome, Rules};

macro_rules! message {
    ($name:literal) => {
        include_str!(concat!("../tests/messages/", $name, ".sip"))
    };
}

type Take = fn(&mut Dialect, &[u8]) -> Outcome;

/// Messages of JsSIP and SIP.js in Chromium and Firefox, sipML5 and aiortc, and those of chan_sip to them.
const RECORDED: [(Take, &str); 12] = [
    (Dialect::handle_client, message!("jssip-chromium-listens")),
    (Dialect::handle_client, message!("jssip-firefox-holds")),
    (Dialect::handle_client, message!("jssip-firefox-offers-video")),
    (Dialect::handle_host, message!("jssip-firefox-is-called")),
    (Dialect::handle_client, message!("jssip-firefox-accepts")),
    (Dialect::handle_client, message!("jssip-firefox-refreshes")),
    (Dialect::handle_client, message!("sipjs-chromium-calls")),
    (Dialect::handle_host, message!("sipjs-chromium-is-answered")),
    (Dialect::handle_client, message!("sipjs-chromium-hides-addresses")),
    (Dialect::handle_client, message!("sipml5-chromium-holds")),
    (Dialect::handle_client, message!("aiortc-calls")),
    (Dialect::handle_host, message!("aiortc-is-answered")),
];

/// The median over 10,000 messages, printed: criterion shows a mean, and a few messages are much longer than the others.
fn median(_: &mut Criterion) {
    let mut dialect = Dialect::new(Rules::DEFAULT);
    let mut times: Vec<Duration> = RECORDED
        .iter()
        .cycle()
        .take(10_000)
        .map(|(take, message)| {
            let begun = Instant::now();
            black_box(take(&mut dialect, black_box(message.as_bytes())));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("10000 recorded messages: median {:?}, 90 % within {:?}, 99 % within {:?}", at(50), at(90), at(99));
}

fn single(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message");
    for (name, message) in [
        ("register", register()),
        (
            "60 KB of candidates",
            long(&"a=candidate:1 1 udp 2122260223 192.0.2.10 40000 typ host generation 0\r\n".repeat(840)),
        ),
        ("60 KB of short lines", long(&"a=\n".repeat(20_000))),
        ("60 KB without a line end", long(&"a".repeat(60_000))),
        ("60 KB of sections", long(&"m=audio 9 RTP/AVP 0\n".repeat(3_000))),
    ] {
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |bencher| {
            let mut dialect = Dialect::new(Rules::DEFAULT);
            bencher.iter(|| black_box(dialect.handle_client(black_box(message.as_bytes()))));
        });
    }
}

fn register() -> String {
    message!("jssip-firefox-refreshes").replace("UPDATE", "REGISTER")
}

fn long(lines: &str) -> String {
    let body = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n{lines}");
    let head = "INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/WS a\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

criterion_group!(benches, median, single);
criterion_main!(benches);
