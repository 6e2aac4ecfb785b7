//! Installs the demo page of `contrib/demo` where Asterisk's HTTP server serves it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of its directory there, unlike any that comes with Asterisk.
const NAME: &str = "webrtc-demo";

/// Its path on that server.
pub const PATH: &str = "/static/webrtc-demo/index.html";

/// The directory of its sources and of the libraries that npm installs.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/demo")
}

/// Its own directory below `served`.
pub fn directory(served: &Path) -> PathBuf {
    served.join(NAME)
}

/// Bundles it into its own directory below `served`, an Asterisk's `static-http`, and returns that directory. Its
/// libraries must be installed.
pub fn bundle(served: &Path) -> io::Result<PathBuf> {
    // npm runs in another directory.
    let page = directory(&served.canonicalize()?);
    let status =
        Command::new("npm").args(["run", "--silent", "bundle"]).env("OUT", &page).current_dir(sources()).status()?;
    if status.success() { Ok(page) } else { Err(io::Error::other(format!("npm run bundle: {status}"))) }
}
