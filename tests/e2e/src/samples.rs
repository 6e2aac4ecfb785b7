//! The configuration of `contrib/samples`, as somebody copies it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::asterisk::Home;
use crate::site::Driver;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/samples");

/// Samples that make up a configuration.
#[derive(Clone, Debug)]
pub struct Samples(Vec<PathBuf>);

impl Samples {
    /// Those that explain every key.
    pub fn explained(driver: Driver) -> Self {
        let of_driver = match driver {
            Driver::ChanSip => ["modules.conf", "sip.conf"],
            Driver::ChanPjsip => ["chan_pjsip/modules.conf", "chan_pjsip/pjsip.conf"],
        };
        let of_both = ["extensions.conf", "http.conf", "rtp.conf", "websocket.conf"];
        Self(of_both.iter().chain(&of_driver).map(|sample| Path::new(DIRECTORY).join(sample)).collect())
    }

    /// The least that a browser needs, for `chan_sip`: all that lies in `minimal`.
    pub fn minimal() -> io::Result<Self> {
        let entries = fs::read_dir(Path::new(DIRECTORY).join("minimal"))?;
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map(Self)
    }

    /// Where they are.
    pub fn files(&self) -> &[PathBuf] {
        &self.0
    }

    /// Copies them into `home`, as `change` makes them.
    pub fn copy(&self, home: &Home, change: impl Fn(String) -> String) -> io::Result<()> {
        self.0.iter().try_for_each(|sample| {
            let name = sample.file_name().unwrap_or_default().to_string_lossy();
            home.configure(&name, &change(fs::read_to_string(sample)?))
        })
    }
}
