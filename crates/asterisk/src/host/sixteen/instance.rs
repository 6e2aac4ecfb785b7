//! Instances of Asterisk 16 and later. They have the address from SDP, the address that media came from, and an SRTP
//! session. Their lock is held during every call of the engine.

use std::ffi::c_int;

use super::objects;
use crate::{SockAddr, sys, time};

/// Whether the host negotiates `a=rtcp-mux`. chan_sip and chan_pjsip do, and tell the engine by a property.
pub const NEGOTIATES_MUX: bool = true;

/// Whether a hold activates the instance again after it has stopped it. chan_pjsip activates first, so a `stop` does not tell
/// a hold from the end of the call. It destroys the instance soon after the BYE.
pub const HOLD_ACTIVATES_AFTER_STOP: bool = false;

/// Whether the host makes an event of a peer's report that says nothing about our stream. The originals of 16 and 22 make an event of each report.
pub const TELLS_REPORTS_ABOUT_NOBODY: bool = true;

/// Whether the host passes the ICE credentials of a description before its address, and says nothing of a description that has
/// none. chan_pjsip stops ICE then.
pub const ADDRESS_ENDS_DESCRIPTION: bool = false;

/// Whether a host of this kind can have chan_sip: it left Asterisk in 21.
pub const HAS_CHAN_SIP: bool = !cfg!(feature = "host-22");

/// Whether a host of this kind can have chan_pjsip.
pub const HAS_CHAN_PJSIP: bool = true;

/// The property by which the host allows to send a peer another format than the one that it sends (`asymmetric_rtp_codec`).
pub const ASYMMETRIC_FORMATS: Option<sys::ast_rtp_property> = Some(sys::AST_RTP_PROPERTY_ASYMMETRIC_CODEC);

/// Selects the SRTP session for RTP. The engine keeps that for RTCP to itself.
const RTP: c_int = 0;

/// The address to which we send. Wraps `ast_rtp_instance_get_incoming_source_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn remote_address(instance: *mut sys::ast_rtp_instance) -> SockAddr {
    let mut address = SockAddr::null();
    // SAFETY: guaranteed by our caller; the address is ours to be written.
    unsafe { sys::ast_rtp_instance_get_incoming_source_address(instance, address.as_mut_ptr()) };
    address
}

/// Sets the peer's actual address. Wraps `ast_rtp_instance_set_incoming_source_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn set_learned_address(instance: *mut sys::ast_rtp_instance, address: &SockAddr) {
    // SAFETY: guaranteed by our caller; the host copies the address.
    unsafe { sys::ast_rtp_instance_set_incoming_source_address(instance, address.as_ptr()) };
}

/// Clears the address to which we send, even one from SDP. Wraps `ast_rtp_instance_set_requested_target_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn clear_remote_address(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: guaranteed by our caller; the host copies the address.
    unsafe { sys::ast_rtp_instance_set_requested_target_address(instance, SockAddr::null().as_ptr()) };
}

/// The SRTP session for RTP, or null. Wraps `ast_rtp_instance_get_srtp`.
///
/// # Safety
/// A live instance.
pub unsafe fn srtp(instance: *mut sys::ast_rtp_instance) -> *mut sys::ast_srtp {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_rtp_instance_get_srtp(instance, RTP) }
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
    unsafe { sys::ast_rtp_instance_add_srtp_policy(instance, remote, local, RTP) }
}

/// Notes the time of sending, for the host's keep-alives. Wraps `ast_rtp_instance_set_last_tx`.
///
/// # Safety
/// A live instance.
pub unsafe fn note_sent(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_rtp_instance_set_last_tx(instance, time::wall().as_secs() as _) };
}

/// The port range of this call. `None`: all calls use that of `rtp.conf`.
///
/// # Safety
/// A live instance.
#[cfg(feature = "host-16")]
pub unsafe fn ports(_instance: *mut sys::ast_rtp_instance) -> Option<(u16, u16)> {
    None
}

/// The port range of this call: `rtp_port_start` and `rtp_port_end` of its endpoint. Wraps
/// `ast_rtp_instance_get_port_start` and `ast_rtp_instance_get_port_end`.
///
/// # Safety
/// A live instance.
#[cfg(feature = "host-22")]
pub unsafe fn ports(instance: *mut sys::ast_rtp_instance) -> Option<(u16, u16)> {
    // SAFETY: guaranteed by our caller.
    let (first, last) =
        unsafe { (sys::ast_rtp_instance_get_port_start(instance), sys::ast_rtp_instance_get_port_end(instance)) };
    let (first, last) = (u16::try_from(first).ok()?, u16::try_from(last).ok()?);
    (first > 0 && first < last).then_some((first, last))
}

/// Locks the instance, unless another thread holds its lock. The host holds it during calls of the engine.
///
/// # Safety
/// A live instance.
pub unsafe fn try_lock(instance: *mut sys::ast_rtp_instance) -> bool {
    // SAFETY: guaranteed by our caller.
    unsafe { objects::try_lock(instance.cast()) }
}

/// Undoes [`try_lock`].
///
/// # Safety
/// An instance that this thread locked.
pub unsafe fn unlock(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: guaranteed by our caller.
    unsafe { objects::unlock(instance.cast()) };
}
