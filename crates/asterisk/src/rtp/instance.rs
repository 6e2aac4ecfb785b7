//! The host's RTP instance, lent to the engine for the length of a call.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ptr::NonNull;

use super::{Property, Srtp, SrtpPolicy};
use crate::format::Framing;
use crate::{Failed, Format, SockAddr, check, host, sys};

/// An instance, lent. Its functions take no lock of ours; some call back into the engine, so none of ours may be held.
#[derive(Clone, Copy)]
pub struct Instance<'a>(NonNull<sys::ast_rtp_instance>, PhantomData<&'a sys::ast_rtp_instance>);

/// Which instance it is, to be kept; it becomes an [`Instance`] again by [`Instance::from_ptr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstancePtr(NonNull<sys::ast_rtp_instance>);

// SAFETY: a number until somebody vouches for it.
unsafe impl Send for InstancePtr {}
// SAFETY: likewise.
unsafe impl Sync for InstancePtr {}

impl InstancePtr {
    pub(crate) fn as_ptr(self) -> *mut sys::ast_rtp_instance {
        self.0.as_ptr()
    }
}

/// Payload types that stand for no format.
pub mod rtp_code {
    use crate::sys;
    /// telephone-event
    pub const DTMF: i32 = sys::AST_RTP_DTMF;
    /// comfort noise
    pub const CN: i32 = sys::AST_RTP_CN;
    /// Cisco's digits
    pub const CISCO_DTMF: i32 = sys::AST_RTP_CISCO_DTMF;
}

/// What a payload type of RTP stands for.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "looked up for each packet, so it lives on the stack")]
pub enum Payload {
    /// A format.
    Media(Format),
    /// One of [`rtp_code`].
    Code(i32),
}

impl<'a> Instance<'a> {
    /// # Safety
    /// `instance` is live for `'a`.
    pub(crate) unsafe fn lend(instance: NonNull<sys::ast_rtp_instance>) -> Self {
        Self(instance, PhantomData)
    }

    /// An instance that was noted earlier.
    ///
    /// # Safety
    /// Its `destroy` has not returned, and cannot for `'a`.
    pub unsafe fn from_ptr(instance: InstancePtr) -> Self {
        Self(instance.0, PhantomData)
    }

    /// Which one it is.
    pub fn pointer(&self) -> InstancePtr {
        InstancePtr(self.0)
    }

    /// What C calls it.
    pub fn as_ptr(&self) -> *mut sys::ast_rtp_instance {
        self.0.as_ptr()
    }

    /// Says where we receive. Wraps `ast_rtp_instance_set_local_address`.
    pub fn set_local_address(&self, address: SocketAddr) {
        // SAFETY: lent to us; the host copies the address.
        unsafe { sys::ast_rtp_instance_set_local_address(self.as_ptr(), SockAddr::from(address).as_ptr()) };
    }

    /// Where the peer receives, as far as the host knows.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        // SAFETY: lent to us.
        unsafe { host::instance::remote_address(self.as_ptr()) }.to_std()
    }

    /// Says where the peer turned out to be. The host calls `remote_address_set` from inside.
    pub fn set_remote_address(&self, address: SocketAddr) {
        // SAFETY: lent to us.
        unsafe { host::instance::set_learned_address(self.as_ptr(), &SockAddr::from(address)) };
    }

    /// Says that the peer receives nowhere (any more). As [`Self::set_remote_address`].
    pub fn clear_remote_address(&self) {
        // SAFETY: lent to us.
        unsafe { host::instance::clear_remote_address(self.as_ptr()) };
    }

    /// Says that media was sent just now: the host sends something itself where it has been silent for long.
    pub fn note_sent(&self) {
        // SAFETY: lent to us.
        unsafe { host::instance::note_sent(self.as_ptr()) };
    }

    /// The first and the last port that it may have, where the host sets them for some calls alone.
    pub fn ports(&self) -> Option<(u16, u16)> {
        // SAFETY: lent to us.
        unsafe { host::instance::ports(self.as_ptr()) }
    }

    /// Wraps `ast_rtp_instance_get_prop`.
    pub fn property(&self, property: Property) -> i32 {
        // SAFETY: lent to us.
        unsafe { sys::ast_rtp_instance_get_prop(self.as_ptr(), property.to_host()) }
    }

    /// The host calls `property_set` from inside. Wraps `ast_rtp_instance_set_prop`.
    pub fn set_property(&self, property: Property, value: i32) {
        // SAFETY: lent to us.
        unsafe { sys::ast_rtp_instance_set_prop(self.as_ptr(), property.to_host(), value) };
    }

    /// What SDP, or else the static table of RFC 3551, says that a payload type stands for.
    pub fn payload(&self, payload_type: u8) -> Option<Payload> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::payload(self.codecs(), payload_type) }
    }

    /// Whether the peer's description of the stream has the payload type.
    pub fn is_described(&self, payload_type: u8) -> bool {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::is_described(self.codecs(), payload_type) }
    }

    /// The payload type to send a format with.
    pub fn payload_type_of(&self, format: &Format) -> Option<u8> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::payload_type_of(self.codecs(), format) }
    }

    /// The payload type to send one of [`rtp_code`] with.
    pub fn payload_type_of_code(&self, code: i32) -> Option<u8> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::payload_type_of_code(self.codecs(), code) }
    }

    /// How a format is to be cut into packets in this call; `None` when packets leave as they come.
    pub fn framing(&self, format: &Format) -> Option<Framing> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::framing(self.codecs(), format) }
    }

    /// The SRTP session of the instance, once there are keys.
    pub fn srtp(&self) -> Option<Srtp<'a>> {
        // SAFETY: lent to us. The session goes with the instance; `replace` puts a new one inside the same object.
        NonNull::new(unsafe { host::instance::srtp(self.as_ptr()) }).map(|srtp| unsafe { Srtp::lend(srtp) })
    }

    /// Keys both directions, or replaces the keys. The SRTP module copies both.
    pub fn add_srtp_policy(&self, remote: &SrtpPolicy, local: &SrtpPolicy) -> Result<(), Failed> {
        // SAFETY: lent to us; the policies are ours and stay for the call.
        check(unsafe { host::instance::add_srtp_policy(self.as_ptr(), remote.as_ptr(), local.as_ptr()) })
    }

    pub(super) fn data(&self) -> *mut c_void {
        // SAFETY: lent to us.
        unsafe { sys::ast_rtp_instance_get_data(self.as_ptr()) }
    }

    pub(super) fn set_data(&self, data: *mut c_void) {
        // SAFETY: lent to us; the host keeps the pointer and does not follow it.
        unsafe { sys::ast_rtp_instance_set_data(self.as_ptr(), data) };
    }

    fn codecs(&self) -> *mut sys::ast_rtp_codecs {
        // SAFETY: lent to us.
        unsafe { sys::ast_rtp_instance_get_codecs(self.as_ptr()) }
    }
}

impl fmt::Debug for Instance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance {:p}", self.0)
    }
}

impl fmt::Display for Instance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
