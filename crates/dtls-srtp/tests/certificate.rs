//! Certificates from files, and what is said about files that are wrong.

use std::fs;
use std::path::{Path, PathBuf};

use dtls_srtp::{Certificate, CertificateError, HashFunction};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;

#[test]
fn a_self_signed_certificate_has_both_fingerprints() {
    let certificate = Certificate::self_signed().expect("a certificate");
    assert_eq!(certificate.fingerprint(HashFunction::Sha1).len(), 20 * 3 - 1);
    assert_eq!(certificate.fingerprint(HashFunction::Sha256).len(), 32 * 3 - 1);
    let other = Certificate::self_signed().expect("another");
    assert_ne!(certificate.fingerprint(HashFunction::Sha256), other.fingerprint(HashFunction::Sha256));
}

#[test]
fn an_error_names_the_file_and_what_is_wrong_with_it() {
    let directory = Directory::new("errors");
    let missing = directory.file("missing.pem", None);
    let error = Certificate::from_pem_files(&missing, None).expect_err("missing");
    assert_eq!(error.to_string(), format!("{}: No such file or directory (os error 2)", missing.display()));

    let text = directory.file("text.pem", Some(b"hello"));
    let error = Certificate::from_pem_files(&text, None).expect_err("no certificate");
    assert!(matches!(error, CertificateError::NoCertificate { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("{}: no certificate in PEM form", text.display())), "{error}");
}

#[test]
fn key_and_certificate_come_from_one_file_or_two_and_belong_together() {
    let directory = Directory::new("files");
    let (certificate, key) = pem();
    let (_, other_key) = pem();
    let certificate_file = directory.file("certificate.pem", Some(&certificate));
    let key_file = directory.file("key.pem", Some(&key));
    let both = directory.file("both.pem", Some(&[&key[..], &certificate].concat()));
    let other = directory.file("other.pem", Some(&other_key));

    let from_two = Certificate::from_pem_files(&certificate_file, Some(&key_file)).expect("two files");
    let from_one = Certificate::from_pem_files(&both, None).expect("one file");
    assert_eq!(from_two.fingerprint(HashFunction::Sha256), from_one.fingerprint(HashFunction::Sha256));

    let error = Certificate::from_pem_files(&certificate_file, None).expect_err("no key in it");
    assert!(matches!(&error, CertificateError::NoKey { file, .. } if *file == certificate_file), "{error}");
    let error = Certificate::from_pem_files(&certificate_file, Some(&other)).expect_err("another key");
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the private key does not match the certificate in {}",
            other.display(),
            certificate_file.display()
        )
    );
}

/// A certificate and its key.
fn pem() -> (Vec<u8>, Vec<u8>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut builder = openssl::x509::X509Builder::new().expect("a builder");
    let day = |days| openssl::asn1::Asn1Time::days_from_now(days).expect("a day");
    builder.set_not_before(&day(0)).expect("set");
    builder.set_not_after(&day(2)).expect("set");
    builder.set_pubkey(&key).expect("set");
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).expect("signed");
    (builder.build().to_pem().expect("PEM"), key.private_key_to_pem_pkcs8().expect("PEM"))
}

/// Removed on drop.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dtls-srtp-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, contents: Option<&[u8]>) -> PathBuf {
        let path = Path::join(&self.0, name);
        if let Some(contents) = contents {
            fs::write(&path, contents).expect("written");
        }
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
