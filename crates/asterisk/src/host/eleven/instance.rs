//! Instances of Asterisk 11, which have one address of the peer and one SRTP session.

use std::ffi::c_int;

use crate::{SockAddr, sys};

/// Whether the host negotiates `a=rtcp-mux`. Asterisk 11 does not: the engine has to add it to offer and answer.
pub const NEGOTIATES_MUX: bool = false;

/// Whether a hold activates the instance again after it has stopped it. chan_sip 11 processes the peer's description, which
/// stops the instance, and then activates it, whoever made the offer. At the end of a call it only stops it.
pub const HOLD_ACTIVATES_AFTER_STOP: bool = true;

/// Whether the host can have chan_sip.
pub const HAS_CHAN_SIP: bool = true;

/// Whether the host can have chan_pjsip, which came with Asterisk 12.
pub const HAS_CHAN_PJSIP: bool = false;

/// Whether the host makes an event of a peer's report that says nothing about our stream. The original of 11 makes an event of each block.
pub const TELLS_REPORTS_ABOUT_NOBODY: bool = false;

/// Whether the host passes the ICE credentials of a description before its address, and says nothing of a description that has
/// none. chan_sip 11 reads the attributes first, and neither stops ICE in mid-call nor starts it for an answer in an ACK.
pub const ADDRESS_ENDS_DESCRIPTION: bool = true;

/// The property by which the host allows to send a peer another format than the one that it sends. Asterisk 11 always allows it.
pub const ASYMMETRIC_FORMATS: Option<sys::ast_rtp_property> = None;

/// The address to which we send. Wraps `ast_rtp_instance_get_remote_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn remote_address(instance: *mut sys::ast_rtp_instance) -> SockAddr {
    let mut address = SockAddr::null();
    // SAFETY: guaranteed by our caller; the address is ours to be written.
    unsafe { sys::ast_rtp_instance_get_remote_address(instance, address.as_mut_ptr()) };
    address
}

/// Sets the peer's actual address. Wraps `ast_rtp_instance_set_remote_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn set_learned_address(instance: *mut sys::ast_rtp_instance, address: &SockAddr) {
    // SAFETY: guaranteed by our caller; the host copies the address.
    unsafe { sys::ast_rtp_instance_set_remote_address(instance, address.as_ptr()) };
}

/// Clears the address to which we send.
///
/// # Safety
/// A live instance.
pub unsafe fn clear_remote_address(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: guaranteed by our caller.
    unsafe { set_learned_address(instance, &SockAddr::null()) };
}

/// The SRTP session, or null. Wraps `ast_rtp_instance_get_srtp`.
///
/// # Safety
/// A live instance.
pub unsafe fn srtp(instance: *mut sys::ast_rtp_instance) -> *mut sys::ast_srtp {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_rtp_instance_get_srtp(instance) }
}

/// Sets or replaces the keys. Wraps `ast_rtp_instance_add_srtp_policy`.
///
/// # Safety
/// A live instance and two live policies.
pub unsafe fn add_srtp_policy(
    instance: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
    local: *mut sys::ast_srtp_policy,
) -> c_int {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_rtp_instance_add_srtp_policy(instance, remote, local) }
}

/// Does nothing: this host sends keep-alives by itself.
///
/// # Safety
/// A live instance.
pub unsafe fn note_sent(_instance: *mut sys::ast_rtp_instance) {}

/// The port range of this call. `None`: all calls use that of `rtp.conf`.
///
/// # Safety
/// A live instance.
pub unsafe fn ports(_instance: *mut sys::ast_rtp_instance) -> Option<(u16, u16)> {
    None
}

/// Does nothing: this host calls the engine without a lock, so our threads need none either.
///
/// # Safety
/// A live instance.
pub unsafe fn try_lock(_instance: *mut sys::ast_rtp_instance) -> bool {
    true
}

/// Undoes [`try_lock`].
///
/// # Safety
/// An instance that was live when it was locked.
pub unsafe fn unlock(_instance: *mut sys::ast_rtp_instance) {}
