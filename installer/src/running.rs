//! Whether an Asterisk runs that has loaded from the modules directory, and whether calls are up in it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::Host;
use crate::refusal::Refusal;

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub enum Calls {
    /// Nobody has loaded from there.
    NotRunning,
    /// It runs, with so many channels.
    Up {
        /// Its id.
        process: u32,
        /// Its channels.
        count: u32,
    },
    /// It runs and does not tell.
    Unknown {
        /// Its id.
        process: u32,
    },
}

/// Asks the Asterisk that runs from `host`'s modules directory, if one does.
pub fn calls(host: &Host) -> Result<Calls, Refusal> {
    let mut found = Calls::NotRunning;
    for process in processes() {
        if !has_loaded_from(process, host.modules()) {
            continue;
        }
        found = match channels(process, host.program()) {
            Some(count) => Calls::Up { process, count },
            None => Calls::Unknown { process },
        };
        if !matches!(found, Calls::Up { count: 0, .. }) {
            return Ok(found);
        }
    }
    Ok(found)
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|id| *id != std::process::id())
}

/// The kernel lists the files of a process with their paths.
fn has_loaded_from(process: u32, modules: &Path) -> bool {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.into_iter().any(|path| path.parent() == Some(modules))
}

/// By its own console, with its own configuration, and as who it runs: what has modules of the directory in its memory may be
/// anybody's, and so may what it calls its program.
fn channels(process: u32, program: Option<&Path>) -> Option<u32> {
    let (owner, ourselves) = (fs::metadata(format!("/proc/{process}")).ok()?, fs::metadata("/proc/self").ok()?);
    let own = fs::read_link(format!("/proc/{process}/exe")).ok();
    // Started by a loader of its own, the process is that loader's.
    let own = own.filter(|own| own.file_name().is_some_and(|name| name == "asterisk"));
    let program = own.as_deref().or(program)?;
    let mut console = Command::new(program);
    if let Some(configuration) = configuration_of(process) {
        console.arg("-C").arg(configuration);
    }
    if let Some(libraries) = environment_of(process, "LD_LIBRARY_PATH").ok().flatten() {
        console.env("LD_LIBRARY_PATH", libraries);
    }
    match (ourselves.uid(), owner.uid()) {
        (ours, theirs) if ours == theirs => {}
        (0, theirs) => drop(console.uid(theirs).gid(owner.gid())),
        _ => return None,
    }
    let answer = answer_of(console.args(["-rx", "core show channels count"])).ok()?;
    answer.lines().find_map(|line| line.trim().split_once(" active channel")?.0.parse().ok())
}

/// What it prints, if it comes to an end in time: one that hangs tells nothing.
fn answer_of(console: &mut Command) -> io::Result<String> {
    let mut child = console.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Two lines, which the pipe has had room for.
    let mut answer = String::new();
    child.stdout.take().map(|mut output| output.read_to_string(&mut answer)).transpose()?;
    Ok(answer)
}

/// Longer than a console of a busy host takes.
const PATIENCE: Duration = Duration::from_secs(10);

fn configuration_of(process: u32) -> Option<PathBuf> {
    let words = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.windows(2).find(|pair| pair[0] == "-C").map(|pair| PathBuf::from(pair[1].as_ref()))
}

fn environment_of(process: u32, name: &str) -> io::Result<Option<String>> {
    let environment = fs::read(format!("/proc/{process}/environ"))?;
    let lines = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    Ok(lines.filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned())).next())
}
