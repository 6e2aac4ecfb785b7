//! Frames of Asterisk 11, which contain their format.

use crate::{Format, sys};

/// The format of a media frame. Never `None` here; frames of other hosts may have no format.
pub fn format(frame: &sys::ast_frame) -> Option<Format> {
    // SAFETY: both members of the union are plain numbers, and a frame is zeroed before it is filled in.
    Some(Format(unsafe { frame.subclass.format }))
}

/// Sets the format of a media frame, and its RTP marker bit if it is the last one of a picture. Wraps
/// `ast_format_set_video_mark`.
pub fn set_format(frame: &mut sys::ast_frame, format: &Format, is_marked: bool) {
    frame.subclass.format = format.0;
    if is_marked {
        // SAFETY: initialised in the line above, and ours to write.
        unsafe { sys::ast_format_set_video_mark(&raw mut frame.subclass.format) };
    }
}

/// Whether the frame is the last one of a picture. Wraps `ast_format_get_video_mark`.
pub fn is_marked(frame: &sys::ast_frame) -> bool {
    // SAFETY: the host only reads the format, which every media frame has.
    unsafe { sys::ast_format_get_video_mark(&raw const frame.subclass.format) != 0 }
}

/// Does nothing: frames of this host have no stream number, because a channel has one stream of each kind.
pub fn set_stream_number(_frame: &mut sys::ast_frame, _number: i32) {}

/// Whether the frame carries RTCP feedback. This host has no such frames.
pub fn is_feedback(_frametype: sys::ast_frame_type) -> bool {
    false
}

/// The digit, control number or noise level of a frame without a format.
pub fn integer(frame: &sys::ast_frame) -> i32 {
    // SAFETY: both members of the union are plain numbers.
    unsafe { frame.subclass.integer }
}

/// The number of samples in a voice frame. Wraps `ast_codec_get_samples`.
///
/// # Safety
/// The frame has its payload.
pub unsafe fn count_samples(frame: &mut sys::ast_frame) -> i32 {
    // SAFETY: guaranteed by our caller; the host only reads it.
    unsafe { sys::ast_codec_get_samples(frame) }
}

/// Copies a frame with its data; null if out of memory. Wraps `ast_frdup`.
///
/// # Safety
/// The frame is live.
pub unsafe fn duplicate(frame: *mut sys::ast_frame) -> *mut sys::ast_frame {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_frdup(frame) }
}
