//! Reading files that may be anything.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::names::shown;
use crate::refusal::{Refusal, at};

/// What is in a file, or in what a link leads to. A FIFO would keep its reader waiting, and so would some of what the kernel
/// calls files, which tell no length; a device might never end.
pub fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = match file {
        // A socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(Refusal::NoFile(shown(path))),
        opened => opened.map_err(at(path))?,
    };
    let found = file.metadata().map_err(at(path))?;
    if !found.is_file() {
        return Err(Refusal::NoFile(shown(path)));
    }
    let mut content = Vec::new();
    Read::by_ref(&mut file).take(found.len()).read_to_end(&mut content).map_err(at(path))?;
    Ok(content)
}
