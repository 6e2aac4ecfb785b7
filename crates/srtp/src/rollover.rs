//! Finds a source's rollover counter (ROC) again (RFC 3711 §3.3.1).
//!
//! The counter is in no packet. A receiver loses it when more than 32,767 packets in a row are lost, and does not know it
//! when it first hears a source late. Every later packet fails then, for the rest of the call. So when nothing but
//! refused packets arrive, every [`ROLLOVER_TRIED_EVERY`]th of them is tried with the next counters. The authentication
//! tag covers the counter, so only the right one passes, and a forgery changes nothing. A flood of forgeries costs one
//! more authentication for each packet at most.

use libsrtp2_sys as sys;

use crate::error::{Error, check};
use crate::policy::Streams;
use crate::session::{RTP_HEADER_LEN, Session, rtp_ssrc};

/// A copy of a packet. What a refusal leaves of the original is undefined.
pub(crate) struct Kept {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Kept {
    /// Copies a packet; `None` if it is longer than a datagram on Ethernet.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let mut kept = Self { bytes: [0; LONGEST], len: packet.len() };
        kept.bytes.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(kept)
    }
}

impl Session {
    /// Decrypts the refused packet `kept` into `packet` with the first rollover counter that authenticates it. `None`
    /// without one; the session has not changed then.
    pub(crate) fn unprotect_after_rollover(&mut self, kept: &Kept, packet: &mut [u8]) -> Option<usize> {
        let ssrc = rtp_ssrc(&kept.bytes[..kept.len])?;
        if let Ok(known) = self.rollover_counter(ssrc) {
            let counters = known..=known.saturating_add(COUNTERS_AFTER_GAP);
            return self.try_counters(ssrc, counters, kept, packet);
        }
        let policy = self.template.as_ref()?.for_streams(Streams::Ssrc(ssrc));
        // SAFETY: the session is live; the policy lives during the call, which copies it.
        policy.with_raw(|policy| check(unsafe { sys::srtp_add_stream(self.raw.as_ptr(), policy) })).ok()?;
        let found = self.try_counters(ssrc, 1..=COUNTERS_AT_START, kept, packet);
        if found.is_none() {
            let _ = self.remove_stream(ssrc);
        }
        found
    }

    fn try_counters(
        &mut self,
        ssrc: u32,
        counters: impl Iterator<Item = u32>,
        kept: &Kept,
        packet: &mut [u8],
    ) -> Option<usize> {
        let mut tried = counters.filter(|&counter| counter > 0);
        let found = tried.find_map(|counter| {
            packet.copy_from_slice(&kept.bytes[..kept.len]);
            self.expect_rollover_counter(ssrc, counter).ok()?;
            self.unprotect(sys::srtp_unprotect, RTP_HEADER_LEN, packet).ok()
        });
        // 0 ends the expectation, which libsrtp itself does only after a jump: it would hold for all later packets.
        let _ = self.expect_rollover_counter(ssrc, 0);
        found
    }

    /// Wraps `srtp_get_stream_roc`.
    fn rollover_counter(&mut self, ssrc: u32) -> Result<u32, Error> {
        let mut counter = 0;
        // SAFETY: the session is live, and one number is written.
        check(unsafe { sys::srtp_get_stream_roc(self.raw.as_ptr(), ssrc, &mut counter) }).map(|()| counter)
    }

    /// Sets the counter for the next packet, 0 for none. Wraps `srtp_set_stream_roc`.
    fn expect_rollover_counter(&mut self, ssrc: u32, counter: u32) -> Result<(), Error> {
        // SAFETY: the session is live; two numbers.
        check(unsafe { sys::srtp_set_stream_roc(self.raw.as_ptr(), ssrc, counter) })
    }
}

/// One of so many refused packets in a row is tried with other counters.
pub(crate) const ROLLOVER_TRIED_EVERY: u32 = 8;

/// The counters tried after a gap: four are an hour and a half without a packet of 20 ms.
const COUNTERS_AFTER_GAP: u32 = 4;

/// The counters tried for a source that is heard for the first time: eight are almost three hours.
const COUNTERS_AT_START: u32 = 8;

/// The longest packet that is tried, in bytes.
const LONGEST: usize = 1500;
