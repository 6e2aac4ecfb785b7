//! This module's part of the metrics that `res_rtp_asterisk` serves.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};

use asterisk::metrics::{self, Take, Write};
use exposition::Page;

use crate::counters::{Counters, Sums};
use crate::running::{Running, running};

/// Writes the families of this module, see [`metrics::Write`].
///
/// # Safety
/// The arguments are as [`metrics::Write`] says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn asterisk_webrtc_metrics(
    format: c_int,
    node: *const c_char,
    take: Take,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: our caller promises it.
    unsafe { metrics::answer(format, node, take, argument, |page| running().map(|running| write(&running, page))) }
}

const _: Write = asterisk_webrtc_metrics;

fn write(running: &Running, page: &mut Page) {
    write_sessions(running, page);
    write_counters(&running.counters, page);
    page.histogram(
        "asterisk_websocket_worker_turn_seconds",
        "Time that the worker thread takes from one sleep to the next.",
    )
    .reading(&[], &running.worker.tasks().turns());
}

fn write_sessions(running: &Running, page: &mut Page) {
    // Before the sessions that are up, see `Counters::past`.
    let mut sums = running.counters.past();
    let (mut up, mut queued) = (BTreeMap::new(), 0);
    for session in running.worker.tasks().all() {
        let Some(waiting) = session.measure(&mut sums) else { continue };
        let transport = if session.is_secure() { "wss" } else { "ws" };
        *up.entry((session.protocol().name().to_owned(), transport)).or_insert(0_u64) += 1;
        queued += waiting;
    }
    let Sums([messages_in, messages_out, bytes_in, bytes_out]) = running.counters.rise(sums);
    let mut family = page.gauge("asterisk_websocket_sessions", "WebSocket sessions that are up.");
    for ((protocol, transport), count) in &up {
        family.sample(&[("protocol", protocol), ("transport", transport)], count);
    }
    page.gauge("asterisk_websocket_queued_bytes", "Output of all sessions that waits for the network.")
        .sample(&[], queued);
    page.counter("asterisk_websocket_messages", "Messages of all sessions.")
        .sample(&RECEIVED, messages_in)
        .sample(&SENT, messages_out);
    page.counter("asterisk_websocket_payload_bytes", "Payload of messages.")
        .sample(&RECEIVED, bytes_in)
        .sample(&SENT, bytes_out);
}

fn write_counters(counters: &Counters, page: &mut Page) {
    page.counter("asterisk_websocket_accepted_sessions", "WebSocket sessions that have begun.")
        .sample(&[], counters.all_accepted());
    let mut family = page.counter("asterisk_websocket_refused_requests", "Requests that were refused, by reason.");
    for (reason, count) in counters.all_refused() {
        family.sample(&[("reason", &reason.replace(' ', "_"))], count);
    }
    let mut family =
        page.counter("asterisk_websocket_ended_sessions", "WebSocket sessions that have ended, by reason.");
    for (reason, count) in counters.all_ended() {
        family.sample(&[("reason", &reason.replace(' ', "_"))], count);
    }
    let mut family = page
        .counter("asterisk_websocket_mended_messages", "SIP messages that a rule has changed or answered, by rule.");
    for (rule, count) in counters.sip() {
        family.sample(&[("rule", rule)], count);
    }
    page.counter("asterisk_websocket_keepalives", "Keepalives of CRLF that were answered.")
        .sample(&[], counters.all_kept_alive());
    page.counter(
        "asterisk_websocket_failed_invites",
        "INVITEs that were answered with 408 because their client was gone.",
    )
    .sample(&[], counters.all_answered());
}

const RECEIVED: [(&str, &str); 1] = [("direction", "received")];
const SENT: [(&str, &str); 1] = [("direction", "sent")];
