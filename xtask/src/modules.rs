//! The three modules, built and laid out as they go into the host's modules directory.

use std::path::PathBuf;
use std::process::Command;

use e2e::prefix::Version;

use crate::Failure;
use crate::host;
use crate::packages;
use crate::run::{cargo, run, workspace};

/// The modules, by the names of the originals that they stand in for.
pub const MODULES: [&str; 3] = ["res_http_websocket", "res_srtp", "res_rtp_asterisk"];

/// Builds the modules for this Asterisk and returns the directory that holds `res_http_websocket.so` and its like.
pub fn build(version: Version) -> Result<PathBuf, Failure> {
    packages::ensure(&[packages::TO_BUILD])?;
    let mut build = cargo();
    build.args(["build", "--release"]);
    for module in MODULES {
        build.args(["--package", module]);
    }
    choose_host(&mut build, version)?;
    run(&mut build)?;
    place(version)
}

/// Asterisk 11 is what the modules are built for unless told otherwise, from headers that are part of this repository. Later
/// ones are told by a feature, and built from the headers of the very host.
fn choose_host(build: &mut Command, version: Version) -> Result<(), Failure> {
    if version == Version::Eleven {
        return Ok(());
    }
    let host = host::of(version)?;
    let headers = host.headers().ok_or_else(|| format!("{} holds no asterisk.h.", host.root().display()))?;
    let features = MODULES.map(|module| format!("{module}/host-{}", version.number()));
    build.args(["--features", &features.join(",")]).env("ASTERISK_INCLUDE", headers);
    Ok(())
}

/// Gives what was built its names.
fn place(version: Version) -> Result<PathBuf, Failure> {
    let target = target_directory();
    let directory = target.join(format!("asterisk-{}", version.number()));
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("{} could not be made: {error}", directory.display()))?;
    for module in MODULES {
        let built = target.join("release").join(format!("lib{module}.so"));
        // A rename rather than a copy in place: a host that has the old file mapped keeps it whole.
        let (staged, placed) = (directory.join(format!(".{module}.so")), directory.join(format!("{module}.so")));
        std::fs::copy(&built, &staged)
            .and_then(|_| std::fs::rename(&staged, &placed))
            .map_err(|error| format!("{} could not be put in place: {error}", placed.display()))?;
    }
    Ok(directory)
}

/// Where cargo puts what it builds; it runs in the workspace's root, from which a relative path counts.
pub fn target_directory() -> PathBuf {
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
