//! The session as the host drives it: calls of the DTLS table.

use std::time::Instant;

use asterisk::Failed;
use asterisk::rtp::{self as host, DtlsConfig, DtlsConnection, Hash, Instance, Setup};
use dtls_srtp::{Fingerprint, HashFunction};

use crate::diagnosis::overdue::Overdue;
use crate::globals;
use crate::session::Session;
use crate::transport::dtls::Dtls;

impl host::Dtls for Session {
    fn set_configuration(&self, instance: Instance<'_>, configuration: &DtlsConfig) -> Result<(), Failed> {
        // chan_pjsip says it again with every description; a session that has begun goes on.
        if !configuration.enabled || host::Dtls::active(self, instance) {
            return Ok(());
        }
        // Only what carries packets by itself gets one: the stream that did so for this one goes.
        self.go_alone();
        if !host::srtp_registered() {
            asterisk::error!("DTLS needs SRTP, and no SRTP module is loaded: load res_srtp.so");
            return Err(Failed);
        }
        let globals = globals().ok_or(Failed)?;
        let shared = globals.contexts.get(Instant::now(), configuration).map_err(|error| {
            asterisk::error!("DTLS: {error}");
            Failed
        })?;
        if configuration.rekey_seconds > 0 {
            asterisk::debug!(1, "dtlsrekey is not used: peers of today do not renegotiate DTLS");
        }
        self.with(|state| {
            state.dtls = Some(Dtls::new(shared, configuration.setup));
            state.dtls_hash = configuration.hash;
        })
        .ok_or(Failed)
    }

    fn active(&self, _instance: Instance<'_>) -> bool {
        self.with(|state| state.dtls.is_some()).unwrap_or(false)
    }

    fn stop(&self, _instance: Instance<'_>) {
        self.with(|state| {
            state.dtls = None;
            state.rtcp.keys = None;
        });
    }

    fn reset(&self, _instance: Instance<'_>) {
        self.with(|state| {
            if let Some(dtls) = state.dtls.as_mut().filter(|dtls| dtls.is_connected()) {
                dtls.start_over();
            }
        });
    }

    fn connection(&self, _instance: Instance<'_>) -> DtlsConnection {
        let connected = self.with(|state| state.dtls.as_ref().is_some_and(Dtls::is_connected));
        if connected == Some(true) { DtlsConnection::Existing } else { DtlsConnection::New }
    }

    fn setup(&self, _instance: Instance<'_>) -> Setup {
        self.with(|state| state.dtls.as_ref().map(Dtls::setup)).flatten().unwrap_or(Setup::ActPass)
    }

    fn set_setup(&self, _instance: Instance<'_>, setup: Setup) {
        self.with(|state| {
            if let Some(dtls) = &mut state.dtls {
                dtls.set_setup(setup);
                state.drive(Instant::now());
            }
        });
    }

    fn set_fingerprint(&self, _instance: Instance<'_>, hash: Hash, fingerprint: &str) {
        let hash = match hash {
            Hash::Sha1 => HashFunction::Sha1,
            Hash::Sha256 => HashFunction::Sha256,
        };
        if let Err(error) = Fingerprint::parse(hash, fingerprint) {
            asterisk::warning!("DTLS: the peer's a=fingerprint is of no use: {error}");
            return;
        }
        self.with(|state| {
            if let Some(dtls) = &mut state.dtls {
                dtls.set_fingerprint(hash, fingerprint);
                if dtls.is_disowned() {
                    state.overdue = Overdue::default();
                }
                state.drive(Instant::now());
            }
        });
    }

    fn fingerprint_hash(&self, _instance: Instance<'_>) -> Hash {
        self.with(|state| state.dtls_hash).unwrap_or(Hash::Sha256)
    }

    fn fingerprint(&self, _instance: Instance<'_>, hash: Hash) -> Option<String> {
        self.with(|state| state.dtls.as_ref().map(|dtls| dtls.configuration.fingerprint(hash))).flatten()
    }
}
