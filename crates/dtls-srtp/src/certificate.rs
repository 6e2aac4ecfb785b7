//! Our certificate: read from the files that the host's configuration names, or self-signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use crate::fingerprint::{Fingerprint, HashFunction};

/// A certificate, its private key, and the chain of certificates that leads to an authority.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(crate) leaf: X509,
    pub(crate) chain: Vec<X509>,
    pub(crate) key: PKey<Private>,
    sha1: String,
    sha256: String,
}

/// Reasons why a certificate cannot be used, with the file that is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file is missing, or this process may not read it.
    #[error("{}: {reason}", .file.display())]
    Unreadable {
        /// The configured path.
        file: PathBuf,
        /// The operating system's error.
        reason: io::Error,
    },
    /// The file has no certificate in PEM form.
    #[error("{}: no certificate in PEM form in it{}", .file.display(), because(.reason))]
    NoCertificate {
        /// The configured path.
        file: PathBuf,
        /// OpenSSL's error.
        reason: ErrorStack,
    },
    /// The file has no private key in PEM form, or one that is protected by a passphrase.
    #[error("{}: no private key in PEM form, or one with a passphrase, in it{}", .file.display(), because(.reason))]
    NoKey {
        /// The configured path.
        file: PathBuf,
        /// OpenSSL's error.
        reason: ErrorStack,
    },
    /// The private key is not the certificate's.
    #[error("{}: the private key does not match the certificate in {}", .key.display(), .certificate.display())]
    Mismatch {
        /// The configured path of the certificate.
        certificate: PathBuf,
        /// The configured path of the private key.
        key: PathBuf,
    },
    /// OpenSSL failed for another reason, such as lack of memory.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
}

fn because(reason: &ErrorStack) -> String {
    // The first error in OpenSSL's queue names the cause; the later ones name the functions that it made fail.
    reason.errors().first().and_then(|error| error.reason()).map_or_else(String::new, |reason| format!(" ({reason})"))
}

impl Certificate {
    /// Reads a certificate, the chain that follows it, and the private key, all in PEM form. The key is read from the
    /// file of the certificate if `key` is `None`. A certificate that has expired, or is not valid yet, is used with a
    /// warning in the log: browsers check the fingerprint alone.
    pub fn from_pem_files(certificate: &Path, key: Option<&Path>) -> Result<Self, CertificateError> {
        let file = certificate.display();
        let certificate = Self::load(certificate, key)?;
        if let Some(why) = certificate.out_of_date() {
            log::warn!("{file}: {why}");
        }
        Ok(certificate)
    }

    /// Checks whether [`Certificate::from_pem_files`] would succeed. Returns the text of the warning that it would log,
    /// if any.
    pub fn try_pem_files(certificate: &Path, key: Option<&Path>) -> Result<Option<String>, CertificateError> {
        Ok(Self::load(certificate, key)?.out_of_date())
    }

    fn load(certificate: &Path, key: Option<&Path>) -> Result<Self, CertificateError> {
        let key = key.unwrap_or(certificate);
        let pem = read(certificate)?;
        let key_pem = Secret(read(key)?);
        let mut stack = X509::stack_from_pem(&pem)
            .map_err(|reason| CertificateError::NoCertificate { file: certificate.into(), reason })?
            .into_iter();
        let leaf = stack
            .next()
            .ok_or_else(|| CertificateError::NoCertificate { file: certificate.into(), reason: ErrorStack::get() })?;
        // With an empty passphrase OpenSSL does not ask for one on the terminal.
        let private = PKey::private_key_from_pem_passphrase(&key_pem.0, b"")
            .map_err(|reason| CertificateError::NoKey { file: key.into(), reason })?;
        if !leaf.public_key()?.public_eq(&private) {
            return Err(CertificateError::Mismatch { certificate: certificate.into(), key: key.into() });
        }
        Ok(Self::new(leaf, stack.collect(), private)?)
    }

    /// Creates a key on the curve P-256 and a self-signed certificate for it, as browsers do (RFC 8827 §6.5).
    pub fn self_signed() -> Result<Self, CertificateError> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_text("CN", "asterisk")?;
        let name = name.build();
        let mut serial = BigNum::new()?;
        serial.rand(64, MsbOption::MAYBE_ZERO, false)?;

        let mut builder = X509Builder::new()?;
        builder.set_version(2)?; // X.509 v3
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        // The certificate is valid since yesterday, because clocks differ.
        builder.set_not_before(&*days_from_now(-1)?)?;
        builder.set_not_after(&*days_from_now(SELF_SIGNED_DAYS)?)?;
        builder.set_pubkey(&key)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self::new(builder.build(), Vec::new(), key)?)
    }

    fn new(leaf: X509, chain: Vec<X509>, key: PKey<Private>) -> Result<Self, ErrorStack> {
        let sha1 = Fingerprint::of(&leaf, HashFunction::Sha1)?.to_sdp();
        let sha256 = Fingerprint::of(&leaf, HashFunction::Sha256)?.to_sdp();
        Ok(Self { leaf, chain, key, sha1, sha256 })
    }

    /// The certificate's fingerprint as it follows the name of the hash function in `a=fingerprint` (RFC 8122 §5):
    /// `AB:CD:...`.
    pub fn fingerprint(&self, function: HashFunction) -> &str {
        match function {
            HashFunction::Sha1 => &self.sha1,
            HashFunction::Sha256 => &self.sha256,
        }
    }

    /// Describes why the certificate is not valid today; `None` if it is.
    pub fn out_of_date(&self) -> Option<String> {
        let now = Asn1Time::days_from_now(0).ok()?;
        let is_before = |earlier: &Asn1TimeRef, later: &Asn1TimeRef| earlier < later;
        let (begins, ends) = (self.leaf.not_before(), self.leaf.not_after());
        if is_before(ends, &now) {
            Some(format!("the certificate ended on {ends}"))
        } else if is_before(&now, begins) {
            Some(format!("the certificate is not valid before {begins}"))
        } else {
            None
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(file).map_err(|reason| CertificateError::Unreadable { file: file.into(), reason })
}

fn days_from_now(days: i64) -> Result<Asn1Time, ErrorStack> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Asn1Time::from_unix(now.as_secs() as i64 + days * 24 * 60 * 60)
}

/// The text of a private key. It is overwritten when it is dropped.
struct Secret(Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        crate::keys::wipe(&mut self.0);
    }
}

/// Days for which a self-signed certificate is valid. Browsers accept at most a year.
const SELF_SIGNED_DAYS: i64 = 300;
