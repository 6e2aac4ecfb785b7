//! The host's RTP instance, lent to the engine during a call.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ptr::NonNull;

use super::{Property, Srtp, SrtpPolicy};
use crate::format::Framing;
use crate::{Failed, Format, SockAddr, check, host, sys};

/// An RTP instance, lent. Some of its methods call back into the engine, so the caller must hold none of our locks.
#[derive(Clone, Copy)]
pub struct Instance<'a>(NonNull<sys::ast_rtp_instance>, PhantomData<&'a sys::ast_rtp_instance>);

/// The identity of an instance, to be stored; [`Instance::from_ptr`] makes it an [`Instance`] again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstancePtr(NonNull<sys::ast_rtp_instance>);

// SAFETY: only a number; using it as a pointer is unsafe.
unsafe impl Send for InstancePtr {}
// SAFETY: as for `Send`.
unsafe impl Sync for InstancePtr {}

impl InstancePtr {
    pub(crate) fn of(instance: NonNull<sys::ast_rtp_instance>) -> Self {
        Self(instance)
    }

    pub(crate) fn as_ptr(self) -> *mut sys::ast_rtp_instance {
        self.0.as_ptr()
    }
}

impl fmt::Pointer for InstancePtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0, f)
    }
}

/// Meanings of payload types that are no format.
pub mod rtp_code {
    use crate::sys;
    /// Digits as telephone-event (RFC 4733).
    pub const DTMF: i32 = sys::AST_RTP_DTMF;
    /// Comfort noise (RFC 3389).
    pub const CN: i32 = sys::AST_RTP_CN;
    /// Digits in Cisco's format.
    pub const CISCO_DTMF: i32 = sys::AST_RTP_CISCO_DTMF;

    /// Their clock rate in Hz unless SDP sets another; also the clock of all durations in `rtp.conf`.
    pub const CLOCK: u32 = 8000;
}

/// The meaning of an RTP payload type.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "looked up for each packet, so it lives on the stack")]
pub enum Payload {
    /// Media in a format.
    Media(Format),
    /// One of [`rtp_code`].
    Code {
        /// The number of the code.
        code: i32,
        /// The clock rate of its timestamps and durations in Hz.
        clock_rate: u32,
    },
}

impl<'a> Instance<'a> {
    /// # Safety
    /// `instance` is live for `'a`.
    pub(crate) unsafe fn lend(instance: NonNull<sys::ast_rtp_instance>) -> Self {
        Self(instance, PhantomData)
    }

    /// Makes an instance of a stored identity.
    ///
    /// # Safety
    /// The `destroy` of this instance has not returned and cannot return during `'a`.
    pub unsafe fn from_ptr(instance: InstancePtr) -> Self {
        Self(instance.0, PhantomData)
    }

    /// The identity of the instance, to be stored.
    pub fn pointer(&self) -> InstancePtr {
        InstancePtr(self.0)
    }

    /// The pointer for C.
    pub fn as_ptr(&self) -> *mut sys::ast_rtp_instance {
        self.0.as_ptr()
    }

    /// Tells the host our address. Wraps `ast_rtp_instance_set_local_address`.
    pub fn set_local_address(&self, address: SocketAddr) {
        // SAFETY: lent to us; the host copies the address.
        unsafe { sys::ast_rtp_instance_set_local_address(self.as_ptr(), SockAddr::from(address).as_ptr()) };
    }

    /// The address to which we send, as far as the host knows it.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        // SAFETY: lent to us.
        unsafe { host::instance::remote_address(self.as_ptr()) }.to_std()
    }

    /// Tells the host the peer's actual address. The host calls `remote_address_set` from inside.
    pub fn set_remote_address(&self, address: SocketAddr) {
        // SAFETY: lent to us.
        unsafe { host::instance::set_learned_address(self.as_ptr(), &SockAddr::from(address)) };
    }

    /// Tells the host that the peer has no address (any more). The host calls `remote_address_set` from inside.
    pub fn clear_remote_address(&self) {
        // SAFETY: lent to us.
        unsafe { host::instance::clear_remote_address(self.as_ptr()) };
    }

    /// Tells the host that media was sent just now; the host sends keep-alives if there has been none for long.
    pub fn note_sent(&self) {
        // SAFETY: lent to us.
        unsafe { host::instance::note_sent(self.as_ptr()) };
    }

    /// The first and the last port for this call, if the host configures them per endpoint.
    pub fn ports(&self) -> Option<(u16, u16)> {
        // SAFETY: lent to us.
        unsafe { host::instance::ports(self.as_ptr()) }
    }

    /// Reads a property; 0 where the host has no such property. Wraps `ast_rtp_instance_get_prop`, which locks the instance on
    /// Asterisk 16 and later: not to be called under a lock of ours that a callback of this instance takes.
    pub fn property(&self, property: Property) -> i32 {
        // SAFETY: lent to us.
        property.to_host().map_or(0, |property| unsafe { sys::ast_rtp_instance_get_prop(self.as_ptr(), property) })
    }

    /// Sets a property; the host calls `property_set` from inside. Wraps `ast_rtp_instance_set_prop`.
    pub fn set_property(&self, property: Property, value: i32) {
        if let Some(property) = property.to_host() {
            // SAFETY: lent to us.
            unsafe { sys::ast_rtp_instance_set_prop(self.as_ptr(), property, value) };
        }
    }

    /// The meaning of a payload type according to SDP, or else to the static table of RFC 3551.
    pub fn payload(&self, payload_type: u8) -> Option<Payload> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::payload(self.codecs(), payload_type) }
    }

    /// Whether the peer's SDP lists the payload type for this stream.
    pub fn is_described(&self, payload_type: u8) -> bool {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::is_described(self.codecs(), payload_type) }
    }

    /// The payload type for sending a format.
    pub fn payload_type_of(&self, format: &Format) -> Option<u8> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::payload_type_of(self.codecs(), format) }
    }

    /// The payload type for sending one of [`rtp_code`].
    pub fn payload_type_of_code(&self, code: i32) -> Option<u8> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::payload_type_of_code(self.codecs(), code) }
    }

    /// The payload type for sending [`rtp_code::DTMF`], and its clock rate in Hz: if negotiated, the clock of the
    /// media sent before (RFC 4733 §2.1), otherwise that of the media to be sent. `None` if the peer's SDP lists payload
    /// types, and not this one (RFC 3264 §6.1); without SDP it is the host's own.
    pub fn payload_type_of_digits(&self, media_clock: Option<u32>) -> Option<(u8, u32)> {
        // SAFETY: lent to us, and the codecs are part of it.
        let found = unsafe { host::codecs::payload_type_of_digits(self.codecs(), media_clock) }?;
        let has_sdp = || (0..128).any(|payload_type| self.is_described(payload_type));
        (self.is_described(found.0) || !has_sdp()).then_some(found)
    }

    /// How media of a format is split into packets in this call; `None` if frames are sent as they come.
    pub fn framing(&self, format: &Format) -> Option<Framing> {
        // SAFETY: lent to us, and the codecs are part of it.
        unsafe { host::codecs::framing(self.codecs(), format) }
    }

    /// The SRTP session of the instance; `None` before there are keys.
    pub fn srtp(&self) -> Option<Srtp<'a>> {
        // SAFETY: lent to us. The session lives as long as the instance; `replace` changes its contents only.
        NonNull::new(unsafe { host::instance::srtp(self.as_ptr()) }).map(|srtp| unsafe { Srtp::lend(srtp) })
    }

    /// Sets or replaces the keys of both directions. The SRTP module copies both policies.
    pub fn add_srtp_policy(&self, remote: &SrtpPolicy, local: &SrtpPolicy) -> Result<(), Failed> {
        // SAFETY: lent to us; the policies are ours and live during the call.
        check(unsafe { host::instance::add_srtp_policy(self.as_ptr(), remote.as_ptr(), local.as_ptr()) })
    }

    pub(super) fn data(&self) -> *mut c_void {
        // SAFETY: lent to us.
        unsafe { sys::ast_rtp_instance_get_data(self.as_ptr()) }
    }

    pub(super) fn set_data(&self, data: *mut c_void) {
        // SAFETY: lent to us; the host stores the pointer and does not dereference it.
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
