//! Where an Asterisk is installed.

use std::io;
use std::path::{Path, PathBuf};

/// An installed Asterisk, as `make install` with `--prefix` leaves it.
#[derive(Clone, Debug)]
pub struct Prefix {
    binary: PathBuf,
    modules: PathBuf,
    root: PathBuf,
}

impl Prefix {
    /// The installation that `ASTERISK_PREFIX` names; `None` when it is not set.
    pub fn from_env() -> Option<io::Result<Self>> {
        let root = std::env::var_os("ASTERISK_PREFIX").filter(|root| !root.is_empty())?;
        Some(Self::find(Path::new(&root)))
    }

    /// Looks for the program and its modules below `root`.
    pub fn find(root: &Path) -> io::Result<Self> {
        let first = |candidates: &[&str], what: &str| {
            let found = candidates.iter().map(|candidate| root.join(candidate)).find(|path| path.exists());
            found.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, format!("{} holds no {what} of an Asterisk", root.display()))
            })
        };
        Ok(Self {
            binary: first(&["sbin/asterisk", "usr/sbin/asterisk"], "sbin/asterisk")?,
            modules: first(
                &[
                    "lib/asterisk/modules",
                    "lib64/asterisk/modules",
                    "usr/lib/asterisk/modules",
                    "usr/lib64/asterisk/modules",
                ],
                "modules directory",
            )?,
            root: root.to_owned(),
        })
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The modules that came with it.
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// Where its own libraries are: `make install` puts `libasteriskssl` where no linker looks.
    pub fn libraries(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// Its sounds, where it has any.
    pub fn sounds(&self) -> Option<PathBuf> {
        self.data("sounds")
    }

    /// The descriptions of its applications, without which it warns of each.
    pub fn documentation(&self) -> Option<PathBuf> {
        self.data("documentation")
    }

    fn data(&self, what: &str) -> Option<PathBuf> {
        let places = ["var/lib/asterisk", "share/asterisk", "usr/share/asterisk"];
        places.iter().map(|place| self.root.join(place).join(what)).find(|path| path.exists())
    }
}
