//! Media frames: [`FrameRef`] is lent to us during a call, [`Frame`] is ours and freed on drop, [`HostFrame`] is
//! returned to the host by `read`.

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;
use std::{fmt, ptr, slice};

use crate::{Format, host, symbols, sys, time};

/// The type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameType {
    /// A digit ended.
    DtmfEnd,
    /// A digit began.
    DtmfBegin,
    /// Audio.
    Voice,
    /// Video.
    Video,
    /// Signalling within the host.
    Control,
    /// An empty frame.
    Null,
    /// Text.
    Text,
    /// A still image.
    Image,
    /// Comfort noise.
    ComfortNoise,
    /// Modem data such as fax.
    Modem,
    /// RTCP feedback to be sent to the peer.
    Feedback,
    /// Any other type, by its number.
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

/// A frame that the host lends us for the duration of a call.
#[derive(Clone, Copy)]
pub struct FrameRef<'a>(NonNull<sys::ast_frame>, PhantomData<&'a sys::ast_frame>);

impl<'a> FrameRef<'a> {
    /// # Safety
    /// `frame` is live, and nobody writes to it or its data during `'a`.
    pub unsafe fn lend(frame: NonNull<sys::ast_frame>) -> Self {
        Self(frame, PhantomData)
    }

    /// The type of the frame.
    pub fn frame_type(&self) -> FrameType {
        FrameType::from_host(self.raw().frametype)
    }

    /// The format of a voice, video, image or text frame; meaningless for other types.
    pub fn format(&self) -> Option<Format> {
        host::frame::format(self.raw())
    }

    /// Whether a video frame is the last one of a picture (the RTP marker bit).
    pub fn is_marked(&self) -> bool {
        host::frame::is_marked(self.raw())
    }

    /// The digit, control number or noise level of a frame without a format.
    pub fn integer(&self) -> i32 {
        host::frame::integer(self.raw())
    }

    /// The digit of a DTMF frame in ASCII.
    pub fn digit(&self) -> Option<u8> {
        u8::try_from(self.integer()).ok()
    }

    /// The media data.
    pub fn payload(&self) -> &'a [u8] {
        // SAFETY: the caller of `lend` guarantees that the frame lives; the host keeps `datalen` bytes at the pointer.
        unsafe {
            let start = self.raw().data.ptr.cast::<u8>();
            match usize::try_from(self.raw().datalen) {
                Ok(length) if length > 0 && !start.is_null() => slice::from_raw_parts(start, length),
                _ => &[],
            }
        }
    }

    /// The number of samples in the payload.
    pub fn samples(&self) -> u32 {
        u32::try_from(self.raw().samples).unwrap_or(0)
    }

    /// The advance of a video frame's timestamp since the frame before, in ticks of 90 kHz. The host keeps it where other frames
    /// have their samples.
    pub fn advance(&self) -> i32 {
        self.raw().samples
    }

    /// The position in the stream in milliseconds, if the frame has timing information.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.has_timing().then(|| self.raw().ts)
    }

    /// The duration in milliseconds, for media with timing information and for digits.
    pub fn length_ms(&self) -> i64 {
        self.raw().len
    }

    /// The sequence number in the stream it came from.
    pub fn sequence_number(&self) -> i32 {
        self.raw().seqno
    }

    /// The time of delivery since 1970, if the frame has one.
    pub fn delivery(&self) -> Option<Duration> {
        time::from_timeval(&self.raw().delivery)
    }

    /// The pointer for C.
    pub fn as_ptr(&self) -> *mut sys::ast_frame {
        self.0.as_ptr()
    }

    fn has_timing(&self) -> bool {
        self.raw().flags & sys::AST_FRFLAG_HAS_TIMING_INFO != 0
    }

    fn raw(&self) -> &'a sys::ast_frame {
        // SAFETY: live and not written to during `'a`, as the caller of `lend` guarantees.
        unsafe { self.0.as_ref() }
    }
}

impl fmt::Debug for FrameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.frame_type(), self.payload().len())
    }
}

/// A frame that we own. Dropping it wraps `ast_frfree`.
pub struct Frame(NonNull<sys::ast_frame>);

// SAFETY: a frame is memory that is not tied to a thread.
unsafe impl Send for Frame {}

impl Frame {
    /// Copies a frame with its data. Wraps `ast_frdup`; `None` if out of memory.
    pub fn duplicate(frame: FrameRef<'_>) -> Option<Self> {
        // SAFETY: the frame lives during the call; the copy is ours.
        NonNull::new(unsafe { host::frame::duplicate(frame.as_ptr()) }).map(Self)
    }

    /// Takes over a frame from C.
    ///
    /// # Safety
    /// `frame` is live and ours to free.
    pub unsafe fn adopt(frame: NonNull<sys::ast_frame>) -> Self {
        Self(frame)
    }

    /// Borrows the frame.
    pub fn borrow(&self) -> FrameRef<'_> {
        // SAFETY: ours for as long as it is borrowed.
        unsafe { FrameRef::lend(self.0) }
    }

    /// Hands the frame to C, which must free it.
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

/// The return value of `read`. The host uses the frame until its next read from the same instance, and frees it if the
/// frame says so (`mallocd`).
#[derive(Debug)]
pub struct HostFrame(*mut sys::ast_frame);

impl HostFrame {
    /// The frame that means "nothing to deliver": `ast_null_frame`.
    pub fn null() -> Self {
        match symbols::NULL_FRAME.address() {
            Some(frame) => Self(frame.as_ptr()),
            None => Self(own_null_frame()),
        }
    }

    pub(crate) fn from_raw(frame: *mut sys::ast_frame) -> Self {
        Self(frame)
    }

    /// Appends `next` to this frame: the host queues frames that it cannot process at once. If either is the null
    /// frame, which belongs to the host, nothing is appended and the other one is returned.
    pub fn followed_by(self, next: HostFrame) -> HostFrame {
        let null = HostFrame::null().0;
        if self.0 == null {
            return next;
        }
        if next.0 != null {
            let mut last = self.0;
            // SAFETY: a chain of frames that were made for the host and not handed to it yet.
            unsafe {
                while !(*last).frame_list.next.is_null() {
                    last = (*last).frame_list.next;
                }
                (*last).frame_list.next = next.0;
            }
        }
        self
    }

    /// Assigns this frame and those appended to it to a stream of the channel.
    #[must_use]
    pub fn in_stream(self, number: i32) -> HostFrame {
        let mut next = if self.0 == HostFrame::null().0 { ptr::null_mut() } else { self.0 };
        // SAFETY: as above; the null frame, which belongs to the host, is in no chain.
        while let Some(frame) = unsafe { next.as_mut() } {
            host::frame::set_stream_number(frame, number);
            next = frame.frame_list.next;
        }
        self
    }

    /// The pointer for C.
    pub fn into_raw(self) -> *mut sys::ast_frame {
        self.0
    }
}

impl From<Frame> for HostFrame {
    fn from(frame: Frame) -> Self {
        Self(frame.into_raw())
    }
}

/// A null frame of our own, for hosts without the variable, which exist only in tests.
fn own_null_frame() -> *mut sys::ast_frame {
    static OWN: AtomicPtr<sys::ast_frame> = AtomicPtr::new(ptr::null_mut());
    if OWN.load(Ordering::Acquire).is_null() {
        let mut frame = blank();
        frame.frametype = sys::AST_FRAME_NULL;
        OWN.store(Box::into_raw(Box::new(frame)), Ordering::Release);
    }
    OWN.load(Ordering::Acquire)
}

/// An empty frame that needs no freeing.
pub(crate) fn blank() -> sys::ast_frame {
    // SAFETY: all zero is valid for every member.
    let mut frame: sys::ast_frame = unsafe { mem::zeroed() };
    frame.src = SOURCE.as_ptr();
    frame
}

/// The source of our frames as the host logs it. Static, because frames outlive their session.
const SOURCE: &std::ffi::CStr = c"RTP";
