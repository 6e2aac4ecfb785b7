//! `cargo xtask valgrind`: runs the built modules in the small host of `tests/host` under valgrind's memcheck.
//!
//! It covers the modules' threads, loading and unloading, and the C libraries that are linked into them. Failures are
//! invalid reads and writes, decisions that depend on uninitialised memory, and leaks of memory that nothing points to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use e2e::prefix::Version;

use crate::Failure;
use crate::modules;
use crate::packages;
use crate::run::{at_once, cores, workspace};
use crate::test::is_called;
use crate::without_calls::built;

/// Runs the test programs of `tests/host`, one per core at a time.
pub fn all() -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD, packages::TO_WATCH_MEMORY])?;
    let modules = modules::build(Version::Eleven)?;
    at_once(cores(), &programs()?, |program| watch(program, &modules))
}

/// Returns the compiled test programs of `tests/host`.
fn programs() -> Result<Vec<PathBuf>, Failure> {
    let messages = built()?;
    let of_the_host = messages.iter().filter(|message| {
        let package = message["package_id"].as_str().unwrap_or_default();
        package.contains("tests/host#") && message["target"]["kind"][0] == "test"
    });
    let programs = of_the_host.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    let mut programs: Vec<_> = programs.collect();
    // The one that takes longest starts first.
    programs.sort_by_key(|program| !is_called(program, "webrtc"));
    if programs.is_empty() { Err("tests/host has no test programs.".to_owned()) } else { Ok(programs) }
}

/// Runs one test program under memcheck, and prints its output when it has ended.
fn watch(program: &Path, modules: &Path) -> Result<(), Failure> {
    let suppressions = workspace().join("tests/host/valgrind.supp");
    let name = program.file_stem().unwrap_or_default().display();
    let began = Instant::now();
    let output = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=9", "--num-callers=30"])
        // Memory that is still reachable at the end belongs to the process rather than to a module: it is no leak.
        .args(["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"])
        // Leaks are reported after the modules have been unloaded. This keeps their function names.
        .arg("--keep-debuginfo=yes")
        // memcheck runs one thread at a time. This makes the threads take turns.
        .arg("--fair-sched=yes")
        .arg(format!("--suppressions={}", suppressions.display()))
        .arg(program)
        .args(["--test-threads", "1"])
        .env("MODULES_DIR", modules)
        .output()
        .map_err(|error| format!("`valgrind` could not be started: {error}"))?;
    let [told, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("valgrind {name}, {} s:\n{told}{errors}", began.elapsed().as_secs());
    if output.status.success() { Ok(()) } else { Err(format!("{name} failed under valgrind: {}", output.status)) }
}
