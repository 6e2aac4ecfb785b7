//! The three modules, built and laid out as they go into the host's modules directory.

use std::path::PathBuf;

use crate::Failure;
use crate::packages;
use crate::run::{cargo, run, workspace};

/// The modules, by the names of the originals that they stand in for.
pub const MODULES: [&str; 3] = ["res_http_websocket", "res_srtp", "res_rtp_asterisk"];

/// Builds the modules and returns the directory that holds `res_http_websocket.so` and its like.
pub fn build() -> Result<PathBuf, Failure> {
    packages::ensure(&[packages::TO_BUILD])?;
    let mut build = cargo();
    build.args(["build", "--release"]);
    for module in MODULES {
        build.args(["--package", module]);
    }
    run(&mut build)?;

    let target = target_directory();
    let directory = target.join("asterisk-11");
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
