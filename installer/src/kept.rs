//! The originals, in `originals/` below the modules directory, and what is where.

use std::fmt::{self, Write};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::MODULES;
use crate::files;
use crate::names::{Directory, remove, restore, second_name, shown, write_new};
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
pub struct Kept<'a> {
    modules: &'a Directory,
    directory: Directory,
    entries: Vec<Entry>,
}

const MANIFEST: &str = "manifest";

/// The manifest while it is being written.
const PARTIAL: &str = ".manifest.new";

/// That of ours of before, until those of now have their names.
const EARLIER: &str = ".manifest.before";

/// What an original of before is called, until the one of now has its name.
fn before(module: &str) -> String {
    format!(".{module}.before")
}

const ORIGINALS: &str = "originals";

/// Where the originals of this modules directory are.
pub fn directory(modules: &Path) -> PathBuf {
    modules.join(ORIGINALS)
}

/// Removes what a change that was cut off has left: what is of before, a manifest that never had its name, and the directory
/// if there is nothing else in it.
pub fn sweep(modules: &Directory) {
    let Ok(directory) = Directory::open(&modules.at(ORIGINALS)) else { return };
    for name in MODULES.map(before).iter().map(String::as_str).chain([EARLIER, PARTIAL]) {
        let _ = fs::remove_file(directory.at(name));
    }
    let _ = fs::remove_dir(directory.path());
}

impl<'a> Kept<'a> {
    /// Writes down what is about to happen. The manifest appears at once and whole, and before any original.
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

    /// Takes that back, once the files are what they were.
    pub fn withdraw(&self) {
        let _ = restore(&self.directory.at(EARLIER), &self.directory.at(MANIFEST));
    }

    /// A second name for an original that has only its first: the file itself, with its owner, times and labels, is what comes
    /// back.
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

    /// Takes that back.
    pub fn unkeep(&self, entry: &Entry) -> io::Result<()> {
        restore(&self.directory.at(&before(entry.module)), &self.path(entry.module))
    }

    /// So that an original has its second name on the disk before it loses its first, whatever order the file system writes in.
    pub fn sync(&self) {
        self.directory.sync();
    }

    /// What an earlier [`Kept::begin`] wrote down; `None` if there is nothing. A directory of that name without a manifest is
    /// no hindrance, as long as none of the originals might be in it.
    pub fn find(modules: &'a Directory) -> Result<Option<Self>, Refusal> {
        let path = modules.at(ORIGINALS);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
            // A link might lead root anywhere: the modules directory may be somebody else's.
            Ok(found) if !found.is_dir() => return Err(Refusal::NotOurs(shown(&path))),
            Ok(_) => {}
        }
        let directory = Directory::open(&path).map_err(at(&path))?;
        let is_there = |name: &str| directory.at(name).symlink_metadata().is_ok();
        if !is_there(MANIFEST) {
            return if MODULES.into_iter().any(is_there) { Err(Refusal::NotOurs(shown(&path))) } else { Ok(None) };
        }
        let content = String::from_utf8(read(&directory.at(MANIFEST))?).unwrap_or_default();
        let entries = content.lines().filter(|line| !line.starts_with('#')).map(entry);
        let entries: Option<Vec<_>> = entries.collect();
        let is_whole = |entries: &Vec<Entry>| entries.iter().map(|entry| entry.module).eq(MODULES);
        let entries = entries.filter(is_whole).ok_or_else(|| Refusal::Damaged(shown(&directory.at(MANIFEST))))?;
        Ok(Some(Self { modules, directory, entries }))
    }

    /// All modules.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where the original of this module is kept.
    pub fn path(&self, module: &str) -> PathBuf {
        self.directory.at(module)
    }

    /// Looks whether all is as it was left, and what it takes to have the originals back.
    pub fn check(&self) -> Result<Vec<Back>, Refusal> {
        let back: Result<Vec<Back>, _> = self.entries.iter().map(|entry| self.check_entry(entry)).collect();
        let mut back = back?;
        // An upgrade that replaced the others has taken away what is gone: the original of before does not belong to it.
        if back.contains(&Back::Leave) {
            for (back, entry) in back.iter_mut().zip(&self.entries) {
                if self.modules.at(entry.module).symlink_metadata().is_err() {
                    *back = Back::Leave;
                }
            }
        }
        Ok(back)
    }

    /// Those that are the originals still. In place of the others another stands, which is the original from then on.
    pub fn originals(&self, back: &[Back]) -> Vec<Option<Content>> {
        let is_kept = |back: &Back| matches!(back, Back::Rename | Back::Remove);
        self.entries.iter().zip(back).map(|(entry, back)| is_kept(back).then(|| entry.original.clone())).collect()
    }

    /// Removes what was kept, unless there is an original in it that has no other place; the manifest last. What cannot be
    /// removed stays, and does no harm, and so does what others have put there.
    pub fn forget(&self) {
        let is_over = |entry: &Entry| match Content::of(&self.path(entry.module)) {
            Ok(Content::Nothing) => true,
            Ok(kept) => Content::of(&self.modules.at(entry.module)).is_ok_and(|there| there == kept),
            Err(_) => false,
        };
        if self.entries.iter().all(is_over) {
            for name in MODULES.into_iter().chain([MANIFEST]) {
                let _ = fs::remove_file(self.directory.at(name));
            }
            let _ = fs::remove_dir(self.directory.path());
        }
    }

    /// Whether that is a file of ours, or none.
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

/// These very ones, or by another way than this.
fn is_ours(entry: &Entry, now: &Content, file: &Path) -> bool {
    *now == Content::File(entry.ours.clone()) || files::is_ours(file)
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let (original, ours, name) = (words.next()?, words.next()?, words.next()?);
    let module = MODULES.into_iter().find(|module| *module == name)?;
    Some(Entry { module, original: Content::from_word(original)?, ours: Sum::from_word(ours)? })
}
