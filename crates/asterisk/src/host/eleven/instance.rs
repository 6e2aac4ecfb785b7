//! What an instance knows: one address of its peer, one SRTP session.

use std::ffi::c_int;

use crate::{SockAddr, sys};

/// The offer and the answer say nothing of `a=rtcp-mux` unless the engine slips it in.
pub const NEGOTIATES_MUX: bool = false;

/// Where the peer receives. Wraps `ast_rtp_instance_get_remote_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn remote_address(instance: *mut sys::ast_rtp_instance) -> SockAddr {
    let mut address = SockAddr::null();
    // SAFETY: the caller's word; the address is ours to be written.
    unsafe { sys::ast_rtp_instance_get_remote_address(instance, address.as_mut_ptr()) };
    address
}

/// Where the peer turned out to be. Wraps `ast_rtp_instance_set_remote_address`.
///
/// # Safety
/// A live instance.
pub unsafe fn set_learned_address(instance: *mut sys::ast_rtp_instance, address: &SockAddr) {
    // SAFETY: the caller's word; the host copies the address.
    unsafe { sys::ast_rtp_instance_set_remote_address(instance, address.as_ptr()) };
}

/// The peer receives nowhere.
///
/// # Safety
/// A live instance.
pub unsafe fn clear_remote_address(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the caller's word.
    unsafe { set_learned_address(instance, &SockAddr::null()) };
}

/// The SRTP session, or null. Wraps `ast_rtp_instance_get_srtp`.
///
/// # Safety
/// A live instance.
pub unsafe fn srtp(instance: *mut sys::ast_rtp_instance) -> *mut sys::ast_srtp {
    // SAFETY: the caller's word.
    unsafe { sys::ast_rtp_instance_get_srtp(instance) }
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
    unsafe { sys::ast_rtp_instance_add_srtp_policy(instance, remote, local) }
}

/// This host looks after silence by itself.
///
/// # Safety
/// A live instance.
pub unsafe fn note_sent(_instance: *mut sys::ast_rtp_instance) {}

/// All calls have the ports of `rtp.conf`.
///
/// # Safety
/// A live instance.
pub unsafe fn ports(_instance: *mut sys::ast_rtp_instance) -> Option<(u16, u16)> {
    None
}

/// The engine is called without a lock, so a thread of ours needs none either.
///
/// # Safety
/// A live instance.
pub unsafe fn try_lock(_instance: *mut sys::ast_rtp_instance) -> bool {
    true
}

/// The other end of [`try_lock`].
///
/// # Safety
/// An instance that was live when it was locked.
pub unsafe fn unlock(_instance: *mut sys::ast_rtp_instance) {}
