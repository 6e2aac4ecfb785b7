//! What a running Asterisk says on its console.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How many channels are up in this process.
///
/// It is asked by its own console, with its own configuration, and as who it runs: what has modules of the directory in its
/// memory may be anybody's, and so may what it calls its program.
pub fn channels(process: u32, program: Option<&Path>) -> Option<u32> {
    let proc = Path::new("/proc").join(process.to_string());
    let (owner, ourselves) = (fs::metadata(&proc).ok()?, fs::metadata("/proc/self").ok()?);
    // In a container its paths are not ours, and the program of that name here may be another's.
    let (root, our_root) = (fs::metadata(proc.join("root")).ok()?, fs::metadata("/").ok()?);
    if (root.dev(), root.ino()) != (our_root.dev(), our_root.ino()) {
        return None;
    }
    let own = fs::read_link(proc.join("exe")).ok();
    // Started by a loader of its own, the process is that loader's.
    let own = own.filter(|own| own.file_name().is_some_and(|name| name == "asterisk"));
    let mut console = Command::new(own.as_deref().or(program)?);
    if let Some(configuration) = configuration(&words(&proc.join("cmdline"))) {
        console.arg("-C").arg(configuration);
    }
    if let Some(libraries) = variable(&words(&proc.join("environ")), "LD_LIBRARY_PATH") {
        console.env("LD_LIBRARY_PATH", libraries);
    }
    match (ourselves.uid(), owner.uid()) {
        (ours, theirs) if ours == theirs => {}
        (0, theirs) => drop(console.uid(theirs).gid(owner.gid())),
        _ => return None,
    }
    console.args(["-rx", "core show channels count"]);
    let answer = answer_of(console, PATIENCE).ok()?;
    // It goes on without, and what answers then is another.
    if answer.contains("Unable to open specified master config file") {
        return None;
    }
    answer.lines().find_map(|line| line.trim().split_once(" active channel")?.0.parse().ok())
}

/// What it prints, if it comes to an end in time: one that hangs, or leaves its output to another, tells nothing.
fn answer_of(mut console: Command, patience: Duration) -> io::Result<String> {
    let (output, input) = io::pipe()?;
    let mut child = console.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).spawn()?;
    // It holds the other end.
    drop(console);
    let (told, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = told.send(output.take(MOST).read_to_string(&mut text).map(|_| text));
    });
    let answer = answer.recv_timeout(patience);
    let _ = child.kill();
    child.wait()?;
    answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Longer than a console of a busy host takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer has three lines.
const MOST: u64 = 4096;

/// What is behind the last `-C`.
fn configuration(command_line: &[OsString]) -> Option<OsString> {
    let mut found = None;
    let mut words = command_line.iter().skip(1).map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let Some(options) = word.strip_prefix(b"-") else { continue };
        match options {
            b"-" => break,
            // Of a loader that it was started by.
            [b'-', ..] => continue,
            _ => {}
        }
        // Several may share a word, and the value of the last may be in the same word or the next.
        let Some(place) = options.iter().position(|option| WITH_VALUE.contains(option)) else { continue };
        let value = Some(&options[place + 1..]).filter(|value| !value.is_empty()).or_else(|| words.next());
        if options[place] == b'C' {
            found = value.map(|value| OsStr::from_bytes(value).to_owned());
        }
    }
    found
}

/// Asterisk's `getopt` has been called with `BC:cde:FfG:ghIiL:M:mnpqRrs:TtU:VvWXx:` ever since 11.0.
const WITH_VALUE: &[u8] = b"CeGLMsUx";

fn variable(environment: &[OsString], name: &str) -> Option<OsString> {
    let value = |line: &OsString| {
        let value = line.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsStr::from_bytes(value).to_owned())
    };
    environment.iter().find_map(value)
}

/// Of a file in `/proc`, each from one NUL to the next; none where it cannot be read.
pub fn words(file: &Path) -> Vec<OsString> {
    let bytes = fs::read(file).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| OsStr::from_bytes(word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_as_getopt_finds_it() {
        for (line, found) in [
            ("asterisk -C /a", Some("/a")),
            ("asterisk -C/a", Some("/a")),
            ("asterisk -vvvC /a", Some("/a")),
            ("asterisk -gC/a -U asterisk", Some("/a")),
            ("asterisk -f -UC -G C", None),
            ("asterisk -U -C /a", None),
            ("asterisk -C /a -C /b", Some("/b")),
            ("asterisk -- -C /a", None),
            ("asterisk -fC", None),
            ("/lib64/ld-linux-x86-64.so.2 --library-path /x /usr/sbin/asterisk -fC /a", Some("/a")),
            ("", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(configuration(&words), found.map(OsString::from), "{line}");
        }
        let words = [b"asterisk", &b"-C/\xff"[..]].map(|word| OsStr::from_bytes(word).to_owned());
        assert_eq!(configuration(&words).unwrap().as_bytes(), b"/\xff");
    }

    #[test]
    fn a_console_that_leaves_its_output_to_another_does_not_hold_us_up() {
        let mut console = Command::new("sh");
        console.args(["-c", "echo 1; sleep 2 &"]);
        let answer = answer_of(console, Duration::from_millis(200));
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
