//! Giving files names, and taking them away, in a directory that may be somebody else's: none of this follows a link.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory that stays the one it was when it was opened, whatever becomes of its name.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    open: File,
}

impl Directory {
    /// That of this name, if it is one itself and no link to one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)?;
        let directory = Self { path: path.into(), open };
        match fs::exists(directory.at("."))? {
            true => Ok(directory),
            false => Err(io::Error::other("this cannot be looked into where /proc is not mounted")),
        }
    }

    /// The same, made if there is none.
    pub fn create(path: &Path) -> io::Result<Self> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                let directory = Self::open(path)?;
                directory.open.set_permissions(Permissions::from_mode(0o755))?;
                Ok(directory)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::open(path),
            Err(error) => Err(error),
        }
    }

    /// A file in it, by a path that leads through no name of the directory (proc_pid_fd(5)).
    pub fn at(&self, name: &str) -> PathBuf {
        opened(&self.open).join(name)
    }

    /// Its name of then.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To be locked.
    pub fn file(&self) -> &File {
        &self.open
    }

    /// So that a power cut finds the names as they are now. A file system that cannot do it is no reason to fail.
    pub fn sync(&self) {
        let _ = self.open.sync_all();
    }
}

const OPEN: &str = "/proc/self/fd";

/// A path that leads to what was opened and to nothing else.
pub fn opened(file: &File) -> PathBuf {
    Path::new(OPEN).join(file.as_raw_fd().to_string())
}

/// What a person calls a file that [`Directory::at`] named.
pub fn shown(path: &Path) -> PathBuf {
    let name = path.parent().filter(|parent| parent.starts_with(OPEN)).zip(path.file_name());
    let shown = name.and_then(|(directory, name)| Some(fs::read_link(directory).ok()?.join(name)));
    shown.unwrap_or_else(|| path.into())
}

/// A new file that nobody else has open; its owner and mode are up to who writes it.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A new file for everybody to read, on the disk when this returns.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_all()
}

/// Gives a file, if there is one, a second name, which no other has from then on.
pub fn second_name(file: &Path, name: &Path) -> io::Result<()> {
    remove(name)?;
    match fs::hard_link(file, name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was there before is there again: the file of the other name, or nothing.
pub fn restore(before: &Path, file: &Path) -> io::Result<()> {
    match fs::rename(before, file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove(file),
        outcome => outcome,
    }
}

/// There is no such file from then on.
pub fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A directory that is nobody's but a test's.
    pub fn scratch() -> PathBuf {
        let made = std::process::Command::new("mktemp").arg("--directory").output().unwrap();
        String::from_utf8(made.stdout).unwrap().trim().into()
    }

    #[test]
    fn a_directory_stays_the_one_that_it_was() {
        let scratch = scratch();
        let (path, moved, other) = (scratch.join("originals"), scratch.join("moved"), scratch.join("other"));
        let directory = Directory::create(&path).unwrap();
        assert_eq!(shown(&directory.at("x")), path.canonicalize().unwrap().join("x"));
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        Directory::open(&path).unwrap_err();
        Directory::create(&path).unwrap_err();

        write_new(&directory.at("x"), b"ours").unwrap();
        assert_eq!(fs::read(moved.join("x")).unwrap(), b"ours");
        // A link that somebody has been quick to make.
        std::os::unix::fs::symlink(other.join("victim"), directory.at("y")).unwrap();
        write_new(&directory.at("y"), b"ours").unwrap_err();
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
        fs::remove_dir_all(scratch).unwrap();
    }
}
