//! Creating and removing names of files in a directory that may be somebody else's: nothing here follows a link.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// An open directory: all operations stay in it, even if its path is changed meanwhile.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    open: File,
}

impl Directory {
    /// Opens the directory at `path`; fails if it is a link or not a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)?;
        let directory = Self { path: path.into(), open };
        match fs::exists(directory.at("."))? {
            true => Ok(directory),
            false => Err(io::Error::other("this cannot be looked into where /proc is not mounted")),
        }
    }

    /// Opens the directory at `path`, and creates it if it does not exist; fails if it is a link or not a directory.
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

    /// The path of a file in it, which does not depend on the directory's own path (proc_pid_fd(5)).
    pub fn at(&self, name: &str) -> PathBuf {
        opened(&self.open).join(name)
    }

    /// Its path when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file of the directory, for locking.
    pub fn file(&self) -> &File {
        &self.open
    }

    /// Flushes its names to disk, against a power failure. Ignores file systems that cannot do it.
    pub fn sync(&self) {
        let _ = self.open.sync_all();
    }
}

const OPEN: &str = "/proc/self/fd";

/// A path that leads to this open file, whatever happens to its name.
pub fn opened(file: &File) -> PathBuf {
    Path::new(OPEN).join(file.as_raw_fd().to_string())
}

/// The path to show to the user for one made by [`Directory::at`].
pub fn shown(path: &Path) -> PathBuf {
    let name = path.parent().filter(|parent| parent.starts_with(OPEN)).zip(path.file_name());
    let shown = name.and_then(|(directory, name)| Some(fs::read_link(directory).ok()?.join(name)));
    shown.unwrap_or_else(|| path.into())
}

/// Creates a new file that nobody else has open. The caller sets its owner and mode.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a new file that everybody may read, and flushes it to disk.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_all()
}

/// Makes a hard link `name` to `file` and removes an earlier file of that name. Without `file`, only removes.
pub fn second_name(file: &Path, name: &Path) -> io::Result<()> {
    remove(name)?;
    match fs::hard_link(file, name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Restores `file` from the name `before`; removes it if there is no file `before`.
pub fn restore(before: &Path, file: &Path) -> io::Result<()> {
    match fs::rename(before, file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove(file),
        outcome => outcome,
    }
}

/// Removes a file if it exists.
pub fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Creates a directory for one test.
    pub fn scratch() -> PathBuf {
        let made = std::process::Command::new("mktemp").arg("--directory").output().unwrap();
        String::from_utf8(made.stdout).unwrap().trim().into()
    }

    #[test]
    fn an_open_directory_stays_the_same() {
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
        // Somebody makes a link in the meantime.
        std::os::unix::fs::symlink(other.join("victim"), directory.at("y")).unwrap();
        write_new(&directory.at("y"), b"ours").unwrap_err();
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
        fs::remove_dir_all(scratch).unwrap();
    }
}
