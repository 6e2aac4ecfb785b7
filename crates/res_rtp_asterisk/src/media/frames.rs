//! Frames for the host and the buffer that packets are received into: reading a packet allocates nothing.

use std::ops::Range;

use asterisk::slot::Digit;
use asterisk::{FrameSlot, HostFrame, sys};
use rtp::telephone_event::{Signal, Signals};

use crate::transport::LARGEST_DATAGRAM;

/// The frames that are handed to the host. They belong to the session that is asked for a frame, also when the frame is of a
/// stream that another session keeps count of.
pub struct Frames {
    /// Sound, pictures, text and noise; its buffer is the one that datagrams are received into.
    media: FrameSlot,
    /// Frames that come along with one of media, or instead of it.
    control: FrameSlot,
    picture_request: FrameSlot,
    /// Two for the events of one packet, one for a digit that another source left behind: they may all be in one list, where no
    /// frame can be twice.
    digits: [FrameSlot; 3],
}

/// The frame of [`Frames`] for a digit that ends because media goes on.
pub const DIGIT_BEFORE_MEDIA: usize = 1;

/// The frame of [`Frames`] for a digit that another source left behind.
const DIGIT_OF_OLD_SOURCE: usize = 2;

impl Frames {
    /// Allocates frames and buffer.
    pub fn new() -> Self {
        Self {
            media: FrameSlot::new(LARGEST_DATAGRAM),
            control: FrameSlot::new(0),
            picture_request: FrameSlot::new(0),
            digits: [FrameSlot::new(0), FrameSlot::new(0), FrameSlot::new(0)],
        }
    }

    /// Returns the buffer to receive into. What frames of media point to is overwritten; the host is done with them.
    pub fn buffer(&mut self) -> &mut [u8] {
        self.media.payload_buffer()
    }

    /// Returns that part of the buffer, as much of it as there is.
    pub fn payload(&mut self, range: Range<usize>) -> &[u8] {
        self.buffer().get(range).unwrap_or_default()
    }

    /// Returns the frame for media.
    pub fn media(&mut self) -> &mut FrameSlot {
        &mut self.media
    }

    /// Makes the frame that asks the channel for a whole picture; `number` is that of its stream, where the host tells.
    pub fn picture_request(&mut self, number: Option<i32>) -> HostFrame {
        let request = self.picture_request.control(sys::AST_CONTROL_VIDUPDATE as i32);
        number.into_iter().fold(request, HostFrame::in_stream)
    }

    /// Makes the frames that say that the source has changed, and that a digit of the old one has ended.
    pub fn source_changed(&mut self, ended: Option<Signal>) -> HostFrame {
        let changed = self.control.control(sys::AST_CONTROL_SRCCHANGE as i32);
        match ended.and_then(|signal| self.digit(DIGIT_OF_OLD_SOURCE, signal)) {
            Some(digit) => changed.followed_by(digit),
            None => changed,
        }
    }

    /// Makes the frame of one signal in that slot; `None` when the host has no frame for it.
    pub fn digit(&mut self, slot: usize, signal: Signal) -> Option<HostFrame> {
        let (key, end) = match signal {
            Signal::Begin(key) => (key, Digit::Begin),
            Signal::End { key, held } => {
                (key, Digit::End { duration_ms: u32::try_from(held.as_millis()).unwrap_or(u32::MAX) })
            }
            Signal::Continue(_) => return None,
        };
        let slot = self.digits.get_mut(slot)?;
        match key.to_char() {
            Some(letter) => Some(slot.digit(letter as u8, end)),
            // A hook flash is a control of the host, once.
            None => matches!(end, Digit::End { .. }).then(|| slot.control(sys::AST_CONTROL_FLASH as i32)),
        }
    }

    /// Makes the frames of the signals of one packet.
    pub fn signals(&mut self, signals: Signals) -> Option<HostFrame> {
        let mut frames = [None, None];
        for (slot, signal) in signals.into_iter().enumerate() {
            if let Some(frame) = frames.get_mut(slot) {
                *frame = self.digit(slot, signal);
            }
        }
        match frames {
            [Some(first), Some(second)] => Some(first.followed_by(second)),
            [first, second] => first.or(second),
        }
    }

    /// Writes U+FFFD in front of a payload of T.140 when a few packets are missing before it (RFC 4103 §5.3).
    pub fn mark_missing(&mut self, payload: &mut Range<usize>, missing: i16) {
        if (1..10).contains(&missing)
            && let Some(start) = payload.start.checked_sub(MISSING.len())
            && let Some(mark) = self.buffer().get_mut(start..payload.start)
        {
            mark.copy_from_slice(&MISSING);
            payload.start = start;
        }
    }
}

/// U+FFFD, the replacement character.
const MISSING: [u8; 3] = [0xEF, 0xBF, 0xBD];
