//! Resources that a process uses.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, ensure};
use crate::lab::Lab;

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

/// Measures once `chan_sip` has forgotten the calls; with `wanted` once there are no more descriptors and threads than there.
///
/// # Errors
/// When something is left after a minute.
pub fn when_idle(lab: &Lab, wanted: Option<&Footprint>) -> Result<Footprint> {
    lab.until_idle(Duration::from_secs(10))?;
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = Footprint::of(lab.asterisk().pid())?;
        let is_idle = lab.asterisk().cli("sip show channels")?.lines().any(|line| line.starts_with("0 active SIP"));
        // Threads of pools end when they like.
        let is_freed = |wanted: &Footprint| now.descriptors <= wanted.descriptors && now.threads <= wanted.threads;
        if is_idle && wanted.is_none_or(is_freed) {
            return Ok(now);
        }
        ensure(Instant::now() < end, || format!("something is left: {wanted:?} {now:?}"))?;
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
