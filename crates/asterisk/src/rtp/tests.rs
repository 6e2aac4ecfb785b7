//! Calls the engine's functions as the host does, with a session that records them.

use std::ffi::CStr;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex};

use super::held::Held;
use super::*;
use crate::fake_host::{self, logged};
use crate::{Failed, FrameRef, HostFrame, host, sys};

#[derive(Default)]
struct Session {
    heard: Mutex<Vec<String>>,
}

impl Session {
    fn hear(&self, what: impl Into<String>) {
        self.heard.lock().unwrap().push(what.into());
    }
}

impl Engine for Session {
    const NAME: &'static CStr = c"test";

    fn new(_: Instance<'_>, _: Option<SocketAddr>) -> Result<Arc<Self>, Failed> {
        Ok(Arc::default())
    }
    fn destroy(self: &Arc<Self>, _: Instance<'_>) {
        self.hear("destroy");
    }
    fn write(&self, _: Instance<'_>, _: FrameRef<'_>) -> Result<(), Failed> {
        panic!("a bug in write")
    }
    fn read(&self, _: Instance<'_>, component: Component) -> Option<HostFrame> {
        self.hear(format!("read {component:?}"));
        Some(HostFrame::null())
    }
    fn stop(&self, _: Instance<'_>) {}
    fn update_source(&self, _: Instance<'_>) {}
    fn change_source(&self, _: Instance<'_>) {}
    fn dtmf_begin(&self, _: Instance<'_>, _: u8) -> Result<(), Failed> {
        Err(Failed)
    }
    fn dtmf_end(&self, _: Instance<'_>, digit: u8, duration_ms: Option<u32>) -> Result<(), Failed> {
        self.hear(format!("{} for {duration_ms:?}", char::from(digit)));
        Ok(())
    }
    fn property_set(&self, _: Instance<'_>, _: Property, _: i32) {}
    fn remote_address_set(&self, _: Instance<'_>, _: Option<SocketAddr>) {}
    fn dtmf_mode_set(&self, _: Instance<'_>, _: DtmfMode) -> Result<(), Failed> {
        Ok(())
    }
    fn dtmf_mode_get(&self, _: Instance<'_>) -> DtmfMode {
        DtmfMode::Rfc2833
    }
    fn statistics(&self, _: Instance<'_>) -> Option<Statistics> {
        None
    }
    fn ssrc(&self, _: Instance<'_>) -> u32 {
        7
    }
    fn cname(&self, _: Instance<'_>) -> Option<String> {
        None
    }
    fn qos(&self, _: Instance<'_>, _: i32, _: i32, _: &CStr) -> Result<(), Failed> {
        Ok(())
    }
    fn descriptor(&self, _: Instance<'_>, component: Component) -> RawFd {
        component as RawFd
    }
    fn send_comfort_noise(&self, _: Instance<'_>, _: i32) -> Result<(), Failed> {
        Ok(())
    }
}

impl Ice for Session {
    fn set_authentication(&self, _: Instance<'_>, ufrag: Option<&str>, password: Option<&str>) {
        self.hear(format!("{ufrag:?} {password:?}"));
    }
    fn add_remote_candidate(&self, _: Instance<'_>, candidate: &Candidate) {
        self.hear(format!("{} {}", candidate.priority, candidate.address));
    }
    fn start(&self, _: Instance<'_>) {}
    fn stop(&self, _: Instance<'_>) {}
    fn ufrag(&self, _: Instance<'_>) -> Option<String> {
        Some("ufrag".to_owned())
    }
    fn password(&self, _: Instance<'_>) -> Option<String> {
        None
    }
    fn local_candidates(&self, _: Instance<'_>) -> Option<Vec<Candidate>> {
        let address = "192.0.2.1:5000".parse().unwrap();
        let related = Some("198.51.100.1:6000".parse().unwrap());
        let (foundation, transport) = ("F".to_owned(), "udp".to_owned());
        let kind = CandidateKind::ServerReflexive;
        Some(vec![Candidate { foundation, component: 1, transport, priority: u32::MAX, address, related, kind }])
    }
    fn set_lite(&self, _: Instance<'_>) {}
    fn set_role(&self, _: Instance<'_>, role: Role) {
        self.hear(format!("{role:?}"));
    }
}

impl Dtls for Session {
    fn set_configuration(&self, _: Instance<'_>, configuration: &DtlsConfig) -> Result<(), Failed> {
        self.hear(format!("{configuration:?}"));
        Ok(())
    }
    fn active(&self, _: Instance<'_>) -> bool {
        true
    }
    fn stop(&self, _: Instance<'_>) {}
    fn reset(&self, _: Instance<'_>) {}
    fn connection(&self, _: Instance<'_>) -> DtlsConnection {
        DtlsConnection::New
    }
    fn setup(&self, _: Instance<'_>) -> Setup {
        Setup::ActPass
    }
    fn set_setup(&self, _: Instance<'_>, _: Setup) {}
    fn set_fingerprint(&self, _: Instance<'_>, hash: Hash, fingerprint: &str) {
        self.hear(format!("{hash:?} {fingerprint}"));
    }
    fn fingerprint_hash(&self, _: Instance<'_>) -> Hash {
        Hash::Sha256
    }
    fn fingerprint(&self, _: Instance<'_>, hash: Hash) -> Option<String> {
        Some(format!("{hash:?}"))
    }
}

/// An instance with its session, from `new` to `destroy`.
struct Call {
    host: Box<fake_host::Instance>,
    engine: sys::ast_rtp_engine,
}

impl Call {
    fn new() -> Self {
        let mut call = Self { host: fake_host::Instance::new(), engine: table::engine::<Session>() };
        let new = call.engine.new.unwrap();
        let (instance, null) = (call.instance(), std::ptr::null_mut());
        // SAFETY: as the host calls it.
        assert_eq!(unsafe { new(instance, null, std::ptr::null_mut(), std::ptr::null_mut()) }, 0);
        call
    }

    fn instance(&mut self) -> *mut sys::ast_rtp_instance {
        self.host.as_ptr()
    }

    fn session(&self) -> Arc<Session> {
        // SAFETY: `new` attached it, and `destroy` has not been called.
        Arc::clone(unsafe { &(*self.host.0.cast::<Held<Session>>()).session })
    }

    fn heard(&self) -> String {
        self.session().heard.lock().unwrap().join("; ")
    }
}

#[test]
fn a_session_lives_from_new_to_destroy() {
    let mut call = Call::new();
    let session = call.session();
    // SAFETY: as the host calls it, once.
    assert_eq!(unsafe { call.engine.destroy.unwrap()(call.instance()) }, 0);
    assert_eq!(*session.heard.lock().unwrap(), ["destroy"]);
    assert_eq!(Arc::strong_count(&session), 1);
    // SAFETY: called after `destroy`, as a faulty host might; it finds no session.
    assert_eq!(unsafe { call.engine.fd.unwrap()(call.instance(), 0) }, -1);
}

#[test]
fn a_bug_in_the_engine_costs_one_frame() {
    let mut call = Call::new();
    let mut frame = sys::ast_frame::default();
    crate::fence::install_hook();
    // SAFETY: as the host calls it.
    assert_eq!(unsafe { call.engine.write.unwrap()(call.instance(), &raw mut frame) }, -1);
    assert!(logged(sys::__LOG_ERROR, "a bug in write"));
    // SAFETY: as the host calls it.
    assert!(!unsafe { call.engine.read.unwrap()(call.instance(), 1) }.is_null());
    assert_eq!(call.heard(), "read Rtcp");
    destroy(call);
}

#[test]
fn both_layouts_of_dtls_reach_the_same_session() {
    let mut call = Call::new();
    let (new, old) = (dtls::table::<Session>(), host::dtls::table_before_11_11::<Session>());
    let instance = call.instance();
    // SAFETY: as hosts of either age call it; the strings are static.
    unsafe {
        new.set_fingerprint.unwrap()(instance, sys::AST_RTP_DTLS_HASH_SHA256, c"AA".as_ptr());
        new.set_fingerprint.unwrap()(instance, sys::AST_RTP_DTLS_HASH_SHA1, c"BB".as_ptr());
        old.set_fingerprint.unwrap()(instance, sys::AST_RTP_DTLS_HASH_SHA1_BEFORE_11_11 as _, c"CC".as_ptr());
        assert_eq!(CStr::from_ptr(new.get_fingerprint.unwrap()(instance)), c"Sha256");
        assert_eq!(CStr::from_ptr(old.get_fingerprint.unwrap()(instance, 0)), c"Sha1");
    }
    assert_eq!(call.heard(), "Sha256 AA; Sha1 BB; Sha1 CC");
    destroy(call);
}

#[test]
fn the_configuration_of_an_old_host_reads_like_that_of_a_new_one() {
    let mut call = Call::new();
    let path = c"/etc/asterisk/keys/asterisk.pem".as_ptr().cast_mut();
    let mut old = sys::ast_rtp_dtls_cfg_before_11_11 { certfile: path, cafile: path, ..Default::default() };
    old.set_enabled(1);
    old.set_verify(1);
    let hash = sys::AST_RTP_DTLS_HASH_SHA1;
    let mut new = sys::ast_rtp_dtls_cfg { certfile: path, cafile: path, hash, verify: 3, ..Default::default() };
    new.set_enabled(1);
    let without_authorities = sys::ast_rtp_dtls_cfg_before_11_11 { cafile: std::ptr::null_mut(), ..old };
    let instance = call.instance();
    // SAFETY: as hosts of either age call it; the string is static.
    unsafe {
        let table = host::dtls::table_before_11_11::<Session>();
        assert_eq!(table.set_configuration.unwrap()(instance, &raw const old), 0);
        assert_eq!(dtls::table::<Session>().set_configuration.unwrap()(instance, &raw const new), 0);
        assert_eq!(table.set_configuration.unwrap()(instance, &raw const without_authorities), 0);
    }
    let heard = call.session();
    let heard = heard.heard.lock().unwrap();
    assert!(heard[0].contains(r#"enabled: true, verify_fingerprint: true, verify_certificate: true"#), "{}", heard[0]);
    assert_eq!(heard[0], heard[1]);
    assert!(heard[2].contains("verify_fingerprint: true, verify_certificate: false"), "{}", heard[2]);
    drop(heard);
    destroy(call);
}

#[test]
fn ice_credentials_come_one_at_a_time_and_candidates_unsigned() {
    let mut call = Call::new();
    let table = ice::table::<Session>();
    let address: SocketAddr = "192.0.2.1:5000".parse().unwrap();
    let candidate = sys::ast_rtp_engine_ice_candidate {
        priority: -2,
        address: crate::SockAddr::from(address).0,
        ..Default::default()
    };
    let unresolved = sys::ast_rtp_engine_ice_candidate::default();
    let instance = call.instance();
    // SAFETY: as the host calls it; the string is static.
    unsafe {
        table.set_authentication.unwrap()(instance, c"u".as_ptr(), std::ptr::null());
        table.add_remote_candidate.unwrap()(instance, &raw const candidate);
        table.add_remote_candidate.unwrap()(instance, &raw const unresolved);
        assert_eq!(CStr::from_ptr(table.get_ufrag.unwrap()(instance)), c"ufrag");
        assert!(table.get_password.unwrap()(instance).is_null());
        table.set_role.unwrap()(instance, sys::AST_RTP_ICE_ROLE_CONTROLLING);
    }
    assert_eq!(call.heard(), "Some(\"u\") None; 4294967294 192.0.2.1:5000; Controlling");
    destroy(call);
}

fn destroy(mut call: Call) {
    // SAFETY: as the host calls it, once.
    unsafe { call.engine.destroy.unwrap()(call.instance()) };
}

#[test]
fn candidates_reach_the_host_as_objects_that_it_lets_go() {
    let mut call = Call::new();
    let instance = call.instance();
    // SAFETY: as the host calls it; the reference to the container is ours to give back.
    unsafe {
        let container = ice::table::<Session>().get_local_candidates.unwrap()(instance);
        let candidates = &(*container.cast::<fake_host::Container>()).0;
        let first = &*candidates[0].cast::<sys::ast_rtp_engine_ice_candidate>();
        assert_eq!(CStr::from_ptr(first.foundation), c"F");
        assert_eq!(CStr::from_ptr(first.transport), c"udp");
        assert_eq!((first.id, first.priority, first.type_), (1, -1, sys::AST_RTP_ICE_CANDIDATE_TYPE_SRFLX));
        assert_eq!(crate::sockaddr::from_host(&first.relay_address), Some("198.51.100.1:6000".parse().unwrap()));
        sys::__ao2_ref(container.cast(), -1);
    }
    destroy(call);
}
