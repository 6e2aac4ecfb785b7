//! A libsrtp session that frees itself.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use libsrtp2_sys as sys;

use crate::error::{Error, check};
use crate::library::Library;
use crate::policy::{Policy, Streams};
use crate::rollover::{Kept, ROLLOVER_TRIED_EVERY};

/// The cryptographic contexts of the streams of one direction or of both (RFC 3711 §3.2).
#[derive(Debug)]
pub struct Session {
    pub(crate) raw: NonNull<sys::srtp_ctx_t>,
    /// The SSRCs with their own policies.
    pub(crate) configured: Vec<u32>,
    /// The SSRCs for which libsrtp made a stream from the wildcard policy, the first one seen in front.
    pub(crate) learned: Vec<u32>,
    /// The wildcard policy for received streams, for sources whose rollover counter has to be found.
    pub(crate) template: Option<Policy>,
    /// Whether the suite lets a lost rollover counter be searched for.
    finds_rollover: bool,
    /// The packets refused in a row, which may be those of a source whose rollover counter we do not have.
    refused_in_a_row: u32,
    // Declared after the context, so that it is dropped after it: the last one shuts libsrtp down.
    _library: Library,
}

// SAFETY: a libsrtp context is not tied to a thread, and every function that uses it takes `&mut self`.
unsafe impl Send for Session {}

impl Session {
    /// Creates a session. At most one policy may be a wildcard, as libsrtp has one template per session. Wraps
    /// `srtp_create`.
    pub fn new(policies: &[Policy]) -> Result<Self, Error> {
        let library = Library::open()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is ours to write to, and a session without policies is allowed.
        check(unsafe { sys::srtp_create(&mut raw, std::ptr::null()) })?;
        let raw = NonNull::new(raw).ok_or(Error::Library(sys::srtp_err_status_t_srtp_err_status_alloc_fail))?;
        let learned = Vec::with_capacity(LEARNED_MAX + 1);
        let mut session = Self {
            raw,
            configured: Vec::new(),
            learned,
            template: None,
            finds_rollover: false,
            refused_in_a_row: 0,
            _library: library,
        };
        policies.iter().try_for_each(|policy| session.add_stream(policy))?;
        Ok(session)
    }

    /// Adds a policy. If its SSRC has one already, the new one replaces it and starts with a new rollover counter and
    /// replay list. A second wildcard is refused with [`Error::BadPolicy`]. Wraps `srtp_add_stream`.
    pub fn add_stream(&mut self, policy: &Policy) -> Result<(), Error> {
        if let Streams::Ssrc(ssrc) = policy.streams() {
            // libsrtp would keep both and use the newer one. `NoStream` is the usual result here.
            let _ = self.remove_stream(ssrc);
        }
        // SAFETY: the session is live; the policy lives during the call, which copies it.
        policy.with_raw(|policy| check(unsafe { sys::srtp_add_stream(self.raw.as_ptr(), policy) }))?;
        if let Streams::Ssrc(ssrc) = policy.streams() {
            self.configured.push(ssrc);
        }
        self.keep_template(policy);
        Ok(())
    }

    /// Removes the policy of an SSRC. Wraps `srtp_remove_stream`.
    pub fn remove_stream(&mut self, ssrc: u32) -> Result<(), Error> {
        self.configured.retain(|&configured| configured != ssrc);
        self.learned.retain(|&learned| learned != ssrc);
        // SAFETY: the session is live. Unlike the SSRC in a policy, this one is in network byte order.
        check(unsafe { sys::srtp_remove_stream(self.raw.as_ptr(), ssrc.to_be()) })
    }

    /// Sets new keys for the streams of `policy` and keeps their rollover counters. Wraps `srtp_update`.
    pub fn update(&mut self, policy: &Policy) -> Result<(), Error> {
        // SAFETY: as in `add_stream`.
        policy.with_raw(|policy| check(unsafe { sys::srtp_update(self.raw.as_ptr(), policy) }))?;
        self.keep_template(policy);
        Ok(())
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer` and returns its new length. [`MAX_TRAILER_LEN`]
    /// free bytes after the packet are always enough.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        self.protect(sys::srtp_protect, RTP_HEADER_LEN, buffer, len)
    }

    /// Protects the compound RTCP packet in the first `len` bytes of `buffer` and returns its new length.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        self.protect(sys::srtp_protect_rtcp, RTCP_HEADER_LEN, buffer, len)
    }

    /// Authenticates and decrypts an SRTP packet in place and returns the length of the RTP packet. After an error the
    /// contents of `packet` are undefined, and the session has not changed.
    ///
    /// A source whose rollover counter we lost, by a late start or a gap of more than 32,767 packets, is found again
    /// within a few packets, unless the suite is an AEAD: every eighth refused packet is tried with the next counters.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let is_due = self.finds_rollover && self.refused_in_a_row % ROLLOVER_TRIED_EVERY == ROLLOVER_TRIED_EVERY - 1;
        let kept = is_due.then(|| Kept::of(packet)).flatten();
        let len = match self.unprotect(sys::srtp_unprotect, RTP_HEADER_LEN, packet) {
            Err(error @ (Error::Authentication | Error::TooOld | Error::Replayed)) => {
                self.refused_in_a_row = self.refused_in_a_row.wrapping_add(1);
                kept.and_then(|kept| self.unprotect_after_rollover(&kept, packet)).ok_or(error)?
            }
            result => result?,
        };
        self.refused_in_a_row = 0;
        self.learn(rtp_ssrc(packet));
        Ok(len)
    }

    /// Authenticates and decrypts an SRTCP packet in place and returns the length of the RTCP packet. After an error
    /// the contents of `packet` are undefined, and the session has not changed.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let len = self.unprotect(sys::srtp_unprotect_rtcp, RTCP_HEADER_LEN + SRTCP_INDEX_LEN, packet)?;
        self.learn(rtcp_ssrc(packet));
        Ok(len)
    }

    fn keep_template(&mut self, policy: &Policy) {
        // libsrtp 2.3.0 authenticates an AEAD packet after a jump, but does not move its index: each later packet would fail.
        self.finds_rollover = !policy.suite().is_aead();
        if policy.streams() == Streams::AnyInbound {
            self.template = Some(policy.clone());
        }
    }

    fn protect(&mut self, function: Function, header: usize, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        let needed = len.checked_add(MAX_TRAILER_LEN).ok_or(Error::Malformed)?;
        if buffer.len() < needed {
            return Err(Error::BufferTooSmall { needed });
        }
        self.transform(function, header, buffer, len)
    }

    pub(crate) fn unprotect(&mut self, function: Function, header: usize, packet: &mut [u8]) -> Result<usize, Error> {
        let len = packet.len();
        self.transform(function, header, packet, len).map_err(|error| match error {
            // libsrtp returns these for a packet that is shorter than its tag.
            Error::BadPolicy | Error::Library(sys::srtp_err_status_t_srtp_err_status_cipher_fail) => Error::Malformed,
            other => other,
        })
    }

    /// Remembers the source of an authenticated packet. libsrtp keeps a stream for every SSRC accepted by the
    /// wildcard, in an unlimited list: a peer with a new SSRC in each packet would use up memory and time.
    fn learn(&mut self, ssrc: Option<u32>) {
        let Some(ssrc) = ssrc else { return };
        if self.learned.contains(&ssrc) || self.configured.contains(&ssrc) {
            return;
        }
        self.learned.push(ssrc);
        if self.learned.len() > LEARNED_MAX {
            let _ = self.remove_stream(self.learned[0]);
        }
    }

    fn transform(&mut self, function: Function, header: usize, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        if len < header {
            return Err(Error::Malformed);
        }
        let mut new_len = c_int::try_from(len).map_err(|_| Error::Malformed)?;
        // SAFETY: the session is live and borrowed mutably. `buffer` holds `len` bytes, as the caller has checked, and
        // room for the longest trailer when protecting; unprotecting never makes a packet longer.
        check(unsafe { function(self.raw.as_ptr(), buffer.as_mut_ptr().cast(), &mut new_len) })?;
        usize::try_from(new_len).map_err(|_| Error::Malformed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: `new` created it and nobody else has it. If freeing fails, there is no remedy.
        unsafe { sys::srtp_dealloc(self.raw.as_ptr()) };
    }
}

/// The SSRC of an RTP packet, which SRTP leaves in the clear (RFC 3711 §3.1). `None` if the packet is too short.
pub fn rtp_ssrc(packet: &[u8]) -> Option<u32> {
    packet.get(8..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// The SSRC of an RTCP packet's sender, which SRTCP leaves in the clear (RFC 3711 §3.4). `None` if the
/// packet is too short.
pub fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    packet.get(4..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// The type of `srtp_protect`, `srtp_protect_rtcp`, `srtp_unprotect` and `srtp_unprotect_rtcp`.
pub(crate) type Function = unsafe extern "C" fn(sys::srtp_t, *mut c_void, *mut c_int) -> sys::srtp_err_status_t;

/// The most bytes that protection adds: the SRTCP index and the tag of the GCM suites.
pub const MAX_TRAILER_LEN: usize = SRTCP_INDEX_LEN + 16;

/// The most sources without their own policies that a session keeps at a time: more than a browser sends in one media
/// section with simulcast, retransmission and a new SSRC in every re-INVITE.
const LEARNED_MAX: usize = 64;

/// The length of the fixed RTP header in bytes (RFC 3550 §5.1).
pub(crate) const RTP_HEADER_LEN: usize = 12;
/// The length in bytes of the RTCP header and the sender's SSRC, which SRTCP leaves in the clear (RFC 3550 §6.4).
const RTCP_HEADER_LEN: usize = 8;
/// The length in bytes of the E bit and the index (RFC 3711 §3.4).
const SRTCP_INDEX_LEN: usize = 4;
