//! Reading files that may be anything.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::names::{opened, shown};
use crate::refusal::{Refusal, at};

/// What is in a file, or in what a link leads to. What it is is looked at before it is opened for reading: a FIFO would keep its
/// reader waiting, a device might never end, or do something because it was opened. The kernel has files as well that keep a
/// reader waiting; those have no length.
pub fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).map_err(at(path))?;
    let kind = found.metadata().map_err(at(path))?;
    if !kind.is_file() {
        return Err(Refusal::NoFile(shown(path)));
    }
    if kind.len() > MOST {
        return Err(Refusal::BadFile { file: shown(path), reason: "it is too long to be read, more than 256 MiB" });
    }
    let file = File::open(opened(&found)).map_err(at(path))?;
    let mut content = Vec::new();
    file.take(kind.len()).read_to_end(&mut content).map_err(at(path))?;
    Ok(content)
}

/// More than any module or program has. A file with holes says that it has as much as it likes, and all of it would be in memory.
const MOST: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::tests::scratch;

    #[test]
    fn a_file_of_holes_is_not_read() {
        let scratch = scratch();
        let file = scratch.join("x.so");
        File::create(&file).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read(&file), Err(Refusal::BadFile { .. })));
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
