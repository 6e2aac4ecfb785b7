//! Finds out whether an Asterisk is running that has loaded files of a modules directory, and whether it has calls.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::console::channels;
use crate::mapped::ModuleFiles;
use crate::refusal::{Refusal, we_are_root};

/// The processes among which a running Asterisk is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Processes {
    /// All processes of this machine.
    All,
    /// Only these, if the caller knows that there are no others.
    These(Vec<u32>),
}

/// Whether one is running. Refuses if it has calls.
pub fn without_calls(modules: &Path, processes: &Processes) -> Result<bool, Refusal> {
    let files = ModuleFiles::of(modules);
    let mut is_running = false;
    for process in processes.list(modules)? {
        match files.are_mapped_by(process) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) if !may_run_from(process, modules) => continue,
            Err(_) => match is_asterisk_by_name(process) {
                None if is_there(process) => return Err(Refusal::ProcessesHidden),
                Some(true) if we_are_root() => return Err(Refusal::ProcessDenied { process }),
                Some(true) => return Err(Refusal::ProcessHidden { process }),
                _ => continue,
            },
        }
        match channels(process) {
            Some(0) => is_running = true,
            Some(count) => return Err(Refusal::CallsUp { process, count }),
            None if !is_there(process) => {}
            None => return Err(Refusal::CallsUnknown { process }),
        }
    }
    Ok(is_running)
}

impl Processes {
    /// All processes but this one. If the first process is invisible (`hidepid` of proc(5)), others are, too; that is
    /// refused, except for users who own the modules directory.
    fn list(&self, modules: &Path) -> Result<Vec<u32>, Refusal> {
        if let Self::These(processes) = self {
            return Ok(processes.clone());
        }
        let is_hidden = !is_there(1) && (we_are_root() || !is_one_owner(Path::new("/proc/self"), modules));
        let entries = fs::read_dir("/proc").ok().filter(|_| !is_hidden).ok_or(Refusal::ProcessesHidden)?;
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(numbers.filter(|process| *process != std::process::id()).collect())
    }
}

fn is_there(process: u32) -> bool {
    fs::exists(format!("/proc/{process}")).unwrap_or(true)
}

/// Whether a process that we may not inspect is worth a refusal. Root installs for everybody, so it is. For other
/// users only processes of the directory's owner count, who most likely runs from there. Replacing files by renames
/// does not harm processes that have loaded them, so doubts need not keep users from changing their own Asterisk.
fn may_run_from(process: u32, modules: &Path) -> bool {
    we_are_root() || is_one_owner(Path::new(&format!("/proc/{process}")), modules)
}

fn is_one_owner(one: &Path, other: &Path) -> bool {
    let owner = |path: &Path| fs::metadata(path).map(|found: Metadata| found.uid()).ok();
    owner(one) == owner(other)
}

/// Whether a process is an Asterisk by its name and command line, which everybody may read. `None` if even those are
/// unreadable.
fn is_asterisk_by_name(process: u32) -> Option<bool> {
    let name = fs::read(format!("/proc/{process}/comm")).ok()?;
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    Some(name.trim_ascii_end() == ASTERISK || is_started_as_asterisk(&line))
}

/// Whether the first word of a command line is an Asterisk, or another word if the first is a dynamic loader.
fn is_started_as_asterisk(command_line: &[u8]) -> bool {
    let words = command_line.split(|byte| *byte == 0);
    let mut files = words.map(|word| Path::new(OsStr::from_bytes(word)).file_name().unwrap_or_default().as_bytes());
    let Some(first) = files.next() else { return false };
    first == ASTERISK || first.starts_with(b"ld-") && files.any(|file| file == ASTERISK)
}

const ASTERISK: &[u8] = b"asterisk";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_reads_about_asterisk_is_not_one() {
        for (line, is_asterisk) in [
            (&b"/usr/sbin/asterisk\0-f\0"[..], true),
            (b"asterisk\0", true),
            (b"/lib64/ld-linux-x86-64.so.2\0--library-path\0/x\0/usr/sbin/asterisk\0-f\0", true),
            (b"tail\0-f\0/var/log/asterisk\0", false),
            (b"vi\0asterisk.conf\0", false),
            (b"/usr/bin/asterisk-helper\0", false),
            (b"/lib64/ld-linux-x86-64.so.2\0/usr/bin/true\0", false),
            (b"", false),
        ] {
            assert_eq!(is_started_as_asterisk(line), is_asterisk, "{}", String::from_utf8_lossy(line));
        }
    }
}
