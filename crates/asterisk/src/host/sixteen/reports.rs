//! RTCP reports as messages on the host's bus; the host turns them into manager events and statistics.

use std::ffi::CStr;
use std::ptr::NonNull;

use crate::rtp::{Block, Direction, Report};
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
                sys::ast_rtp_rtcp_sent_type()
            }
            Direction::Received { round_trip } => {
                details.text(c"from", &report.peer.to_string());
                if let Some(round_trip) = round_trip {
                    details.number(c"rtt", round_trip.as_secs_f64());
                }
                sys::ast_rtp_rtcp_received_type()
            }
        };
        sys::ast_rtp_publish_rtcp_message(instance, kind, message.as_ptr(), details.0);
    }
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
