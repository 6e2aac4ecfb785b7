//! The DTLS interface of Asterisk 16 and later, which has one layout.

use crate::rtp::{Engine, dtls};
use crate::sys;

/// The DTLS functions of an engine.
pub struct Tables(sys::ast_rtp_engine_dtls);

impl Tables {
    /// The functions of engine `E`.
    pub fn of<E: Engine>() -> Self {
        Self(dtls::table::<E>())
    }

    /// The table for the host.
    pub fn for_host(&mut self) -> *mut sys::ast_rtp_engine_dtls {
        &raw mut self.0
    }
}

/// Whether a certificate is generated even if a file is configured (`dtls_auto_generate_cert`).
pub fn is_ephemeral(configuration: &sys::ast_rtp_dtls_cfg) -> bool {
    configuration.ephemeral_cert() != 0
}
