//! SRTP through the two tables that an SRTP module, ours or the original, registers with the core. The tables are
//! variables of the core, null while no module is registered: they are read at each use and never stored.

use std::ffi::{c_int, c_ulong, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use super::Instance;
use crate::{Failed, check, symbols, sys};

/// Whether an SRTP module is registered. Wraps `ast_rtp_engine_srtp_is_registered`.
pub fn srtp_registered() -> bool {
    // SAFETY: reads two variables of the core.
    unsafe { sys::ast_rtp_engine_srtp_is_registered() != 0 }
}

/// Whether the registered SRTP module is ours, which has AES-GCM whatever the host. The original says so only by an error in the log
/// when it is asked for such a suite.
pub fn srtp_is_ours() -> bool {
    SrtpPolicy::alloc().is_ok_and(|policy| {
        // SAFETY: a fresh policy is an object of the module of at least the size of libsrtp's. Ours begins with the mark, others with
        // libsrtp's policy, which is all zero.
        unsafe { policy.0.cast::<u64>().read_unaligned() == POLICY_MARK }
    })
}

/// The first eight bytes of a policy of our SRTP module.
pub const POLICY_MARK: u64 = 0x7365_6c69_6365_7321;

fn table() -> Option<NonNull<sys::ast_srtp_res>> {
    NonNull::new(symbols::RES_SRTP.read()?)
}

fn policy_table() -> Option<NonNull<sys::ast_srtp_policy_res>> {
    NonNull::new(symbols::RES_SRTP_POLICY.read()?)
}

/// One function of a table; `None` while no module is registered.
macro_rules! function {
    ($table:expr, $name:ident) => {
        $table.and_then(|table| {
            // SAFETY: a table does not move while it is registered, and sessions made with it keep their module loaded.
            unsafe { table.as_ref() }.$name
        })
    };
}

/// RTP or RTCP: each is protected with its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// An RTP packet.
    Rtp,
    /// An RTCP packet.
    Rtcp,
}

impl Which {
    fn to_host(self) -> c_int {
        c_int::from(self == Self::Rtcp)
    }
}

/// SRTP refused a packet: it is forged, replayed, or protected with keys that we do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SRTP refused the packet")]
pub struct Refused;

/// An SRTP session of the host, lent to us.
///
/// The session has its own lock, but [`Srtp::protect`] leaves its result in a buffer of the session: no other thread
/// may use the session until the packet is sent.
#[derive(Debug, Clone, Copy)]
pub struct Srtp<'a>(NonNull<sys::ast_srtp>, PhantomData<&'a sys::ast_srtp>);

impl Srtp<'_> {
    /// # Safety
    /// `srtp` is live for `'a`, and so is the module that made it.
    pub(super) unsafe fn lend(srtp: NonNull<sys::ast_srtp>) -> Self {
        Self(srtp, PhantomData)
    }

    /// Encrypts and authenticates a copy of `packet` and passes the result to `send`. `packet` itself does not change.
    pub fn protect<T>(&self, packet: &mut [u8], which: Which, send: impl FnOnce(&[u8]) -> T) -> Result<T, Refused> {
        let protect = function!(table(), protect).ok_or(Refused)?;
        let mut place: *mut c_void = packet.as_mut_ptr().cast();
        let mut length = c_int::try_from(packet.len()).map_err(|_| Refused)?;
        // SAFETY: the module copies `length` bytes from `place` into its own buffer, which has room for the tag, and
        // points `place` to it.
        if unsafe { protect(self.0.as_ptr(), &raw mut place, &raw mut length, which.to_host()) } < 0 {
            return Err(Refused);
        }
        let length = usize::try_from(length).map_err(|_| Refused)?;
        // SAFETY: the result lives until the next call on this session, which the caller prevents until `send` returns.
        Ok(send(unsafe { slice::from_raw_parts(place.cast(), length) }))
    }

    /// Verifies and decrypts a packet in place; returns its new length in bytes.
    pub fn unprotect(&self, packet: &mut [u8], which: Which) -> Result<usize, Refused> {
        let unprotect = function!(table(), unprotect).ok_or(Refused)?;
        let mut length = c_int::try_from(packet.len()).map_err(|_| Refused)?;
        let place = packet.as_mut_ptr().cast();
        // SAFETY: it stays within the `length` bytes at `place`.
        if unsafe { unprotect(self.0.as_ptr(), place, &raw mut length, which.to_host()) } < 0 {
            return Err(Refused);
        }
        usize::try_from(length).ok().filter(|length| *length <= packet.len()).ok_or(Refused)
    }

    /// Adds the keys of another source, or replaces those of a known one.
    pub fn add_stream(&self, policy: &SrtpPolicy) -> Result<(), Failed> {
        let add_stream = function!(table(), add_stream).ok_or(Failed)?;
        // SAFETY: the session is live; the policy is ours, and the module copies it.
        check(unsafe { add_stream(self.0.as_ptr(), policy.as_ptr()) })
    }

    /// Moves the keys of our SSRC `from` to our new SSRC `to`.
    pub fn change_source(&self, from: u32, to: u32) -> Result<(), Failed> {
        let change = function!(table(), change_source).ok_or(Failed)?;
        // SAFETY: the session is live; two numbers.
        check(unsafe { change(self.0.as_ptr(), from, to) })
    }
}

/// An SRTP session that belongs to no instance. It protects SRTCP with keys that must not replace the instance's.
#[derive(Debug)]
pub struct OwnedSrtp(NonNull<sys::ast_srtp>);

// SAFETY: the SRTP module locks its sessions.
unsafe impl Send for OwnedSrtp {}
// SAFETY: as for `Send`.
unsafe impl Sync for OwnedSrtp {}

impl OwnedSrtp {
    /// Creates a session with the keys of one direction; the module copies them.
    ///
    /// # Safety
    /// The instance outlives every use of this session except the drop: the module stores the pointer, and the original
    /// module reads the peer's name from it when it refuses a packet.
    pub unsafe fn create(instance: Instance<'_>, policy: &SrtpPolicy) -> Result<Self, Failed> {
        let create = function!(table(), create).ok_or(Failed)?;
        let mut srtp = ptr::null_mut();
        // SAFETY: the instance is lent for the call, and our caller guarantees the time after it; `destroy` only frees.
        check(unsafe { create(&raw mut srtp, instance.as_ptr(), policy.as_ptr()) })?;
        NonNull::new(srtp).map(Self).ok_or(Failed)
    }

    /// Adds the keys of the other direction.
    pub fn add_stream(&self, policy: &SrtpPolicy) -> Result<(), Failed> {
        self.borrow().add_stream(policy)
    }

    /// Borrows the session to use it.
    pub fn borrow(&self) -> Srtp<'_> {
        // SAFETY: ours for as long as it is borrowed.
        unsafe { Srtp::lend(self.0) }
    }
}

impl Drop for OwnedSrtp {
    fn drop(&mut self) {
        // If the module was unloaded, its sessions went with it.
        if let Some(destroy) = function!(table(), destroy) {
            // SAFETY: ours since `create`.
            unsafe { destroy(self.0.as_ptr()) };
        }
    }
}

/// An SRTP crypto suite: cipher and authentication tag (RFC 4568 §6.2, RFC 7714).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-CM-128 with an HMAC-SHA1 tag of 80 bits.
    AesCm128HmacSha1_80,
    /// AES-CM-128 with an HMAC-SHA1 tag of 32 bits for RTP.
    AesCm128HmacSha1_32,
    /// AES-GCM-128. Only our SRTP module supports it; the original refuses it with a log line.
    AeadAes128Gcm,
    /// AES-GCM-256. Only our SRTP module supports it; the original refuses it with a log line.
    AeadAes256Gcm,
}

/// The host's number of AES-GCM-128. Asterisk 11 does not know it; later hosts do.
pub const AEAD_AES_128_GCM: sys::ast_srtp_suite = 7;
/// The host's number of AES-GCM-256. Asterisk 11 does not know it; later hosts do.
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

/// The packets that a policy applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySsrc {
    /// Packets of this SSRC, which is ours.
    Specific(u32),
    /// All packets that we receive.
    AnyInbound,
}

/// A crypto suite and keys for one direction.
#[derive(Debug)]
pub struct SrtpPolicy(NonNull<sys::ast_srtp_policy>);

// SAFETY: memory that is not tied to a thread.
unsafe impl Send for SrtpPolicy {}

impl SrtpPolicy {
    /// Creates a policy. Fails if there is no SRTP module, or if it does not accept the suite or the key.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8], ssrc: PolicySsrc) -> Result<Self, Failed> {
        let policy = Self::alloc()?;
        policy.set_suite(suite)?;
        policy.set_master_key(key, salt)?;
        policy.set_ssrc(ssrc)?;
        Ok(policy)
    }

    fn alloc() -> Result<Self, Failed> {
        let alloc = function!(policy_table(), alloc).ok_or(Failed)?;
        // SAFETY: takes no arguments; the policy is ours.
        NonNull::new(unsafe { alloc() }).map(Self).ok_or(Failed)
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

/// The registration of an SRTP module with the core; dropping it unregisters the module.
#[derive(Debug)]
pub struct SrtpRegistration(());

/// Registers the tables of an SRTP module. The core stores the two pointers. Wraps `ast_rtp_engine_register_srtp`.
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
