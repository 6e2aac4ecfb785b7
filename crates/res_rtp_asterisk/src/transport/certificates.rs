//! Checks the certificates that the channel drivers' files name, when the module is loaded or reloaded: the log names one that
//! cannot be read or is out of date before the first call needs it. Accounts from a database are not seen here; a bad certificate
//! of theirs is logged by the first call.

use std::ffi::CStr;
use std::path::Path;

use asterisk::config::{Config, Entries, Entry, Load, Reload};
use dtls_srtp::Certificate;

/// A channel driver's configuration file, and its keys for certificate and private key.
struct Driver {
    file: &'static CStr,
    certificate: &'static str,
    key: &'static str,
}

const DRIVERS: [Driver; 2] = [
    Driver { file: c"sip.conf", certificate: "dtlscertfile", key: "dtlsprivatekey" },
    Driver { file: c"pjsip.conf", certificate: "dtls_cert_file", key: "dtls_private_key" },
];

/// Loads every certificate once and logs the problems. It does no more: a call that needs a bad certificate will fail.
pub fn look_at() {
    for driver in &DRIVERS {
        let Load::Loaded(config) = Config::load(driver.file, Reload::Always) else { continue };
        let mut seen = Vec::new();
        for named in config.sections().filter_map(|(_, section)| Named::find(driver, section)) {
            let files = (named.certificate.value, named.key);
            if !seen.contains(&files) {
                seen.push(files);
                named.look_at();
            }
        }
    }
}

/// The certificate that one section names.
struct Named<'a> {
    certificate: Entry<'a>,
    key: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// Reads a section; of two lines with one key the later counts, as in the drivers.
    fn find(driver: &Driver, section: Entries<'a>) -> Option<Self> {
        let last = |key: &str| section.clone().named(key).last();
        let certificate = last(driver.certificate).filter(|entry| !entry.value.is_empty())?;
        let key = last(driver.key).map(|entry| entry.value).filter(|key| !key.is_empty());
        Some(Self { certificate, key })
    }

    fn look_at(&self) {
        let Entry { name, value, file, line } = self.certificate;
        match Certificate::try_pem_files(Path::new(value), self.key.map(Path::new)) {
            Ok(None) => {}
            Ok(Some(why)) => asterisk::warning!("{file}, line {line}: {name}: {value}: {why}"),
            Err(error) => asterisk::error!("{file}, line {line}: {name}: {error}; calls that need it will fail"),
        }
    }
}
