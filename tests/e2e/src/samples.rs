//! Installs the configuration of `contrib/samples`, as a user would copy it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::asterisk::Home;
use crate::driver::Driver;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/samples");

/// A set of samples that makes up a configuration.
#[derive(Clone, Debug)]
pub struct Samples(Vec<PathBuf>);

impl Samples {
    /// The samples that explain every key.
    pub fn explained(driver: Driver) -> Self {
        let of_driver = match driver {
            Driver::ChanSip => ["modules.conf", "sip.conf"],
            Driver::ChanPjsip => ["chan_pjsip/modules.conf", "chan_pjsip/pjsip.conf"],
        };
        let of_both = ["extensions.conf", "http.conf", "rtp.conf", "websocket.conf"];
        Self(of_both.iter().chain(&of_driver).map(|sample| Path::new(DIRECTORY).join(sample)).collect())
    }

    /// The minimum for a browser with `chan_sip`: all files in `minimal`.
    pub fn minimal() -> io::Result<Self> {
        let entries = fs::read_dir(Path::new(DIRECTORY).join("minimal"))?;
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map(Self)
    }

    /// The directory of the samples.
    pub fn files(&self) -> &[PathBuf] {
        &self.0
    }

    /// Copies them into `home`, each changed by `change`.
    pub fn copy(&self, home: &Home, change: impl Fn(String) -> String) -> io::Result<()> {
        self.0.iter().try_for_each(|sample| {
            let name = sample.file_name().unwrap_or_default().to_string_lossy();
            home.configure(&name, &change(fs::read_to_string(sample)?))
        })
    }
}
