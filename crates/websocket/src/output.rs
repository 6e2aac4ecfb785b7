//! The queue of frames that wait to be written.
//!
//! Each frame is one allocation that does not move until the stream has taken it: a TLS stream that could not take
//! bytes wants the same buffer again.

use std::collections::VecDeque;
use std::time::Instant;

use crate::deflate::Deflate;
use crate::frame::{Header, MAX_HEADER_LEN, Opcode};
use crate::mask;

#[derive(Default)]
pub(crate) struct Output {
    frames: VecDeque<Frame>,
    queued: usize,
}

struct Frame {
    opcode: Opcode,
    bytes: Vec<u8>,
    written: usize,
    since: Instant,
}

impl Output {
    /// Queues one message as a single frame, compressed if that makes it shorter.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        opcode: Opcode,
        masking_key: Option<[u8; 4]>,
        deflate: Option<Deflate>,
        payload: &[u8],
    ) {
        let deflate = deflate.filter(|_| !opcode.is_control());
        let compressed = deflate.and_then(|deflate| deflate.compress(payload));
        let payload = compressed.as_deref().unwrap_or(payload);
        let mut bytes = Vec::with_capacity(MAX_HEADER_LEN + payload.len());
        let payload_len = payload.len() as u64;
        Header { fin: true, compressed: compressed.is_some(), opcode, masking_key, payload_len }.write(&mut bytes);
        let header_len = bytes.len();
        bytes.extend_from_slice(payload);
        if let Some(key) = masking_key {
            mask::apply(key, 0, bytes.get_mut(header_len..).unwrap_or_default());
        }
        self.queued += bytes.len();
        self.frames.push_back(Frame { opcode, bytes, written: 0, since: now });
    }

    /// Returns the bytes to write next; they stay the same until `advance`.
    pub(crate) fn front(&self) -> Option<&[u8]> {
        self.frames.front().and_then(|frame| frame.bytes.get(frame.written..))
    }

    /// Notes that the stream has taken `len` bytes.
    pub(crate) fn advance(&mut self, len: usize) {
        let Some(frame) = self.frames.front_mut() else { return };
        frame.written += len;
        self.queued = self.queued.saturating_sub(len);
        if frame.written >= frame.bytes.len() {
            self.frames.pop_front();
        }
    }

    /// The number of bytes that wait to be written.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Returns the memory that the queue occupies, which for short frames is many times their length.
    pub(crate) fn held(&self) -> usize {
        self.queued + self.frames.len() * FRAME_OVERHEAD
    }

    /// The time since which the oldest frame waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.frames.front().map(|frame| frame.since)
    }

    /// Makes room for one more PONG: if many wait, only the newest has to be sent (RFC 6455 §5.5.3).
    pub(crate) fn limit_waiting_pongs(&mut self) {
        let waiting = self.frames.iter().skip(1).rev().take_while(|frame| frame.opcode == Opcode::Pong);
        if waiting.take(MAX_WAITING_PONGS).count() == MAX_WAITING_PONGS {
            self.drop_last();
        }
    }

    /// Drops the frames that wait, so that a Close frame can follow. The first frame stays: part of it may be written
    /// already.
    pub(crate) fn drop_waiting(&mut self) {
        while self.frames.len() > 1 {
            self.drop_last();
        }
    }

    fn drop_last(&mut self) {
        if let Some(last) = self.frames.pop_back() {
            self.queued = self.queued.saturating_sub(last.bytes.len());
        }
    }
}

/// The memory in bytes that a frame takes up beside its content: its place in the queue, and the allocator's overhead.
const FRAME_OVERHEAD: usize = size_of::<Frame>() + 32;

/// The number of PONGs that may wait. A peer that reads gets an answer to each of its PINGs; one that does not read
/// cannot fill our queue with PONGs.
const MAX_WAITING_PONGS: usize = 16;
