//! The demo page of `contrib/demo`, put where Asterisk's own HTTP server serves it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What its directory is called there, like nothing that comes with Asterisk.
const NAME: &str = "webrtc-demo";

/// Its path on that server.
pub const PATH: &str = "/static/webrtc-demo/index.html";

/// Where its sources are, and the libraries that npm installs for it.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/demo")
}

/// Bundles it into a directory of its own in `served`, an Asterisk's `static-http`, and says which. Its libraries have to be
/// installed.
pub fn bundle(served: &Path) -> io::Result<PathBuf> {
    // npm runs elsewhere.
    let page = served.canonicalize()?.join(NAME);
    let status =
        Command::new("npm").args(["run", "--silent", "bundle"]).env("OUT", &page).current_dir(sources()).status()?;
    if status.success() { Ok(page) } else { Err(io::Error::other(format!("npm run bundle: {status}"))) }
}
