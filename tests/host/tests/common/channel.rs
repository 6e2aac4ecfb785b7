//! A channel of the host, which can be asked to hang up.

use asterisk_sys as sys;
use host_tests::raw;

/// A channel of the host.
pub struct Channel(*mut sys::ast_channel);

impl Channel {
    /// Takes over a channel that `host_channel_new` has made.
    ///
    /// # Safety
    /// It is the caller's.
    pub unsafe fn of(channel: *mut sys::ast_channel) -> Self {
        Self(channel)
    }

    /// A channel without RTP.
    pub fn without_rtp() -> Self {
        // SAFETY: no instance is a valid argument.
        Self(unsafe { raw::host_channel_new(std::ptr::null_mut()) })
    }

    /// The cause of the hangup that it was asked for.
    pub fn cause(&self) -> Option<i32> {
        // SAFETY: the channel is ours.
        Some(unsafe { raw::host_channel_cause(self.0) }).filter(|cause| *cause != 0)
    }

    /// Runs `run` while the channel is locked, as by a thread of the host that is in the middle of something.
    pub fn while_locked<R>(&self, run: impl FnOnce() -> R) -> R {
        // SAFETY: the channel is ours, and this thread unlocks it.
        unsafe { raw::host_channel_set_locked(self.0, 1) };
        let result = run();
        // SAFETY: as above.
        unsafe { raw::host_channel_set_locked(self.0, 0) };
        result
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // SAFETY: made by `host_channel_new`, destroyed once.
        unsafe { raw::host_channel_destroy(self.0) };
    }
}
