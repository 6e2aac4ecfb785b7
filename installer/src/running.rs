//! Whether an Asterisk runs that has loaded from a modules directory, and whether calls are up in it.

use std::fs;
use std::path::Path;

use crate::console::{self, channels};
use crate::location::Location;
use crate::mapped::ModuleFiles;
use crate::refusal::Refusal;

/// Whether one runs. It may, as long as nobody is talking.
pub fn without_calls(location: &Location) -> Result<bool, Refusal> {
    let files = ModuleFiles::of(location.modules());
    let mut is_running = false;
    for process in processes()? {
        match files.are_mapped_by(process) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => match may_be_asterisk(process) {
                None if is_there(process) => return Err(Refusal::ProcessesHidden),
                Some(true) => return Err(Refusal::ProcessHidden { process }),
                _ => continue,
            },
        }
        match channels(process, location.program()) {
            Some(0) => is_running = true,
            Some(count) => return Err(Refusal::CallsUp { process, count }),
            None if !is_there(process) => {}
            None => return Err(Refusal::CallsUnknown { process }),
        }
    }
    Ok(is_running)
}

/// All but this one. Where the first process is not to be seen (`hidepid` of proc(5)), others are not either.
fn processes() -> Result<impl Iterator<Item = u32>, Refusal> {
    let entries = fs::read_dir("/proc").ok().filter(|_| is_there(1)).ok_or(Refusal::ProcessesHidden)?;
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|process| *process != std::process::id()))
}

fn is_there(process: u32) -> bool {
    fs::exists(format!("/proc/{process}")).unwrap_or(true)
}

/// By what everybody may read of a process: its name, and the words that it was started with, the first of which is the
/// loader's if that was told to start it. `None` if not even those may be read.
fn may_be_asterisk(process: u32) -> Option<bool> {
    let name = fs::read(format!("/proc/{process}/comm")).ok()?;
    let words = console::words(Path::new(&format!("/proc/{process}/cmdline")));
    let is_asterisk = |name: &[u8]| name.starts_with(b"asterisk");
    let mut files = words.iter().filter_map(|word| Path::new(word).file_name());
    Some(is_asterisk(&name) || files.any(|file| is_asterisk(file.as_encoded_bytes())))
}
