//! Checks the DTLS certificates of `sip.conf` and `pjsip.conf` when the module is loaded or reloaded, so that the log names an
//! unreadable or expired certificate before the first call needs it. Certificates of accounts from a database are not checked; the
//! first call reports errors of those.

use std::ffi::CStr;
use std::path::Path;

use asterisk::config::{Config, Entries, Entry, Load, Reload};
use dtls_srtp::Certificate;

/// A channel driver's configuration file, and its names for the certificate and private key options.
struct Driver {
    file: &'static CStr,
    certificate: &'static str,
    key: &'static str,
}

const DRIVERS: [Driver; 2] = [
    Driver { file: c"sip.conf", certificate: "dtlscertfile", key: "dtlsprivatekey" },
    Driver { file: c"pjsip.conf", certificate: "dtls_cert_file", key: "dtls_private_key" },
];

/// Checks every certificate once and logs what is wrong. Has no other effect: calls that need a bad certificate will fail.
pub fn check_all() {
    for driver in &DRIVERS {
        let Load::Loaded(config) = Config::load(driver.file, Reload::Always) else { continue };
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

/// The certificate and private key that one section of the file names.
struct Named<'a> {
    certificate: Entry<'a>,
    key: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// Finds the files that `section` names. The last of repeated lines wins, as in the channel drivers.
    fn find(driver: &Driver, section: Entries<'a>) -> Option<Self> {
        let last = |key: &str| section.clone().named(key).last();
        let certificate = last(driver.certificate).filter(|entry| !entry.value.is_empty())?;
        let key = last(driver.key).map(|entry| entry.value).filter(|key| !key.is_empty());
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
