//! The monotonic and the wall clock as durations, for the host's `timeval`. Protocol crates use `std::time::Instant`.

use std::time::Duration;

/// The time since a fixed moment; never goes back.
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// The time since 1970 by the wall clock, which may jump.
pub fn wall() -> Duration {
    read(libc::CLOCK_REALTIME)
}

/// Converts to a `timeval`.
pub fn to_timeval(time: Duration) -> libc::timeval {
    libc::timeval { tv_sec: time.as_secs() as _, tv_usec: time.subsec_micros() as _ }
}

/// Converts from a `timeval`; `None` for zero, which means "unknown" in the host, and for times before 1970.
pub fn from_timeval(time: &libc::timeval) -> Option<Duration> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let microseconds = u32::try_from(time.tv_usec).ok().filter(|microseconds| *microseconds < 1_000_000)?;
    let time = Duration::new(seconds, microseconds * 1000);
    (!time.is_zero()).then_some(time)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both clocks exist on every Linux, and `time` is ours to be written.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
