//! The host's smoother: it turns audio frames of one length into frames of another.

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use crate::{Failed, FrameRef, check, sys};

/// Splits audio into packets of a fixed number of bytes. Wraps `ast_smoother_*`.
pub struct Smoother(NonNull<sys::ast_smoother>);

// SAFETY: memory that is not tied to a thread.
unsafe impl Send for Smoother {}

/// The byte order in which the smoother stores linear samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// As in the frames fed to it.
    Native,
    /// Network byte order, as on the wire.
    Network,
}

impl Smoother {
    /// Creates a smoother for packets of `bytes` bytes; `None` if out of memory.
    pub fn new(bytes: u32) -> Option<Self> {
        // SAFETY: takes a number; returns null if the host is out of memory.
        NonNull::new(unsafe { sys::ast_smoother_new(c_int::try_from(bytes).ok()?) }).map(Self)
    }

    /// Sets the flags `AST_SMOOTHER_FLAG_*`, from [`crate::format::Framing::smoother_flags`].
    pub fn set_flags(&mut self, flags: u32) {
        // SAFETY: the smoother is ours, and borrowed exclusively.
        unsafe { sys::ast_smoother_set_flags(self.0.as_ptr(), flags as c_int) };
    }

    /// Whether the flag is set.
    pub fn has_flag(&self, flag: u32) -> bool {
        // SAFETY: the smoother is ours; the host only reads it.
        unsafe { sys::ast_smoother_test_flag(self.0.as_ptr(), flag as c_int) != 0 }
    }

    /// Copies the media of a voice frame into the smoother.
    pub fn feed(&mut self, frame: FrameRef<'_>, order: ByteOrder) -> Result<(), Failed> {
        let swap = order == ByteOrder::Network && cfg!(target_endian = "little");
        // SAFETY: the smoother is ours; the frame is lent for the call and only read.
        check(unsafe { sys::__ast_smoother_feed(self.0.as_ptr(), frame.as_ptr(), swap.into()) })
    }

    /// The next packet, if there is enough media for one. It stays in the smoother and is valid until its next use.
    pub fn read(&mut self) -> Option<FrameRef<'_>> {
        // SAFETY: the smoother is ours; the returned frame lives until it is used again, which the borrow prevents.
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
