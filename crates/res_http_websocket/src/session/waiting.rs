//! The consumer between two messages: the descriptor that it polls, and the stack of its thread meanwhile.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use asterisk::stack;

use super::{Read, Session};

/// The position on a thread's stack from which the last message was read; 0 before the first.
#[derive(Default)]
pub(super) struct Reader(AtomicUsize);

impl Reader {
    fn read_from(&self, position: usize) {
        self.0.store(position, Ordering::Relaxed);
    }

    /// Returns whether the loop that reads is at this position: in no function that handles a message, and on no other thread.
    fn is_at(&self, position: usize) -> bool {
        let read_from = self.0.load(Ordering::Relaxed);
        read_from != 0 && read_from.abs_diff(position) <= ONE_FRAME
    }
}

/// The most bytes between two functions that one loop calls. chan_sip asks for the descriptor also when it sends, some kilobytes deeper.
const ONE_FRAME: usize = 512;

impl Session {
    /// The descriptor for the consumer to poll: readable when [`Self::read`] has something to say. Never -1, and valid as long
    /// as the session is.
    pub fn descriptor(&self) -> RawFd {
        self.descriptor.load(Ordering::Relaxed)
    }

    /// Like [`Self::read`], for a consumer at this position that asks [`Self::descriptor_to_wait_for`] before it waits for the next
    /// message. Never inlined, because it would enlarge the frame at `position`.
    #[inline(never)]
    pub fn read_to_handle(&self, position: usize) -> Read {
        let read = self.read();
        if self.is_sip() && matches!(read, Read::Frame { .. }) {
            self.reader.read_from(position);
        }
        read
    }

    /// Like [`Self::descriptor`]. chan_sip asks before each wait, which may last for hours, and once more for each message, when there
    /// is little to give back. Handling SIP has used some 60 KiB of the thread's stack, and there is a thread for each session.
    pub fn descriptor_to_wait_for(&self, position: usize) -> RawFd {
        if self.reader.is_at(position) {
            stack::release_unused();
        }
        self.descriptor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_is_given_back_by_the_loop_that_reads_and_by_nobody_else() {
        let reader = Reader::default();
        let position = 0x7f00_0000;
        assert!(!reader.is_at(position), "it waits for the first message");
        reader.read_from(position);
        assert!(reader.is_at(position - 100));
        assert!(!reader.is_at(position - 2000), "it sends an answer");
        assert!(!reader.is_at(position + 0x10_0000), "another thread sends");
        assert!(reader.is_at(position - 100), "it waits for the next one");
    }
}
