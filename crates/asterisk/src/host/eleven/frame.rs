//! Frames, whose format is a part of them.

use crate::{Format, sys};

/// The format of a media frame. `None` is for hosts whose frames may lack one.
pub fn format(frame: &sys::ast_frame) -> Option<Format> {
    // SAFETY: both members of the union are plain numbers, and a frame is zeroed before it is filled in.
    Some(Format(unsafe { frame.subclass.format }))
}

/// Puts the format of media into a frame; for the last piece of a picture with the RTP marker bit. Wraps
/// `ast_format_set_video_mark`.
pub fn set_format(frame: &mut sys::ast_frame, format: &Format, is_marked: bool) {
    frame.subclass.format = format.0;
    if is_marked {
        // SAFETY: written in the line above, and ours to write.
        unsafe { sys::ast_format_set_video_mark(&raw mut frame.subclass.format) };
    }
}

/// Whether it is the last piece of a picture. Wraps `ast_format_get_video_mark`.
pub fn is_marked(frame: &sys::ast_frame) -> bool {
    // SAFETY: the host only reads the format, which is one in a frame of media.
    unsafe { sys::ast_format_get_video_mark(&raw const frame.subclass.format) != 0 }
}

/// Frames of this host do not say which stream of the channel they belong to: there is one of each kind.
pub fn set_stream_number(_frame: &mut sys::ast_frame, _number: i32) {}

/// No frame of this host carries what RTCP is to say.
pub fn is_feedback(_frametype: sys::ast_frame_type) -> bool {
    false
}

/// The digit, the control or the noise level of frames that have no format.
pub fn integer(frame: &sys::ast_frame) -> i32 {
    // SAFETY: both members of the union are plain numbers.
    unsafe { frame.subclass.integer }
}

/// The samples of a voice frame that is filled in. Wraps `ast_codec_get_samples`.
///
/// # Safety
/// The payload is there.
pub unsafe fn count_samples(frame: &mut sys::ast_frame) -> i32 {
    // SAFETY: the caller's word; the host only reads it.
    unsafe { sys::ast_codec_get_samples(frame) }
}

/// A copy with nothing shared, or null. Wraps `ast_frdup`.
///
/// # Safety
/// The frame is live.
pub unsafe fn duplicate(frame: *mut sys::ast_frame) -> *mut sys::ast_frame {
    // SAFETY: the caller's word.
    unsafe { sys::ast_frdup(frame) }
}
