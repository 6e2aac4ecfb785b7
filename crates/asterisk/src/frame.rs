//! Media frames: [`FrameRef`] is lent to us during a call, [`Frame`] is ours and freed on drop, [`HostFrame`] is what
//! `read` hands to the host.

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;
use std::{fmt, ptr, slice};

use crate::{Format, host, symbols, sys, time};

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameType {
    /// A digit ended.
    DtmfEnd,
    /// A digit begins.
    DtmfBegin,
    /// Sound.
    Voice,
    /// Moving pictures.
    Video,
    /// Signalling inside the host.
    Control,
    /// Nothing happened.
    Null,
    /// Text.
    Text,
    /// A still picture.
    Image,
    /// Comfort noise.
    ComfortNoise,
    /// Fax and the like.
    Modem,
    /// What RTCP is to say to the peer.
    Feedback,
    /// Any other.
    Other(u32),
}

impl FrameType {
    fn from_host(number: sys::ast_frame_type) -> Self {
        match number {
            sys::AST_FRAME_DTMF_END => Self::DtmfEnd,
            sys::AST_FRAME_DTMF_BEGIN => Self::DtmfBegin,
            sys::AST_FRAME_VOICE => Self::Voice,
            sys::AST_FRAME_VIDEO => Self::Video,
            sys::AST_FRAME_CONTROL => Self::Control,
            sys::AST_FRAME_NULL => Self::Null,
            sys::AST_FRAME_TEXT => Self::Text,
            sys::AST_FRAME_IMAGE => Self::Image,
            sys::AST_FRAME_CNG => Self::ComfortNoise,
            sys::AST_FRAME_MODEM => Self::Modem,
            other if host::frame::is_feedback(other) => Self::Feedback,
            other => Self::Other(other),
        }
    }
}

/// A frame that the host lends us for the length of a call.
#[derive(Clone, Copy)]
pub struct FrameRef<'a>(NonNull<sys::ast_frame>, PhantomData<&'a sys::ast_frame>);

impl<'a> FrameRef<'a> {
    /// # Safety
    /// `frame` is a live frame that nobody writes for `'a`, its data included.
    pub unsafe fn lend(frame: NonNull<sys::ast_frame>) -> Self {
        Self(frame, PhantomData)
    }

    /// What it is.
    pub fn frame_type(&self) -> FrameType {
        FrameType::from_host(self.raw().frametype)
    }

    /// The format of a voice, video, image or text frame; something meaningless for any other.
    pub fn format(&self) -> Option<Format> {
        host::frame::format(self.raw())
    }

    /// Whether a video frame is the last piece of a picture: the RTP marker bit.
    pub fn is_marked(&self) -> bool {
        host::frame::is_marked(self.raw())
    }

    /// The digit, the control or the noise level of the other frames.
    pub fn integer(&self) -> i32 {
        host::frame::integer(self.raw())
    }

    /// The digit of a DTMF frame.
    pub fn digit(&self) -> Option<u8> {
        u8::try_from(self.integer()).ok()
    }

    /// The media.
    pub fn payload(&self) -> &'a [u8] {
        // SAFETY: `lend` was told that the frame stays; the host keeps `datalen` bytes behind the pointer.
        unsafe {
            let start = self.raw().data.ptr.cast::<u8>();
            match usize::try_from(self.raw().datalen) {
                Ok(length) if length > 0 && !start.is_null() => slice::from_raw_parts(start, length),
                _ => &[],
            }
        }
    }

    /// How many samples the payload holds.
    pub fn samples(&self) -> u32 {
        u32::try_from(self.raw().samples).unwrap_or(0)
    }

    /// When the frame says so: its place in the stream.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.has_timing().then(|| self.raw().ts)
    }

    /// How long it lasts, for media with timing and for digits.
    pub fn length_ms(&self) -> i64 {
        self.raw().len
    }

    /// Its number in the stream it came from.
    pub fn sequence_number(&self) -> i32 {
        self.raw().seqno
    }

    /// When it is to be delivered by the wall clock, if that was noted.
    pub fn delivery(&self) -> Option<Duration> {
        time::from_timeval(&self.raw().delivery)
    }

    /// What C calls it.
    pub fn as_ptr(&self) -> *mut sys::ast_frame {
        self.0.as_ptr()
    }

    fn has_timing(&self) -> bool {
        self.raw().flags & sys::AST_FRFLAG_HAS_TIMING_INFO != 0
    }

    fn raw(&self) -> &'a sys::ast_frame {
        // SAFETY: live and unwritten for `'a`, by the word of `lend`.
        unsafe { self.0.as_ref() }
    }
}

impl fmt::Debug for FrameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.frame_type(), self.payload().len())
    }
}

/// A frame of our own, freed on drop. Wraps `ast_frfree`.
pub struct Frame(NonNull<sys::ast_frame>);

// SAFETY: a frame is memory without a tie to a thread.
unsafe impl Send for Frame {}

impl Frame {
    /// A copy with nothing shared. Wraps `ast_frdup`.
    pub fn duplicate(frame: FrameRef<'_>) -> Option<Self> {
        // SAFETY: the frame stays for the call; the copy is ours.
        NonNull::new(unsafe { host::frame::duplicate(frame.as_ptr()) }).map(Self)
    }

    /// Takes over a frame.
    ///
    /// # Safety
    /// `frame` is live and ours to free.
    pub unsafe fn adopt(frame: NonNull<sys::ast_frame>) -> Self {
        Self(frame)
    }

    /// Looks at it.
    pub fn borrow(&self) -> FrameRef<'_> {
        // SAFETY: ours for as long as it is borrowed.
        unsafe { FrameRef::lend(self.0) }
    }

    /// Hands it to C, which must free it.
    pub fn into_raw(self) -> *mut sys::ast_frame {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: ours by `adopt` or `duplicate`; the second argument lets the host keep the memory for its next frame.
        unsafe { sys::ast_frame_free(self.0.as_ptr(), 1) };
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrow().fmt(f)
    }
}

/// What `read` answers. The host uses it until it reads from the same instance again, and frees it when it says that it is
/// to be freed.
#[derive(Debug)]
pub struct HostFrame(*mut sys::ast_frame);

impl HostFrame {
    /// "Nothing this time": `ast_null_frame`.
    pub fn null() -> Self {
        match symbols::NULL_FRAME.address() {
            Some(frame) => Self(frame.as_ptr()),
            None => Self(own_null_frame()),
        }
    }

    pub(crate) fn from_raw(frame: *mut sys::ast_frame) -> Self {
        Self(frame)
    }

    /// This one, and `next` right after it: the host queues what it cannot take at once. The null frame, which is the
    /// host's, is followed by nothing and follows nothing.
    pub fn followed_by(self, next: HostFrame) -> HostFrame {
        let null = HostFrame::null().0;
        if self.0 == null {
            return next;
        }
        if next.0 != null {
            let mut last = self.0;
            // SAFETY: a chain of frames that were made for the host and that it has not been given yet.
            unsafe {
                while !(*last).frame_list.next.is_null() {
                    last = (*last).frame_list.next;
                }
                (*last).frame_list.next = next.0;
            }
        }
        self
    }

    /// This one and what follows it belong to that stream of the channel.
    #[must_use]
    pub fn in_stream(self, number: i32) -> HostFrame {
        let mut next = if self.0 == HostFrame::null().0 { ptr::null_mut() } else { self.0 };
        // SAFETY: as above; the null frame, which is the host's, is in no chain.
        while let Some(frame) = unsafe { next.as_mut() } {
            host::frame::set_stream_number(frame, number);
            next = frame.frame_list.next;
        }
        self
    }

    /// What C calls it.
    pub fn into_raw(self) -> *mut sys::ast_frame {
        self.0
    }
}

impl From<Frame> for HostFrame {
    fn from(frame: Frame) -> Self {
        Self(frame.into_raw())
    }
}

/// Only a host in a test lacks the variable.
fn own_null_frame() -> *mut sys::ast_frame {
    static OWN: AtomicPtr<sys::ast_frame> = AtomicPtr::new(ptr::null_mut());
    if OWN.load(Ordering::Acquire).is_null() {
        let mut frame = blank();
        frame.frametype = sys::AST_FRAME_NULL;
        OWN.store(Box::into_raw(Box::new(frame)), Ordering::Release);
    }
    OWN.load(Ordering::Acquire)
}

/// A frame with nothing in it and nothing to free.
pub(crate) fn blank() -> sys::ast_frame {
    // SAFETY: null pointers and zero numbers are valid in every member.
    let mut frame: sys::ast_frame = unsafe { mem::zeroed() };
    frame.src = SOURCE.as_ptr();
    frame
}

/// Where the frames of this module come from, as the host's log prints it. Static: frames outlive their session.
const SOURCE: &std::ffi::CStr = c"RTP";
