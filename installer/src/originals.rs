//! The place of the original modules while ours are installed.

use std::path::{Path, PathBuf};

/// The name of the directory, below the modules directory.
pub const ORIGINALS: &str = "originals";

/// The directory of the originals for this modules directory.
pub fn directory(modules: &Path) -> PathBuf {
    modules.join(ORIGINALS)
}
