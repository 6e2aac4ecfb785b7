//! The configuration that sessions share: certificate, ciphers, SRTP profiles, and how peers are verified.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
};

use crate::certificate::Certificate;
use crate::hello::{ClientHello, Secret};
use crate::keys::Profile;
use crate::runner::{Here, Runner};
use crate::session::MAX_DATAGRAM_LEN;

/// The checks that a peer's certificate has to pass (`dtlsverify` in the host's configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verify {
    /// The certificate has the fingerprint that the peer's description names (RFC 5763 §5).
    pub fingerprint: bool,
    /// The certificate's chain ends at an authority in `ca_file` or `ca_path`.
    pub certificate: bool,
}

/// The oldest version of DTLS that a handshake may agree on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// DTLS 1.0 (RFC 4347), for old phones: SHA-1 in signatures, ciphers in CBC mode, and none with forward secrecy if
    /// the peer has no better one. RFC 8996 deprecates it.
    Dtls10,
    /// DTLS 1.2 (RFC 6347), which RFC 8827 §6.5 requires.
    #[default]
    Dtls12,
}

/// The configuration of a [`Context`].
#[derive(Debug, Clone)]
pub struct ContextConfig {
    /// The certificate that we show the peer.
    pub certificate: Certificate,
    /// The checks that the peer's certificate has to pass.
    pub verify: Verify,
    /// The cipher suites in OpenSSL's syntax; `None` for [`DEFAULT_CIPHERS`].
    pub cipher_list: Option<String>,
    /// A PEM file of certificate authorities, for `verify.certificate`.
    pub ca_file: Option<PathBuf>,
    /// A directory of certificate authorities with hashed file names, for `verify.certificate`.
    pub ca_path: Option<PathBuf>,
    /// The SRTP protection profiles that we offer, in order of preference (RFC 5764 §4.1.2).
    pub srtp_profiles: Vec<Profile>,
    /// The oldest version of DTLS.
    pub min_version: MinVersion,
    /// The longest datagram that is sent, in bytes; at most [`MAX_DATAGRAM_LEN`](crate::MAX_DATAGRAM_LEN) counts.
    pub mtu: u32,
}

/// Reasons why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// OpenSSL knows none of the cipher suites, or the text is not a list of them.
    #[error("cipher list {list:?}: {reason}")]
    CipherList {
        /// The configured list.
        list: String,
        /// OpenSSL's error.
        reason: ErrorStack,
    },
    /// The certificates of the authorities cannot be read.
    #[error("{}: no certificates of authorities: {reason}", .path.display())]
    Authorities {
        /// The configured file or directory.
        path: PathBuf,
        /// OpenSSL's error.
        reason: ErrorStack,
    },
    /// The list of SRTP protection profiles is empty.
    #[error("no SRTP protection profile is configured")]
    NoProfile,
    /// OpenSSL refused the certificate, or failed for another reason such as lack of memory.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// A configuration that has been checked and prepared once, and that sessions share.
#[derive(Debug)]
pub struct Context {
    ssl: SslContext,
    certificate: Certificate,
    verify: Verify,
    srtp_profiles: Vec<Profile>,
    mtu: u32,
    secret: Secret,
    min_version: MinVersion,
    runner: Arc<dyn Runner>,
}

impl Context {
    /// Creates a context whose handshakes run on the threads of their callers. Errors in the configuration show here, and not during a
    /// call.
    pub fn new(config: ContextConfig) -> Result<Arc<Self>, ContextError> {
        Self::with_runner(config, Arc::new(Here))
    }

    /// As [`Self::new`], but the steps of handshakes are run by `runner`.
    pub fn with_runner(config: ContextConfig, runner: Arc<dyn Runner>) -> Result<Arc<Self>, ContextError> {
        let mut builder = SslContextBuilder::new(SslMethod::dtls())?;
        set_min_version(&mut builder, config.min_version)?;
        // The MTU is ours, not the kernel's. A session ticket would let a peer resume without its
        // certificate.
        builder.set_options(SslOptions::NO_QUERY_MTU | SslOptions::NO_RENEGOTIATION | SslOptions::NO_TICKET);
        // With encrypt-then-MAC (RFC 7366), OpenSSL ends the association at the first forged record.
        builder.set_options(SslOptions::from_bits_retain(SSL_OP_NO_ENCRYPT_THEN_MAC));
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        set_ciphers(&mut builder, config.cipher_list, config.min_version)?;
        set_profiles(&mut builder, &config.srtp_profiles)?;
        set_verification(&mut builder, config.verify);
        // `Secret` creates and checks the cookies before OpenSSL sees them (see `Session::start_after_cookie`).
        builder.set_cookie_generate_cb(|_, cookie| {
            cookie.iter_mut().take(1).for_each(|byte| *byte = 0);
            Ok(1)
        });
        builder.set_cookie_verify_cb(|_, _| true);
        if config.ca_file.is_some() || config.ca_path.is_some() {
            set_authorities(&mut builder, config.ca_file.as_deref(), config.ca_path.as_deref())?;
        }
        builder.set_certificate(&config.certificate.leaf)?;
        config.certificate.chain.iter().try_for_each(|link| builder.add_extra_chain_cert(link.clone()))?;
        builder.set_private_key(&config.certificate.key)?;
        let (ssl, secret) = (builder.build(), Secret::new()?);
        let ContextConfig { certificate, verify, srtp_profiles, min_version, mtu, .. } = config;
        Ok(Arc::new(Self { ssl, certificate, verify, srtp_profiles, mtu, secret, min_version, runner }))
    }

    /// The certificate that we show the peer. Its fingerprint goes into the SDP.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The longest datagram that is sent, in bytes.
    pub(crate) fn mtu(&self) -> u32 {
        self.mtu.min(MAX_DATAGRAM_LEN as u32)
    }

    /// The checks that the peer's certificate has to pass.
    pub fn verify(&self) -> Verify {
        self.verify
    }

    /// Whether there is more than one SRTP protection profile to choose from. The server of a handshake chooses (RFC 5764 §4.1.1).
    pub(crate) fn has_choice_of_profiles(&self) -> bool {
        self.srtp_profiles.len() > 1
    }

    pub(crate) fn allows_dtls_1_0(&self) -> bool {
        self.min_version == MinVersion::Dtls10
    }

    /// Whether the ClientHello returns the cookie that [`hello_verify_request`](Self::hello_verify_request) made for
    /// `from`.
    pub fn has_our_cookie(&self, hello: &ClientHello<'_>, from: SocketAddr) -> bool {
        self.secret.vouches(hello, from)
    }

    /// Returns the datagram that asks the client to prove that it receives what is sent to `from` (RFC 6347 §4.2.1).
    /// The server keeps no state for it.
    pub fn hello_verify_request(&self, hello: &ClientHello<'_>, from: SocketAddr) -> Result<Vec<u8>, ErrorStack> {
        self.secret.hello_verify_request(hello, from)
    }

    /// Returns the runner of handshakes.
    pub(crate) fn runner(&self) -> &dyn Runner {
        &*self.runner
    }

    pub(crate) fn ssl(&self) -> Result<Ssl, ErrorStack> {
        Ssl::new(&self.ssl)
    }
}

fn set_min_version(builder: &mut SslContextBuilder, min_version: MinVersion) -> Result<(), ErrorStack> {
    match min_version {
        // Signatures of DTLS 1.0 are made with SHA-1, which OpenSSL has at this level alone.
        MinVersion::Dtls10 => {
            builder.set_security_level(0);
            builder.set_min_proto_version(Some(SslVersion::DTLS1))
        }
        MinVersion::Dtls12 => builder.set_min_proto_version(Some(SslVersion::DTLS1_2)),
    }
}

fn set_ciphers(
    builder: &mut SslContextBuilder,
    list: Option<String>,
    min_version: MinVersion,
) -> Result<(), ContextError> {
    let default = match min_version {
        MinVersion::Dtls10 => DEFAULT_CIPHERS_DTLS_1_0,
        MinVersion::Dtls12 => DEFAULT_CIPHERS,
    };
    let list = list.unwrap_or_else(|| default.to_owned());
    builder.set_cipher_list(&list).map_err(|reason| ContextError::CipherList { list, reason })
}

fn set_profiles(builder: &mut SslContextBuilder, profiles: &[Profile]) -> Result<(), ContextError> {
    if profiles.is_empty() {
        return Err(ContextError::NoProfile);
    }
    let names: Vec<_> = profiles.iter().map(|profile| profile.name()).collect();
    Ok(builder.set_tlsext_use_srtp(&names.join(":"))?)
}

fn set_verification(builder: &mut SslContextBuilder, verify: Verify) {
    let required = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    match verify {
        Verify { certificate: true, .. } => builder.set_verify(required),
        // A browser's certificate is self-signed; the session compares its fingerprint.
        Verify { fingerprint: true, .. } => builder.set_verify_callback(required, |_, _| true),
        Verify { .. } => builder.set_verify(SslVerifyMode::NONE),
    }
}

fn set_authorities(
    builder: &mut SslContextBuilder,
    file: Option<&Path>,
    path: Option<&Path>,
) -> Result<(), ContextError> {
    builder.load_verify_locations(file, path).map_err(|reason| {
        let path = file.or(path).unwrap_or_else(|| Path::new("")).to_owned();
        ContextError::Authorities { path, reason }
    })
}

/// The default cipher suites: forward secrecy and at least 128 bits. Every browser and every OpenSSL with DTLS 1.2 has
/// some of them.
pub const DEFAULT_CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";

/// The default cipher suites where DTLS 1.0 is allowed: those of phones without elliptic curves come last.
const DEFAULT_CIPHERS_DTLS_1_0: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AES:kRSA+AES";

/// From `openssl/ssl.h`; the `openssl` crate has no name for it.
const SSL_OP_NO_ENCRYPT_THEN_MAC: u64 = 1 << 19;
