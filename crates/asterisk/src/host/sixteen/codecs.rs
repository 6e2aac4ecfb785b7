//! Payload types and packet sizes of a call.

use std::ptr::{self, NonNull};

use crate::format::Framing;
use crate::rtp::Payload;
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
        (0, code) => Some(Payload::Code(code)),
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
