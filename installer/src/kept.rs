//! The originals, in `originals/` below the modules directory, and what is where.

use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::MODULES;
use crate::refusal::{Refusal, at};

/// SHA-256 of a file, in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum(String);

impl Sum {
    /// Of this file, if there is one.
    pub fn of(file: &Path) -> Result<Option<Self>, Refusal> {
        match fs::read(file) {
            Ok(content) => {
                let hex = Sha256::digest(content).iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
                Ok(Some(Self(hex)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(file)(error)),
        }
    }
}

/// One module: what was there, and what is there now.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its file.
    pub module: &'static str,
    /// `None` where the host came without it.
    pub original: Option<Sum>,
    /// What took its place.
    pub ours: Sum,
}

/// What has to happen to a module for the original to be back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// The original gets its name back.
    Rename,
    /// There was none: ours goes.
    Remove,
    /// It has it still: an installation was cut off.
    Nothing,
}

/// The kept originals.
#[derive(Debug)]
pub struct Kept {
    modules: PathBuf,
    entries: Vec<Entry>,
}

const MANIFEST: &str = "manifest";

/// Stands in the manifest where there was no original.
const NONE: &str = "-";

/// Where the originals of this modules directory are.
pub fn directory(modules: &Path) -> PathBuf {
    modules.join("originals")
}

impl Kept {
    /// Writes down what is about to happen.
    pub fn begin(modules: &Path, entries: Vec<Entry>) -> Result<Self, Refusal> {
        let kept = Self { modules: modules.into(), entries };
        let directory = directory(modules);
        fs::create_dir(&directory).map_err(at(&directory))?;
        let manifest = directory.join(MANIFEST);
        let written = fs::write(&manifest, kept.manifest()).and_then(|()| File::open(&manifest)?.sync_all());
        written.map_err(at(&manifest)).inspect_err(|_| kept.forget())?;
        Ok(kept)
    }

    /// What an earlier [`Kept::begin`] wrote down.
    pub fn read(modules: &Path) -> Result<Self, Refusal> {
        let manifest = directory(modules).join(MANIFEST);
        let content = match fs::read_to_string(&manifest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::NotInstalled(modules.into())),
            content => content.map_err(at(&manifest))?,
        };
        let entries = content.lines().filter(|line| !line.starts_with('#')).map(entry);
        let entries: Option<Vec<_>> = entries.collect();
        let is_whole = |entries: &Vec<Entry>| entries.iter().map(|entry| entry.module).eq(MODULES);
        let entries = entries.filter(is_whole).ok_or(Refusal::Damaged(manifest))?;
        Ok(Self { modules: modules.into(), entries })
    }

    /// All modules.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where the original of this module is kept.
    pub fn path(&self, module: &str) -> PathBuf {
        directory(&self.modules).join(module)
    }

    /// Looks whether all is as it was left, and what it takes to have the originals back.
    pub fn check(&self) -> Result<Vec<Back>, Refusal> {
        self.entries.iter().map(|entry| self.check_entry(entry)).collect()
    }

    /// Removes the directory, if every original is where it belongs and nobody else has put anything there. What cannot be
    /// removed stays, and does no harm.
    pub fn forget(&self) {
        let is_over = self.check().is_ok_and(|back| back.iter().all(|back| *back == Back::Nothing));
        if is_over {
            let directory = directory(&self.modules);
            for name in MODULES.into_iter().chain([MANIFEST]) {
                let _ = fs::remove_file(directory.join(name));
            }
            let _ = fs::remove_dir(directory);
        }
    }

    fn check_entry(&self, entry: &Entry) -> Result<Back, Refusal> {
        let (file, kept) = (self.modules.join(entry.module), self.path(entry.module));
        let now = Sum::of(&file)?;
        if entry.original.is_none() && kept.symlink_metadata().is_ok() {
            return Err(Refusal::Damaged(directory(&self.modules).join(MANIFEST)));
        }
        let back = if now == entry.original {
            return Ok(Back::Nothing);
        } else if now.as_ref() == Some(&entry.ours) || now.is_none() {
            if entry.original.is_some() { Back::Rename } else { Back::Remove }
        } else {
            return Err(Refusal::Changed { file, kept: directory(&self.modules) });
        };
        // What a link leads to counts from where the link belongs.
        let content = fs::read_link(&kept).map_or_else(|_| kept.clone(), |target| self.modules.join(target));
        if back == Back::Rename && Sum::of(&content)? != entry.original {
            Err(Refusal::Damaged(kept))
        } else {
            Ok(back)
        }
    }

    fn manifest(&self) -> String {
        let mut text = "# SHA-256 of the original, of what stands in its place, and the name.\n".to_owned();
        for Entry { module, original, ours } in &self.entries {
            let original = original.as_ref().map_or(NONE, |sum| &sum.0);
            let _ = writeln!(text, "{original} {} {module}", ours.0);
        }
        text
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let (original, ours, name) = (words.next()?, words.next()?, words.next()?);
    let module = MODULES.into_iter().find(|module| *module == name)?;
    let original = (original != NONE).then(|| Sum(original.to_owned()));
    Some(Entry { module, original, ours: Sum(ours.to_owned()) })
}
