//! Shared by tests: a session in the small host.

use std::net::SocketAddr;
use std::sync::Arc;

use asterisk::module::Module;
use asterisk::rtp::{Hash, OwnInstance};
use dtls_srtp::{Certificate, Context, ContextConfig, MinVersion, Profile, Setup, Verify};
use host_tests::{Host, Kind};

use super::dtls::Dtls;
use crate::session::Session;

/// Runs `run` with a session on the loopback interface that has ICE and DTLS. The module is unloaded also if `run` panics, for the next
/// test.
pub fn with_session(run: impl FnOnce(&Arc<Session>)) {
    with_settings("", run);
}

/// Like [`with_session`], with these settings in `rtp.conf`.
pub fn with_settings(settings: &str, run: impl FnOnce(&Arc<Session>)) {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", &format!("[general]\n{settings}"));
    crate::load().expect("the small host takes the engine");
    let _loaded = Loaded;
    let instance = OwnInstance::<Session>::new(SocketAddr::from(([127, 0, 0, 1], 0))).expect("free ports");
    let session = instance.session().expect("one engine has the name");
    session.with(|state| state.transport_mut().set_dtls(dtls())).expect("a new session");
    run(&session);
}

/// Unloads the module when the session is gone.
struct Loaded;

impl Drop for Loaded {
    fn drop(&mut self) {
        let unloaded = <crate::RtpModule as Module>::unload();
        assert!(unloaded.is_ok() || std::thread::panicking(), "no session is left");
    }
}

fn dtls() -> Dtls {
    let config = ContextConfig {
        certificate: Certificate::self_signed().expect("a certificate"),
        verify: Verify { fingerprint: true, certificate: false },
        cipher_list: None,
        ca_file: None,
        ca_path: None,
        srtp_profiles: vec![Profile::Aes128CmSha1_80],
        min_version: MinVersion::Dtls12,
        mtu: 1200,
    };
    Dtls::new(Context::new(config).expect("a context"), Setup::ActPass, Hash::Sha256)
}
