//! Reading files of any kind safely.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::names::{opened, shown};
use crate::refusal::{Refusal, at};

/// Reads a file, or the target of a link. Its type is checked before it is opened for reading: a FIFO would
/// block, and a device might be endless or react to being opened. Files of the kernel that block have no
/// length, so they read as empty.
pub fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).map_err(at(path))?;
    let kind = found.metadata().map_err(at(path))?;
    if !kind.is_file() {
        return Err(Refusal::NoFile(shown(path)));
    }
    if kind.len() > MOST {
        return Err(Refusal::BadFile {
            file: shown(path),
            reason: "it has more than 256 MiB, too many for a module or program",
        });
    }
    let file = File::open(opened(&found)).map_err(at(path))?;
    let mut content = Vec::new();
    file.take(kind.len()).read_to_end(&mut content).map_err(at(path))?;
    Ok(content)
}

/// The greatest length in bytes, above that of any module or program. A sparse file may claim any length, and reading
/// it would use that much memory.
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
