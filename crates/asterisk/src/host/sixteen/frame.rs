//! Frames of Asterisk 16 and later, which point to their format.

use crate::{Format, sys};

/// The format of a media frame, if it has one.
pub fn format(frame: &sys::ast_frame) -> Option<Format> {
    // SAFETY: a frame is zeroed before it is filled in, and keeps its format alive.
    unsafe { Format::share(format_pointer(frame)) }
}

/// Sets the format of a media frame, and its RTP marker bit if it is the last one of a picture. The frame does not
/// count a reference: the maker of the frame keeps the format.
pub fn set_format(frame: &mut sys::ast_frame, format: &Format, is_marked: bool) {
    set_format_pointer(frame, format.as_ptr());
    frame.subclass.frame_ending = is_marked.into();
}

/// Whether the frame is the last one of a picture.
pub fn is_marked(frame: &sys::ast_frame) -> bool {
    frame.subclass.frame_ending != 0
}

/// Sets the number of the channel's stream that the frame belongs to.
pub fn set_stream_number(frame: &mut sys::ast_frame, number: i32) {
    frame.stream_num = number;
}

/// Whether the frame carries RTCP feedback (RFC 4585).
pub fn is_feedback(frametype: sys::ast_frame_type) -> bool {
    frametype == sys::AST_FRAME_RTCP
}

/// The digit, control number or noise level of a frame without a format.
pub fn integer(frame: &sys::ast_frame) -> i32 {
    frame.subclass.integer
}

/// The number of samples in a voice frame. Wraps `ast_codec_samples_count`.
///
/// # Safety
/// The frame has its payload and its format.
pub unsafe fn count_samples(frame: &mut sys::ast_frame) -> i32 {
    // SAFETY: guaranteed by our caller; the host only reads it.
    i32::try_from(unsafe { sys::ast_codec_samples_count(frame) }).unwrap_or(i32::MAX)
}

#[cfg(feature = "host-16")]
fn format_pointer(frame: &sys::ast_frame) -> *mut sys::ast_format {
    frame.subclass.format
}

/// The format pointer of a media frame; frames of other types have another pointer in its place.
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

/// Copies a frame with its data; null if out of memory. Wraps `ast_frdup`.
///
/// # Safety
/// The frame is live.
#[cfg(feature = "host-16")]
pub unsafe fn duplicate(frame: *mut sys::ast_frame) -> *mut sys::ast_frame {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_frdup(frame) }
}

/// Copies a frame with its data; null if out of memory. Wraps `__ast_frdup`.
///
/// # Safety
/// The frame is live.
#[cfg(feature = "host-22")]
pub unsafe fn duplicate(frame: *mut sys::ast_frame) -> *mut sys::ast_frame {
    let us = crate::module::name().as_ptr();
    // SAFETY: guaranteed by our caller; the strings are static.
    unsafe { sys::__ast_frdup(frame, us, 0, us) }
}
