//! The change itself: every file in one step, and back again when a later one fails.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::MODULES;
use crate::files::Files;
use crate::kept::{Back, Content, Entry, Kept};
use crate::refusal::{Refusal, at};

/// Our files beside the originals, under names that the host does not load. They go with the value.
pub struct Swap {
    modules: PathBuf,
}

impl Swap {
    /// Writes them there, with the owner and the mode of what they will replace.
    pub fn stage(modules: &Path, files: &Files) -> Result<Self, Refusal> {
        let swap = Self { modules: modules.into() };
        for module in files.modules() {
            let staged = swap.staged(module.name);
            write(module.elf.bytes(), &staged, &modules.join(module.name)).map_err(at(&staged))?;
        }
        Ok(swap)
    }

    /// Gives every original its second name and ours its first.
    pub fn carry_out(&mut self, kept: &Kept) -> Result<(), Refusal> {
        let mut done: Vec<&Entry> = Vec::new();
        for entry in kept.entries() {
            let file = self.modules.join(entry.module);
            let replaced = keep(&file, kept, entry).and_then(|()| fs::rename(self.staged(entry.module), &file));
            if let Err(error) = replaced {
                done.into_iter().rev().for_each(|entry| self.take_back(kept, entry));
                return Err(at(&file)(error));
            }
            done.push(entry);
        }
        sync(&self.modules);
        Ok(())
    }

    fn take_back(&self, kept: &Kept, entry: &Entry) {
        let file = self.modules.join(entry.module);
        let _ = match entry.original {
            Content::Nothing => fs::remove_file(file),
            _ => fs::rename(kept.path(entry.module), file),
        };
    }

    fn staged(&self, module: &str) -> PathBuf {
        staged(&self.modules, module)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        sweep(&self.modules);
    }
}

/// Removes what a change that was cut off has left of ours beside the modules.
pub fn sweep(modules: &Path) {
    for module in MODULES {
        let _ = fs::remove_file(staged(modules, module));
        let _ = fs::remove_file(aside(modules, module));
    }
}

/// Whether there can be a file of ours, which is gone again.
pub fn may_write(modules: &Path) -> Result<(), Refusal> {
    let probe = staged(modules, MODULES[0]);
    remove(&probe).and_then(|()| File::create_new(&probe)).and_then(|_| remove(&probe)).map_err(at(&probe))
}

/// Ours before it has its name.
fn staged(modules: &Path, module: &str) -> PathBuf {
    modules.join(format!(".{module}.new"))
}

/// Ours while the original gets it back.
fn aside(modules: &Path, module: &str) -> PathBuf {
    modules.join(format!(".{module}.ours"))
}

/// Gives the originals their names back.
pub fn put_back(modules: &Path, kept: &Kept, back: &[Back]) -> Result<(), Refusal> {
    let aside = |module: &str| aside(modules, module);
    let mut done: Vec<&Entry> = Vec::new();
    let mut outcome = Ok(());
    for (entry, back) in kept.entries().iter().zip(back) {
        let file = modules.join(entry.module);
        let changed = match back {
            Back::Nothing | Back::Leave => continue,
            Back::Rename => {
                set_aside(&file, &aside(entry.module)).and_then(|()| fs::rename(kept.path(entry.module), &file))
            }
            Back::Remove => set_aside(&file, &aside(entry.module)).and_then(|()| remove(&file)),
        };
        done.push(entry);
        if let Err(error) = changed {
            outcome = Err(at(&file)(error));
            break;
        }
    }
    for entry in done {
        let (file, ours) = (modules.join(entry.module), aside(entry.module));
        if outcome.is_err() && ours.exists() {
            // The original's second name first, or it would have none. It has it still where its rename was what failed.
            let has_two = fs::hard_link(&file, kept.path(entry.module)).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
            let _ = has_two.and_then(|()| fs::rename(&ours, &file));
        }
        let _ = fs::remove_file(ours);
    }
    sync(modules);
    outcome
}

/// A second name for the original: the file itself, with its owner, times and labels, is what comes back.
fn keep(file: &Path, kept: &Kept, entry: &Entry) -> io::Result<()> {
    if entry.original == Content::Nothing { Ok(()) } else { fs::hard_link(file, kept.path(entry.module)) }
}

fn set_aside(file: &Path, aside: &Path) -> io::Result<()> {
    remove(aside)?;
    match fs::hard_link(file, aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(content: &[u8], to: &Path, like: &Path) -> io::Result<()> {
    remove(to)?;
    let mut file = File::create_new(to)?;
    file.write_all(content)?;
    match fs::metadata(like) {
        Ok(original) => {
            // Only root may give files away, and only root installs into a directory of somebody else.
            let ours = file.metadata()?;
            if (ours.uid(), ours.gid()) != (original.uid(), original.gid()) {
                fchown(&file, Some(original.uid()), Some(original.gid()))?;
            }
            file.set_permissions(original.permissions())?;
        }
        Err(_) => file.set_permissions(Permissions::from_mode(0o755))?,
    }
    file.sync_all()
}

/// So that a power cut finds the names as they are now. A file system that cannot do it is no reason to fail.
fn sync(directory: &Path) {
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::Sum;

    #[test]
    fn a_rename_that_fails_takes_back_those_before_it() {
        let modules = std::env::temp_dir().join(format!("swap-{}", std::process::id()));
        fs::create_dir_all(&modules).unwrap();
        let mut swap = Swap { modules: modules.clone() };
        let ours = |module: &str| format!("our {module}");
        for module in MODULES {
            fs::write(modules.join(module), module).unwrap();
            fs::write(swap.staged(module), ours(module)).unwrap();
        }
        let entries = MODULES.map(|module| Entry {
            module,
            original: Content::of(&modules.join(module)).unwrap(),
            ours: Sum::of(ours(module).as_bytes()),
        });
        let kept = Kept::begin(&modules, entries.into()).unwrap();
        fs::remove_file(swap.staged(MODULES[2])).unwrap();

        swap.carry_out(&kept).unwrap_err();
        for module in MODULES {
            assert_eq!(fs::read_to_string(modules.join(module)).unwrap(), module);
        }
        kept.forget();
        assert!(!crate::kept::directory(&modules).exists());
        drop(swap);
        fs::remove_dir_all(modules).unwrap();
    }
}
