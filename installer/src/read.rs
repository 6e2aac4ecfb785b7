//! Reading files that may be anything.

use std::fs;
use std::path::Path;

use crate::refusal::{Refusal, at};

/// What is in a file, or in what a link leads to. A FIFO would keep its reader waiting, and a device might never end.
pub fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    if !fs::metadata(path).map_err(at(path))?.is_file() {
        return Err(Refusal::NoFile(path.into()));
    }
    fs::read(path).map_err(at(path))
}
