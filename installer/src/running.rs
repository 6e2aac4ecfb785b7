//! Whether an Asterisk runs that has loaded from a modules directory, and whether calls are up in it.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::console::channels;
use crate::mapped::ModuleFiles;
use crate::refusal::{Refusal, we_are_root};

/// Where an Asterisk that runs is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Processes {
    /// Among all of this machine.
    All,
    /// Among these, for who knows that there are no others.
    These(Vec<u32>),
}

/// Whether one runs. It may, as long as nobody is talking.
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
    /// All but this one. Where the first process is not to be seen (`hidepid` of proc(5)), others are not either; to who has a
    /// modules directory of his own that does not matter.
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

/// Whether one that may not be looked at is worth a refusal. Root installs for everybody; of others, who runs from there owns
/// the directory most likely. Files that are replaced by renames harm no process that has them in its memory, so a doubt is
/// no reason to keep somebody from an Asterisk of his own.
fn may_run_from(process: u32, modules: &Path) -> bool {
    we_are_root() || is_one_owner(Path::new(&format!("/proc/{process}")), modules)
}

fn is_one_owner(one: &Path, other: &Path) -> bool {
    let owner = |path: &Path| fs::metadata(path).map(|found: Metadata| found.uid()).ok();
    owner(one) == owner(other)
}

/// By what everybody may read of a process: its name, and the words that it was started with. `None` if not even those may be
/// read.
fn is_asterisk_by_name(process: u32) -> Option<bool> {
    let name = fs::read(format!("/proc/{process}/comm")).ok()?;
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    Some(name.trim_ascii_end() == ASTERISK || is_started_as_asterisk(&line))
}

/// By the first word, or by another where that is a loader, which was told to start a program.
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
    fn who_reads_about_an_asterisk_is_none() {
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
