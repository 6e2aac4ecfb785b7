//! The host's smoother: frames of one length in, frames of another out.

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use crate::{Failed, FrameRef, check, sys};

/// Cuts voice into packets of a fixed number of bytes. Wraps `ast_smoother_*`.
pub struct Smoother(NonNull<sys::ast_smoother>);

// SAFETY: memory without a tie to a thread.
unsafe impl Send for Smoother {}

/// In which byte order the smoother is to keep linear samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// As they come.
    Native,
    /// As they are sent.
    Network,
}

impl Smoother {
    /// For packets of so many bytes.
    pub fn new(bytes: u32) -> Option<Self> {
        // SAFETY: takes a number; null when the host is out of memory.
        NonNull::new(unsafe { sys::ast_smoother_new(c_int::try_from(bytes).ok()?) }).map(Self)
    }

    /// `AST_SMOOTHER_FLAG_*`: from [`crate::format::Framing::smoother_flags`].
    pub fn set_flags(&mut self, flags: u32) {
        // SAFETY: ours, exclusively.
        unsafe { sys::ast_smoother_set_flags(self.0.as_ptr(), flags as c_int) };
    }

    /// The flags as they are.
    pub fn has_flag(&self, flag: u32) -> bool {
        // SAFETY: ours; the host only reads it.
        unsafe { sys::ast_smoother_test_flag(self.0.as_ptr(), flag as c_int) != 0 }
    }

    /// Takes in the media of a voice frame, which it copies.
    pub fn feed(&mut self, frame: FrameRef<'_>, order: ByteOrder) -> Result<(), Failed> {
        let swap = order == ByteOrder::Network && cfg!(target_endian = "little");
        // SAFETY: the smoother is ours, the frame is lent for the call and only read.
        check(unsafe { sys::__ast_smoother_feed(self.0.as_ptr(), frame.as_ptr(), swap.into()) })
    }

    /// The next packet, once there is enough for one. It lies in the smoother, until the next call.
    pub fn read(&mut self) -> Option<FrameRef<'_>> {
        // SAFETY: the smoother is ours; the frame it answers stays until it is used again, which the borrow prevents.
        NonNull::new(unsafe { sys::ast_smoother_read(self.0.as_ptr()) }).map(|frame| unsafe { FrameRef::lend(frame) })
    }
}

impl Drop for Smoother {
    fn drop(&mut self) {
        // SAFETY: ours since `new`.
        unsafe { sys::ast_smoother_free(self.0.as_ptr()) };
    }
}

impl fmt::Debug for Smoother {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smoother")
    }
}
