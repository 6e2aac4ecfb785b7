//! Checks the DTLS certificates that `sip.conf` and `pjsip.conf` name, each file only on hosts that can have its channel driver. It does so
//! when the module is loaded or reloaded, so that the log names an unreadable or expired certificate before the first call needs it. Certificates of accounts from a database are not checked; the
//! first call reports errors of those. The self-test judges them by [`judge_all`].

use std::path::Path;

use asterisk::config::{Config, Entries, Entry, Load, Reload};
use dtls_srtp::{Certificate, CertificateError};
use story::Driver;

use crate::diagnosis::drivers;

/// Checks every certificate once and logs what is wrong. Has no other effect: calls that need a bad certificate will fail.
pub fn check_all() {
    for driver in drivers::possible() {
        let Load::Loaded(config) = Config::load(driver.names().file, Reload::Always) else { continue };
        let mut seen = Vec::new();
        for named in config.sections().filter_map(|(_, section)| Named::find(driver, section)) {
            let files = (named.certificate.value, named.key);
            if !seen.contains(&files) {
                seen.push(files);
                named.check();
            }
        }
    }
}

/// A certificate that sections of a file name, and whether calls can use it.
#[derive(Debug)]
pub struct Judged {
    /// The names of the sections.
    pub sections: Vec<String>,
    /// The configuration file.
    pub file: String,
    /// The keys of the certificate's file and of the private key's.
    pub keys: (&'static str, &'static str),
    /// The certificate's file.
    pub certificate: String,
    /// The private key's file, if it is another one.
    pub private_key: Option<String>,
    /// The text of the warning about its dates, if there is one, or the error.
    pub verdict: Result<Option<String>, CertificateError>,
}

/// Judges each certificate of the loaded channel drivers once.
pub fn judge_all() -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::new();
    for driver in drivers::loaded() {
        let names = driver.names();
        let Load::Loaded(config) = Config::load(names.file, Reload::Always) else { continue };
        for (section, entries) in config.sections() {
            let Some(named) = Named::find(driver, entries) else { continue };
            let (certificate, key) = (named.certificate.value, named.key);
            let is_same = |known: &&mut Judged| known.certificate == certificate && known.private_key.as_deref() == key;
            if let Some(known) = judged.iter_mut().find(is_same) {
                known.sections.push(section.to_owned());
                continue;
            }
            let verdict = Certificate::try_pem_files(Path::new(certificate), key.map(Path::new));
            judged.push(Judged {
                sections: vec![section.to_owned()],
                file: driver.file().to_owned(),
                keys: (names.certificate, names.private_key),
                certificate: certificate.to_owned(),
                private_key: key.map(str::to_owned),
                verdict,
            });
        }
    }
    judged
}

/// The certificate and private key that one section of the file names.
struct Named<'a> {
    certificate: Entry<'a>,
    key: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// Finds the files that `section` names. The last of repeated lines wins, as in the channel drivers.
    fn find(driver: Driver, section: Entries<'a>) -> Option<Self> {
        let (names, last) = (driver.names(), |key: &str| section.clone().named(key).last());
        let certificate = last(names.certificate).filter(|entry| !entry.value.is_empty())?;
        let key = last(names.private_key).map(|entry| entry.value).filter(|key| !key.is_empty());
        Some(Self { certificate, key })
    }

    fn check(&self) {
        let Entry { name, value, file, line } = self.certificate;
        match Certificate::try_pem_files(Path::new(value), self.key.map(Path::new)) {
            Ok(None) => {}
            Ok(Some(why)) => asterisk::warning!("{file}, line {line}: {name}: {value}: {why}"),
            Err(error) => {
                asterisk::error!("{file}, line {line}: {name}: {error}; calls that use this certificate will fail")
            }
        }
    }
}
