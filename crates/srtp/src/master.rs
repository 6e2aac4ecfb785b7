//! The master key and salt, kept out of logs and out of freed memory.

use crate::error::Error;
use crate::policy::Suite;

/// A master key followed by its master salt (RFC 3711 §3.2.1). Dropping it overwrites it, and `Debug` does
/// not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl MasterKey {
    /// Takes key and salt, concatenated, of the length that the suite requires.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Result<Self, Error> {
        let expected = suite.master_len();
        if key_and_salt.len() != expected {
            return Err(Error::KeyLength { len: key_and_salt.len(), expected });
        }
        Ok(Self::fill_with(suite, |bytes| bytes.copy_from_slice(key_and_salt)))
    }

    /// Lets `fill` write key and salt, for a random key.
    pub fn fill_with(suite: Suite, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut key = Self { bytes: [0; MAX_LEN], len: suite.master_len() };
        fill(&mut key.bytes[..key.len]);
        key
    }

    /// Key and salt, concatenated.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The pointer for libsrtp, whose declarations lack `const` although it only reads.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        for byte in &mut self.bytes {
            // SAFETY: a byte that we borrow mutably. The compiler must not omit a volatile write.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MasterKey").finish_non_exhaustive()
    }
}

/// The greatest length in bytes: that of AES-256 in counter mode.
pub(crate) const MAX_LEN: usize = 32 + 14;
