//! This module's part of the metrics that `res_rtp_asterisk` serves.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

use asterisk::metrics::{self, Take, Write};
use exposition::Page;
use media_srtp::Error;

use crate::running;
use crate::session::Session;

/// Refused packets, in the order of [`REASONS`].
static REFUSED: [AtomicU64; REASONS.len()] = [const { AtomicU64::new(0) }; REASONS.len()];

/// Packets that could not be encrypted.
static NOT_ENCRYPTED: AtomicU64 = AtomicU64::new(0);

const REASONS: [&str; 6] = ["authentication", "replayed", "too_old", "malformed", "no_key", "other"];

/// Counts a packet that could not be decrypted.
pub fn count_refused(error: Error) {
    let reason = match error {
        Error::Authentication => 0,
        Error::Replayed => 1,
        Error::TooOld => 2,
        Error::Malformed => 3,
        Error::NoStream => 4,
        _ => 5,
    };
    REFUSED[reason].fetch_add(1, Ordering::Relaxed);
}

/// Counts a packet that could not be encrypted and was not sent.
pub fn count_not_encrypted() {
    NOT_ENCRYPTED.fetch_add(1, Ordering::Relaxed);
}

/// Writes the families of this module, see [`metrics::Write`].
///
/// # Safety
/// The arguments are as [`metrics::Write`] says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn asterisk_webrtc_metrics(
    format: c_int,
    node: *const c_char,
    take: Take,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: our caller promises it.
    unsafe { metrics::answer(format, node, take, argument, write) }
}

const _: Write = asterisk_webrtc_metrics;

fn write(page: &mut Page) -> Option<()> {
    running().as_ref()?;
    page.gauge("asterisk_srtp_contexts", "SRTP contexts, each for both directions of a stream.")
        .sample(&[], Session::count());
    let mut family =
        page.counter("asterisk_srtp_refused_packets", "SRTP and SRTCP packets that were refused, by reason.");
    for (reason, count) in REASONS.iter().zip(&REFUSED) {
        family.sample(&[("reason", reason)], count.load(Ordering::Relaxed));
    }
    page.counter("asterisk_srtp_unsent_packets", "Packets that could not be encrypted and were not sent.")
        .sample(&[], NOT_ENCRYPTED.load(Ordering::Relaxed));
    Some(())
}
