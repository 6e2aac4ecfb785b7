//! Asks a running Asterisk about calls, through the socket that `asterisk -r` uses.
//!
//! This starts no program. A process that has loaded files of a modules directory may be anybody's program, started
//! with any arguments, so root must not run it or trust it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The number of active channels of this process; `None` if it does not answer.
pub fn channels(process: u32) -> Option<u32> {
    let proc = Path::new("/proc").join(process.to_string());
    listening(&proc).into_iter().find_map(|socket| channels_told(&answer(socket, PATIENCE)?, process))
}

/// The Unix sockets with a path on which the process listens.
fn listening(proc: &Path) -> Vec<PathBuf> {
    let of_process: Vec<PathBuf> = fs::read_dir(proc.join("fd"))
        .into_iter()
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
        .collect();
    let sockets = fs::read(proc.join("net/unix")).unwrap_or_default();
    let sockets = sockets.split(|byte| *byte == b'\n').filter_map(listener);
    let is_its_own = |inode: u64| of_process.contains(&PathBuf::from(format!("socket:[{inode}]")));
    sockets.filter(|(inode, _)| is_its_own(*inode)).map(|(_, path)| path).collect()
}

/// Parses a line of `/proc/net/unix` (proc_net(5)) into inode and path, if it is a listening socket:
/// `0000000000000000: 00000002 00000000 00010000 0001 01 1974886 /var/run/asterisk/asterisk.ctl`
fn listener(line: &[u8]) -> Option<(u64, PathBuf)> {
    let start = line.iter().position(|byte| *byte == b'/')?;
    let (numbers, path) = line.split_at(start);
    let mut numbers = std::str::from_utf8(numbers).ok()?.split_ascii_whitespace().skip(3);
    let flags = u32::from_str_radix(numbers.next()?, 16).ok()?;
    let inode = numbers.nth(2)?.parse().ok()?;
    (flags & ACCEPTS != 0).then(|| (inode, OsStr::from_bytes(path).into()))
}

/// The flag of listening sockets, the kernel's `__SO_ACCEPTCON`.
const ACCEPTS: u32 = 0x1_0000;

/// The answer on a socket to our question; `None` if it does not come within `patience`.
fn answer(socket: PathBuf, patience: Duration) -> Option<String> {
    let (told, answer) = mpsc::channel();
    // Even connecting may block for ever.
    thread::Builder::new().spawn(move || told.send(ask(&socket, patience))).ok()?;
    answer.recv_timeout(patience).ok()?.ok()
}

fn ask(socket: &Path, patience: Duration) -> io::Result<String> {
    let mut console = UnixStream::connect(socket)?;
    console.set_read_timeout(Some(patience))?;
    console.set_write_timeout(Some(patience))?;
    console.write_all(QUESTION)?;
    let mut text = Vec::new();
    console.take(MOST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The question, as `asterisk -rx` writes it.
const QUESTION: &[u8] = b"cli quit after core show channels count\0";

/// How long to wait for the answer: longer than a busy host takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes to read. The answer has four lines, with whatever the host prints for everybody meanwhile.
const MOST: u64 = 1 << 16;

/// The number of channels in an answer of `process`. The first line is a greeting with machine, process and version. An
/// answer of another process does not count: in a container, its paths may lead to another process for us.
fn channels_told(answer: &str, process: u32) -> Option<u32> {
    let mut lines = answer.lines();
    if lines.next()?.split('/').nth(1)? != process.to_string() {
        return None;
    }
    lines.find_map(|line| line.trim().split_once(" active channel")?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_the_process_itself_answers_for_it() {
        let answer = "host/77/11.25.3\nsomebody has joined\n12 active channels\n6 active calls\n7 calls processed\n";
        assert_eq!(channels_told(answer, 77), Some(12));
        assert_eq!(channels_told(answer, 78), None);
        assert_eq!(channels_told("host/77/11.25.3\nNo such command\n", 77), None);
        assert_eq!(channels_told("", 77), None);
    }

    #[test]
    fn only_listening_sockets_are_found() {
        let line = |flags: &str, path: &[u8]| {
            let numbers = format!("0000000000000000: 00000002 00000000 {flags} 0001 01  1974 ");
            listener(&[numbers.as_bytes(), path].concat())
        };
        assert_eq!(line("00010000", b"/a b\xff"), Some((1974, OsStr::from_bytes(b"/a b\xff").into())));
        assert_eq!(line("00000000", b"/a"), None, "connected");
        assert_eq!(line("00010000", b""), None, "nameless");
        assert_eq!(line("00010000", b"@a"), None, "abstract");
        assert_eq!(listener(b"Num       RefCount Protocol Flags    Type St Inode Path"), None);
    }

    #[test]
    fn a_socket_that_accepts_nobody_does_not_block_us() {
        let scratch = crate::names::tests::scratch();
        let socket = scratch.join("asterisk.ctl");
        let _deaf = UnixListener::bind(&socket).unwrap();
        assert_eq!(answer(socket, Duration::from_millis(200)), None);
        fs::remove_dir_all(scratch).unwrap();
    }
}
