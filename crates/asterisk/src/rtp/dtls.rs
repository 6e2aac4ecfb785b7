//! The DTLS functions of an engine (RFC 5763), in the layout that hosts have had since 11.11. The layout before that is in
//! `host`; nothing above sees a difference but that such hosts know SHA-1 alone.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::held::{Held, with};
use super::{Engine, Instance};
use crate::{Failed, answer, host, log, sys};

/// DTLS-SRTP, as the host drives it from its configuration and from SDP.
pub trait Dtls {
    /// The peer is configured for DTLS.
    fn set_configuration(&self, instance: Instance<'_>, configuration: &DtlsConfig) -> Result<(), Failed>;

    /// Whether it is.
    fn active(&self, instance: Instance<'_>) -> bool;

    /// No more DTLS on this instance.
    fn stop(&self, instance: Instance<'_>);

    /// The next SDP begins a new association.
    fn reset(&self, instance: Instance<'_>);

    /// For `a=connection` in our SDP.
    fn connection(&self, instance: Instance<'_>) -> DtlsConnection;

    /// For `a=setup` in our SDP.
    fn setup(&self, instance: Instance<'_>) -> Setup;

    /// `a=setup` in the peer's.
    fn set_setup(&self, instance: Instance<'_>, setup: Setup);

    /// `a=fingerprint` in the peer's.
    fn set_fingerprint(&self, instance: Instance<'_>, hash: Hash, fingerprint: &str);

    /// Which hash our fingerprint is printed in.
    fn fingerprint_hash(&self, instance: Instance<'_>) -> Hash;

    /// Our fingerprint, for SDP: "AB:CD:…".
    fn fingerprint(&self, instance: Instance<'_>, hash: Hash) -> Option<String>;
}

/// What `sip.conf` says of DTLS (`dtlsenable` and so on).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsConfig {
    /// `dtlsenable`
    pub enabled: bool,
    /// `dtlsverify`: compare with the fingerprint in SDP.
    pub verify_fingerprint: bool,
    /// `dtlsverify`: check against the authorities.
    pub verify_certificate: bool,
    /// `dtlsrekey`, in seconds; 0 for never.
    pub rekey_seconds: u32,
    /// `dtlssetup`
    pub setup: Setup,
    /// The SRTP suite, as the host numbers them: 1 with an 80 bit tag, 2 with 32.
    pub suite: u32,
    /// `dtlsfingerprint`; old hosts print SHA-1 and cannot be told otherwise.
    pub hash: Hash,
    /// `dtlscertfile`; `None` for one that is made for the configuration.
    pub certificate: Option<String>,
    /// `dtlsprivatekey`
    pub private_key: Option<String>,
    /// `dtlscipher`
    pub cipher: Option<String>,
    /// `dtlscafile`
    pub ca_file: Option<String>,
    /// `dtlscapath`
    pub ca_path: Option<String>,
}

/// Whether our SDP goes on with the association there is (RFC 4145 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsConnection {
    /// A new one.
    New,
    /// The one there is.
    Existing,
}

/// Who sends the first handshake message (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// We do.
    Active,
    /// The peer does.
    Passive,
    /// Whichever the other wants.
    ActPass,
    /// Nobody, for now.
    HoldConn,
}

/// What a fingerprint is made with (RFC 8122 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1: all that hosts before 11.11 can say.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Setup {
    pub(crate) fn from_host(setup: sys::ast_rtp_dtls_setup) -> Self {
        match setup {
            sys::AST_RTP_DTLS_SETUP_ACTIVE => Self::Active,
            sys::AST_RTP_DTLS_SETUP_PASSIVE => Self::Passive,
            sys::AST_RTP_DTLS_SETUP_ACTPASS => Self::ActPass,
            _ => Self::HoldConn,
        }
    }

    fn to_host(self) -> sys::ast_rtp_dtls_setup {
        match self {
            Self::Active => sys::AST_RTP_DTLS_SETUP_ACTIVE,
            Self::Passive => sys::AST_RTP_DTLS_SETUP_PASSIVE,
            Self::ActPass => sys::AST_RTP_DTLS_SETUP_ACTPASS,
            Self::HoldConn => sys::AST_RTP_DTLS_SETUP_HOLDCONN,
        }
    }
}

impl Hash {
    fn from_host(hash: sys::ast_rtp_dtls_hash) -> Self {
        if hash == sys::AST_RTP_DTLS_HASH_SHA1 { Self::Sha1 } else { Self::Sha256 }
    }

    fn to_host(self) -> sys::ast_rtp_dtls_hash {
        match self {
            Self::Sha1 => sys::AST_RTP_DTLS_HASH_SHA1,
            Self::Sha256 => sys::AST_RTP_DTLS_HASH_SHA256,
        }
    }
}

/// # Safety
/// Null, or a string that stays for the call.
pub(crate) unsafe fn owned(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's word.
    unsafe { log::text(text) }.filter(|text| !text.is_empty()).map(str::to_owned)
}

impl DtlsConfig {
    /// # Safety
    /// The strings stay for the call.
    unsafe fn from_host(host: &sys::ast_rtp_dtls_cfg) -> Self {
        // SAFETY: the caller's word on each.
        let [certificate, private_key, cipher, ca_file, ca_path] =
            [host.certfile, host.pvtfile, host.cipher, host.cafile, host.capath].map(|text| unsafe { owned(text) });
        Self {
            enabled: host.enabled() != 0,
            verify_fingerprint: host.verify & sys::AST_RTP_DTLS_VERIFY_FINGERPRINT != 0,
            verify_certificate: host.verify & sys::AST_RTP_DTLS_VERIFY_CERTIFICATE != 0,
            rekey_seconds: host.rekey,
            setup: Setup::from_host(host.default_setup),
            suite: host.suite,
            hash: Hash::from_host(host.hash),
            certificate: certificate.filter(|_| !host::dtls::is_ephemeral(host)),
            private_key: private_key.filter(|_| !host::dtls::is_ephemeral(host)),
            cipher,
            ca_file,
            ca_path,
        }
    }
}

pub(crate) fn table<E: Engine>() -> sys::ast_rtp_engine_dtls {
    sys::ast_rtp_engine_dtls {
        set_configuration: Some(set_configuration::<E>),
        active: Some(active::<E>),
        stop: Some(stop::<E>),
        reset: Some(reset::<E>),
        get_connection: Some(get_connection::<E>),
        get_setup: Some(get_setup::<E>),
        set_setup: Some(set_setup::<E>),
        set_fingerprint: Some(set_fingerprint::<E>),
        get_fingerprint_hash: Some(get_fingerprint_hash::<E>),
        get_fingerprint: Some(get_fingerprint::<E>),
    }
}

unsafe extern "C" fn set_configuration<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    configuration: *const sys::ast_rtp_dtls_cfg,
) -> c_int {
    // SAFETY: the host lends its instance and the configuration for the call.
    unsafe {
        with("dtls set_configuration", -1, instance, |held: &Held<E>, instance| {
            let Some(configuration) = configuration.as_ref() else { return -1 };
            answer(held.session.set_configuration(instance, &DtlsConfig::from_host(configuration)))
        })
    }
}

pub(crate) unsafe extern "C" fn active<E: Engine>(instance: *mut sys::ast_rtp_instance) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("dtls active", 0, instance, |held: &Held<E>, instance| held.session.active(instance).into()) }
}

pub(crate) unsafe extern "C" fn stop<E: Engine>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("dtls stop", (), instance, |held: &Held<E>, instance| Dtls::stop(&*held.session, instance)) }
}

pub(crate) unsafe extern "C" fn reset<E: Engine>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("dtls reset", (), instance, |held: &Held<E>, instance| held.session.reset(instance)) }
}

pub(crate) unsafe extern "C" fn get_connection<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
) -> sys::ast_rtp_dtls_connection {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_connection", sys::AST_RTP_DTLS_CONNECTION_NEW, instance, |held: &Held<E>, instance| {
            match held.session.connection(instance) {
                DtlsConnection::New => sys::AST_RTP_DTLS_CONNECTION_NEW,
                DtlsConnection::Existing => sys::AST_RTP_DTLS_CONNECTION_EXISTING,
            }
        })
    }
}

pub(crate) unsafe extern "C" fn get_setup<E: Engine>(instance: *mut sys::ast_rtp_instance) -> sys::ast_rtp_dtls_setup {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_setup", sys::AST_RTP_DTLS_SETUP_ACTPASS, instance, |held: &Held<E>, instance| {
            held.session.setup(instance).to_host()
        })
    }
}

pub(crate) unsafe extern "C" fn set_setup<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    setup: sys::ast_rtp_dtls_setup,
) {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls set_setup", (), instance, |held: &Held<E>, instance| {
            held.session.set_setup(instance, Setup::from_host(setup));
        });
    }
}

unsafe extern "C" fn set_fingerprint<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    hash: sys::ast_rtp_dtls_hash,
    fingerprint: *const c_char,
) {
    // SAFETY: the host lends its instance and the string for the call.
    unsafe { take_fingerprint::<E>(instance, Hash::from_host(hash), fingerprint) }
}

/// # Safety
/// The host lends its instance and the string for the call.
pub(crate) unsafe fn take_fingerprint<E: Engine>(
    instance: *mut sys::ast_rtp_instance,
    hash: Hash,
    fingerprint: *const c_char,
) {
    // SAFETY: the caller's word.
    unsafe {
        with("dtls set_fingerprint", (), instance, |held: &Held<E>, instance| {
            if let Some(fingerprint) = log::text(fingerprint) {
                held.session.set_fingerprint(instance, hash, fingerprint);
            }
        });
    }
}

unsafe extern "C" fn get_fingerprint_hash<E: Engine>(instance: *mut sys::ast_rtp_instance) -> sys::ast_rtp_dtls_hash {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_fingerprint_hash", sys::AST_RTP_DTLS_HASH_SHA256, instance, |held: &Held<E>, instance| {
            held.session.fingerprint_hash(instance).to_host()
        })
    }
}

unsafe extern "C" fn get_fingerprint<E: Engine>(instance: *mut sys::ast_rtp_instance) -> *const c_char {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_fingerprint", ptr::null(), instance, |held: &Held<E>, instance| {
            let hash = held.session.fingerprint_hash(instance);
            held.fingerprint.show(held.session.fingerprint(instance, hash))
        })
    }
}
