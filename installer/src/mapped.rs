//! Whether a process has the files of a modules directory in its memory.
//!
//! The kernel lists what is mapped by device, inode and path, and no one of them is enough. The path is what the process
//! calls the file: behind a bind mount or in a container it is another than ours. On btrfs the device is not the one that
//! `stat` tells, and overlayfs lists the inode of a layer below. So a file counts if it is the same by any of them.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::kept;

/// The files of a modules directory, those in `originals/` among them.
pub struct ModuleFiles {
    directories: HashSet<Identity>,
    files: HashSet<Identity>,
    /// Of the files, and of what they are links to.
    names: HashSet<OsString>,
}

/// Device and inode.
type Identity = (u64, u64);

impl ModuleFiles {
    /// What is there now.
    pub fn of(modules: &Path) -> Self {
        let mut found = Self { directories: HashSet::new(), files: HashSet::new(), names: HashSet::new() };
        for directory in [modules.to_path_buf(), kept::directory(modules)] {
            found.directories.extend(identity_of(&directory));
            for file in fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
                found.files.extend(identity_of(&file));
                for path in [file.canonicalize().ok(), Some(file)].into_iter().flatten() {
                    found.names.extend(path.file_name().map(OsStr::to_owned));
                }
            }
        }
        found
    }

    /// Whether the process runs code of theirs.
    pub fn are_mapped_by(&self, process: u32) -> io::Result<bool> {
        let maps = fs::read(format!("/proc/{process}/maps"))?;
        let mappings: HashSet<Mapping> = maps.split(|byte| *byte == b'\n').filter_map(Mapping::parse).collect();
        if mappings.iter().any(|mapping| self.files.contains(&mapping.identity)) {
            return Ok(true);
        }
        // As the process sees them.
        let root = PathBuf::from(format!("/proc/{process}/root"));
        let seen = |path: &Path| identity_of(&root.join(path.strip_prefix("/").unwrap_or(path)));
        let is_file = |path: &&Path| path.file_name().is_some_and(|name| self.names.contains(name));
        let paths = || mappings.iter().map(|mapping| mapping.path.as_path());
        let directories: HashSet<&Path> = paths().filter_map(Path::parent).collect();
        Ok(directories.into_iter().filter_map(seen).any(|directory| self.directories.contains(&directory))
            || paths().filter(is_file).filter_map(seen).any(|file| self.files.contains(&file)))
    }
}

fn identity_of(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata: Metadata| (metadata.dev(), metadata.ino()))
}

/// A line of `/proc/PID/maps` (proc_pid_maps(5)) that is about the code of a file.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mapping {
    identity: Identity,
    path: PathBuf,
}

impl Mapping {
    /// `7f0c…-7f0d… r-xp 00001000 fe:01 1234    /usr/lib/asterisk/modules/chan_sip.so (deleted)`. Who only reads a file, a
    /// backup say, does not run it.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(words.next()?).ok();
        let (_, permissions, _, device, inode) = (text()?, text()?, text()?, text()?, text()?);
        let path = words.next()?.trim_ascii_start();
        if !permissions.contains('x') || !path.starts_with(b"/") {
            return None;
        }
        let (major, minor) = device.split_once(':')?;
        let device = device_of(u64::from_str_radix(major, 16).ok()?, u64::from_str_radix(minor, 16).ok()?);
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        Some(Self { identity: (device, inode.parse().ok()?), path: unescaped(path).into() })
    }
}

/// `makedev` of the C library, whose numbers `stat` tells.
fn device_of(major: u64, minor: u64) -> u64 {
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// The kernel escapes the end of a line and nothing else.
fn unescaped(path: &[u8]) -> OsString {
    const END_OF_LINE: &[u8] = b"\\012";
    let mut rest = path;
    let mut plain = Vec::with_capacity(path.len());
    while let Some((first, behind)) = rest.split_first() {
        rest = match rest.strip_prefix(END_OF_LINE) {
            Some(behind) => {
                plain.push(b'\n');
                behind
            }
            None => {
                plain.push(*first);
                behind
            }
        };
    }
    OsStr::from_bytes(&plain).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_file_whatever_its_path_is() {
        let line = b"7f0c1000-7f0d2000 r-xp 00001000 103:10002 77                         /a \xff\\012b/x.so (deleted)";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(mapping.path.as_os_str().as_bytes(), b"/a \xff\nb/x.so");
        assert_eq!(mapping.identity, (0x1001_0302, 77), "minor 0x10002 has its upper bits above the major number");
    }

    #[test]
    fn what_is_no_code_of_a_file_does_not_count() {
        for line in [
            &b"7f0c1000-7f0d2000 r--p 00001000 fe:01 77                         /a/x.so"[..],
            b"7ffd1000-7ffd2000 r-xp 00000000 00:00 0                          [vdso]",
            b"7f0c1000-7f0d2000 rwxp 00000000 00:00 0 ",
            b"",
        ] {
            assert_eq!(Mapping::parse(line), None);
        }
    }

    #[test]
    fn this_very_program_is_mapped() {
        let program = std::env::current_exe().unwrap();
        assert!(ModuleFiles::of(program.parent().unwrap()).are_mapped_by(std::process::id()).unwrap());
        assert!(!ModuleFiles::of(Path::new("/etc")).are_mapped_by(std::process::id()).unwrap());
    }
}
