//! `cargo xtask load` and `cargo xtask bench`: what calls and packets cost.

use std::path::PathBuf;

use e2e::prefix::Version;

use crate::Failure;
use crate::host;
use crate::modules;
use crate::packages;
use crate::run::{cargo, run};

/// The crates that have benchmarks, and the names of those.
const CRATES: [&str; 5] = ["rtp", "sip-dialect", "media-srtp", "websocket", "opus"];
const BENCHMARKS: [&str; 4] = ["packets", "messages", "protect", "frames"];

/// Runs `tests/load` with these options. Modules that the options do not name are built.
pub fn compare(options: &[&str]) -> Result<(), Failure> {
    let mut load = cargo();
    load.args(["run", "--quiet", "--release", "--package", "load", "--"]).args(options);
    if options.contains(&"--help") {
        return run(&mut load);
    }
    let host = host::installed()?.filter(|host| host.version() != Version::TwentyTwo);
    let host = host.ok_or("ASTERISK_PREFIX names no Asterisk with chan_sip, which is an 11 or a 16.")?;
    if let Some(built) = built_for(options, host.version())? {
        load.env("MODULES_DIR", built);
    }
    run(load.env("ASTERISK_PREFIX", host.root()))
}

/// Builds the modules, unless `--ours` names others.
fn built_for(options: &[&str], version: Version) -> Result<Option<PathBuf>, Failure> {
    if options.contains(&"--ours") { Ok(None) } else { modules::build(version).map(Some) }
}

/// Runs the benchmarks of all crates; `filter` is a part of the names of those that are wanted.
pub fn bench(filter: Option<&str>) -> Result<(), Failure> {
    packages::ensure(&[packages::TO_BUILD])?;
    let mut bench = cargo();
    bench.arg("bench").args(CRATES.iter().flat_map(|package| ["--package", package]));
    bench.args(BENCHMARKS.iter().flat_map(|name| ["--bench", name]));
    run(bench.arg("--").args(filter))
}
