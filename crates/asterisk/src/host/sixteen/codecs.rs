//! Payload types and packet sizes of a call.

use std::ptr::{self, NonNull};

use crate::format::Framing;
use crate::rtp::{Payload, rtp_code};
use crate::{Ao2, Format, sys};

/// The meaning of a payload type. Wraps `ast_rtp_codecs_get_payload`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> Option<Payload> {
    // SAFETY: guaranteed by our caller; the result comes with a reference for us.
    let found = unsafe {
        let found = sys::ast_rtp_codecs_get_payload(codecs, payload_type.into());
        Ao2::adopt(NonNull::new(found)?)
    };
    // SAFETY: our reference keeps it alive, and the host does not write to one that it has handed out.
    let found = unsafe { &*found.as_ptr() };
    match (found.asterisk_format, found.rtp_code) {
        (0, 0) => None,
        (0, code) => Some(Payload::Code { code, clock_rate: clock_rate(found) }),
        // SAFETY: the payload type holds its format.
        _ => unsafe { Format::share(found.format) }.map(Payload::Media),
    }
}

/// Whether SDP lists the payload type. Wraps `ast_rtp_codecs_find_payload_code`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn is_described(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> bool {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_rtp_codecs_find_payload_code(codecs, payload_type.into()) >= 0 }
}

/// The payload type for sending a format. Wraps `ast_rtp_codecs_payload_code_tx`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<u8> {
    // SAFETY: guaranteed by our caller; the format is only read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code_tx(codecs, 1, format.as_ptr(), 0) }).ok()
}

/// The payload type for sending one of [`rtp_code`]. Wraps `ast_rtp_codecs_payload_code_tx`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of_code(codecs: *mut sys::ast_rtp_codecs, code: i32) -> Option<u8> {
    // SAFETY: guaranteed by our caller; without a format, none is read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code_tx(codecs, 0, ptr::null(), code) }).ok()
}

/// The clock rate of a payload type that is no format. This host has one for all.
#[cfg(feature = "host-16")]
fn clock_rate(_found: &sys::ast_rtp_payload_type) -> u32 {
    rtp_code::CLOCK
}

/// The clock rate of a payload type according to SDP; payload types that SDP does not list have none.
#[cfg(feature = "host-22")]
fn clock_rate(found: &sys::ast_rtp_payload_type) -> u32 {
    if found.sample_rate == 0 { rtp_code::CLOCK } else { found.sample_rate }
}

/// The payload type and clock of telephone-event. This host has one for all media.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-16")]
pub unsafe fn payload_type_of_digits(codecs: *mut sys::ast_rtp_codecs, _media_clock: Option<u32>) -> Option<(u8, u32)> {
    // SAFETY: guaranteed by our caller.
    let payload_type = unsafe { payload_type_of_code(codecs, rtp_code::DTMF) }?;
    Some((payload_type, rtp_code::CLOCK))
}

/// The payload type and clock of telephone-event. chan_pjsip offers one for each clock of its codecs: prefers the clock
/// of the media, then the one that the peer listed first, then any. Wraps
/// `ast_rtp_codecs_payload_code_tx_sample_rate`.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
pub unsafe fn payload_type_of_digits(codecs: *mut sys::ast_rtp_codecs, media_clock: Option<u32>) -> Option<(u8, u32)> {
    // SAFETY: guaranteed by our caller.
    unsafe {
        media_clock
            .or_else(|| preferred_clock(codecs))
            .and_then(|clock| negotiated_event(codecs, clock))
            .or_else(|| preferred_event(codecs))
            .or_else(|| Some((payload_type_of_event(codecs, ANY)?, rtp_code::CLOCK)))
    }
}

/// The clock rate of the format to be sent. Wraps `ast_rtp_codecs_get_preferred_format` and `ast_rtp_get_rate`, which
/// knows about G.722.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn preferred_clock(codecs: *mut sys::ast_rtp_codecs) -> Option<u32> {
    // SAFETY: guaranteed by our caller; the format comes with a reference for us.
    unsafe {
        let format = Format::adopt(sys::ast_rtp_codecs_get_preferred_format(codecs))?;
        u32::try_from(sys::ast_rtp_get_rate(format.as_ptr())).ok()
    }
}

/// The telephone-event that the peer listed first. Wraps `ast_rtp_codecs_get_preferred_dtmf_format_pt` and
/// `ast_rtp_codecs_get_preferred_dtmf_format_rate`.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn preferred_event(codecs: *mut sys::ast_rtp_codecs) -> Option<(u8, u32)> {
    // SAFETY: guaranteed by our caller.
    let (payload_type, clock) = unsafe {
        (
            sys::ast_rtp_codecs_get_preferred_dtmf_format_pt(codecs),
            sys::ast_rtp_codecs_get_preferred_dtmf_format_rate(codecs),
        )
    };
    Some((u8::try_from(payload_type).ok()?, u32::try_from(clock).ok().filter(|clock| *clock > 0)?))
}

/// A negotiated telephone-event with this clock. The host would also return its static 101, whatever the clock.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn negotiated_event(codecs: *mut sys::ast_rtp_codecs, clock: u32) -> Option<(u8, u32)> {
    // SAFETY: guaranteed by our caller.
    unsafe {
        let payload_type = payload_type_of_event(codecs, clock)?;
        let found = sys::ast_rtp_codecs_find_payload_code(codecs, payload_type.into());
        (found == i32::from(payload_type)).then_some((payload_type, clock))
    }
}

/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn payload_type_of_event(codecs: *mut sys::ast_rtp_codecs, clock: u32) -> Option<u8> {
    // SAFETY: guaranteed by our caller; without a format, none is read.
    let found =
        unsafe { sys::ast_rtp_codecs_payload_code_tx_sample_rate(codecs, 0, ptr::null(), rtp_code::DTMF, clock) };
    u8::try_from(found).ok()
}

/// Stands for any clock.
#[cfg(feature = "host-22")]
const ANY: u32 = 0;

/// The negotiated packet length. Without one, only formats that must be split are split.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn framing(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<Framing> {
    let format = format.as_ptr();
    // SAFETY: guaranteed by our caller; the format is borrowed and only read.
    let (may_be_cut, flags, negotiated_ms, default_ms, minimum_ms, minimum_bytes) = unsafe {
        (
            sys::ast_format_can_be_smoothed(format) != 0,
            sys::ast_format_get_smoother_flags(format),
            sys::ast_rtp_codecs_get_framing(codecs),
            sys::ast_format_get_default_ms(format),
            sys::ast_format_get_minimum_ms(format),
            sys::ast_format_get_minimum_bytes(format),
        )
    };
    let has_to_be_cut = flags & sys::AST_SMOOTHER_FLAG_FORCED != 0;
    let ms = if negotiated_ms == 0 && has_to_be_cut { default_ms } else { negotiated_ms };
    let packet_bytes = (ms * minimum_bytes).checked_div(minimum_ms).filter(|bytes| may_be_cut && *bytes > 0)?;
    Some(Framing { packet_bytes, smoother_flags: flags.cast_unsigned() })
}
