//! Random numbers from the kernel. There is no generator with per-thread state: it would stay on host threads that
//! outlive the module.

/// Fills `bytes` with random data fit for keys. Wraps getrandom(2).
pub fn fill(bytes: &mut [u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the kernel writes at most `rest.len()` bytes to `rest`.
        let filled = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(filled) {
            Ok(filled) => rest = rest.split_at_mut(filled.min(rest.len())).1,
            // Interrupted before the first byte. With these flags there is no other error once the kernel has booted.
            Err(_) => continue,
        }
    }
}

/// A random number of 32 bits, for an SSRC or a first timestamp.
pub fn u32() -> u32 {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}

/// A random number of 64 bits, for a tie-breaker.
pub fn u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
