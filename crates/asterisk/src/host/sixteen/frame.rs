//! Frames, which point to their format.

use crate::{Format, sys};

/// The format of a media frame, if it has one.
pub fn format(frame: &sys::ast_frame) -> Option<Format> {
    // SAFETY: a frame is zeroed before it is filled in, and holds its format for as long as it lives.
    unsafe { Format::share(format_pointer(frame)) }
}

/// Puts the format of media into a frame, which does not count it: whoever made the frame keeps it. For the last piece of a
/// picture with the RTP marker bit.
pub fn set_format(frame: &mut sys::ast_frame, format: &Format, is_marked: bool) {
    set_format_pointer(frame, format.as_ptr());
    frame.subclass.frame_ending = is_marked.into();
}

/// Whether it is the last piece of a picture.
pub fn is_marked(frame: &sys::ast_frame) -> bool {
    frame.subclass.frame_ending != 0
}

/// Which stream of the channel it belongs to.
pub fn set_stream_number(frame: &mut sys::ast_frame, number: i32) {
    frame.stream_num = number;
}

/// Whether it carries what RTCP is to say (RFC 4585).
pub fn is_feedback(frametype: sys::ast_frame_type) -> bool {
    frametype == sys::AST_FRAME_RTCP
}

/// The digit, the control or the noise level of frames that have no format.
pub fn integer(frame: &sys::ast_frame) -> i32 {
    frame.subclass.integer
}

/// The samples of a voice frame that is filled in. Wraps `ast_codec_samples_count`.
///
/// # Safety
/// The payload is there, and so is the format.
pub unsafe fn count_samples(frame: &mut sys::ast_frame) -> i32 {
    // SAFETY: the caller's word; the host only reads it.
    i32::try_from(unsafe { sys::ast_codec_samples_count(frame) }).unwrap_or(i32::MAX)
}

#[cfg(feature = "host-16")]
fn format_pointer(frame: &sys::ast_frame) -> *mut sys::ast_format {
    frame.subclass.format
}

/// Of a frame of media: others have another pointer in that place.
#[cfg(feature = "host-22")]
fn format_pointer(frame: &sys::ast_frame) -> *mut sys::ast_format {
    // SAFETY: both members of the union are pointers.
    unsafe { frame.subclass.__bindgen_anon_1.format }
}

#[cfg(feature = "host-16")]
fn set_format_pointer(frame: &mut sys::ast_frame, format: *mut sys::ast_format) {
    frame.subclass.format = format;
}

#[cfg(feature = "host-22")]
fn set_format_pointer(frame: &mut sys::ast_frame, format: *mut sys::ast_format) {
    frame.subclass.__bindgen_anon_1.format = format;
}

/// A copy with nothing shared, or null. Wraps `ast_frdup`.
///
/// # Safety
/// The frame is live.
#[cfg(feature = "host-16")]
pub unsafe fn duplicate(frame: *mut sys::ast_frame) -> *mut sys::ast_frame {
    // SAFETY: the caller's word.
    unsafe { sys::ast_frdup(frame) }
}

/// A copy with nothing shared, or null. Wraps `__ast_frdup`.
///
/// # Safety
/// The frame is live.
#[cfg(feature = "host-22")]
pub unsafe fn duplicate(frame: *mut sys::ast_frame) -> *mut sys::ast_frame {
    let us = crate::module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ast_frdup(frame, us, 0, us) }
}
