//! Payload types and packet sizes of a call.

use std::ptr;

use crate::format::Framing;
use crate::rtp::Payload;
use crate::{Format, sys};

/// Wraps `ast_rtp_codecs_payload_lookup`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> Option<Payload> {
    // SAFETY: the caller's word.
    let found = unsafe { sys::ast_rtp_codecs_payload_lookup(codecs, payload_type.into()) };
    match (found.asterisk_format, found.rtp_code) {
        (0, 0) => None,
        (0, code) => Some(Payload::Code(code)),
        _ => Some(Payload::Media(Format(found.format))),
    }
}

/// The table of RFC 3551 cannot be told apart here. Nothing depends on it: streams that share a transport are not known.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn is_described(codecs: *mut sys::ast_rtp_codecs, payload_type: u8) -> bool {
    // SAFETY: the caller's word.
    unsafe { payload(codecs, payload_type) }.is_some()
}

/// Wraps `ast_rtp_codecs_payload_code`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<u8> {
    // SAFETY: the caller's word; the format is only read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code(codecs, 1, &raw const format.0, 0) }).ok()
}

/// Wraps `ast_rtp_codecs_payload_code`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn payload_type_of_code(codecs: *mut sys::ast_rtp_codecs, code: i32) -> Option<u8> {
    // SAFETY: the caller's word; without a format, none is read.
    u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code(codecs, 0, ptr::null(), code) }).ok()
}

/// Wraps `ast_codec_pref_getsize`.
///
/// # Safety
/// Codecs of a live instance.
pub unsafe fn framing(codecs: *mut sys::ast_rtp_codecs, format: &Format) -> Option<Framing> {
    if FRAMES_ARE_PACKETS.contains(&format.id()) {
        return None;
    }
    let mut format = format.0;
    // SAFETY: the caller's word, and the preferences are a part of the codecs; the host only reads the two.
    framing_of(&unsafe { sys::ast_codec_pref_getsize(&raw mut (*codecs).pref, &raw mut format) })
}

/// So many milliseconds, in increments that have so many bytes.
fn framing_of(list: &sys::ast_format_list) -> Option<Framing> {
    let positive = |value| u32::try_from(value).ok().filter(|value| *value > 0);
    let increments = positive(list.cur_ms)? / positive(list.inc_ms)?;
    let packet_bytes = Some(increments * positive(list.fr_len)?).filter(|bytes| *bytes > 0)?;
    Some(Framing { packet_bytes, smoother_flags: list.flags })
}

/// Formats that are never cut anew.
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
