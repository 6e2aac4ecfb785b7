//! The DTLS interface, in one layout.

use crate::rtp::{Engine, dtls};
use crate::sys;

/// The functions of an engine.
pub struct Tables(sys::ast_rtp_engine_dtls);

impl Tables {
    /// Those of an engine.
    pub fn of<E: Engine>() -> Self {
        Self(dtls::table::<E>())
    }

    /// For the host.
    pub fn for_host(&mut self) -> *mut sys::ast_rtp_engine_dtls {
        &raw mut self.0
    }
}

/// `dtls_auto_generate_cert`: a certificate is made on the fly, whatever file is named.
pub fn is_ephemeral(configuration: &sys::ast_rtp_dtls_cfg) -> bool {
    configuration.ephemeral_cert() != 0
}
