//! Our files, as `cargo xtask build` leaves them in one directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::MODULES;
use crate::elf::Elf;
use crate::host::Version;
use crate::kept::Sum;
use crate::refusal::{Refusal, at};

/// Beside the modules: the major version of the Asterisk that they were built for.
pub const MADE_FOR: &str = "made-for";

/// The three modules for one host.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    version: Version,
}

impl Files {
    /// Those in `directory`; they are complete and ours.
    pub fn in_directory(directory: &Path) -> Result<Self, Refusal> {
        let note = directory.join(MADE_FOR);
        let version = fs::read_to_string(&note).map_err(at(&note))?;
        let version = version.trim().parse().map(Version);
        let version = version.map_err(|_| Refusal::BadFile { file: note, reason: "it names no version".to_owned() })?;
        let files = Self { directory: directory.into(), version };
        for module in MODULES {
            let elf = Elf::read(&files.path(module))?;
            if !elf.contains(OURS) {
                return Err(Refusal::BadFile {
                    file: files.path(module),
                    reason: "this is not one of ours".to_owned(),
                });
            }
        }
        Ok(files)
    }

    /// What they are for.
    pub fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn path(&self, module: &str) -> PathBuf {
        self.directory.join(module)
    }

    pub(crate) fn sum(&self, module: &str) -> Result<Sum, Refusal> {
        let path = self.path(module);
        Sum::of(&path)?.ok_or_else(|| Refusal::BadFile { file: path, reason: "it is gone".to_owned() })
    }
}

/// Whether the file is a module of ours: no original has Rust's standard library in it.
pub fn is_ours(file: &Path) -> bool {
    Elf::read(file).is_ok_and(|elf| elf.contains(OURS))
}

/// Where the sources of the standard library are said to be, in the texts of its panics.
const OURS: &str = "/rustc/";
