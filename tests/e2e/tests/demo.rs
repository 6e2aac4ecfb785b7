//! The fleet of `cargo xtask demo --fleet`, used as `--check` does: two Asterisks with the samples of `contrib/`, behind Kamailio,
//! with coturn and the page.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::demo::Fleet;
use e2e::ending;
use e2e::failure::{Result, ensure};
use e2e::lab;

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn the_page_calls_through_kamailio_again_when_the_asterisk_of_its_call_was_killed() -> Result {
    static NEVER: AtomicBool = AtomicBool::new(false);
    start("demo-fleet")?.check(&NEVER)
}

/// As when Ctrl-C comes, which sets the flag.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_check_that_is_to_end_fails_and_leaves_no_process() -> Result {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let mut fleet = start("demo-fleet-ended")?;
    thread::spawn(|| {
        // The first call is not over by then. On a busy machine the browser has not even started, which is waited for.
        thread::sleep(Duration::from_secs(3));
        ASKED.store(true, Ordering::Relaxed);
    });
    let said = fleet.check(&ASKED).err().map(|failure| failure.to_string());
    ensure(said.as_deref() == Some(ending::ENDED), || format!("the check said {said:?}"))?;

    ensure(processes("demo-fleet-ended")?.len() >= 4, || "the fleet has lost its processes".to_owned())?;
    drop(fleet);
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let left = processes("demo-fleet-ended")?;
        if left.is_empty() {
            return Ok(());
        }
        ensure(Instant::now() < end, || format!("processes are left: {left:?}"))?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// The command lines of all processes that have a file of the fleet `name` among their arguments.
fn processes(name: &str) -> Result<Vec<String>> {
    let processes = fs::read_dir("/proc")?.flatten().map(|process| process.path().join("cmdline"));
    let lines =
        processes.filter_map(|line| fs::read(line).ok()).map(|line| String::from_utf8_lossy(&line).into_owned());
    Ok(lines.filter(|line| line.contains(&format!("/{name}/"))).collect())
}

fn start(name: &str) -> Result<Fleet> {
    let host = lab::installed()?;
    let modules = std::env::var_os("MODULES_DIR").map_or_else(|| host.modules().to_owned(), PathBuf::from);
    Fleet::start(lab::home_of(name)?.root(), &host, &modules)
}
