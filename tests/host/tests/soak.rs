//! A day's set-ups in ten minutes: plain calls, calls with keys from SDP and calls of browsers, 200 a second, mixed with reloads. Memory
//! stays flat, and descriptors and threads are exact. The memory is what is allocated: what the process has of the system also depends on
//! the arenas of the threads that call, of which the allocator keeps some free memory each. It counts what a thread keeps in its cache as
//! allocated, up to seven blocks of each size, which fill over hours: so the test starts itself once more without these caches. Run by hand:
//! `cargo test --release -p host-tests --test soak -- --ignored --nocapture`.

mod common;

use common::rtp::{Frame, Instance, Phone, RTP};
use common::sdes::SdesCall;
use common::webrtc::{Call, Offer};
use common::{descriptors, heap, settled_footprint, threads};
use host_tests::{Host, Kind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const A_SECOND: u64 = 200;
/// Threads that make calls, so that handshakes overlap.
const CALLERS: u64 = 12;
/// The growth that is none: lists that were never that long before.
const MOST_KIB: u64 = 128;
/// The environment variable for the settings of glibc's allocator.
const TUNABLES: &str = "GLIBC_TUNABLES";

#[test]
#[ignore = "ten minutes"]
fn two_hundred_set_ups_a_second_leave_nothing_behind() {
    if std::env::var_os(TUNABLES).is_none() {
        return without_caches("two_hundred_set_ups_a_second_leave_nothing_behind");
    }
    let host = Host::start(Kind::Newest);
    configure(&host, 0);
    host.load_all(&["res_srtp", "res_rtp_asterisk"]);
    let seconds: u64 = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    println!("{}", measure(&host, 60.min(seconds)));
    let (before, warm) = (settled_footprint(), heap::in_use_kib());
    for _ in 0..(seconds / 60).max(1) {
        println!("{}", measure(&host, 60.min(seconds)));
        assert!(common::eventually(|| (descriptors(), threads()) == before), "{before:?}");
    }
    let grown = heap::in_use_kib().saturating_sub(warm);
    assert!(grown <= MOST_KIB, "grown by {grown} KiB");
    assert_eq!(host.objects_alive(), 0);
}

/// Runs the test in a process whose allocator has no caches of threads.
fn without_caches(test: &str) {
    let program = std::env::current_exe().expect("a program");
    let mut command = Command::new(program);
    command.args(["--ignored", "--exact", test, "--nocapture"]).env(TUNABLES, "glibc.malloc.tcache_count=0");
    assert!(command.status().expect("it starts").success());
}

/// Makes calls for this time. Returns what was measured once the last one was over.
fn measure(host: &Host, seconds: u64) -> String {
    let (made, late) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let directory = host.directory().to_owned();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (made, late, stop, directory) =
                (made.clone(), late.clone(), stop.clone(), directory.join(caller.to_string()));
            std::fs::create_dir_all(&directory).expect("writable");
            thread::spawn(move || {
                let apart = Duration::from_secs(CALLERS) / A_SECOND as u32;
                let mut next = Instant::now();
                for number in caller.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    one_call(number, &directory);
                    made.fetch_add(1, Ordering::Relaxed);
                    next += apart;
                    match next.checked_duration_since(Instant::now()) {
                        Some(left) => sleep(left),
                        None => drop(late.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            })
        })
        .collect();
    for second in 0..seconds {
        sleep(Duration::from_secs(1));
        if second % 5 == 4 {
            configure(host, second);
            assert_eq!(host.reload("res_rtp_asterisk"), 0);
            host.log();
            host.manager_events();
        }
    }
    stop.store(true, Ordering::Relaxed);
    callers.into_iter().for_each(|caller| caller.join().expect("a caller"));
    // Longer than the module waits before it gives memory back.
    sleep(Duration::from_secs(4));
    let (made, late) = (made.load(Ordering::Relaxed), late.load(Ordering::Relaxed));
    let (in_use, resident) = (heap::in_use_kib(), resident_kib());
    format!(
        "{made} calls in {seconds} s, {late} of them late; {in_use} KiB in use, {resident} KiB resident, {} descriptors, {} threads",
        descriptors(),
        threads()
    )
}

/// A third of the reloads have an error.
fn configure(host: &Host, second: u64) {
    let interval = 500 + second * 10;
    let error = if second % 3 == 1 { "probation=many\n" } else { "" };
    host.configure("rtp.conf", &format!("[general]\nrtpstart=20000\nrtpend=31999\nrtcpinterval={interval}\n{error}"));
}

fn one_call(number: u64, directory: &std::path::Path) {
    match number % 3 {
        0 => {
            let (instance, mut phone) = (Instance::new(), Phone::new());
            instance.set_remote(phone.address());
            instance.activate();
            phone.send(instance.local(), 1);
            assert!(instance.read_until(Frame::voice).is_some());
            instance.write(1);
            instance.stop();
        }
        1 => {
            let mut call = SdesCall::new();
            call.say(1);
            assert!(call.instance.is_readable(RTP, Duration::from_secs(5)));
            call.instance.read(RTP);
            call.instance.stop();
        }
        _ => {
            let offer = if number.is_multiple_of(2) { Offer::Browser } else { Offer::Asterisk };
            let mut call = Call::new(Kind::Newest, offer, directory);
            assert!(call.talk_until(|call| call.connected), "no keys");
            call.instance.stop();
        }
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
