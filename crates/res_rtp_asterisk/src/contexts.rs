//! Certificates and TLS contexts: one for each DTLS configuration, shared by its calls, and made anew
//! when a file of it changes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use asterisk::rtp::{DtlsConfig, Hash};
use dtls_srtp::{Certificate, Context, ContextConfig, HashFunction, Profile, Verify};

/// What calls of one configuration share.
pub struct Configuration {
    /// For handshakes.
    pub context: Arc<Context>,
    /// Whether the peer's certificate has to have the fingerprint that its description promises.
    pub verify_fingerprint: bool,
    sha1: String,
    sha256: String,
}

impl Configuration {
    /// Of our certificate.
    pub fn fingerprint(&self, hash: Hash) -> String {
        match hash {
            Hash::Sha1 => self.sha1.clone(),
            Hash::Sha256 => self.sha256.clone(),
        }
    }
}

/// All configurations that calls have begun with, the latest last.
#[derive(Default)]
pub struct Contexts(Mutex<Vec<Entry>>);

struct Entry {
    of: DtlsConfig,
    stamps: Vec<Stamp>,
    configuration: Arc<Configuration>,
}

/// When and what a file was: a rewrite shows in at least one of these.
type Stamp = Option<(i64, i64, u64, u64)>;

/// sip.conf has a few configurations; a changed file leaves its old one behind.
const MOST: usize = 64;

impl Contexts {
    /// The configuration, made now unless it is there. An error names what is wrong, and is for the
    /// log.
    pub fn get(&self, wanted: &DtlsConfig) -> Result<Arc<Configuration>, String> {
        let stamps = stamps(wanted);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter().find(|entry| entry.of == *wanted && entry.stamps == stamps) {
            return Ok(Arc::clone(&entry.configuration));
        }
        let configuration = Arc::new(make(wanted)?);
        entries.retain(|entry| entry.of != *wanted);
        if entries.len() == MOST {
            entries.remove(0);
        }
        entries.push(Entry { of: wanted.clone(), stamps, configuration: Arc::clone(&configuration) });
        Ok(configuration)
    }
}

fn make(wanted: &DtlsConfig) -> Result<Configuration, String> {
    let certificate = match (&wanted.certificate, &wanted.private_key) {
        (Some(file), key) => Certificate::from_pem_files(Path::new(file), key.as_deref().map(Path::new)),
        // A host may leave out a certificate that it cannot find, and keep the key.
        (None, Some(key)) => {
            return Err(format!("{key} is the key of a certificate that is not configured or not there"));
        }
        (None, None) => Certificate::self_signed(),
    };
    let certificate = certificate.map_err(|error| error.to_string())?;
    let (sha1, sha256) = (
        certificate.fingerprint(HashFunction::Sha1).to_owned(),
        certificate.fingerprint(HashFunction::Sha256).to_owned(),
    );
    let config = ContextConfig {
        certificate,
        verify: Verify { fingerprint: wanted.verify_fingerprint, certificate: wanted.verify_certificate },
        cipher_list: wanted.cipher.clone(),
        ca_file: wanted.ca_file.as_ref().map(Into::into),
        ca_path: wanted.ca_path.as_ref().map(Into::into),
        srtp_profiles: vec![if wanted.suite == 2 { Profile::Aes128CmSha1_32 } else { Profile::Aes128CmSha1_80 }],
    };
    let context = Context::new(config).map_err(|error| error.to_string())?;
    Ok(Configuration { context, verify_fingerprint: wanted.verify_fingerprint, sha1, sha256 })
}

fn stamps(wanted: &DtlsConfig) -> Vec<Stamp> {
    [&wanted.certificate, &wanted.private_key, &wanted.ca_file, &wanted.ca_path]
        .into_iter()
        .map(|file| {
            let told = std::fs::metadata(file.as_ref()?).ok()?;
            Some((told.mtime(), told.mtime_nsec(), told.ino(), told.size()))
        })
        .collect()
}
