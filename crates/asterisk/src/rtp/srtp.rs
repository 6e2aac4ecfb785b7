//! SRTP through the two tables that an SRTP module, ours or the original, registers with the core. They are variables of the
//! core, null until a module registers and after it goes: read at each use, never kept.

use std::ffi::{c_int, c_ulong, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use super::Instance;
use crate::{Failed, check, symbols, sys};

/// Whether there is an SRTP module. Wraps `ast_rtp_engine_srtp_is_registered`.
pub fn srtp_registered() -> bool {
    // SAFETY: reads two variables of the core.
    unsafe { sys::ast_rtp_engine_srtp_is_registered() != 0 }
}

fn table() -> Option<NonNull<sys::ast_srtp_res>> {
    NonNull::new(symbols::RES_SRTP.read()?)
}

fn policy_table() -> Option<NonNull<sys::ast_srtp_policy_res>> {
    NonNull::new(symbols::RES_SRTP_POLICY.read()?)
}

/// One function of a table; `None` while there is no module.
macro_rules! function {
    ($table:expr, $name:ident) => {
        $table.and_then(|table| {
            // SAFETY: a table stays in place while it is registered, and what was made with it keeps its module there.
            unsafe { table.as_ref() }.$name
        })
    };
}

/// RTP or RTCP: they are protected with keys of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Media.
    Rtp,
    /// Control.
    Rtcp,
}

impl Which {
    fn to_host(self) -> c_int {
        c_int::from(self == Self::Rtcp)
    }
}

/// A packet that SRTP refused: forged, replayed, or for keys we do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused by SRTP")]
pub struct Refused;

/// An SRTP session of the host, lent.
///
/// It has a lock of its own, but [`Srtp::protect`] leaves its result in a buffer of the session: whoever protects keeps
/// others from it until the packet is sent.
#[derive(Debug, Clone, Copy)]
pub struct Srtp<'a>(NonNull<sys::ast_srtp>, PhantomData<&'a sys::ast_srtp>);

impl Srtp<'_> {
    /// # Safety
    /// `srtp` is live for `'a`, and so is the module that made it.
    pub(super) unsafe fn lend(srtp: NonNull<sys::ast_srtp>) -> Self {
        Self(srtp, PhantomData)
    }

    /// Encrypts and authenticates a packet and hands the result to `send`. The packet itself stays as it is.
    pub fn protect<T>(&self, packet: &mut [u8], which: Which, send: impl FnOnce(&[u8]) -> T) -> Result<T, Refused> {
        let protect = function!(table(), protect).ok_or(Refused)?;
        let mut place: *mut c_void = packet.as_mut_ptr().cast();
        let mut length = c_int::try_from(packet.len()).map_err(|_| Refused)?;
        // SAFETY: the module copies `length` bytes from `place` into a buffer of its own, with room for what is added, and
        // points `place` to it.
        if unsafe { protect(self.0.as_ptr(), &raw mut place, &raw mut length, which.to_host()) } < 0 {
            return Err(Refused);
        }
        let length = usize::try_from(length).map_err(|_| Refused)?;
        // SAFETY: the result stays until the next call on this session, which the caller keeps away until `send` returns.
        Ok(send(unsafe { slice::from_raw_parts(place.cast(), length) }))
    }

    /// Checks and decrypts a packet where it lies; answers how long it is now.
    pub fn unprotect(&self, packet: &mut [u8], which: Which) -> Result<usize, Refused> {
        let unprotect = function!(table(), unprotect).ok_or(Refused)?;
        let mut length = c_int::try_from(packet.len()).map_err(|_| Refused)?;
        let place = packet.as_mut_ptr().cast();
        // SAFETY: works within the `length` bytes at `place`.
        if unsafe { unprotect(self.0.as_ptr(), place, &raw mut length, which.to_host()) } < 0 {
            return Err(Refused);
        }
        usize::try_from(length).ok().filter(|length| *length <= packet.len()).ok_or(Refused)
    }

    /// Keys for one more source, or for one that is there.
    pub fn add_stream(&self, policy: &SrtpPolicy) -> Result<(), Failed> {
        let add_stream = function!(table(), add_stream).ok_or(Failed)?;
        // SAFETY: the session is live, the policy ours; the module copies it.
        check(unsafe { add_stream(self.0.as_ptr(), policy.as_ptr()) })
    }

    /// Our SSRC changed.
    pub fn change_source(&self, from: u32, to: u32) -> Result<(), Failed> {
        let change = function!(table(), change_source).ok_or(Failed)?;
        // SAFETY: the session is live; two numbers.
        check(unsafe { change(self.0.as_ptr(), from, to) })
    }
}

/// An SRTP session that no instance owns: for SRTCP with keys of its own, which must not replace those of the instance.
#[derive(Debug)]
pub struct OwnedSrtp(NonNull<sys::ast_srtp>);

// SAFETY: the SRTP module locks its sessions.
unsafe impl Send for OwnedSrtp {}
// SAFETY: likewise.
unsafe impl Sync for OwnedSrtp {}

impl OwnedSrtp {
    /// With the keys of one direction; the module copies them.
    ///
    /// # Safety
    /// The instance outlives every use of this but the drop: the module keeps the pointer, and the original names the peer
    /// by it when it refuses a packet.
    pub unsafe fn create(instance: Instance<'_>, policy: &SrtpPolicy) -> Result<Self, Failed> {
        let create = function!(table(), create).ok_or(Failed)?;
        let mut srtp = ptr::null_mut();
        // SAFETY: the instance is lent for the call, and the caller vouches for the time after it; `destroy` only frees.
        check(unsafe { create(&raw mut srtp, instance.as_ptr(), policy.as_ptr()) })?;
        NonNull::new(srtp).map(Self).ok_or(Failed)
    }

    /// And those of the other.
    pub fn add_stream(&self, policy: &SrtpPolicy) -> Result<(), Failed> {
        self.borrow().add_stream(policy)
    }

    /// To use it.
    pub fn borrow(&self) -> Srtp<'_> {
        // SAFETY: ours for as long as it is borrowed.
        unsafe { Srtp::lend(self.0) }
    }
}

impl Drop for OwnedSrtp {
    fn drop(&mut self) {
        // A module that is gone took its sessions with it.
        if let Some(destroy) = function!(table(), destroy) {
            // SAFETY: ours since `create`.
            unsafe { destroy(self.0.as_ptr()) };
        }
    }
}

/// Cipher and tag (RFC 4568 §6.2, RFC 7714).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-CM-128 with an HMAC-SHA1 of 80 bits.
    AesCm128HmacSha1_80,
    /// AES-CM-128 with an HMAC-SHA1 of 32 bits for media.
    AesCm128HmacSha1_32,
    /// AES-GCM-128. Only our own SRTP module has it; the original refuses it, and logs that it does.
    AeadAes128Gcm,
    /// AES-GCM-256. Likewise.
    AeadAes256Gcm,
}

/// Not a number that Asterisk 11 knows; it is that of later ones.
pub const AEAD_AES_128_GCM: sys::ast_srtp_suite = 7;
/// Likewise.
pub const AEAD_AES_256_GCM: sys::ast_srtp_suite = 8;

impl Suite {
    fn to_host(self) -> sys::ast_srtp_suite {
        match self {
            Self::AesCm128HmacSha1_80 => sys::AST_AES_CM_128_HMAC_SHA1_80,
            Self::AesCm128HmacSha1_32 => sys::AST_AES_CM_128_HMAC_SHA1_32,
            Self::AeadAes128Gcm => AEAD_AES_128_GCM,
            Self::AeadAes256Gcm => AEAD_AES_256_GCM,
        }
    }
}

/// Which packets a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySsrc {
    /// Those of this source: ours.
    Specific(u32),
    /// Whatever comes in.
    AnyInbound,
}

/// A suite and keys for one direction.
#[derive(Debug)]
pub struct SrtpPolicy(NonNull<sys::ast_srtp_policy>);

// SAFETY: memory without a tie to a thread.
unsafe impl Send for SrtpPolicy {}

impl SrtpPolicy {
    /// `Err` when there is no SRTP module, or it does not take the suite or the key.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8], ssrc: PolicySsrc) -> Result<Self, Failed> {
        let alloc = function!(policy_table(), alloc).ok_or(Failed)?;
        // SAFETY: takes nothing; the policy is ours.
        let policy = Self(NonNull::new(unsafe { alloc() }).ok_or(Failed)?);
        policy.set_suite(suite)?;
        policy.set_master_key(key, salt)?;
        policy.set_ssrc(ssrc)?;
        Ok(policy)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::ast_srtp_policy {
        self.0.as_ptr()
    }

    fn set_suite(&self, suite: Suite) -> Result<(), Failed> {
        let set_suite = function!(policy_table(), set_suite).ok_or(Failed)?;
        // SAFETY: the policy is ours.
        check(unsafe { set_suite(self.as_ptr(), suite.to_host()) })
    }

    fn set_master_key(&self, key: &[u8], salt: &[u8]) -> Result<(), Failed> {
        let set_master_key = function!(policy_table(), set_master_key).ok_or(Failed)?;
        // SAFETY: the policy is ours; the module copies both.
        check(unsafe { set_master_key(self.as_ptr(), key.as_ptr(), key.len(), salt.as_ptr(), salt.len()) })
    }

    fn set_ssrc(&self, ssrc: PolicySsrc) -> Result<(), Failed> {
        let set_ssrc = function!(policy_table(), set_ssrc).ok_or(Failed)?;
        let (ssrc, inbound) = match ssrc {
            PolicySsrc::Specific(ssrc) => (c_ulong::from(ssrc), 0),
            PolicySsrc::AnyInbound => (0, 1),
        };
        // SAFETY: the policy is ours.
        unsafe { set_ssrc(self.as_ptr(), ssrc, inbound) };
        Ok(())
    }
}

impl Drop for SrtpPolicy {
    fn drop(&mut self) {
        if let Some(destroy) = function!(policy_table(), destroy) {
            // SAFETY: ours since `new`.
            unsafe { destroy(self.as_ptr()) };
        }
    }
}

/// Registration of an SRTP module with the core; dropping it takes it back.
#[derive(Debug)]
pub struct SrtpRegistration(());

/// Makes these the tables that everybody finds. The core keeps the two pointers. Wraps `ast_rtp_engine_register_srtp`.
pub fn register_srtp(
    srtp: &'static sys::ast_srtp_res,
    policy: &'static sys::ast_srtp_policy_res,
) -> Result<SrtpRegistration, Failed> {
    // SAFETY: both are static, and the core only reads them.
    check(unsafe {
        sys::ast_rtp_engine_register_srtp(ptr::from_ref(srtp).cast_mut(), ptr::from_ref(policy).cast_mut())
    })?;
    Ok(SrtpRegistration(()))
}

impl Drop for SrtpRegistration {
    fn drop(&mut self) {
        // SAFETY: sets the two variables of the core to null.
        unsafe { sys::ast_rtp_engine_unregister_srtp() };
    }
}
