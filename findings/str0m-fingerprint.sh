#!/bin/bash
# str0m 0.24.1 (a Rust crate) takes a=fingerprint:SHA-256 for the fingerprint of another certificate.
#
# Two str0m peers call each other in memory. The second call differs in one thing: on the way, the offer's "sha-256"
# becomes "SHA-256". RFC 8122, section 5, writes the name of the hash as a string of ABNF, which is matched without
# regard to case (RFC 5234, section 2.3). str0m takes the offer and answers it, ICE and the DTLS handshake succeed, and
# then the answerer compares its own "sha-256" with the text of the offer, letter by letter, and ends the call with
# "remote fingerprint no match", although the digest is right. So a server that writes the name in capitals, as RFC 4572
# did in its example, has to change it, and whoever reads that error looks for a wrong certificate.
#
# It needs Rust 1.85 or later, and builds for some minutes.
#
# Output seen:
#   str0m 0.24.1
#   a=fingerprint:sha-256: connected
#   a=fingerprint:SHA-256: the answerer says "remote sdp: remote fingerprint no match"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "call"
version = "0.0.0"
edition = "2021"

[dependencies]
str0m = { version = "=0.24.1", default-features = false, features = ["rust-crypto"] }

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RS'
use std::mem::take;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Input, Output, Rtc, RtcError};

/// Source, destination and contents.
type Datagram = (SocketAddr, SocketAddr, Vec<u8>);

fn peer(address: &str, now: Instant) -> Rtc {
    let mut rtc = Rtc::builder().build(now);
    rtc.add_local_candidate(Candidate::host(address.parse().unwrap(), "udp").unwrap());
    rtc
}

/// Takes everything that the peer sends before it wants to wait.
fn poll(rtc: &mut Rtc, sent: &mut Vec<Datagram>) -> Result<(), RtcError> {
    loop {
        match rtc.poll_output()? {
            Output::Transmit(t) => sent.push((t.source, t.destination, t.contents.to_vec())),
            Output::Event(_) => {}
            Output::Timeout(_) => return Ok(()),
        }
    }
}

/// Hands the peer its datagrams and the time; returns what it sends.
fn pass(rtc: &mut Rtc, now: Instant, received: Vec<Datagram>) -> Result<Vec<Datagram>, RtcError> {
    let mut sent = Vec::new();
    for (source, destination, contents) in received {
        let datagram = Receive::new(Protocol::Udp, source, destination, &contents).unwrap();
        rtc.handle_input(Input::Receive(now, datagram))?;
        poll(rtc, &mut sent)?;
    }
    rtc.handle_input(Input::Timeout(now))?;
    poll(rtc, &mut sent)?;
    Ok(sent)
}

fn connect(offerer: &mut Rtc, answerer: &mut Rtc, mut now: Instant) -> String {
    let (mut to_offerer, mut to_answerer) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        now += Duration::from_millis(10);
        match pass(offerer, now, take(&mut to_offerer)) {
            Ok(sent) => to_answerer.extend(sent),
            Err(error) => return format!("the offerer says \"{error}\""),
        }
        match pass(answerer, now, take(&mut to_answerer)) {
            Ok(sent) => to_offerer.extend(sent),
            Err(error) => return format!("the answerer says \"{error}\""),
        }
        if offerer.is_connected() && answerer.is_connected() {
            return "connected".into();
        }
    }
    "not connected".into()
}

/// A call whose offer names its hash as given.
fn call(hash: &str) -> String {
    let now = Instant::now();
    let (mut offerer, mut answerer) = (peer("127.0.0.1:4000", now), peer("127.0.0.1:4002", now));
    let mut changes = offerer.sdp_api();
    changes.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
    let (offer, pending) = changes.apply().unwrap();
    let offer = offer.to_sdp_string().replace("a=fingerprint:sha-256 ", &format!("a=fingerprint:{hash} "));
    assert!(offer.contains(&format!("a=fingerprint:{hash} ")));
    let answer = answerer.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer).unwrap()).unwrap();
    let answer = SdpAnswer::from_sdp_string(&answer.to_sdp_string()).unwrap();
    offerer.sdp_api().accept_answer(pending, answer).unwrap();
    connect(&mut offerer, &mut answerer, now)
}

fn main() {
    for hash in ["sha-256", "SHA-256"] {
        println!("a=fingerprint:{hash}: {}", call(hash));
    }
}
RS
CARGO_TARGET_DIR=target cargo build --quiet >&2
cargo tree --depth 1 --prefix none | sed -n 's/^str0m v\([^ ]*\).*/str0m \1/p' | tee seen
target/debug/call | tee -a seen
cat > expected <<'TEXT'
str0m 0.24.1
a=fingerprint:sha-256: connected
a=fingerprint:SHA-256: the answerer says "remote sdp: remote fingerprint no match"
TEXT
cmp seen expected
