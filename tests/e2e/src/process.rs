//! Resources that a process uses.

use std::fs;
use std::io;
use std::time::Duration;

use crate::failure::{Failure, Result};

/// Descriptors, threads and memory of a process at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Resident memory in KiB.
    pub resident_kib: usize,
}

impl Footprint {
    /// Measures a process (proc(5)).
    ///
    /// # Errors
    /// When the process has ended, or the kernel does not tell.
    pub fn of(pid: u32) -> Result<Self> {
        let process = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{process}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            value.ok_or_else(|| Failure::new(format!("{process}/status has no {name}")))
        };
        let descriptors = fs::read_dir(format!("{process}/fd"))?.count();
        Ok(Self { descriptors, threads: field("Threads:")?, resident_kib: field("VmRSS:")? })
    }
}

/// The processor time that all threads of a process have used, ended ones too (clock_getcpuclockid(3)).
///
/// # Errors
/// When the process has ended.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: both write to locals.
    let result = unsafe {
        match libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) {
            0 => libc::clock_gettime(clock, &raw mut time),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
