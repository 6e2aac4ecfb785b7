//! Finds out whether a process has files of a modules directory in its memory.
//!
//! The kernel lists mapped files by device, inode and path, but none of these is enough. The path is that of the
//! process, which differs from ours behind a bind mount or in a container. On btrfs the device differs from that of
//! `stat`, and overlayfs lists the inode of a lower layer. So a file counts as the same if any of them matches.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::originals;

/// The files of a modules directory and of its `originals/`.
pub struct ModuleFiles {
    directories: HashSet<Identity>,
    files: HashSet<Identity>,
    /// The names of the files, and of the targets of links among them.
    names: HashSet<OsString>,
}

/// The device and inode of a file.
type Identity = (u64, u64);

impl ModuleFiles {
    /// Collects the current files of a modules directory.
    pub fn of(modules: &Path) -> Self {
        let mut found = Self { directories: HashSet::new(), files: HashSet::new(), names: HashSet::new() };
        for directory in [modules.to_path_buf(), originals::directory(modules)] {
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

    /// Whether the process has mapped code of these files.
    pub fn are_mapped_by(&self, process: u32) -> io::Result<bool> {
        let maps = fs::read(format!("/proc/{process}/maps"))?;
        let mappings: HashSet<Mapping> = maps.split(|byte| *byte == b'\n').filter_map(Mapping::parse).collect();
        if mappings.iter().any(|mapping| self.files.contains(&mapping.identity)) {
            return Ok(true);
        }
        // The paths are as the process sees them.
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

/// A file in a line of `/proc/PID/maps` (proc_pid_maps(5)) that is mapped as code.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mapping {
    identity: Identity,
    path: PathBuf,
}

impl Mapping {
    /// Parses `7f0c…-7f0d… r-xp 00001000 fe:01 1234    /usr/lib/asterisk/modules/chan_sip.so (deleted)`. `None` if the file is
    /// not mapped as code: a backup program, for example, only reads it.
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

/// The device number as `stat` returns it (`makedev` of the C library).
fn device_of(major: u64, minor: u64) -> u64 {
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// Undoes the kernel's escape of newlines, the only characters that it escapes.
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
    fn any_path_in_a_line_is_parsed() {
        let line = b"7f0c1000-7f0d2000 r-xp 00001000 103:10002 77                         /a \xff\\012b/x.so (deleted)";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(mapping.path.as_os_str().as_bytes(), b"/a \xff\nb/x.so");
        assert_eq!(mapping.identity, (0x1001_0302, 77), "minor 0x10002 has its upper bits above the major number");
    }

    #[test]
    fn only_code_of_a_file_counts() {
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
