//! Payload types and packet sizes of a call.

use std::ptr::{self, NonNull};

use crate::format::Framing;
use crate::rtp::{Payload, rtp_code};
use crate::{Ao2, Format, sys};

/// Wraps `ast_rtp_codecs_get_payload`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> Option<Payload> {
    // SAFETY: the caller's word; what is found comes with a reference for us.
    let found = unsafe {
        let found = sys::ast_rtp_codecs_get_payload(codecs, payload_type.into());
        Ao2::adopt(NonNull::new(found)?)
    };
    // SAFETY: our reference keeps it, and the host does not write to one that it has handed out.
    let found = unsafe { &*found.as_ptr() };
    match (found.asterisk_format, found.rtp_code) {
        (0, 0) => None,
        (0, code) => Some(Payload::Code { code, clock_rate: clock_rate(found) }),
        // SAFETY: the payload type holds its format.
        _ => unsafe { Format::share(found.format) }.map(Payload::Media),
    }
}

/// Wraps `ast_rtp_codecs_find_payload_code`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn is_described(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> bool {
    // SAFETY: the caller's word.
    unsafe { sys::ast_rtp_codecs_find_payload_code(codecs, payload_type.into()) >= 0 }
}

/// Wraps `ast_rtp_codecs_payload_code_tx`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<u8> {
    // SAFETY: the caller's word; the format is only read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code_tx(codecs, 1, format.as_ptr(), 0) }).ok()
}

/// Wraps `ast_rtp_codecs_payload_code_tx`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of_code(codecs: *mut sys::ast_rtp_codecs, code: i32) -> Option<u8> {
    // SAFETY: the caller's word; without a format, none is read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code_tx(codecs, 0, ptr::null(), code) }).ok()
}

/// Codes have one clock.
#[cfg(feature = "host-16")]
fn clock_rate(_found: &sys::ast_rtp_payload_type) -> u32 {
    rtp_code::CLOCK
}

/// What SDP said; payload types that are not from SDP have none.
#[cfg(feature = "host-22")]
fn clock_rate(found: &sys::ast_rtp_payload_type) -> u32 {
    if found.sample_rate == 0 { rtp_code::CLOCK } else { found.sample_rate }
}

/// There is one telephone-event, whatever the media.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-16")]
pub unsafe fn payload_type_of_digits(codecs: *mut sys::ast_rtp_codecs, _media_clock: Option<u32>) -> Option<(u8, u32)> {
    // SAFETY: the caller's word.
    let payload_type = unsafe { payload_type_of_code(codecs, rtp_code::DTMF) }?;
    Some((payload_type, rtp_code::CLOCK))
}

/// chan_pjsip offers a telephone-event for each clock of its codecs. The one of the media, else the one that the peer named
/// first, else any. Wraps `ast_rtp_codecs_payload_code_tx_sample_rate`.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
pub unsafe fn payload_type_of_digits(codecs: *mut sys::ast_rtp_codecs, media_clock: Option<u32>) -> Option<(u8, u32)> {
    // SAFETY: the caller's word.
    unsafe {
        media_clock
            .or_else(|| preferred_clock(codecs))
            .and_then(|clock| negotiated_event(codecs, clock))
            .or_else(|| preferred_event(codecs))
            .or_else(|| Some((payload_type_of_event(codecs, ANY)?, rtp_code::CLOCK)))
    }
}

/// That of the format which will be sent. Wraps `ast_rtp_codecs_get_preferred_format` and `ast_rtp_get_rate`, which knows
/// about G.722.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn preferred_clock(codecs: *mut sys::ast_rtp_codecs) -> Option<u32> {
    // SAFETY: the caller's word; the format comes with a reference for us.
    unsafe {
        let format = Format::adopt(sys::ast_rtp_codecs_get_preferred_format(codecs))?;
        u32::try_from(sys::ast_rtp_get_rate(format.as_ptr())).ok()
    }
}

/// Wraps `ast_rtp_codecs_get_preferred_dtmf_format_pt` and its like.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn preferred_event(codecs: *mut sys::ast_rtp_codecs) -> Option<(u8, u32)> {
    // SAFETY: the caller's word.
    let (payload_type, clock) = unsafe {
        (
            sys::ast_rtp_codecs_get_preferred_dtmf_format_pt(codecs),
            sys::ast_rtp_codecs_get_preferred_dtmf_format_rate(codecs),
        )
    };
    Some((u8::try_from(payload_type).ok()?, u32::try_from(clock).ok().filter(|clock| *clock > 0)?))
}

/// One that was negotiated. The host would answer its static 101 too, whatever the clock.
///
/// # Safety
/// Codecs of a live instance.
#[cfg(feature = "host-22")]
unsafe fn negotiated_event(codecs: *mut sys::ast_rtp_codecs, clock: u32) -> Option<(u8, u32)> {
    // SAFETY: the caller's word.
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
    // SAFETY: the caller's word; without a format, none is read.
    let found =
        unsafe { sys::ast_rtp_codecs_payload_code_tx_sample_rate(codecs, 0, ptr::null(), rtp_code::DTMF, clock) };
    u8::try_from(found).ok()
}

/// No clock in particular.
#[cfg(feature = "host-22")]
const ANY: u32 = 0;

/// The length that was negotiated; without one, frames are cut only in formats that have to be.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn framing(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<Framing> {
    let format = format.as_ptr();
    // SAFETY: the caller's word; the format is borrowed and only read.
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
