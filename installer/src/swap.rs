//! The replacement of the modules: each file in one step, and all of them undone if a later step fails.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::files::Files;
use crate::kept::{self, Back, Entry, Kept};
use crate::names::{Directory, create, remove, restore, second_name, shown};
use crate::refusal::{Refusal, at};
use crate::{MODULES, all};

/// Our files beside the originals, under names that the host does not load. Dropping it removes them.
pub struct Swap<'a> {
    modules: &'a Directory,
}

impl<'a> Swap<'a> {
    /// Writes our files, with the owner and mode of the files that they will replace.
    pub fn stage(modules: &'a Directory, files: &Files) -> Result<Self, Refusal> {
        let swap = Self { modules };
        for module in files.modules() {
            let staged = staged(modules, module.name);
            write(module.elf.bytes(), &staged, &modules.at(module.name)).map_err(at(&staged))?;
        }
        Ok(swap)
    }

    /// Gives our files the names of the modules; each original has its hard link by then. If a step fails, everything
    /// is as before, including the manifest.
    pub fn carry_out(&self, kept: &Kept, is_kept: &[bool]) -> Result<(), Refusal> {
        let mut done = Vec::new();
        let outcome = self.take_steps(kept, is_kept, &mut done);
        if outcome.is_err() && done.into_iter().rev().try_for_each(|step| self.take_back(kept, step)).is_ok() {
            kept.withdraw();
        }
        self.modules.sync();
        outcome
    }

    /// Carries out the steps. `is_kept` says which originals were kept earlier.
    fn take_steps<'k>(&self, kept: &'k Kept, is_kept: &[bool], done: &mut Vec<Step<'k>>) -> Result<(), Refusal> {
        for (entry, _) in kept.entries().iter().zip(is_kept).filter(|(_, is_kept)| !**is_kept) {
            kept.keep(entry)?;
            done.push(Step::Keep(entry));
        }
        kept.sync();
        for (entry, is_kept) in kept.entries().iter().zip(is_kept) {
            let (file, before) = (self.modules.at(entry.module), before(self.modules, entry.module));
            second_name(&file, &before).map_err(at(&file))?;
            let is_expected = if *is_kept {
                kept.is_ours_or_gone(entry, &before)?
            } else {
                is_one_file(&before, &kept.path(entry.module))
            };
            if !is_expected {
                return Err(Refusal::Changed(shown(&file)));
            }
            fs::rename(staged(self.modules, entry.module), &file).map_err(at(&file))?;
            done.push(Step::Replace(entry));
        }
        Ok(())
    }

    fn take_back(&self, kept: &Kept, step: Step<'_>) -> io::Result<()> {
        match step {
            Step::Keep(entry) => kept.unkeep(entry),
            Step::Replace(entry) => restore(&before(self.modules, entry.module), &self.modules.at(entry.module)),
        }
    }
}

/// Whether both paths name the same file, or both name none.
fn is_one_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.symlink_metadata().map(|found| (found.dev(), found.ino())).ok();
    identity(one) == identity(other)
}

/// A completed step for one module.
enum Step<'a> {
    /// The original has a hard link in `originals`.
    Keep(&'a Entry),
    /// Our file has replaced it.
    Replace(&'a Entry),
}

impl Drop for Swap<'_> {
    fn drop(&mut self) {
        sweep(self.modules);
        kept::sweep(self.modules);
    }
}

/// Removes our files beside the modules that an interrupted change has left.
pub fn sweep(modules: &Directory) {
    for module in all() {
        let _ = fs::remove_file(staged(modules, module));
        let _ = fs::remove_file(before(modules, module));
    }
}

/// Checks that we can create a file in the directory, by creating and removing one.
pub fn may_write(modules: &Directory) -> Result<(), Refusal> {
    let probe = staged(modules, MODULES[0]);
    remove(&probe).and_then(|()| create(&probe)).and_then(|_| remove(&probe)).map_err(at(&probe))
}

/// The path of our file before it gets the module's name.
fn staged(modules: &Directory, module: &str) -> PathBuf {
    modules.at(&format!(".{module}.new"))
}

/// The path of the previous file until all modules are replaced.
fn before(modules: &Directory, module: &str) -> PathBuf {
    modules.at(&format!(".{module}.before"))
}

/// Gives the originals their names back. If a step fails, everything is as before.
pub fn put_back(modules: &Directory, kept: &Kept, back: &[Back]) -> Result<(), Refusal> {
    let names = |entry: &Entry| (modules.at(entry.module), before(modules, entry.module), kept.path(entry.module));
    let mut done = Vec::new();
    let outcome = kept.entries().iter().zip(back).try_for_each(|(entry, back)| {
        let (file, before, original) = names(entry);
        if !matches!(back, Back::Rename | Back::Remove) {
            return Ok(());
        }
        second_name(&file, &before).map_err(at(&file))?;
        if !kept.is_ours_or_gone(entry, &before)? {
            return Err(Refusal::Changed(shown(&file)));
        }
        let changed = if *back == Back::Rename { fs::rename(original, &file) } else { remove(&file) };
        changed.map_err(at(&file))?;
        done.push((entry, back));
        Ok(())
    });
    if outcome.is_err() {
        for (entry, back) in done.into_iter().rev() {
            let (file, before, original) = names(entry);
            // Make the second name first, so that the original always has one.
            let has_two = if *back == Back::Rename { fs::hard_link(&file, original) } else { Ok(()) };
            let _ = has_two.and_then(|()| restore(&before, &file));
        }
    }
    sweep(modules);
    modules.sync();
    outcome
}

/// Writes a file with the owner and mode of the file that it will replace. For a link these are not copied, as it may
/// lead anywhere; nor are set-user-ID and set-group-ID bits.
fn write(content: &[u8], to: &Path, like: &Path) -> io::Result<()> {
    remove(to)?;
    let mut file = create(to)?;
    file.write_all(content)?;
    let mut mode = 0o755;
    if let Some(original) = like.symlink_metadata().ok().filter(|original| original.is_file()) {
        // Only root can change the owner, and only root installs into another user's directory.
        let ours = file.metadata()?;
        if (ours.uid(), ours.gid()) != (original.uid(), original.gid()) {
            fchown(&file, Some(original.uid()), Some(original.gid()))?;
        }
        mode = original.mode() & 0o777;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::kept::Content;
    use crate::names::tests::scratch;
    use crate::sums::Sum;

    /// Something else, such as `make install` of the host, changes a module during our installation.
    #[test]
    fn a_file_changed_meanwhile_is_not_replaced() {
        let path = scratch();
        let modules = Directory::open(&path).unwrap();
        let swap = Swap { modules: &modules };
        let kept = Kept::begin(&modules, staged_by_hand(&modules)).unwrap();
        fs::write(path.join(MODULES[2]), "another").unwrap();

        let refusal = swap.carry_out(&kept, &[false; 3]).unwrap_err();
        assert!(matches!(refusal, Refusal::Changed(file) if file == path.canonicalize().unwrap().join(MODULES[2])));
        drop(swap);
        assert_eq!(contents(&path), [MODULES[0], MODULES[1], "another"]);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 3, "nothing is kept");
        fs::remove_dir_all(path).unwrap();
    }

    /// The owner of the directory renames it while root installs there.
    #[test]
    fn only_the_opened_directory_is_changed_even_if_it_was_renamed() {
        let scratch = scratch();
        let (path, moved, other) = (scratch.join("modules"), scratch.join("moved"), scratch.join("other"));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&other).unwrap();
        for module in MODULES {
            fs::write(other.join(module), module).unwrap();
        }
        let modules = Directory::open(&path).unwrap();
        let swap = Swap { modules: &modules };
        let entries = staged_by_hand(&modules);
        fs::rename(&path, &moved).unwrap();
        symlink(&other, &path).unwrap();

        may_write(&modules).unwrap();
        fs::write(staged(&modules, MODULES[0]), "ours").unwrap();
        swap.carry_out(&Kept::begin(&modules, entries).unwrap(), &[false; 3]).unwrap();
        drop(swap);
        assert_eq!(contents(&moved), ["ours"; 3]);
        assert_eq!(contents(&moved.join("originals")), MODULES);
        assert_eq!(fs::read_dir(&moved).unwrap().count(), 4, "nothing else is left");

        let kept = Kept::find(&modules).unwrap().unwrap();
        put_back(&modules, &kept, &kept.check().unwrap()).unwrap();
        kept.forget();
        assert_eq!(contents(&moved), MODULES);
        assert_eq!(fs::read_dir(&moved).unwrap().count(), 3, "nothing is kept");

        assert_eq!(contents(&other), MODULES);
        assert_eq!(fs::read_dir(&other).unwrap().count(), 3, "nothing was made there");
        fs::remove_dir_all(scratch).unwrap();
    }

    /// Makes originals with our files beside them.
    fn staged_by_hand(modules: &Directory) -> Vec<Entry> {
        let entry = |module| {
            fs::write(modules.at(module), module).unwrap();
            fs::write(staged(modules, module), "ours").unwrap();
            Entry { module, original: Content::of(&modules.at(module)).unwrap(), ours: Sum::of(b"ours") }
        };
        MODULES.map(entry).into()
    }

    fn contents(directory: &Path) -> [String; 3] {
        MODULES.map(|module| fs::read_to_string(directory.join(module)).unwrap())
    }
}
