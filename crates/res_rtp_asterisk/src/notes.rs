//! What has to be told to the host once a session's lock is open again.

use std::net::SocketAddr;
use std::time::Instant;

use asterisk::rtp::{InstancePtr, Report};

use crate::globals;
use crate::worker::Id;

/// One thing to tell.
#[derive(Debug)]
pub enum Note {
    /// For whoever watches the console (`rtp set debug on`); one line or several.
    Verbose(String),
    /// For the debug log, at this level.
    Debug(u32, String),
    /// For the log.
    Warning(String),
    /// For who listens on the manager interface.
    Report(Report),
    /// For a child: a compound of RTCP, which may be about its stream.
    Reports {
        /// The child.
        about: Id,
        /// Who sent it.
        from: SocketAddr,
        /// As it is without SRTCP.
        compound: Vec<u8>,
    },
}

impl Note {
    /// For the debug log.
    pub fn debug(level: u32, text: impl Into<String>) -> Self {
        Self::Debug(level, text.into())
    }

    /// Tells it. No lock of ours is held.
    ///
    /// # Safety
    /// That of [`Report::publish`], if it is one.
    pub unsafe fn tell(self, instance: InstancePtr) {
        match self {
            Self::Verbose(text) => text.lines().for_each(|line| asterisk::verbose!(0, "{line}")),
            Self::Debug(level, text) => asterisk::debug!(level, "{text}"),
            Self::Warning(text) => asterisk::warning!("{text}"),
            // SAFETY: the caller's word.
            Self::Report(report) => unsafe { report.publish(instance) },
            Self::Reports { about, from, compound } => {
                let now = Instant::now();
                let Some(child) = globals().and_then(|globals| globals.worker.shared().session(about)) else { return };
                child.with_for(instance, |state| state.handle_reports_from_parent(now, from, &compound));
            }
        }
    }
}
