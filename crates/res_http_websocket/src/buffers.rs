//! Where reads go. Not onto the stack: the thread that the host has for each session would keep those pages for as long
//! as the session is up, and most do not say anything for minutes.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use asterisk::lock;

/// What a TLS record holds, and one more for hosts that read one less than they may.
pub const LEN: usize = 16 * 1024 + 1;

/// As many as threads read at the same time; more are made when they are needed, and not kept.
const KEPT: usize = 8;

/// Buffers that nobody uses at the moment.
#[derive(Default)]
pub struct Buffers(Mutex<Vec<Box<[u8]>>>);

/// One of them, while it is in use.
pub struct Buffer<'a> {
    bytes: Box<[u8]>,
    home: &'a Buffers,
}

impl Buffers {
    /// One of [`LEN`] bytes, with anything in it.
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
