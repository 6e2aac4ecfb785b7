//! What an instance knows: the address that SDP named and the one that media came from, and an SRTP session. Its lock is held
//! around every call of the engine.

use std::ffi::c_int;

use super::objects;
use crate::{SockAddr, sys, time};

/// chan_sip and chan_pjsip negotiate `a=rtcp-mux` themselves and tell the engine by a property.
pub const NEGOTIATES_MUX: bool = true;

/// RTP's SRTP session, not RTCP's, which the engine keeps to itself.
const RTP: c_int = 0;

/// Where the peer receives. Wraps `ast_rtp_instance_get_incoming_source_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn remote_address(instance: *mut sys::ast_rtp_instance) -> SockAddr {
    let mut address = SockAddr::null();
    // SAFETY: the caller's word; the address is ours to be written.
    unsafe { sys::ast_rtp_instance_get_incoming_source_address(instance, address.as_mut_ptr()) };
    address
}

/// Where the peer turned out to be. Wraps `ast_rtp_instance_set_incoming_source_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn set_learned_address(instance: *mut sys::ast_rtp_instance, address: &SockAddr) {
    // SAFETY: the caller's word; the host copies the address.
    unsafe { sys::ast_rtp_instance_set_incoming_source_address(instance, address.as_ptr()) };
}

/// The peer receives nowhere, whatever SDP said. Wraps `ast_rtp_instance_set_requested_target_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn clear_remote_address(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the caller's word; the host copies the address.
    unsafe { sys::ast_rtp_instance_set_requested_target_address(instance, SockAddr::null().as_ptr()) };
}

/// The SRTP session of media, or null. Wraps `ast_rtp_instance_get_srtp`.
///
/// # Safety
/// A live instance.
pub unsafe fn srtp(instance: *mut sys::ast_rtp_instance) -> *mut sys::ast_srtp {
    // SAFETY: the caller's word.
    unsafe { sys::ast_rtp_instance_get_srtp(instance, RTP) }
}

/// Wraps `ast_rtp_instance_add_srtp_policy`.
///
/// # Safety
/// A live instance and two live policies.
pub unsafe fn add_srtp_policy(
    instance: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
    local: *mut sys::ast_srtp_policy,
) -> c_int {
    // SAFETY: the caller's word.
    unsafe { sys::ast_rtp_instance_add_srtp_policy(instance, remote, local, RTP) }
}

/// For keep-alives. Wraps `ast_rtp_instance_set_last_tx`.
///
/// # Safety
/// A live instance.
pub unsafe fn note_sent(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the caller's word.
    unsafe { sys::ast_rtp_instance_set_last_tx(instance, time::wall().as_secs() as _) };
}

/// All calls have the ports of `rtp.conf`.
///
/// # Safety
/// A live instance.
#[cfg(feature = "host-16")]
pub unsafe fn ports(_instance: *mut sys::ast_rtp_instance) -> Option<(u16, u16)> {
    None
}

/// `rtp_port_start` and `rtp_port_end` of an endpoint. Wraps `ast_rtp_instance_get_port_start` and its like.
///
/// # Safety
/// A live instance.
#[cfg(feature = "host-22")]
pub unsafe fn ports(instance: *mut sys::ast_rtp_instance) -> Option<(u16, u16)> {
    // SAFETY: the caller's word.
    let (first, last) =
        unsafe { (sys::ast_rtp_instance_get_port_start(instance), sys::ast_rtp_instance_get_port_end(instance)) };
    let (first, last) = (u16::try_from(first).ok()?, u16::try_from(last).ok()?);
    (first > 0 && first < last).then_some((first, last))
}

/// Takes the lock that the host holds around calls of the engine, unless another thread has it.
///
/// # Safety
/// A live instance.
pub unsafe fn try_lock(instance: *mut sys::ast_rtp_instance) -> bool {
    // SAFETY: the caller's word.
    unsafe { objects::try_lock(instance.cast()) }
}

/// The other end of [`try_lock`].
///
/// # Safety
/// An instance that this thread locked.
pub unsafe fn unlock(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the caller's word.
    unsafe { objects::unlock(instance.cast()) };
}
