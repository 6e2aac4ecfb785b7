//! Certificates of the tests' peers.

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{X509, X509Builder, X509NameBuilder},
};
use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};
use str0m::config::DtlsCert;

/// A certificate and its key, as `openssl req -x509` makes them.
pub struct Identity {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

impl Identity {
    pub fn new() -> Self {
        Self::until(30)
    }

    /// Makes a certificate that expires in this number of days; a negative number means that it has expired.
    pub fn until(days: i64) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
        let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
        let mut name = X509NameBuilder::new().expect("a name");
        name.append_entry_by_text("CN", "peer").expect("a name");
        let name = name.build();
        let mut builder = X509Builder::new().expect("a builder");
        builder.set_version(2).expect("v3");
        builder.set_subject_name(&name).expect("a name");
        builder.set_issuer_name(&name).expect("a name");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
        let date = |days: i64| Asn1Time::from_unix(now + days * DAY).expect("a date");
        builder.set_not_before(&date(days.min(0) - 1)).expect("a date");
        builder.set_not_after(&date(days)).expect("a date");
        builder.set_pubkey(&key).expect("a key");
        builder.sign(&key, MessageDigest::sha256()).expect("a signature");
        Self { certificate: builder.build(), key }
    }

    /// Writes both into one file, for `dtlscertfile`.
    pub fn write(&self, file: &Path) {
        let pem = [self.certificate.to_pem().expect("PEM"), self.key.private_key_to_pem_pkcs8().expect("PEM")].concat();
        fs::write(file, pem).expect("a writable directory");
    }

    pub(super) fn fingerprint(&self, hash: MessageDigest) -> String {
        let digest = self.certificate.digest(hash).expect("a digest");
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    pub(super) fn for_str0m(&self) -> DtlsCert {
        DtlsCert {
            certificate: self.certificate.to_der().expect("DER"),
            private_key: self.key.private_key_to_der().expect("DER"),
        }
    }
}
