//! Buffers to read a stream into, shared by all sessions.
//!
//! A buffer on the stack would cost 16 KiB for each session: the thread that the host has for it keeps the pages for as
//! long as the session is up, and most sessions say nothing for minutes.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use asterisk::lock;

/// The length of a buffer, in bytes: the plaintext of one TLS record (RFC 8446 §5.1), and one more for hosts that read one
/// byte less than they are asked for.
pub const LEN: usize = 16 * 1024 + 1;

/// The most unused buffers that are kept. More threads than that rarely read at the same time; when they do, further buffers
/// are made and freed again.
const KEPT: usize = 8;

/// The buffers that nobody uses at the moment.
#[derive(Default)]
pub struct Buffers(Mutex<Vec<Box<[u8]>>>);

/// A buffer in use; dropping it returns it to its [`Buffers`].
pub struct Buffer<'a> {
    bytes: Box<[u8]>,
    home: &'a Buffers,
}

impl Buffers {
    /// A buffer of [`LEN`] bytes. Its content is what its last user left.
    pub fn take(&self) -> Buffer<'_> {
        let kept = lock(&self.0).pop();
        Buffer { bytes: kept.unwrap_or_else(|| vec![0; LEN].into()), home: self }
    }
}

impl Deref for Buffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let mut kept = lock(&self.home.0);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}
