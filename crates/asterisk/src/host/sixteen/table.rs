//! The parts of an engine's tables that only Asterisk 16 and later have. With two of these functions chan_pjsip prints
//! `a=ssrc` (RFC 5576); three are for several streams on one transport (RFC 9143).
//!
//! There is no `extension_enable`: without it the host offers no header extensions.

use std::ffi::{c_char, c_int, c_uint};
use std::ptr::{self, NonNull};

use crate::rtp::held::{Held, session_of, with};
use crate::rtp::{Engine, Instance};
use crate::{answer, debug, sys};

/// Fills in the functions that only this host has.
pub fn complete<E: Engine>(engine: sys::ast_rtp_engine) -> sys::ast_rtp_engine {
    sys::ast_rtp_engine {
        ssrc_get: Some(ssrc_get::<E>),
        cname_get: Some(cname_get::<E>),
        bundle: Some(bundle::<E>),
        set_remote_ssrc: Some(set_remote_ssrc::<E>),
        set_stream_num: Some(set_stream_num::<E>),
        ..engine
    }
}

/// The parts of the ICE table that only this host has. The host calls both without checking for null.
pub fn ice() -> sys::ast_rtp_engine_ice {
    sys::ast_rtp_engine_ice {
        turn_request: Some(turn_request),
        change_components: Some(change_components),
        ..Default::default()
    }
}

/// Asks for a TURN relay, which we do not support. No channel driver calls it.
unsafe extern "C" fn turn_request(
    _instance: *mut sys::ast_rtp_instance,
    _component: sys::ast_rtp_ice_component_type,
    _transport: sys::ast_transport,
    _server: *const c_char,
    _port: c_uint,
    _username: *const c_char,
    _password: *const c_char,
) {
    debug!(1, "ICE: the host requested a TURN relay, which this module does not support");
}

/// Sets the number of components. Does nothing: channel drivers also set [`crate::rtp::RTCP_ON_ONE_PORT`],
/// which says it.
unsafe extern "C" fn change_components(_instance: *mut sys::ast_rtp_instance, _components: c_int) {}

unsafe extern "C" fn ssrc_get<E: Engine>(instance: *mut sys::ast_rtp_instance) -> c_uint {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("rtp ssrc_get", 0, instance, |held: &Held<E>, instance| held.session.ssrc(instance)) }
}

/// Bundles the stream of `child` with `parent`. The host holds the lock of the child only.
unsafe extern "C" fn bundle<E: Engine>(child: *mut sys::ast_rtp_instance, parent: *mut sys::ast_rtp_instance) -> c_int {
    // SAFETY: the host lends both for the call (the parent may be null) and has checked that they have the same engine.
    unsafe {
        with("rtp bundle", -1, child, |held: &Held<E>, child| {
            let parent = NonNull::new(parent).map(|parent| session_of::<E>(Instance::lend(parent)));
            match parent {
                Some(None) => -1,
                Some(Some(parent)) => answer(held.session.bundle(child, Some(&parent))),
                None => answer(held.session.bundle(child, None)),
            }
        })
    }
}

unsafe extern "C" fn set_remote_ssrc<E: Engine>(instance: *mut sys::ast_rtp_instance, ssrc: c_uint) {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp set_remote_ssrc", (), instance, |held: &Held<E>, instance| {
            held.session.set_remote_ssrc(instance, ssrc);
        });
    }
}

unsafe extern "C" fn set_stream_num<E: Engine>(instance: *mut sys::ast_rtp_instance, number: c_int) {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp set_stream_num", (), instance, |held: &Held<E>, instance| {
            held.session.set_stream_number(instance, number);
        });
    }
}

unsafe extern "C" fn cname_get<E: Engine>(instance: *mut sys::ast_rtp_instance) -> *const c_char {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("rtp cname_get", ptr::null(), instance, |held: &Held<E>, instance| {
            held.cname.show(held.session.cname(instance))
        })
    }
}
