//! The parts of an engine's tables that only Asterisk 11 has.

use crate::rtp::Engine;
use crate::rtp::held::{Held, with};
use crate::{sockaddr, sys};

/// Fills in the functions that only this host has.
pub fn complete<E: Engine>(engine: sys::ast_rtp_engine) -> sys::ast_rtp_engine {
    sys::ast_rtp_engine { alt_remote_address_set: Some(alt_remote_address_set::<E>), ..engine }
}

/// The parts of the ICE table that only this host has: none.
pub fn ice() -> sys::ast_rtp_engine_ice {
    sys::ast_rtp_engine_ice::default()
}

unsafe extern "C" fn alt_remote_address_set<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    address: *mut sys::ast_sockaddr,
) {
    // SAFETY: the host lends its instance and the address for the call.
    unsafe {
        with("rtp alt_remote_address_set", (), instance, |held: &Held<E>, instance| {
            held.session.alt_remote_address_set(instance, sockaddr::from_ptr(address));
        });
    }
}
