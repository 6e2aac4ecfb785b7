//! Caches one TLS context per DTLS configuration. Calls with the same configuration share it. It is created again when one of
//! its files changes.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use asterisk::lock;
use asterisk::rtp::DtlsConfig;
use dtls_srtp::{Certificate, CertificateError, Context, ContextConfig, MinVersion, Profile, Verify};
use story::event::Certificate as Kind;

use super::handshakes::Handshakes;

/// The TLS contexts of the configurations that calls have used so far, and our self-signed certificate.
pub struct Contexts {
    /// In the order of creation, oldest first.
    entries: Mutex<Vec<Entry>>,
    /// The self-signed certificate, for configurations that name none.
    own: Mutex<Own>,
    handshakes: Arc<Handshakes>,
}

struct Own {
    /// The certificate, or the reason why it could not be created.
    certificate: Result<Certificate, String>,
    made: Instant,
}

impl Own {
    fn make(now: Instant) -> Self {
        let certificate = Certificate::self_signed()
            .map_err(|error| format!("the self-signed certificate could not be created: {error}"));
        Self { certificate, made: now }
    }
}

/// The reason why there is no context for a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A text for the log, which names the option or file at fault.
    text: String,
    /// The kind of problem, for the timeline.
    pub kind: Kind,
}

impl Problem {
    fn of_certificate(error: CertificateError) -> Self {
        Self { text: error.to_string(), kind: kind(&error) }
    }

    fn other(text: String) -> Self {
        Self { text, kind: Kind::Other }
    }
}

/// Returns the kind of a fault of a certificate.
pub fn kind(error: &CertificateError) -> Kind {
    match error {
        CertificateError::Unreadable { .. } => Kind::Unreadable,
        CertificateError::NoCertificate { .. } => Kind::NoCertificate,
        CertificateError::NoKey { .. } => Kind::NoKey,
        CertificateError::Mismatch { .. } => Kind::OtherKey,
        _ => Kind::Other,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Age at which the self-signed certificate is renewed, well before it expires.
const RENEWED_AFTER: Duration = Duration::from_secs(200 * 24 * 60 * 60);

struct Entry {
    of: DtlsConfig,
    terms: Terms,
    stamps: Vec<Stamp>,
    context: Arc<Context>,
}

/// The terms that a context depends on besides the host's configuration. Both may change while calls are up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// `dtlsminversion` of `rtp.conf`.
    pub min_version: MinVersion,
    /// `dtls_mtu` of `rtp.conf`.
    pub mtu: u32,
    /// The suites of the loaded SRTP module.
    pub suites: Suites,
}

/// The SRTP suites that the loaded SRTP module has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suites {
    /// The host's own: AES in counter mode.
    Host,
    /// Those and AES-GCM (RFC 7714).
    WithGcm,
}

/// Modification time in seconds and nanoseconds, inode and size of a file; `None` if it cannot be read. A rewritten file differs
/// in at least one of them.
type Stamp = Option<(i64, i64, u64, u64)>;

/// Most contexts that are cached. `sip.conf` rarely has more than a few different configurations.
const MOST: usize = 64;

impl Contexts {
    /// Creates an empty cache and a self-signed certificate, while no call waits for it. Each load of the module creates a new
    /// certificate: browsers only compare it with the fingerprint in the session description (RFC 8827 §6.5).
    pub fn new(now: Instant) -> Self {
        Self { entries: Mutex::default(), own: Mutex::new(Own::make(now)), handshakes: Arc::default() }
    }

    /// Ends the thread that runs handshakes, and waits for its end.
    pub fn stop(&self) {
        self.handshakes.stop();
    }

    /// Returns the reason, for the log, if the self-signed certificate could not be created.
    pub fn problem(&self) -> Option<String> {
        lock(&self.own).certificate.as_ref().err().cloned()
    }

    /// Returns the context of the configuration `wanted` on these terms, creating it if needed. The error is a text for the log that
    /// names the option or file at fault.
    pub fn get(&self, now: Instant, wanted: &DtlsConfig, terms: Terms) -> Result<Arc<Context>, Problem> {
        self.renew(now);
        let stamps = stamps(wanted);
        let mut entries = lock(&self.entries);
        if let Some(entry) = entries.iter().find(|entry| entry.is_for(wanted, terms) && entry.stamps == stamps) {
            return Ok(Arc::clone(&entry.context));
        }
        let context = self.make(wanted, terms)?;
        entries.retain(|entry| !entry.is_for(wanted, terms));
        if entries.len() == MOST {
            entries.remove(0);
        }
        entries.push(Entry { of: wanted.clone(), terms, stamps, context: Arc::clone(&context) });
        Ok(context)
    }

    /// Renews the self-signed certificate if it is old. Calls keep the certificate that they began with.
    fn renew(&self, now: Instant) {
        let mut own = lock(&self.own);
        if now.duration_since(own.made) < RENEWED_AFTER {
            return;
        }
        let renewed = Own::make(now);
        if renewed.certificate.is_err() {
            // The present certificate is still valid, and the next call tries again.
            return;
        }
        *own = renewed;
        // `get` locks `entries` before `own`.
        drop(own);
        lock(&self.entries).retain(|entry| entry.of.certificate.is_some());
    }

    fn make(&self, wanted: &DtlsConfig, terms: Terms) -> Result<Arc<Context>, Problem> {
        let certificate = match (&wanted.certificate, &wanted.private_key) {
            (Some(file), key) => Certificate::from_pem_files(Path::new(file), key.as_deref().map(Path::new))
                .map_err(Problem::of_certificate)?,
            // Some hosts drop a certificate file that they cannot find, but keep the key.
            (None, Some(key)) => {
                let text = format!(
                    "private key {key} is configured, but its certificate is not configured or its file is missing"
                );
                return Err(Problem { text, kind: Kind::Unreadable });
            }
            (None, None) => lock(&self.own).certificate.clone().map_err(Problem::other)?,
        };
        let config = ContextConfig {
            certificate,
            verify: Verify { fingerprint: wanted.verify_fingerprint, certificate: wanted.verify_certificate },
            cipher_list: wanted.cipher.clone(),
            ca_file: wanted.ca_file.as_ref().map(Into::into),
            ca_path: wanted.ca_path.as_ref().map(Into::into),
            srtp_profiles: profiles(wanted, terms.suites),
            min_version: terms.min_version,
            mtu: terms.mtu,
        };
        Context::with_runner(config, self.handshakes.clone()).map_err(|error| Problem::other(error.to_string()))
    }
}

impl Entry {
    fn is_for(&self, wanted: &DtlsConfig, terms: Terms) -> bool {
        self.of == *wanted && self.terms == terms
    }
}

/// Returns the profiles to offer, in order of preference: AES-GCM (RFC 7714) first, as browsers have it. A short tag was asked for
/// explicitly, and AES-GCM has none.
fn profiles(wanted: &DtlsConfig, suites: Suites) -> Vec<Profile> {
    match (wanted.suite, suites) {
        (SHORT_TAG, _) => vec![Profile::Aes128CmSha1_32],
        (_, Suites::Host) => vec![Profile::Aes128CmSha1_80],
        (_, Suites::WithGcm) => vec![Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80],
    }
}

/// The host's number of AES-CM with a tag of 32 bits.
const SHORT_TAG: u32 = 2;

fn stamps(wanted: &DtlsConfig) -> Vec<Stamp> {
    [&wanted.certificate, &wanted.private_key, &wanted.ca_file, &wanted.ca_path]
        .into_iter()
        .map(|file| {
            let told = std::fs::metadata(file.as_ref()?).ok()?;
            Some((told.mtime(), told.mtime_nsec(), told.ino(), told.size()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use asterisk::rtp::{Hash, Setup};
    use dtls_srtp::HashFunction;

    use super::*;

    const HOST: Terms = Terms { min_version: MinVersion::Dtls12, mtu: 1200, suites: Suites::Host };

    #[test]
    fn a_change_of_the_oldest_version_counts_for_the_next_call() {
        let now = Instant::now();
        let contexts = Contexts::new(now);
        let get = |min_version| contexts.get(now, &wanted(None, 1), Terms { min_version, ..HOST }).unwrap();
        let first = get(MinVersion::Dtls12);
        assert!(Arc::ptr_eq(&first, &get(MinVersion::Dtls12)));
        assert!(!Arc::ptr_eq(&first, &get(MinVersion::Dtls10)));
    }

    fn wanted(certificate: Option<&str>, suite: u32) -> DtlsConfig {
        DtlsConfig {
            enabled: true,
            verify_fingerprint: true,
            verify_certificate: false,
            rekey_seconds: 0,
            setup: Setup::ActPass,
            suite,
            hash: Hash::Sha256,
            certificate: certificate.map(str::to_owned),
            private_key: None,
            cipher: None,
            ca_file: None,
            ca_path: None,
        }
    }

    #[test]
    fn without_a_certificate_file_all_configurations_have_the_one_made_at_load() {
        let now = Instant::now();
        let contexts = Contexts::new(now);
        let fingerprint = contexts
            .get(now, &wanted(None, 1), HOST)
            .unwrap()
            .certificate()
            .fingerprint(HashFunction::Sha256)
            .to_owned();
        assert_eq!(fingerprint.len(), 32 * 3 - 1);
        assert_eq!(
            contexts
                .get(now, &wanted(None, 2), HOST)
                .unwrap()
                .certificate()
                .fingerprint(HashFunction::Sha256)
                .to_owned(),
            fingerprint
        );
        assert_ne!(
            Contexts::new(now)
                .get(now, &wanted(None, 1), HOST)
                .unwrap()
                .certificate()
                .fingerprint(HashFunction::Sha256)
                .to_owned(),
            fingerprint
        );
    }

    #[test]
    fn the_one_made_at_load_is_made_anew_before_it_ends() {
        let (now, day) = (Instant::now(), Duration::from_secs(24 * 60 * 60));
        let contexts = Contexts::new(now);
        let after = |days| {
            contexts
                .get(now + days * day, &wanted(None, 1), HOST)
                .unwrap()
                .certificate()
                .fingerprint(HashFunction::Sha256)
                .to_owned()
        };
        let first = after(0);
        assert_eq!(after(199), first);
        let second = after(200);
        assert_ne!(second, first);
        assert_eq!((after(399), after(400) == second), (second.clone(), false));
    }

    #[test]
    fn a_certificate_file_that_is_named_is_never_stood_in_for() {
        let error = Contexts::new(Instant::now())
            .get(Instant::now(), &wanted(Some("/nowhere/asterisk.pem"), 1), HOST)
            .err()
            .unwrap();
        assert!(error.to_string().contains("/nowhere/asterisk.pem"), "{error}");
        assert_eq!(error.kind, Kind::Unreadable);
    }

    #[test]
    fn aes_gcm_is_preferred_where_the_srtp_module_has_it_and_no_short_tag_is_configured() {
        use Profile::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_32, Aes128CmSha1_80};
        assert_eq!(profiles(&wanted(None, 1), Suites::WithGcm), [AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_80]);
        assert_eq!(profiles(&wanted(None, 1), Suites::Host), [Aes128CmSha1_80]);
        assert_eq!(profiles(&wanted(None, 2), Suites::WithGcm), [Aes128CmSha1_32]);
    }

    #[test]
    fn a_context_made_for_the_original_srtp_module_is_not_used_with_ours() {
        let (now, contexts) = (Instant::now(), Contexts::new(Instant::now()));
        let get = |suites| contexts.get(now, &wanted(None, 1), Terms { suites, ..HOST }).unwrap();
        let [original, ours] = [get(Suites::Host), get(Suites::WithGcm)];
        assert!(!Arc::ptr_eq(&original, &ours));
        assert!(Arc::ptr_eq(&original, &get(Suites::Host)) && Arc::ptr_eq(&ours, &get(Suites::WithGcm)));
    }
}
