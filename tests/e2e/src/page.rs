//! The demo page of `contrib/demo`, put where Asterisk's own HTTP server serves it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::asterisk::Home;

/// Where its sources are, and the libraries that npm installs for it.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/demo")
}

/// Bundles it into `home`, to be found at `/static/index.html`. Its libraries have to be installed.
pub fn bundle(home: &Home) -> io::Result<()> {
    let status = Command::new("npm")
        .args(["run", "--silent", "bundle"])
        .env("OUT", home.root().join("data/static-http"))
        .current_dir(sources())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("npm run bundle: {status}"))) }
}
