//! Log lines and manager events that are collected under a session's lock and passed to the host after it is unlocked.

use std::net::SocketAddr;

use asterisk::rtp::{InstancePtr, Report};
use asterisk::worker::Id;

/// One log line or event.
#[derive(Debug)]
pub enum Note {
    /// Console text of one or several lines (`rtp set debug on`).
    Verbose(String),
    /// A line for the debug log, with its level.
    Debug(u32, String),
    /// A line about the session, which the host's pointer to it precedes, for the console at verbosity 4 or the debug log.
    OfInstance(Level, String),
    /// A warning for the log.
    Warning(String),
    /// An error for the log.
    Error(String),
    /// An event for the manager interface.
    Report(Report),
    /// The peer of the session is gone, and its call is to be ended.
    PeerGone,
    /// A compound RTCP packet to hand to a bundled session, whose stream it may report on.
    Reports {
        /// The bundled session.
        about: Id,
        /// The sender.
        from: SocketAddr,
        /// The decrypted compound packet.
        compound: Vec<u8>,
    },
}

/// The place of a line about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Consoles with verbosity 4 or more.
    Console,
    /// The debug log, at level 1.
    Debug,
}

impl Note {
    /// Creates a line for the debug log.
    pub fn debug(level: u32, text: impl Into<String>) -> Self {
        Self::Debug(level, text.into())
    }

    /// Passes the note to the host. The caller must not hold a lock of a session. Does nothing for [`Note::Reports`] and
    /// [`Note::PeerGone`], which the session delivers itself.
    ///
    /// # Safety
    /// If this is [`Note::Report`], the conditions of [`Report::publish`] must hold for `instance`.
    pub unsafe fn tell(self, instance: InstancePtr) {
        match self {
            Self::Verbose(text) => text.lines().for_each(|line| asterisk::verbose!(0, "{line}")),
            Self::Debug(level, text) => asterisk::debug!(level, "{text}"),
            Self::OfInstance(Level::Console, text) => asterisk::verbose!(4, "{instance:p} -- {text}"),
            Self::OfInstance(Level::Debug, text) => asterisk::debug!(1, "{instance:p} -- {text}"),
            Self::Warning(text) => asterisk::warning!("{text}"),
            Self::Error(text) => asterisk::error!("{text}"),
            // SAFETY: our caller promises the conditions of `publish`.
            Self::Report(report) => unsafe { report.publish(instance) },
            Self::Reports { .. } | Self::PeerGone => {}
        }
    }
}
