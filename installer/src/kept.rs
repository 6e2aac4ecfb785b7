//! The originals in `originals/` below the modules directory, and the manifest that records them.

use std::fmt::{self, Write};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::files::{self, Files};
use crate::names::{Directory, remove, restore, second_name, shown, write_new};
use crate::originals::ORIGINALS;
use crate::read::read;
use crate::refusal::{Refusal, at};
use crate::sums::Sum;
use crate::{MODULES, all};

/// The content of a module's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// A file.
    File(Sum),
    /// A symbolic link, valid or dangling. The sum is that of its target path.
    Link(Sum),
}

impl Content {
    /// Reads the current content of a path.
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

/// Writes the content as in the manifest: `-`, `<sum>` or `link:<sum>`.
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

/// The manifest's entry of one module: its original, and our file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name of its file.
    pub module: &'static str,
    /// The original; `Nothing` if the host came without this module.
    pub original: Content,
    /// The sum of our file that replaced it.
    pub ours: Sum,
}

/// The step that restores the original of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// Give the original its name back.
    Rename,
    /// Remove our file: there was no original.
    Remove,
    /// Nothing: the original was never replaced, because the installation was interrupted.
    Nothing,
    /// Leave the file: it has replaced ours, probably by an upgrade of the host, and is the original now.
    Leave,
}

/// The kept originals.
#[derive(Debug)]
pub struct Kept<'a> {
    modules: &'a Directory,
    directory: Directory,
    entries: Vec<Entry>,
}

const MANIFEST: &str = "manifest";

/// The name of the manifest while it is being written.
const PARTIAL: &str = ".manifest.new";

/// The name of the previous manifest until the new modules are in place.
const EARLIER: &str = ".manifest.before";

/// The name of an earlier original until the new one is in place.
fn before(module: &str) -> String {
    format!(".{module}.before")
}

/// Removes the leftovers of an interrupted change: earlier originals, an unfinished manifest, and the
/// directory if it is empty.
pub fn sweep(modules: &Directory) {
    let Ok(directory) = Directory::open(&modules.at(ORIGINALS)) else { return };
    for name in all().map(before).chain([EARLIER, PARTIAL].map(str::to_owned)) {
        let _ = fs::remove_file(directory.at(&name));
    }
    let _ = fs::remove_dir(directory.path());
}

impl<'a> Kept<'a> {
    /// Records the planned changes. The manifest appears complete in one step, and before any original.
    pub fn begin(modules: &'a Directory, entries: Vec<Entry>) -> Result<Self, Refusal> {
        let path = modules.at(ORIGINALS);
        let directory = Directory::create(&path).map_err(at(&path))?;
        let kept = Self { modules, directory, entries };
        let (manifest, partial) = (kept.directory.at(MANIFEST), kept.directory.at(PARTIAL));
        let written = write_new(&partial, kept.manifest().as_bytes())
            .and_then(|()| second_name(&manifest, &kept.directory.at(EARLIER)))
            .and_then(|()| fs::rename(&partial, &manifest));
        written.map_err(at(&manifest))?;
        Ok(kept)
    }

    /// Removes the record, once the files are as before.
    pub fn withdraw(&self) {
        let _ = restore(&self.directory.at(EARLIER), &self.directory.at(MANIFEST));
    }

    /// Keeps an original by a hard link, so that the same file with its owner, times and labels can be restored.
    pub fn keep(&self, entry: &Entry) -> Result<(), Refusal> {
        let (file, kept) = (self.modules.at(entry.module), self.path(entry.module));
        let before = self.directory.at(&before(entry.module));
        remove(&before).map_err(at(&before))?;
        match fs::rename(&kept, &before) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&kept)(error)),
            _ => {}
        }
        let linked = match entry.original {
            Content::Nothing => Ok(()),
            _ => fs::hard_link(&file, &kept).map_err(at(&file)),
        };
        let is_kept = linked.and_then(|()| match Content::of(&kept)? {
            kept if kept == entry.original => Ok(()),
            _ => Err(Refusal::Changed(shown(&file))),
        });
        is_kept.inspect_err(|_| drop(restore(&before, &kept)))
    }

    /// Removes that hard link.
    pub fn unkeep(&self, entry: &Entry) -> io::Result<()> {
        restore(&self.directory.at(&before(entry.module)), &self.path(entry.module))
    }

    /// Flushes the new names to disk: the second name of an original must be stored before its first one is removed.
    pub fn sync(&self) {
        self.directory.sync();
    }

    /// Reads the record of an earlier [`Kept::begin`]; `None` if there is none. An `originals` directory without a
    /// manifest is accepted only if it cannot contain any of the originals.
    pub fn find(modules: &'a Directory) -> Result<Option<Self>, Refusal> {
        let path = modules.at(ORIGINALS);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
            // Refuse a link: it might lead anywhere, and the modules directory may belong to somebody else
            // while we are root.
            Ok(found) if !found.is_dir() => return Err(Refusal::NotOurs(shown(&path))),
            Ok(_) => {}
        }
        let directory = Directory::open(&path).map_err(at(&path))?;
        let is_there = |name: &str| directory.at(name).symlink_metadata().is_ok();
        if !is_there(MANIFEST) {
            return if all().any(is_there) { Err(Refusal::NotOurs(shown(&path))) } else { Ok(None) };
        }
        let content = String::from_utf8(read(&directory.at(MANIFEST))?).unwrap_or_default();
        let entries = content.lines().filter(|line| !line.starts_with('#')).map(entry);
        let entries: Option<Vec<_>> = entries.collect();
        // A record of files without the codec has the others.
        let is_whole = |entries: &Vec<Entry>| {
            let recorded = || entries.iter().map(|entry| entry.module);
            recorded().eq(MODULES) || recorded().eq(all())
        };
        let entries = entries.filter(is_whole).ok_or_else(|| Refusal::Damaged(shown(&directory.at(MANIFEST))))?;
        Ok(Some(Self { modules, directory, entries }))
    }

    /// The entries of all modules.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether it is about the modules that these files have.
    pub fn has_the_modules_of(&self, files: &Files) -> bool {
        self.entries.iter().map(|entry| entry.module).eq(files.modules().iter().map(|module| module.name))
    }

    /// The path at which the original of this module is kept.
    pub fn path(&self, module: &str) -> PathBuf {
        self.directory.at(module)
    }

    /// Checks that nothing has changed since it was recorded; returns the step that restores each original.
    pub fn check(&self) -> Result<Vec<Back>, Refusal> {
        let back: Result<Vec<Back>, _> = self.entries.iter().map(|entry| self.check_entry(entry)).collect();
        let mut back = back?;
        // If an upgrade has replaced other modules, it has also removed this one: the kept original does
        // not belong to it.
        if back.contains(&Back::Leave) {
            for (back, entry) in back.iter_mut().zip(&self.entries) {
                if self.modules.at(entry.module).symlink_metadata().is_err() {
                    *back = Back::Leave;
                }
            }
        }
        Ok(back)
    }

    /// The kept originals that are still valid, by module: not of those that were replaced since, which are originals themselves.
    pub fn originals(&self, back: &[Back]) -> Vec<(&'static str, Content)> {
        let entries = self.entries.iter().zip(back).filter(|(_, back)| matches!(back, Back::Rename | Back::Remove));
        entries.map(|(entry, _)| (entry.module, entry.original.clone())).collect()
    }

    /// Removes the kept files, unless an original exists nowhere else; the manifest goes last. Files that cannot be
    /// removed, or that others have put there, stay and do no harm.
    pub fn forget(&self) {
        let is_over = |entry: &Entry| match Content::of(&self.path(entry.module)) {
            Ok(Content::Nothing) => true,
            Ok(kept) => Content::of(&self.modules.at(entry.module)).is_ok_and(|there| there == kept),
            Err(_) => false,
        };
        if self.entries.iter().all(is_over) {
            for name in self.entries.iter().map(|entry| entry.module).chain([MANIFEST]) {
                let _ = fs::remove_file(self.directory.at(name));
            }
            let _ = fs::remove_dir(self.directory.path());
        }
    }

    /// Whether the file is one of ours or missing.
    pub fn is_ours_or_gone(&self, entry: &Entry, file: &Path) -> Result<bool, Refusal> {
        let now = Content::of(file)?;
        Ok(now == Content::Nothing || is_ours(entry, &now, file))
    }

    fn check_entry(&self, entry: &Entry) -> Result<Back, Refusal> {
        let (file, kept) = (self.modules.at(entry.module), self.path(entry.module));
        let now = Content::of(&file)?;
        let is_ours = is_ours(entry, &now, &file);
        let no_original = || Refusal::Damaged(shown(&self.directory.at(MANIFEST)));
        match (&now, &entry.original) {
            (now, original) if now == original => {
                if is_ours {
                    Err(no_original())
                } else {
                    Ok(Back::Nothing)
                }
            }
            (_, Content::Nothing) if kept.symlink_metadata().is_ok() => Err(no_original()),
            (Content::File(_) | Content::Link(_), _) if !is_ours => Ok(Back::Leave),
            (_, Content::Nothing) => Ok(Back::Remove),
            (_, original) if Content::of(&kept)? == *original => Ok(Back::Rename),
            _ => Err(Refusal::Damaged(shown(&kept))),
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

/// Whether the file is our recorded one, or another of our modules.
fn is_ours(entry: &Entry, now: &Content, file: &Path) -> bool {
    *now == Content::File(entry.ours.clone()) || files::is_ours(file)
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let (original, ours, name) = (words.next()?, words.next()?, words.next()?);
    let module = all().find(|module| *module == name)?;
    Some(Entry { module, original: Content::from_word(original)?, ours: Sum::from_word(ours)? })
}
