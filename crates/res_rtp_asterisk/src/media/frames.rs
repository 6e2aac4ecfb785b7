//! The frames that the host gets, and the receive buffer. Both are reused, so reading a packet allocates no memory.

use std::ops::Range;

use asterisk::slot::Digit;
use asterisk::{FrameSlot, HostFrame, sys};
use rtp::telephone_event::{Signal, Signals};
use rtp::text::MISSING;

use crate::transport::LARGEST_DATAGRAM;

/// The frames that are returned to the host. The session that the host reads owns them, also for packets that belong to a bundled
/// session.
pub struct Frames {
    /// Voice, video, text and comfort noise. Datagrams are received into its buffer.
    media: FrameSlot,
    /// The control frame for a changed source.
    control: FrameSlot,
    picture_request: FrameSlot,
    /// Two frames for the signals of one packet, and one for a digit of the previous source. All three may be in one list, in
    /// which each frame can appear only once.
    digits: [FrameSlot; 3],
}

/// Index in `Frames::digits` for a digit that ends because media continues.
pub const DIGIT_BEFORE_MEDIA: usize = 1;

/// Index in `Frames::digits` for a digit that the previous source did not end.
const DIGIT_OF_OLD_SOURCE: usize = 2;

impl Frames {
    /// Allocates the frames and the receive buffer of [`LARGEST_DATAGRAM`] octets.
    pub fn new() -> Self {
        Self {
            media: FrameSlot::new(LARGEST_DATAGRAM),
            control: FrameSlot::new(0),
            picture_request: FrameSlot::new(0),
            digits: [FrameSlot::new(0), FrameSlot::new(0), FrameSlot::new(0)],
        }
    }

    /// Returns the receive buffer. Writing to it overwrites the payload of the last media frame, which the host no longer uses.
    pub fn buffer(&mut self) -> &mut [u8] {
        self.media.payload_buffer()
    }

    /// Returns the octets of the buffer in `range`; none if `range` exceeds the buffer.
    pub fn payload(&mut self, range: Range<usize>) -> &[u8] {
        self.buffer().get(range).unwrap_or_default()
    }

    /// Returns the frame for voice, video, text and comfort noise.
    pub fn media(&mut self) -> &mut FrameSlot {
        &mut self.media
    }

    /// Makes the frame that asks the channel for a whole picture. `number` is the stream number, if the host supplied one.
    pub fn picture_request(&mut self, number: Option<i32>) -> HostFrame {
        let request = self.picture_request.control(sys::AST_CONTROL_VIDUPDATE as i32);
        number.into_iter().fold(request, HostFrame::in_stream)
    }

    /// Makes the frame for a changed source, followed by the end of the old source's digit if there was one.
    pub fn source_changed(&mut self, ended: Option<Signal>) -> HostFrame {
        let changed = self.control.control(sys::AST_CONTROL_SRCCHANGE as i32);
        match ended.and_then(|signal| self.digit(DIGIT_OF_OLD_SOURCE, signal)) {
            Some(digit) => changed.followed_by(digit),
            None => changed,
        }
    }

    /// Makes the frame of a digit signal in `slot`, an index in `Frames::digits`. Returns `None` when the host has no frame for it.
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
            // A hook flash is one control frame, without begin and end.
            None => matches!(end, Digit::End { .. }).then(|| slot.control(sys::AST_CONTROL_FLASH as i32)),
        }
    }

    /// Makes the frames of the digit signals of one packet.
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

    /// Marks lost text: writes U+FFFD before a T.140 payload (RFC 4103 §5.3), over headers that have been read.
    pub fn mark_missing(&mut self, payload: &mut Range<usize>) {
        if let Some(start) = payload.start.checked_sub(MISSING.len())
            && let Some(mark) = self.buffer().get_mut(start..payload.start)
        {
            mark.copy_from_slice(MISSING);
            payload.start = start;
        }
    }
}
