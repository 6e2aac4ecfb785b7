//! Log lines and events that are noted under a session's lock and told to the host once it is open again.

use std::net::SocketAddr;

use asterisk::rtp::{InstancePtr, Report};
use asterisk::worker::Id;

/// One thing to tell.
#[derive(Debug)]
pub enum Note {
    /// Text for the console (`rtp set debug on`); one line or several.
    Verbose(String),
    /// A line for the debug log, at this level.
    Debug(u32, String),
    /// A warning for the log.
    Warning(String),
    /// An event for the manager interface.
    Report(Report),
    /// A compound packet of RTCP for a child, which may be about its stream.
    Reports {
        /// The child.
        about: Id,
        /// The sender.
        from: SocketAddr,
        /// The decrypted packet.
        compound: Vec<u8>,
    },
}

impl Note {
    /// Makes a line for the debug log.
    pub fn debug(level: u32, text: impl Into<String>) -> Self {
        Self::Debug(level, text.into())
    }

    /// Tells the host. No lock of ours is held. [`Note::Reports`] are the session's to pass on, and are no news to the host.
    ///
    /// # Safety
    /// For a [`Note::Report`] the caller keeps the promise of [`Report::publish`].
    pub unsafe fn tell(self, instance: InstancePtr) {
        match self {
            Self::Verbose(text) => text.lines().for_each(|line| asterisk::verbose!(0, "{line}")),
            Self::Debug(level, text) => asterisk::debug!(level, "{text}"),
            Self::Warning(text) => asterisk::warning!("{text}"),
            // SAFETY: the caller's word.
            Self::Report(report) => unsafe { report.publish(instance) },
            Self::Reports { .. } => {}
        }
    }
}
