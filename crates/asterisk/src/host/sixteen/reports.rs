//! RTCP reports as messages on the host's bus, which turns them into manager events and statistics, and as lines of the console in
//! the words of the original module.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::ptr::NonNull;
use std::time::Duration;

use crate::rtp::{Block, Direction, Head, Kind, Report, Sender};
use crate::{Ao2, log, module, sys, time};

/// Publishes a report. Wraps `ast_rtp_publish_rtcp_message`.
///
/// # Safety
/// The instance is live, and this thread has its lock.
pub unsafe fn publish(instance: *mut sys::ast_rtp_instance, report: &Report) {
    let Some(message) = message(report) else { return };
    let mut details = Details::new();
    // SAFETY: message types live as long as the core. The report and the details are ours and live, and the host
    // takes its own references.
    unsafe {
        let kind = match report.direction {
            Direction::Sent { .. } => {
                details.text(c"to", &report.peer.to_string());
                details.text(c"from", &local(report).to_string());
                details.score(report.score);
                sys::ast_rtp_rtcp_sent_type()
            }
            Direction::Received { round_trip, .. } => {
                details.text(c"from", &report.peer.to_string());
                details.text(c"to", &local(report).to_string());
                details.number(c"rtt", round_trip.unwrap_or_default().as_secs_f64());
                details.score(report.score);
                sys::ast_rtp_rtcp_received_type()
            }
        };
        sys::ast_rtp_publish_rtcp_message(instance, kind, message.as_ptr(), details.0);
    }
}

/// The words of the answers to `rtp set debug` and `rtcp set debug`, behind "RTP" or "RTCP".
pub const DEBUGGING: &str = "Packet Debugging";

/// The words about a received packet; `None` for types that these hosts do not know.
pub(crate) fn kind(head: &Head) -> Option<Kind> {
    let Head { packet_type, count, .. } = *head;
    let name = match packet_type {
        205 => "RTPFB",
        206 => "PSFB",
        _ => head.name()?,
    };
    let counted = match (packet_type, count) {
        (205, 1) => "Packet Subtype: 1 (NACK)".to_owned(),
        (206, 15) => "Packet Subtype: 15 (REMB)".to_owned(),
        (205 | 206, _) => format!("Packet Subtype: {count} (Unknown)"),
        _ => format!("Reception reports: {count}"),
    };
    let received = (packet_type == 206 && count == 15).then(|| "Received REMB report".to_owned());
    Some(Kind { packet_type: format!("{packet_type} ({name})"), counted, received })
}

/// Returns the lines about a report.
pub fn lines(report: &Report) -> String {
    match report.direction {
        Direction::Sent { jitter, via_ice } => sent_lines(report, jitter, via_ice),
        Direction::Received { round_trip, jitter, .. } => received_lines(report, round_trip, jitter),
    }
}

fn sent_lines(report: &Report, jitter: Duration, via_ice: bool) -> String {
    let kind = if report.sender.is_some() { "SR" } else { "RR" };
    let via = if via_ice { " (via ICE)" } else { "" };
    let mut lines = format!("* Sent RTCP {kind} to {}{via}\n  Our SSRC: {}\n", report.peer, report.ssrc);
    // Writing to a String cannot fail, here and below.
    if let Some(Sender { time_of_day, rtp_timestamp, packet_count, octet_count, .. }) = report.sender {
        let (seconds, microseconds) = (time_of_day.as_secs(), time_of_day.subsec_micros());
        let _ = write!(
            lines,
            "  Sent(NTP): {seconds}.{microseconds:06}\n  Sent(RTP): {rtp_timestamp}\n  Sent packets: {packet_count}\n  \
             Sent octets: {octet_count}\n"
        );
    }
    if let Some(block) = report.block {
        let _ = write!(
            lines,
            "  Report block:\n    Their SSRC: {}\n    Fraction lost: {}\n    Cumulative loss: {}\n    Highest seq no: {}\n{}    \
             Their last SR: {}\n    DLSR: {:.4} (sec)\n\n",
            block.ssrc,
            block.fraction_lost,
            block.cumulative_lost,
            block.extended_highest_sequence_number,
            jitter_lines(&block, jitter),
            block.last_sr,
            delay(&block)
        );
    }
    lines
}

#[cfg(feature = "host-16")]
fn jitter_lines(_block: &Block, jitter: Duration) -> String {
    format!("    IA jitter: {:.4}\n", jitter.as_secs_f64())
}

#[cfg(feature = "host-22")]
fn jitter_lines(block: &Block, jitter: Duration) -> String {
    let (samples, seconds) = (block.jitter_in_timestamp_units, jitter.as_secs_f64());
    format!("    IA jitter (samp): {samples}\n    IA jitter (secs): {seconds:.6}\n")
}

fn received_lines(report: &Report, round_trip: Option<Duration>, jitter: Duration) -> String {
    let mut lines = String::new();
    if let Some(Sender { time_of_day, rtp_timestamp, packet_count, octet_count, .. }) = report.sender {
        let (seconds, microseconds) = (time_of_day.as_secs(), time_of_day.subsec_micros());
        let _ = write!(
            lines,
            "NTP timestamp: {seconds}.{microseconds:06}\nRTP timestamp: {rtp_timestamp}\nSPC: {packet_count}\tSOC: {octet_count}\n"
        );
    }
    if let Some(block) = report.block {
        let highest = block.extended_highest_sequence_number;
        let _ = write!(
            lines,
            "  Fraction lost: {}\n  Packets lost so far: {}\n  Highest sequence number: {}\n  Sequence number cycles: {}\n  \
             Interarrival jitter{}  Last SR(our NTP): {}.{:010}\n  DLSR: {:.4} (sec)\n  RTT: {:.4}(sec)\n{}",
            block.fraction_lost,
            block.cumulative_lost,
            highest & 0xFFFF,
            highest >> 16,
            received_jitter(&block, jitter),
            block.last_sr >> 16,
            block.last_sr << 16,
            delay(&block),
            round_trip.unwrap_or_default().as_secs_f64(),
            score_line(report.score)
        );
    }
    lines
}

#[cfg(feature = "host-16")]
fn received_jitter(block: &Block, _jitter: Duration) -> String {
    format!(": {}\n", block.jitter_in_timestamp_units)
}

#[cfg(feature = "host-22")]
fn received_jitter(block: &Block, jitter: Duration) -> String {
    let (samples, seconds) = (block.jitter_in_timestamp_units, jitter.as_secs_f64());
    format!(" (samp): {samples}\n  Interarrival jitter (secs): {seconds:.6}\n")
}

/// The line with the score, which only Asterisk 22 has.
fn score_line(score: f64) -> String {
    if cfg!(feature = "host-22") { format!("  MES: {score:4.1}\n") } else { String::new() }
}

fn delay(block: &Block) -> f64 {
    f64::from(block.delay_since_last_sr_in_65536ths) / 65536.0
}

/// Returns our address of a report. If the socket has none of its own, that which the kernel sends to the peer from.
fn local(report: &Report) -> SocketAddr {
    let outside = || {
        // Nothing is sent.
        let socket = UdpSocket::bind((report.local.ip(), 0)).ok()?;
        socket.connect(report.peer).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let ip = Some(report.local.ip()).filter(|ip| !ip.is_unspecified()).or_else(outside);
    SocketAddr::new(ip.unwrap_or(report.local.ip()).to_canonical(), report.local.port())
}

/// Makes the host's report object; `None` if out of memory.
fn message(report: &Report) -> Option<Ao2<sys::ast_rtp_rtcp_report>> {
    let blocks = report.block.as_slice();
    // SAFETY: it has room for that many pointers to blocks, is zeroed, and comes with a reference for us.
    let message = unsafe { Ao2::adopt(NonNull::new(sys::ast_rtp_rtcp_report_alloc(blocks.len() as u32))?) };
    // SAFETY: nobody else has a pointer to it yet.
    let filled = unsafe { &mut *message.as_ptr() };
    filled.ssrc = report.ssrc;
    filled.type_ = if report.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    if let Some(sender) = report.sender {
        filled.sender_information = sys::ast_rtp_rtcp_report__bindgen_ty_1 {
            ntp_timestamp: time::to_timeval(sender.time_of_day),
            rtp_timestamp: sender.rtp_timestamp,
            packet_count: sender.packet_count,
            octet_count: sender.octet_count,
        };
    }
    for (place, block) in blocks.iter().enumerate() {
        let copy = to_host(block)?;
        // SAFETY: `place` is below the number of blocks allocated.
        unsafe { filled.report_block.as_mut_ptr().add(place).write(copy.as_ptr()) };
        // The host frees as many blocks as this counts.
        filled.reception_report_count += 1;
    }
    Some(message)
}

/// Copies a block into memory allocated by the host, which frees it.
fn to_host(block: &Block) -> Option<NonNull<sys::ast_rtp_rtcp_report_block>> {
    let us = module::name().as_ptr();
    let size = size_of::<sys::ast_rtp_rtcp_report_block>();
    // SAFETY: a size and static strings.
    let place = NonNull::new(unsafe { sys::__ast_calloc(1, size, us, 0, us) })?.cast();
    let filled = sys::ast_rtp_rtcp_report_block {
        source_ssrc: block.ssrc,
        lost_count: sys::ast_rtp_rtcp_report_block__bindgen_ty_1 {
            fraction: block.fraction_lost.into(),
            packets: u32::try_from(block.cumulative_lost).unwrap_or(0),
        },
        highest_seq_no: block.extended_highest_sequence_number,
        ia_jitter: block.jitter_in_timestamp_units,
        lsr: block.last_sr,
        dlsr: block.delay_since_last_sr_in_65536ths,
    };
    // SAFETY: allocated with this size.
    unsafe { place.write(filled) };
    Some(place)
}

/// A JSON object of the host. If there is no memory for it, it is null and stays empty.
struct Details(*mut sys::ast_json);

impl Details {
    fn new() -> Self {
        // SAFETY: takes no arguments.
        Self(unsafe { sys::ast_json_object_create() })
    }

    fn text(&mut self, name: &CStr, text: &str) {
        // SAFETY: a NUL-terminated string, which is copied.
        self.set(name, unsafe { sys::ast_json_string_create(log::c_text(text).as_ptr()) });
    }

    fn number(&mut self, name: &CStr, number: f64) {
        // SAFETY: takes a number.
        self.set(name, unsafe { sys::ast_json_real_create(number) });
    }

    /// Sets the score, which only Asterisk 22 has.
    fn score(&mut self, score: f64) {
        if cfg!(feature = "host-22") {
            self.number(c"mes", score);
        }
    }

    fn set(&mut self, name: &CStr, value: *mut sys::ast_json) {
        // SAFETY: the object is ours. The function takes over the value even if it fails; it fails on null.
        unsafe { sys::ast_json_object_set(self.0, name.as_ptr(), value) };
    }
}

impl Drop for Details {
    fn drop(&mut self) {
        // SAFETY: ours since `new`.
        unsafe { sys::ast_json_unref(self.0) };
    }
}

/// Packet types of RFC 3550 §12.1.
const SENDER_REPORT: u32 = 200;
const RECEIVER_REPORT: u32 = 201;
