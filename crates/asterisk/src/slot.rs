//! A reusable frame with its buffer, which a session hands to the host for each packet: receiving allocates nothing.
//!
//! The host reads a call under the lock of its channel and has finished with a frame before it reads the next one. So
//! one slot for each stream that can be read (RTP, RTCP) is enough. `AST_FRIENDLY_OFFSET` free bytes precede the
//! payload, where the host may write a header of its own.

use std::fmt;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::time::Duration;

use crate::frame::{HostFrame, blank};
use crate::{Format, host, sys, time};

/// A reusable frame and its payload buffer.
pub struct FrameSlot {
    frame: NonNull<sys::ast_frame>,
    buffer: NonNull<[u8]>,
    /// The format of the frame handed out last: on some hosts the frame only points to it.
    format: Option<Format>,
}

// SAFETY: memory that is not tied to a thread; filling the slot requires exclusive access.
unsafe impl Send for FrameSlot {}

/// The position of a media frame in its stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// The RTP timestamp, converted to milliseconds.
    pub timestamp_ms: i64,
    /// The RTP sequence number.
    pub sequence_number: u16,
    /// The time since 1970 at which the media was meant to be played; `None` if unknown.
    pub delivery: Option<Duration>,
}

/// Whether a digit begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digit {
    /// The key went down.
    Begin,
    /// The key went up.
    End {
        /// How long the key was held, in milliseconds.
        duration_ms: u32,
    },
}

impl FrameSlot {
    /// Creates a slot with room for `capacity` bytes of payload.
    pub fn new(capacity: usize) -> Self {
        let buffer = vec![0_u8; HEADROOM + capacity].into_boxed_slice();
        let frame = NonNull::from(Box::leak(Box::new(blank())));
        Self { frame, buffer: NonNull::from(Box::leak(buffer)), format: None }
    }

    /// The buffer to receive a datagram into. Invalidates the last frame of this slot, with which the host
    /// has finished.
    pub fn payload_buffer(&mut self) -> &mut [u8] {
        // SAFETY: `new` allocated it, `drop` frees it, and we hold the slot exclusively.
        unsafe { &mut self.buffer.as_mut()[HEADROOM..] }
    }

    /// An audio frame with the payload in that part of the buffer. The host counts the samples; linear samples are
    /// converted from network to native byte order.
    pub fn voice(&mut self, format: &Format, payload: Range<usize>, timing: Timing) -> HostFrame {
        let frame = self.media(sys::AST_FRAME_VOICE, format, payload, timing, false);
        // SAFETY: `media` filled in a voice frame with its payload in our buffer; the host only reads it.
        frame.samples = unsafe { host::frame::count_samples(frame) };
        note_length(frame, format);
        if format.is_slinear() && cfg!(target_endian = "little") {
            // SAFETY: `samples` is half of `datalen`, so the swap stays inside the payload.
            unsafe { sys::ast_swapcopy_samples(frame.data.ptr, frame.data.ptr, frame.samples) };
        }
        self.hand_out()
    }

    /// An audio frame with the payload in that part of the buffer, whose samples the host cannot count.
    pub fn counted_voice(&mut self, format: &Format, payload: Range<usize>, timing: Timing, samples: u32) -> HostFrame {
        let frame = self.media(sys::AST_FRAME_VOICE, format, payload, timing, false);
        frame.samples = samples.try_into().unwrap_or(i32::MAX);
        note_length(frame, format);
        self.hand_out()
    }

    /// A video frame. `advance` is that of the timestamp since the frame before, in ticks of 90 kHz; `marker` is true for the last
    /// frame of a picture.
    pub fn video(
        &mut self,
        format: &Format,
        payload: Range<usize>,
        timing: Timing,
        advance: i32,
        marker: bool,
    ) -> HostFrame {
        let frame = self.media(sys::AST_FRAME_VIDEO, format, payload, timing, marker);
        frame.samples = advance;
        self.hand_out()
    }

    /// A text frame with the payload in that part of the buffer. `samples` is the advance of the timestamp, in milliseconds.
    pub fn text(&mut self, format: &Format, payload: Range<usize>, timing: Timing, samples: u32) -> HostFrame {
        let frame = self.media(sys::AST_FRAME_TEXT, format, payload, timing, false);
        frame.samples = samples.try_into().unwrap_or(i32::MAX);
        self.hand_out()
    }

    /// A DTMF frame; `digit` is in ASCII.
    pub fn digit(&mut self, digit: u8, end: Digit) -> HostFrame {
        let frame = self.fresh();
        frame.subclass.integer = i32::from(digit);
        match end {
            Digit::Begin => frame.frametype = sys::AST_FRAME_DTMF_BEGIN,
            Digit::End { duration_ms } => {
                frame.frametype = sys::AST_FRAME_DTMF_END;
                frame.len = duration_ms.into();
            }
        }
        self.hand_out()
    }

    /// A comfort noise frame with its level in -dBov (RFC 3389; 127 if not given) and the rest of the packet's payload.
    pub fn comfort_noise(&mut self, level: u8, payload: Range<usize>) -> HostFrame {
        let (start, length) = self.place(payload);
        let frame = self.fresh();
        frame.frametype = sys::AST_FRAME_CNG;
        frame.subclass.integer = i32::from(level);
        frame.data.ptr = start;
        frame.datalen = length;
        frame.offset = HEADROOM as _;
        self.hand_out()
    }

    /// A control frame for the host; `control` is one of `AST_CONTROL_*`.
    pub fn control(&mut self, control: i32) -> HostFrame {
        let frame = self.fresh();
        frame.frametype = sys::AST_FRAME_CONTROL;
        frame.subclass.integer = control;
        self.hand_out()
    }

    fn media(
        &mut self,
        frametype: sys::ast_frame_type,
        format: &Format,
        payload: Range<usize>,
        timing: Timing,
        is_marked: bool,
    ) -> &mut sys::ast_frame {
        let offset = HEADROOM + payload.start.min(self.buffer.len());
        let (start, length) = self.place(payload);
        self.format = Some(format.clone());
        let frame = self.fresh();
        frame.frametype = frametype;
        host::frame::set_format(frame, format, is_marked);
        frame.data.ptr = start;
        frame.datalen = length;
        frame.offset = offset as _;
        frame.ts = timing.timestamp_ms as _;
        frame.seqno = timing.sequence_number.into();
        frame.delivery = time::to_timeval(timing.delivery.unwrap_or_default());
        frame
    }

    /// The pointer and length of that part of the buffer, cut off at the end of the buffer.
    fn place(&mut self, payload: Range<usize>) -> (*mut std::ffi::c_void, i32) {
        let room = self.payload_buffer();
        let end = payload.end.min(room.len());
        let start = payload.start.min(end);
        // Always fits: a datagram, and so the buffer, has less than 65536 bytes.
        let length = i32::try_from(end - start).unwrap_or(0);
        (room[start..].as_mut_ptr().cast(), length)
    }

    fn fresh(&mut self) -> &mut sys::ast_frame {
        // SAFETY: `new` allocated it, `drop` frees it, we hold the slot exclusively, and the host has finished with it.
        let frame = unsafe { self.frame.as_mut() };
        *frame = blank();
        frame
    }

    fn hand_out(&mut self) -> HostFrame {
        HostFrame::from_raw(self.frame.as_ptr())
    }
}

/// Writes the length in milliseconds that the samples of a frame take.
fn note_length(frame: &mut sys::ast_frame, format: &Format) {
    let rate = i64::from(format.rate());
    if rate > 0 {
        frame.flags |= sys::AST_FRFLAG_HAS_TIMING_INFO;
        frame.len = (i64::from(frame.samples) * 1000 / rate) as _;
    }
}

impl Drop for FrameSlot {
    fn drop(&mut self) {
        // SAFETY: both came from boxes in `new`; the slot is dropped when the host has no call on the session any more.
        unsafe {
            drop(Box::from_raw(self.frame.as_ptr()));
            drop(Box::from_raw(ptr::slice_from_raw_parts_mut(self.buffer.as_ptr().cast::<u8>(), self.buffer.len())));
        }
    }
}

impl fmt::Debug for FrameSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameSlot({} bytes)", self.buffer.len() - HEADROOM)
    }
}

/// The free bytes before the payload, into which the host may write.
const HEADROOM: usize = sys::AST_FRIENDLY_OFFSET as usize;
