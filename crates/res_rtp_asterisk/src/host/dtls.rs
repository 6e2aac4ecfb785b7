//! Implements the host's DTLS table (`ast_rtp_engine_dtls`) for a session.

use std::time::Duration;

use asterisk::Failed;
use asterisk::limit::RateLimit;
use asterisk::rtp::{self as host, DtlsConfig, DtlsConnection, Hash, Instance, Setup};
use dtls_srtp::{Fingerprint, HashFunction};
use story::Event;

use crate::clock;
use crate::globals::globals;
use crate::session::Session;
use crate::transport::contexts::{Suites, Terms};
use crate::transport::dtls::Dtls;

/// Limits the log line about `dtlsrekey`, which every call of the account would write.
static REKEY: RateLimit = RateLimit::new(Duration::from_secs(24 * 60 * 60), 1);

impl host::Dtls for Session {
    fn set_configuration(&self, instance: Instance<'_>, configuration: &DtlsConfig) -> Result<(), Failed> {
        // chan_pjsip sets the configuration again with every description. A session that has DTLS keeps it.
        if !configuration.enabled || host::Dtls::active(self, instance) {
            return Ok(());
        }
        // The host configures DTLS only for a session with its own transport, so the session leaves its bundle.
        self.go_alone();
        if !host::srtp_registered() {
            asterisk::error!("SRTP support module is not loaded or available. Try loading res_srtp.so.");
            return Err(Failed);
        }
        let globals = globals().ok_or(Failed)?;
        let settings = globals.settings();
        let terms = Terms { min_version: settings.dtls_min_version, mtu: settings.dtls_mtu, suites: suites() };
        let context = globals.contexts().get(clock::now(), configuration, terms).map_err(|problem| {
            asterisk::error!("DTLS: {problem}");
            self.with(|state| {
                state.transport_mut().story_mut().note_here(clock::now(), Event::Certificate(problem.kind));
            });
            Failed
        })?;
        if configuration.rekey_seconds > 0 && REKEY.allow().is_some() {
            asterisk::warning!(
                "DTLS: dtlsrekey is ignored: browsers end a call that renegotiates, and SRTP keys do not wear out (RFC 3711 §9.2)"
            );
        }
        let dtls = Dtls::new(context, to_protocol(configuration.setup), configuration.hash);
        self.with(|state| {
            let story = state.transport_mut().story_mut();
            story.note_here(clock::now(), Event::DtlsOn);
            if dtls.certificate().out_of_date().is_some() {
                story.note_here(clock::now(), Event::Certificate(story::event::Certificate::OutOfDate));
            }
            state.transport_mut().set_dtls(dtls);
        })
        .ok_or(Failed)
    }

    fn active(&self, _instance: Instance<'_>) -> bool {
        self.with_dtls(|_| ()).is_some()
    }

    fn stop(&self, _instance: Instance<'_>) {
        self.with(|state| state.transport_mut().stop_dtls());
    }

    fn reset(&self, _instance: Instance<'_>) {
        self.with_dtls(|dtls| {
            if dtls.is_connected() {
                dtls.start_over();
            }
        });
    }

    fn connection(&self, _instance: Instance<'_>) -> DtlsConnection {
        let connected = self.with_dtls(|dtls| dtls.is_connected());
        if connected == Some(true) { DtlsConnection::Existing } else { DtlsConnection::New }
    }

    fn setup(&self, _instance: Instance<'_>) -> Setup {
        let now = clock::now();
        let setup = self.with_at(now, |state| state.transport_mut().describe_setup(now)).flatten();
        setup.map_or(Setup::ActPass, to_host)
    }

    fn set_setup(&self, _instance: Instance<'_>, setup: Setup) {
        let now = clock::now();
        self.with_at(now, |state| {
            if let Some(dtls) = state.transport_mut().dtls_mut() {
                dtls.set_setup(to_protocol(setup));
                state.drive(now);
            }
        });
    }

    fn set_fingerprint(&self, _instance: Instance<'_>, hash: Hash, fingerprint: &str) {
        let fingerprint = match Fingerprint::parse(function(hash), fingerprint) {
            Ok(fingerprint) => fingerprint,
            Err(error) => {
                asterisk::warning!("DTLS: the peer's a=fingerprint cannot be used: {error}");
                return;
            }
        };
        let now = clock::now();
        self.with_at(now, |state| {
            if let Some(dtls) = state.transport_mut().dtls_mut() {
                dtls.set_fingerprint(fingerprint);
                state.drive(now);
            }
        });
    }

    fn fingerprint_hash(&self, _instance: Instance<'_>) -> Hash {
        self.with_dtls(|dtls| dtls.hash()).unwrap_or(Hash::Sha256)
    }

    fn fingerprint(&self, _instance: Instance<'_>, hash: Hash) -> Option<String> {
        self.with_dtls(|dtls| dtls.certificate().fingerprint(function(hash)).to_owned())
    }
}

impl Session {
    /// Runs `run` with the DTLS side locked. Returns `None` when DTLS is not configured.
    fn with_dtls<R>(&self, run: impl FnOnce(&mut Dtls) -> R) -> Option<R> {
        self.with(|state| state.transport_mut().dtls_mut().map(run)).flatten()
    }
}

/// Returns the suites of the SRTP module that is loaded now. AES-GCM is offered only if ours is.
fn suites() -> Suites {
    if host::srtp_is_ours() { Suites::WithGcm } else { Suites::Host }
}

fn function(hash: Hash) -> HashFunction {
    match hash {
        Hash::Sha1 => HashFunction::Sha1,
        Hash::Sha256 => HashFunction::Sha256,
    }
}

fn to_protocol(setup: Setup) -> dtls_srtp::Setup {
    match setup {
        Setup::Active => dtls_srtp::Setup::Active,
        Setup::Passive => dtls_srtp::Setup::Passive,
        Setup::ActPass => dtls_srtp::Setup::ActPass,
        Setup::HoldConn => dtls_srtp::Setup::HoldConn,
    }
}

fn to_host(setup: dtls_srtp::Setup) -> Setup {
    match setup {
        dtls_srtp::Setup::Active => Setup::Active,
        dtls_srtp::Setup::Passive => Setup::Passive,
        dtls_srtp::Setup::ActPass => Setup::ActPass,
        dtls_srtp::Setup::HoldConn => Setup::HoldConn,
    }
}
