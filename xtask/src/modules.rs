//! Builds the modules and puts them into one directory, with the names of the host's modules directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::prefix::Version;
use installer::Files;

use crate::Failure;
use crate::host;
use crate::packages;
use crate::run::{cargo, run, target_directory};
use crate::zig::{GLIBC, Zig};

/// The names of the modules, which are those of the originals.
pub const MODULES: [&str; 3] = ["res_http_websocket", "res_srtp", "res_rtp_asterisk"];

/// A module that replaces none, for Asterisk 11 alone: later ones know Opus.
const CODEC: &str = "codec_opus_g719";

/// The modules that are built for this version.
pub fn modules_of(version: Version) -> impl Iterator<Item = &'static str> {
    MODULES.into_iter().chain((version == Version::Eleven).then_some(CODEC))
}

/// The program that installs them into an Asterisk.
const INSTALLER: &str = "install";

/// Builds the modules for this version of Asterisk and returns the directory that contains them.
pub fn build(version: Version) -> Result<PathBuf, Failure> {
    packages::ensure(&[packages::TO_BUILD])?;
    let mut build = cargo();
    build.args(["build", "--release"]);
    for package in modules_of(version).chain(["installer"]) {
        build.args(["--package", package]);
    }
    choose_host(&mut build, version)?;
    let zig = Zig::wanted()?;
    if let Some(zig) = &zig {
        zig.take_part(&mut build);
    }
    run(&mut build)?;
    let built = target_directory().join(if zig.is_some() { Zig::target() } else { String::new() }).join("release");
    place(version, &built, zig.map(|_| GLIBC))
}

/// Returns the directory that [`build`] fills for this Asterisk.
pub fn directory(version: Version) -> PathBuf {
    target_directory().join(format!("asterisk-{}", version.number()))
}

/// Sets the host to build for. The default is Asterisk 11, whose headers are part of this repository. For later
/// versions a feature is set, and the headers come from the host itself.
fn choose_host(build: &mut Command, version: Version) -> Result<(), Failure> {
    if version == Version::Eleven {
        return Ok(());
    }
    let host = host::of(version)?;
    let headers = host.headers().ok_or_else(|| {
        format!("There is no asterisk.h in {}. Install the headers of this Asterisk.", host.root().display())
    })?;
    let features = MODULES.map(|module| format!("{module}/host-{}", version.number()));
    build.args(["--features", &features.join(",")]).env("ASTERISK_INCLUDE", headers);
    Ok(())
}

/// Copies the built files under their final names without debugging information, which goes into `.debug`
/// for debuggers.
fn place(version: Version, built: &Path, glibc: Option<&str>) -> Result<PathBuf, Failure> {
    let directory = directory(version);
    let failed = |error: io::Error| format!("{} could not be filled: {error}", directory.display());
    fs::create_dir_all(directory.join(".debug")).map_err(failed)?;
    for module in modules_of(version) {
        let (built, debug) = (built.join(format!("lib{module}.so")), format!(".debug/{module}.so.debug"));
        // Rename rather than overwrite: a host that has mapped the old file keeps it intact.
        let (staged, placed) = (format!(".{module}.so"), format!("{module}.so"));
        run(objcopy(&directory).arg("--only-keep-debug").arg(&built).arg(&debug))?;
        run(objcopy(&directory).args(["--strip-unneeded", "--add-gnu-debuglink", &debug]).arg(&built).arg(&staged))?;
        fs::rename(directory.join(staged), directory.join(placed)).map_err(failed)?;
    }
    // Add the installer, for machines without Rust.
    run(objcopy(&directory).arg("--strip-all").arg(built.join(INSTALLER)).arg(INSTALLER))?;
    Files::seal(&directory, version.number(), glibc).map_err(failed)?;
    Ok(directory)
}

fn objcopy(directory: &Path) -> Command {
    let mut objcopy = Command::new("objcopy");
    objcopy.current_dir(directory);
    objcopy
}
