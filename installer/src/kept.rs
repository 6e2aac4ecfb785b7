//! The originals, in `originals/` below the modules directory, and what is where.

use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::MODULES;
use crate::files;
use crate::read::read;
use crate::refusal::{Refusal, at};
use crate::sums::Sum;

/// What stands in the place of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// A file.
    File(Sum),
    /// A link, whether or not it leads anywhere. The sum is that of the path it holds.
    Link(Sum),
}

impl Content {
    /// What stands there now.
    pub fn of(path: &Path) -> Result<Self, Refusal> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(at(path)(error)),
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(path).map_err(at(path))?;
                Ok(Self::Link(Sum::of(target.as_os_str().as_bytes())))
            }
            Ok(_) => Ok(Self::File(Sum::of(&read(path)?))),
        }
    }
}

/// `-`, `<sum>` or `link:<sum>`.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("-"),
            Self::File(sum) => sum.fmt(f),
            Self::Link(sum) => write!(f, "link:{sum}"),
        }
    }
}

impl Content {
    fn from_word(word: &str) -> Option<Self> {
        match word.strip_prefix("link:") {
            Some(sum) => Sum::from_word(sum).map(Self::Link),
            None if word == "-" => Some(Self::Nothing),
            None => Sum::from_word(word).map(Self::File),
        }
    }
}

/// One module: what was there, and what is there now.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its file.
    pub module: &'static str,
    /// Nothing where the host came without it.
    pub original: Content,
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
    /// Another took our place, with an upgrade of the host most likely: it is the original now.
    Leave,
}

/// The kept originals.
#[derive(Debug)]
pub struct Kept {
    modules: PathBuf,
    entries: Vec<Entry>,
}

const MANIFEST: &str = "manifest";

/// The manifest while it is being written.
const PARTIAL: &str = ".manifest.new";

/// Where the originals of this modules directory are.
pub fn directory(modules: &Path) -> PathBuf {
    modules.join("originals")
}

/// Removes a manifest that never had its name, and the directory that was made for it.
pub fn sweep(modules: &Path) {
    let directory = directory(modules);
    if fs::remove_file(directory.join(PARTIAL)).is_ok() {
        let _ = fs::remove_dir(directory);
    }
}

impl Kept {
    /// Writes down what is about to happen. The manifest appears at once and whole, and before any original.
    pub fn begin(modules: &Path, entries: Vec<Entry>) -> Result<Self, Refusal> {
        let kept = Self { modules: modules.into(), entries };
        let directory = directory(modules);
        let (manifest, partial) = (directory.join(MANIFEST), directory.join(PARTIAL));
        let written = fs::create_dir(&directory)
            .or_else(|error| if directory.is_dir() { Ok(()) } else { Err(error) })
            .and_then(|()| fs::write(&partial, kept.manifest()))
            .and_then(|()| File::open(&partial)?.sync_all())
            .and_then(|()| fs::rename(&partial, &manifest));
        written.map_err(at(&manifest)).inspect_err(|_| sweep(modules))?;
        Ok(kept)
    }

    /// What an earlier [`Kept::begin`] wrote down; `None` if there is nothing. A directory of that name without a manifest is
    /// no hindrance, as long as none of the originals might be in it.
    pub fn find(modules: &Path) -> Result<Option<Self>, Refusal> {
        let directory = directory(modules);
        let manifest = directory.join(MANIFEST);
        if manifest.symlink_metadata().is_err() {
            let is_free = MODULES.iter().all(|module| directory.join(module).symlink_metadata().is_err());
            let is_directory = directory.is_dir() || directory.symlink_metadata().is_err();
            return if is_free && is_directory { Ok(None) } else { Err(Refusal::NotOurs(directory)) };
        }
        let content = String::from_utf8(read(&manifest)?).unwrap_or_default();
        let entries = content.lines().filter(|line| !line.starts_with('#')).map(entry);
        let entries: Option<Vec<_>> = entries.collect();
        let is_whole = |entries: &Vec<Entry>| entries.iter().map(|entry| entry.module).eq(MODULES);
        let entries = entries.filter(is_whole).ok_or(Refusal::Damaged(manifest))?;
        Ok(Some(Self { modules: modules.into(), entries }))
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
        let back: Result<Vec<Back>, _> = self.entries.iter().map(|entry| self.check_entry(entry)).collect();
        let mut back = back?;
        // An upgrade that replaced the others has taken away what is gone: the original of before does not belong to it.
        if back.contains(&Back::Leave) {
            for (back, entry) in back.iter_mut().zip(&self.entries) {
                if self.modules.join(entry.module).symlink_metadata().is_err() {
                    *back = Back::Leave;
                }
            }
        }
        Ok(back)
    }

    /// Removes what was kept, unless there is an original in it that has no other place. What cannot be removed stays, and does
    /// no harm.
    pub fn forget(&self) {
        let is_over = |entry: &Entry| match self.check_entry(entry) {
            Ok(Back::Nothing) => true,
            Ok(Back::Leave) => self.path(entry.module).symlink_metadata().is_err(),
            _ => false,
        };
        if self.entries.iter().all(is_over) {
            self.discard();
        }
    }

    /// Removes it whatever it is, the manifest last. What others have put there stays.
    pub fn discard(&self) {
        let directory = directory(&self.modules);
        for name in MODULES.into_iter().chain([MANIFEST]) {
            let _ = fs::remove_file(directory.join(name));
        }
        let _ = fs::remove_dir(directory);
    }

    fn check_entry(&self, entry: &Entry) -> Result<Back, Refusal> {
        let (file, kept) = (self.modules.join(entry.module), self.path(entry.module));
        let now = Content::of(&file)?;
        if entry.original == Content::Nothing && kept.symlink_metadata().is_ok() {
            return Err(Refusal::Damaged(directory(&self.modules).join(MANIFEST)));
        }
        if now == entry.original {
            return Ok(Back::Nothing);
        }
        let is_ours = now == Content::File(entry.ours.clone()) || files::is_ours(&file);
        match (now, &entry.original) {
            (Content::File(_) | Content::Link(_), _) if !is_ours => Ok(Back::Leave),
            (_, Content::Nothing) => Ok(Back::Remove),
            (_, original) if Content::of(&kept)? == *original => Ok(Back::Rename),
            _ => Err(Refusal::Damaged(kept)),
        }
    }

    fn manifest(&self) -> String {
        let mut text = "# SHA-256 of the original, of what stands in its place, and the name.\n".to_owned();
        for Entry { module, original, ours } in &self.entries {
            let _ = writeln!(text, "{original} {ours} {module}");
        }
        text
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let (original, ours, name) = (words.next()?, words.next()?, words.next()?);
    let module = MODULES.into_iter().find(|module| *module == name)?;
    Some(Entry { module, original: Content::from_word(original)?, ours: Sum::from_word(ours)? })
}
