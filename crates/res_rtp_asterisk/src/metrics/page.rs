//! Writes the page.

use std::sync::atomic::Ordering;
use std::time::Instant;

use exposition::{Format, Page};

use super::{kept, totals};
use crate::diagnosis::counters;
use crate::globals::Globals;
use crate::metrics::totals::{Counts, OUTCOMES, STAGES};
use crate::transport::ports;

/// The files of the other modules that have metrics.
const OTHERS: [&str; 2] = ["res_http_websocket.so", "res_srtp.so"];

/// Writes the metrics of all our modules.
pub fn written(globals: &Globals, format: Format) -> String {
    let node = asterisk::node::name();
    let mut page = Page::new(format, &[(asterisk::metrics::NODE, &node)]);
    write_build(&mut page);
    write_sessions(globals, &mut page);
    write_quality(&mut page);
    write_set_up(&mut page);
    write_ports(globals, &mut page);
    let others = OTHERS.iter().filter_map(|module| asterisk::metrics::of_module(module, format, &node));
    others.for_each(|families| page.append(&families));
    page.finish()
}

fn write_build(page: &mut Page) {
    let host = asterisk::symbols::host_version().unwrap_or("unknown");
    page.gauge("asterisk_webrtc_build_info", "The version of these modules, and of the Asterisk that they run in; 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION")), ("asterisk", host)], 1);
}

fn write_sessions(globals: &Globals, page: &mut Page) {
    // Before the sessions that are up, see `totals::ended`.
    let ended = totals::ended();
    let (mut live, mut stages, now) = (Counts::default(), [0_u64; STAGES.len()], Instant::now());
    // The self-test is no call.
    for session in globals.worker().tasks().all().iter().filter(|session| !session.is_trial()) {
        session.peek(|state| {
            totals::add_live(&mut live, state);
            stages[totals::stage(state, now) as usize] += 1;
        });
    }
    let told = totals::rise(ended, &live);
    let mut family =
        page.gauge("asterisk_rtp_sessions", "RTP sessions that are up, by how far they are on their way to media.");
    STAGES.iter().zip(stages).for_each(|(stage, count)| {
        family.sample(&[("state", stage)], count);
    });
    let mut family =
        page.counter("asterisk_rtp_ended_sessions", "RTP sessions that have ended, by the media that they had.");
    OUTCOMES.iter().zip(told.ended).for_each(|(outcome, count)| {
        family.sample(&[("media", outcome)], count);
    });
    page.counter("asterisk_rtp_packets", "RTP packets of all sessions.")
        .sample(&RECEIVED, told.received.packets)
        .sample(&SENT, told.sent.packets);
    page.counter("asterisk_rtp_payload_bytes", "Payload of RTP packets.")
        .sample(&RECEIVED, told.received.octets)
        .sample(&SENT, told.sent.octets);
    page.counter(
        "asterisk_rtp_lost_packets",
        "RTP packets that the receiver has missed; sent ones as peers report them.",
    )
    .sample(&RECEIVED, told.received.lost)
    .sample(&SENT, told.sent.lost);
    let mut family =
        page.counter("asterisk_rtp_refused_packets", "Datagrams that were refused, and packets that were not sent.");
    counters::NAMES.iter().zip(told.refused).for_each(|(reason, count)| {
        family.sample(&[("reason", &reason.replace(' ', "_"))], count);
    });
    page.counter("asterisk_rtp_calls_ended", "Calls that were ended because their peer was gone (consenttimeout).")
        .sample(&[], globals.endings().ended());
    page.histogram("asterisk_rtp_worker_turn_seconds", "Time that the worker thread takes from one sleep to the next.")
        .reading(&[], &globals.worker().tasks().turns());
}

fn write_quality(page: &mut Page) {
    page.histogram("asterisk_rtp_jitter_seconds", "Interarrival jitter (RFC 3550), at each RTCP report.")
        .reading(&RECEIVED, &kept::OUR_JITTER.read())
        .reading(&SENT, &kept::THEIR_JITTER.read());
    page.histogram("asterisk_rtp_loss_ratio", "Fraction of packets lost since the report before, at each RTCP report.")
        .reading(&RECEIVED, &kept::OUR_LOSS.read())
        .reading(&SENT, &kept::THEIR_LOSS.read());
    page.histogram("asterisk_rtp_round_trip_seconds", "Round trips between us and the peers, from their RTCP reports.")
        .reading(&[], &kept::ROUND_TRIP.read());
}

fn write_set_up(page: &mut Page) {
    let stages = [("ice", kept::ICE.read()), ("dtls", kept::DTLS.read()), ("media", kept::FIRST_PACKET.read())];
    let help = "Time that a stage of set-up took: ICE from the answer to a pair, DTLS from there to keys, then the first packet.";
    let mut family = page.histogram("asterisk_rtp_setup_seconds", help);
    for (stage, read) in &stages {
        family.reading(&[("stage", stage)], read);
    }
    let mut family =
        page.counter("asterisk_rtp_ice_pairs", "Pairs that ICE has selected, by the types of their candidates.");
    for (local, remote, count) in kept::pairs() {
        family.sample(&[("local", local), ("remote", remote)], count);
    }
    page.counter("asterisk_rtp_ice_failures", "Answered calls in which no candidate pair works.")
        .sample(&[], kept::ICE_FAILURES.load(Ordering::Relaxed));
    page.counter("asterisk_rtp_ice_consents_lost", "Times that a peer has stopped answering checks (RFC 7675).")
        .sample(&[], kept::CONSENTS_LOST.load(Ordering::Relaxed));
    let mut family =
        page.counter("asterisk_rtp_dtls_handshakes", "Handshakes that gave keys, by DTLS version and SRTP profile.");
    for ((version, profile), count) in kept::handshakes() {
        family.sample(&[("version", version), ("profile", profile)], count);
    }
    let mut family = page.counter("asterisk_rtp_dtls_failures", "Handshakes that failed, by reason.");
    for (reason, count) in kept::failed_handshakes() {
        family.sample(&[("reason", reason)], count);
    }
}

fn write_ports(globals: &Globals, page: &mut Page) {
    let ((first, last), (used, failures)) = (globals.settings().ports, ports::usage());
    page.gauge("asterisk_rtp_port_pairs_used", "Pairs of UDP ports that sessions use.").sample(&[], used);
    page.gauge("asterisk_rtp_port_pairs_configured", "Pairs of UDP ports from rtpstart to rtpend.")
        .sample(&[], u32::from(last - first).div_ceil(2));
    page.counter("asterisk_rtp_port_failures", "Sessions that got no port, because all were used.")
        .sample(&[], failures);
    let relays = globals.relays().measured();
    page.gauge("asterisk_rtp_turn_allocations_ready", "Allocations at TURN servers that are kept ready.")
        .sample(&[], relays.ready);
    page.counter("asterisk_rtp_turn_requests", "Sessions that asked for a relayed address, by what they got.")
        .sample(&[("outcome", "served")], relays.served)
        .sample(&[("outcome", "none_ready")], relays.unserved);
}

const RECEIVED: [(&str, &str); 1] = [("direction", "received")];
const SENT: [(&str, &str); 1] = [("direction", "sent")];
