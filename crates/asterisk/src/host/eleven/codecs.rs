//! Payload types and packet sizes of a call.

use std::ptr;

use crate::format::Framing;
use crate::rtp::{Payload, rtp_code};
use crate::{Format, sys};

/// The meaning of a payload type. Wraps `ast_rtp_codecs_payload_lookup`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> Option<Payload> {
    // SAFETY: guaranteed by our caller.
    let found = unsafe { sys::ast_rtp_codecs_payload_lookup(codecs, payload_type.into()) };
    match (found.asterisk_format, found.rtp_code) {
        (0, 0) => None,
        (0, code) => Some(Payload::Code { code, clock_rate: rtp_code::CLOCK }),
        _ => Some(Payload::Media(Format(found.format))),
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

/// The payload type for sending a format. Wraps `ast_rtp_codecs_payload_code`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<u8> {
    // SAFETY: guaranteed by our caller; the format is only read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code(codecs, 1, &raw const format.0, 0) }).ok()
}

/// The payload type for sending one of [`rtp_code`]: one that SDP lists, or else the one of the host's own table. Wraps
/// `ast_rtp_codecs_payload_code`, which before 11.9 takes the code for a number, and finds G.726 (2) for comfort noise.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of_code(codecs: *mut sys::ast_rtp_codecs, code: i32) -> Option<u8> {
    // SAFETY: guaranteed by our caller.
    let has_code = |number: &u8| unsafe {
        matches!(payload(codecs, *number), Some(Payload::Code { code: found, .. }) if found == code)
    };
    // SAFETY: as above.
    let is_agreed = |number: &u8| unsafe { is_described(codecs, *number) } && has_code(number);
    // SAFETY: as above; without a format, none is read.
    let answer = u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code(codecs, 0, ptr::null(), code) }).ok();
    let default = answer.filter(has_code);
    default
        .filter(is_agreed)
        .or_else(|| (0..PAYLOAD_TYPES).find(is_agreed))
        .or(default)
        .or_else(|| (0..PAYLOAD_TYPES).find(has_code))
}

/// The payload type and clock of telephone-event. This host has one for all media.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of_digits(codecs: *mut sys::ast_rtp_codecs, _media_clock: Option<u32>) -> Option<(u8, u32)> {
    // SAFETY: guaranteed by our caller.
    Some((unsafe { payload_type_of_code(codecs, rtp_code::DTMF) }?, rtp_code::CLOCK))
}

/// How media of a format is split into packets. Wraps `ast_codec_pref_getsize`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn framing(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<Framing> {
    if FRAMES_ARE_PACKETS.contains(&format.id()) {
        return None;
    }
    let mut format = format.0;
    // SAFETY: guaranteed by our caller, and the preferences are a part of the codecs; the host only reads the two.
    framing_of(&unsafe { sys::ast_codec_pref_getsize(&raw mut (*codecs).pref, &raw mut format) })
}

/// The packet size for `cur_ms` milliseconds, in units of `inc_ms` milliseconds that have `fr_len` bytes each.
fn framing_of(list: &sys::ast_format_list) -> Option<Framing> {
    let positive = |value| u32::try_from(value).ok().filter(|value| *value > 0);
    let increments = positive(list.cur_ms)? / positive(list.inc_ms)?;
    let packet_bytes = Some(increments * positive(list.fr_len)?).filter(|bytes| *bytes > 0)?;
    Some(Framing { packet_bytes, smoother_flags: list.flags })
}

/// The number of payload types (RFC 3550 §5.1).
const PAYLOAD_TYPES: u8 = 128;

/// The formats whose frames are sent as they come.
const FRAMES_ARE_PACKETS: [sys::ast_format_id; 9] = [
    sys::AST_FORMAT_SPEEX,
    sys::AST_FORMAT_SPEEX16,
    sys::AST_FORMAT_SPEEX32,
    sys::AST_FORMAT_SILK,
    sys::AST_FORMAT_CELT,
    sys::AST_FORMAT_G723_1,
    sys::AST_FORMAT_SIREN7,
    sys::AST_FORMAT_SIREN14,
    sys::AST_FORMAT_G719,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_milliseconds_of_ulaw_are_320_bytes() {
        let list = sys::ast_format_list { cur_ms: 40, inc_ms: 10, fr_len: 80, ..Default::default() };
        assert_eq!(framing_of(&list), Some(Framing { packet_bytes: 320, smoother_flags: 0 }));
        assert_eq!(framing_of(&sys::ast_format_list { fr_len: 0, ..list }), None);
    }
}
