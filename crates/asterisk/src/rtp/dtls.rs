//! The DTLS functions of an engine (RFC 5763), in the layout of hosts since 11.11. The older layout is in `host`. The
//! engine notices one difference only: older hosts know no hash but SHA-1.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::Instance;
use super::held::{Held, with};
use crate::{Failed, answer, host, log, sys};

/// The DTLS-SRTP functions of a session. The host calls them with its configuration and with values from SDP.
pub trait Dtls {
    /// Sets the peer's DTLS configuration.
    fn set_configuration(&self, instance: Instance<'_>, configuration: &DtlsConfig) -> Result<(), Failed>;

    /// Whether DTLS is configured and not stopped.
    fn active(&self, instance: Instance<'_>) -> bool;

    /// Ends DTLS on this instance.
    fn stop(&self, instance: Instance<'_>);

    /// Makes the next SDP begin a new association.
    fn reset(&self, instance: Instance<'_>);

    /// The value of `a=connection` for our SDP.
    fn connection(&self, instance: Instance<'_>) -> DtlsConnection;

    /// The value of `a=setup` for our SDP.
    fn setup(&self, instance: Instance<'_>) -> Setup;

    /// Sets the value of `a=setup` in the peer's SDP.
    fn set_setup(&self, instance: Instance<'_>, setup: Setup);

    /// Sets the value of `a=fingerprint` in the peer's SDP.
    fn set_fingerprint(&self, instance: Instance<'_>, hash: Hash, fingerprint: &str);

    /// The hash function of our fingerprint in SDP.
    fn fingerprint_hash(&self, instance: Instance<'_>) -> Hash;

    /// Our fingerprint, for SDP: "AB:CD:…".
    fn fingerprint(&self, instance: Instance<'_>, hash: Hash) -> Option<String>;
}

/// The DTLS options of a peer in `sip.conf` (`dtlsenable` and so on).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsConfig {
    /// `dtlsenable`: DTLS is used.
    pub enabled: bool,
    /// `dtlsverify`: the certificate must match the fingerprint in SDP.
    pub verify_fingerprint: bool,
    /// `dtlsverify`: the certificate must be signed by a trusted authority.
    pub verify_certificate: bool,
    /// `dtlsrekey`: the interval of new handshakes in seconds; 0 for none.
    pub rekey_seconds: u32,
    /// `dtlssetup`: our role.
    pub setup: Setup,
    /// The SRTP suite by the host's number: 1 for an 80 bit tag, 2 for 32 bits.
    pub suite: u32,
    /// `dtlsfingerprint`: the hash of our fingerprint. Hosts before 11.11 always use SHA-1.
    pub hash: Hash,
    /// `dtlscertfile`: the file of our certificate; `None` if one is generated.
    pub certificate: Option<String>,
    /// `dtlsprivatekey`: the file of our private key.
    pub private_key: Option<String>,
    /// `dtlscipher`: the cipher list for OpenSSL.
    pub cipher: Option<String>,
    /// `dtlscafile`: the file of trusted authorities.
    pub ca_file: Option<String>,
    /// `dtlscapath`: the directory of trusted authorities.
    pub ca_path: Option<String>,
}

/// Whether our SDP continues the existing association or begins a new one (RFC 4145 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsConnection {
    /// Begins a new association.
    New,
    /// Continues the existing association.
    Existing,
}

/// The value of `a=setup`: which side sends the first handshake message (RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// This side sends it.
    Active,
    /// The other side sends it.
    Passive,
    /// The other side decides.
    ActPass,
    /// Nobody yet: the connection is put off.
    HoldConn,
}

/// The hash function of a fingerprint (RFC 8122 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, the only one that hosts before 11.11 know.
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
/// `text` is null or a string that lives during the call.
pub(crate) unsafe fn owned(text: *const c_char) -> Option<String> {
    // SAFETY: guaranteed by our caller.
    unsafe { log::text(text) }.filter(|text| !text.is_empty()).map(str::to_owned)
}

impl DtlsConfig {
    /// # Safety
    /// The strings of `host` live during the call.
    unsafe fn from_host(host: &sys::ast_rtp_dtls_cfg) -> Self {
        // SAFETY: guaranteed by our caller for each string.
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

pub(crate) fn table<E: Dtls>() -> sys::ast_rtp_engine_dtls {
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

unsafe extern "C" fn set_configuration<E: Dtls>(
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

pub(crate) unsafe extern "C" fn active<E: Dtls>(instance: *mut sys::ast_rtp_instance) -> c_int {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("dtls active", 0, instance, |held: &Held<E>, instance| held.session.active(instance).into()) }
}

pub(crate) unsafe extern "C" fn stop<E: Dtls>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("dtls stop", (), instance, |held: &Held<E>, instance| Dtls::stop(&*held.session, instance)) }
}

pub(crate) unsafe extern "C" fn reset<E: Dtls>(instance: *mut sys::ast_rtp_instance) {
    // SAFETY: the host lends its instance for the call.
    unsafe { with("dtls reset", (), instance, |held: &Held<E>, instance| held.session.reset(instance)) }
}

pub(crate) unsafe extern "C" fn get_connection<E: Dtls>(
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

pub(crate) unsafe extern "C" fn get_setup<E: Dtls>(instance: *mut sys::ast_rtp_instance) -> sys::ast_rtp_dtls_setup {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_setup", sys::AST_RTP_DTLS_SETUP_ACTPASS, instance, |held: &Held<E>, instance| {
            held.session.setup(instance).to_host()
        })
    }
}

pub(crate) unsafe extern "C" fn set_setup<E: Dtls>(
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

unsafe extern "C" fn set_fingerprint<E: Dtls>(
    instance: *mut sys::ast_rtp_instance,
    hash: sys::ast_rtp_dtls_hash,
    fingerprint: *const c_char,
) {
    // SAFETY: the host lends its instance and the string for the call.
    unsafe { take_fingerprint::<E>(instance, Hash::from_host(hash), fingerprint) }
}

/// # Safety
/// The host lends its instance and the string for the call.
pub(crate) unsafe fn take_fingerprint<E: Dtls>(
    instance: *mut sys::ast_rtp_instance,
    hash: Hash,
    fingerprint: *const c_char,
) {
    // SAFETY: guaranteed by our caller.
    unsafe {
        with("dtls set_fingerprint", (), instance, |held: &Held<E>, instance| {
            if let Some(fingerprint) = log::text(fingerprint) {
                held.session.set_fingerprint(instance, hash, fingerprint);
            }
        });
    }
}

unsafe extern "C" fn get_fingerprint_hash<E: Dtls>(instance: *mut sys::ast_rtp_instance) -> sys::ast_rtp_dtls_hash {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_fingerprint_hash", sys::AST_RTP_DTLS_HASH_SHA256, instance, |held: &Held<E>, instance| {
            held.session.fingerprint_hash(instance).to_host()
        })
    }
}

unsafe extern "C" fn get_fingerprint<E: Dtls>(instance: *mut sys::ast_rtp_instance) -> *const c_char {
    // SAFETY: the host lends its instance for the call.
    unsafe {
        with("dtls get_fingerprint", ptr::null(), instance, |held: &Held<E>, instance| {
            let hash = held.session.fingerprint_hash(instance);
            held.fingerprint.show(held.session.fingerprint(instance, hash))
        })
    }
}
