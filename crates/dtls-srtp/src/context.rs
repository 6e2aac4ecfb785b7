//! What the sessions of one configuration share.

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

/// What is looked at before a peer is believed (`dtlsverify` in the host's configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verify {
    /// The certificate is the one whose fingerprint the SDP has.
    pub fingerprint: bool,
    /// The certificate is vouched for by an authority in `ca_file` or `ca_path`.
    pub certificate: bool,
}

/// How a [`Context`] is to be.
#[derive(Debug, Clone)]
pub struct ContextConfig {
    /// What we show the peer.
    pub certificate: Certificate,
    /// What the peer has to show.
    pub verify: Verify,
    /// OpenSSL's syntax; `None` for [`DEFAULT_CIPHERS`].
    pub cipher_list: Option<String>,
    /// Authorities, for `verify.certificate`.
    pub ca_file: Option<PathBuf>,
    /// The same as a directory of hashed names.
    pub ca_path: Option<PathBuf>,
    /// The one that we like best first.
    pub srtp_profiles: Vec<Profile>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// No cipher of the list is known to OpenSSL, or it is no list.
    #[error("cipher list {list:?}: {reason}")]
    CipherList {
        /// As configured.
        list: String,
        /// OpenSSL's.
        reason: ErrorStack,
    },
    /// The authorities cannot be read.
    #[error("{}: no certificates of authorities: {reason}", .path.display())]
    Authorities {
        /// As configured.
        path: PathBuf,
        /// OpenSSL's.
        reason: ErrorStack,
    },
    /// No SRTP protection profile.
    #[error("no SRTP protection profile is configured")]
    NoProfile,
    /// OpenSSL refused the certificate, or could not do what it always can.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// A configuration, made ready once and shared by its sessions.
#[derive(Debug)]
pub struct Context {
    ssl: SslContext,
    certificate: Certificate,
    verify: Verify,
    secret: Secret,
}

impl Context {
    /// Makes a context. What is wrong with the configuration shows here and not in a call.
    pub fn new(config: ContextConfig) -> Result<Arc<Self>, ContextError> {
        let mut builder = SslContextBuilder::new(SslMethod::dtls())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        // The MTU is ours, a ticket would let a peer come back without its certificate.
        builder.set_options(SslOptions::NO_QUERY_MTU | SslOptions::NO_RENEGOTIATION | SslOptions::NO_TICKET);
        // With encrypt-then-MAC (RFC 7366), OpenSSL ends the association for a record that anybody could have sent.
        builder.set_options(SslOptions::from_bits_retain(SSL_OP_NO_ENCRYPT_THEN_MAC));
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        set_ciphers(&mut builder, config.cipher_list)?;
        set_profiles(&mut builder, &config.srtp_profiles)?;
        set_verification(&mut builder, config.verify);
        // `Secret` makes and looks at cookies, before OpenSSL sees them: see `Session::start_after_cookie`.
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
        Ok(Arc::new(Self { ssl, certificate: config.certificate, verify: config.verify, secret }))
    }

    /// What we show the peer, for the SDP.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What the peer has to show.
    pub fn verify(&self) -> Verify {
        self.verify
    }

    /// Whether the ClientHello has the cookie that [`hello_verify_request`](Self::hello_verify_request) sent to that address.
    pub fn has_our_cookie(&self, hello: &ClientHello<'_>, from: SocketAddr) -> bool {
        self.secret.vouches(hello, from)
    }

    /// The datagram that asks a client to show that the address is its own, with nothing remembered.
    pub fn hello_verify_request(&self, hello: &ClientHello<'_>, from: SocketAddr) -> Result<Vec<u8>, ErrorStack> {
        self.secret.hello_verify_request(hello, from)
    }

    pub(crate) fn ssl(&self) -> Result<Ssl, ErrorStack> {
        Ssl::new(&self.ssl)
    }
}

fn set_ciphers(builder: &mut SslContextBuilder, list: Option<String>) -> Result<(), ContextError> {
    let list = list.unwrap_or_else(|| DEFAULT_CIPHERS.to_owned());
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
        // Nobody vouches for a browser's certificate; the session compares the fingerprint.
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

/// Forward secrecy and 128 bits at least; every browser and every OpenSSL with DTLS 1.2 has some of them.
pub const DEFAULT_CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";

/// `openssl/ssl.h`; the `openssl` crate has no name for it.
const SSL_OP_NO_ENCRYPT_THEN_MAC: u64 = 1 << 19;
