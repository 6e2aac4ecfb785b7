//! The host's RTP instance, lent to the engine for the length of a call.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ptr::NonNull;

use super::{Property, Srtp, SrtpPolicy};
use crate::format::Framing;
use crate::{Failed, Format, SockAddr, check, sys};

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
#[derive(Debug, Clone, Copy)]
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
    pub(super) unsafe fn lend(instance: NonNull<sys::ast_rtp_instance>) -> Self {
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

    /// Where the peer receives, as far as the host knows. Wraps `ast_rtp_instance_get_remote_address`.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        let mut address = SockAddr::null();
        // SAFETY: lent to us; the address is ours to be written.
        unsafe { sys::ast_rtp_instance_get_remote_address(self.as_ptr(), address.as_mut_ptr()) };
        address.to_std()
    }

    /// Says where the peer receives. The host calls `remote_address_set` from inside. Wraps
    /// `ast_rtp_instance_set_remote_address`.
    pub fn set_remote_address(&self, address: SocketAddr) {
        // SAFETY: lent to us; the host copies the address.
        unsafe { sys::ast_rtp_instance_set_remote_address(self.as_ptr(), SockAddr::from(address).as_ptr()) };
    }

    /// Says that the peer receives nowhere (any more). As [`Self::set_remote_address`].
    pub fn clear_remote_address(&self) {
        // SAFETY: a live instance, and an address that is copied.
        unsafe { sys::ast_rtp_instance_set_remote_address(self.as_ptr(), SockAddr::null().as_ptr()) };
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

    /// What SDP, or else the static table of RFC 3551, says that a payload type stands for. Wraps
    /// `ast_rtp_codecs_payload_lookup`.
    pub fn payload(&self, payload_type: u8) -> Option<Payload> {
        // SAFETY: lent to us, and the codecs are part of it.
        let found = unsafe { sys::ast_rtp_codecs_payload_lookup(self.codecs(), payload_type.into()) };
        match (found.asterisk_format, found.rtp_code) {
            (0, 0) => None,
            (0, code) => Some(Payload::Code(code)),
            _ => Some(Payload::Media(Format(found.format))),
        }
    }

    /// The payload type to send a format with. Wraps `ast_rtp_codecs_payload_code`.
    pub fn payload_type_of(&self, format: &Format) -> Option<u8> {
        // SAFETY: lent to us; the format is only read.
        u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code(self.codecs(), 1, &raw const format.0, 0) }).ok()
    }

    /// The payload type to send one of [`rtp_code`] with. Wraps `ast_rtp_codecs_payload_code`.
    pub fn payload_type_of_code(&self, code: i32) -> Option<u8> {
        // SAFETY: lent to us; without a format, none is read.
        u8::try_from(unsafe { sys::ast_rtp_codecs_payload_code(self.codecs(), 0, std::ptr::null(), code) }).ok()
    }

    /// How a format is to be cut into packets in this call. Wraps `ast_codec_pref_getsize`.
    pub fn framing(&self, format: &Format) -> Framing {
        let mut format = *format;
        // SAFETY: lent to us, the preferences are part of its codecs; the host only reads the two.
        let list = unsafe { sys::ast_codec_pref_getsize(&raw mut (*self.codecs()).pref, &raw mut format.0) };
        Framing::from_host(&list)
    }

    /// The SRTP session of the instance, once there are keys. Wraps `ast_rtp_instance_get_srtp`.
    pub fn srtp(&self) -> Option<Srtp<'a>> {
        // SAFETY: lent to us. The session goes with the instance; `replace` puts a new one inside the same object.
        NonNull::new(unsafe { sys::ast_rtp_instance_get_srtp(self.as_ptr()) }).map(|srtp| unsafe { Srtp::lend(srtp) })
    }

    /// Keys both directions, or replaces the keys. The SRTP module copies both. Wraps `ast_rtp_instance_add_srtp_policy`.
    pub fn add_srtp_policy(&self, remote: &SrtpPolicy, local: &SrtpPolicy) -> Result<(), Failed> {
        // SAFETY: lent to us; the policies are ours and stay for the call.
        check(unsafe { sys::ast_rtp_instance_add_srtp_policy(self.as_ptr(), remote.as_ptr(), local.as_ptr()) })
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
