//! The certificates of DTLS that accounts name.

use dtls_srtp::CertificateError;

use super::step::Step;
use crate::globals::Globals;
use crate::transport::certificates::{self, Judged};

/// Tells a step for each certificate.
pub fn steps(globals: &Globals, mut tell: impl FnMut(Step)) {
    let all = certificates::judge_all();
    if all.is_empty() {
        let own = globals.contexts().problem().map_or(Ok(OWN.to_owned()), Err);
        return tell(Step::of("Certificate", own));
    }
    all.iter().for_each(|judged| tell(step(judged)));
}

fn step(judged: &Judged) -> Step {
    let Judged { file, keys: (certificate_key, private_key), certificate, .. } = judged;
    let place = format!("{} of {file}", sections(&judged.sections));
    let result = match &judged.verdict {
        Ok(None) => Ok(format!("of {place}")),
        Ok(Some(why)) => Err(format!("{why}; renew {certificate_key} in {place}")),
        Err(error) => Err(format!("{error}; {} in {place}", advice(error, certificate_key, private_key))),
    };
    Step::of(format!("Certificate {certificate}"), result)
}

fn advice(error: &CertificateError, certificate_key: &str, private_key: &str) -> String {
    match error {
        CertificateError::Unreadable { .. } => {
            format!("correct {certificate_key} or {private_key}, or who may read the file,")
        }
        CertificateError::NoCertificate { .. } => format!("name a certificate in PEM form as {certificate_key}"),
        CertificateError::NoKey { .. } => {
            format!("name the certificate's private key, without a passphrase, as {private_key}")
        }
        CertificateError::Mismatch { .. } => format!("name the key of this certificate as {private_key}"),
        _ => format!("correct {certificate_key} or {private_key}"),
    }
}

/// Lists sections; of many, the first ones.
fn sections(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(MOST_SECTIONS).map(|name| format!("[{name}]")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

const MOST_SECTIONS: usize = 3;

const OWN: &str = "no account names one, so calls use one that these modules have made";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(verdict: Result<Option<String>, CertificateError>) -> String {
        let sections = (1001..1006).map(|name| name.to_string()).collect();
        let (keys, file) = (("dtlscertfile", "dtlsprivatekey"), "sip.conf".to_owned());
        let certificate = "/keys/pbx.pem".to_owned();
        step(&Judged { sections, file, keys, certificate, private_key: None, verdict }).to_string()
    }

    #[test]
    fn a_certificate_of_pjsip_conf_is_named_with_its_keys() {
        let told = |verdict| {
            let (sections, file) = (vec!["1001".to_owned()], "pjsip.conf".to_owned());
            let (keys, certificate) = (("dtls_cert_file", "dtls_private_key"), "/keys/pbx.pem".to_owned());
            step(&Judged { sections, file, keys, certificate, private_key: None, verdict }).to_string()
        };
        let expired = told(Ok(Some("the certificate ended on Nov 29".to_owned())));
        assert!(expired.ends_with("; renew dtls_cert_file in [1001] of pjsip.conf"), "{expired}");
        let (file, reason) = ("/keys/pbx.pem".into(), openssl::error::ErrorStack::get());
        let without = told(Err(CertificateError::NoCertificate { file, reason }));
        assert!(
            without.ends_with("; name a certificate in PEM form as dtls_cert_file in [1001] of pjsip.conf"),
            "{without}"
        );
    }

    #[test]
    fn each_fault_names_the_file_and_the_key() {
        let place = "[1001], [1002], [1003] and 2 more of sip.conf";
        assert_eq!(line(Ok(None)), format!("Certificate /keys/pbx.pem: ok, of {place}"));
        assert_eq!(
            line(Ok(Some("the certificate ended on Nov 29".to_owned()))),
            format!(
                "Certificate /keys/pbx.pem: FAILED: the certificate ended on Nov 29; renew dtlscertfile in {place}"
            )
        );
        let (certificate, key) = ("/keys/pbx.pem".into(), "/keys/pbx.key".into());
        let other = line(Err(CertificateError::Mismatch { certificate, key }));
        assert!(
            other.ends_with(&format!("; name the key of this certificate as dtlsprivatekey in {place}")),
            "{other}"
        );
        let reason = std::io::ErrorKind::PermissionDenied.into();
        let unreadable = line(Err(CertificateError::Unreadable { file: "/keys/pbx.pem".into(), reason }));
        assert!(unreadable.contains("or who may read the file, in [1001]"), "{unreadable}");
    }
}
