//! `cargo xtask test`: everything that the machine can run.

use std::process::Command;

use crate::Failure;
use crate::modules;
use crate::packages;
use crate::run::{cargo, run, workspace};

/// Unit tests of all crates, the built modules in the small host, and real browsers against a real Asterisk.
///
/// Without `ASTERISK_PREFIX` the last part says so and counts as skipped.
pub fn all() -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD, packages::TO_TEST])?;
    let modules = modules::build()?;
    run(cargo().args(["test", "--workspace", "--exclude", "e2e"]).env("MODULES_DIR", &modules))?;

    install_page_libraries()?;
    // One Asterisk and one browser at a time: timings of a call mean nothing on a machine that runs five.
    run(cargo()
        .args(["test", "--package", "e2e", "--", "--test-threads=1", "--nocapture"])
        .env("MODULES_DIR", &modules))
}

/// JsSIP and the drivers of the browsers, as the lock file names them.
pub fn install_page_libraries() -> Result<(), Failure> {
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(workspace().join("tests/e2e/browser")))
}
