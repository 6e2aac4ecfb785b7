//! `asterisk.conf`, as far as it says where the modules are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::location::is_the_machine;
use crate::read::read;

/// The modules directory that the configuration of the Asterisk below `prefix` names, if it can be read and there is one.
pub fn modules_of(prefix: &Path) -> Option<PathBuf> {
    let root = if is_the_machine(prefix) { Path::new("/") } else { prefix };
    let file = read(&root.join("etc/asterisk/asterisk.conf")).ok()?;
    let named = PathBuf::from(OsStr::from_bytes(astmoddir(&file)?));
    // In an unpacked image of a system, names count from there.
    let in_the_image = prefix.join(named.strip_prefix("/").unwrap_or(&named));
    [in_the_image, named].into_iter().find(|place| place.is_dir())?.canonicalize().ok()
}

/// `astmoddir => /usr/lib/asterisk/modules` in `[directories]`. Behind that may be `(!)`: such a section is a template and
/// does nothing, and so it is in the host's sample.
fn astmoddir(file: &[u8]) -> Option<&[u8]> {
    let lines = file.split(|byte| *byte == b'\n').map(|line| {
        let comment = line.iter().position(|byte| *byte == b';');
        line[..comment.unwrap_or(line.len())].trim_ascii()
    });
    let mut is_directories = false;
    let mut found = None;
    for line in lines {
        if line.starts_with(b"[") {
            is_directories = line.strip_prefix(b"[directories]").is_some_and(|rest| !rest.contains(&b'!'));
        } else if is_directories && let Some(rest) = line.strip_prefix(b"astmoddir") {
            let value = rest.trim_ascii_start().strip_prefix(b"=");
            found = value.map(|value| value.strip_prefix(b">").unwrap_or(value).trim_ascii()).or(found);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_says_nothing() {
        for (file, found) in [
            ("[directories]\nastetcdir => /etc\nastmoddir => /a b ; where\n[options]\nastmoddir => /c\n", Some("/a b")),
            ("[directories]\nastmoddir=/a\n", Some("/a")),
            ("[directories] ; all\n  astmoddir =/a\r\n", Some("/a")),
            ("[directories](!) ; remove the (!)\nastmoddir => /a\n", None),
            ("[directories]\n;astmoddir => /a\n", None),
            ("astmoddir => /a\n", None),
            ("", None),
        ] {
            assert_eq!(astmoddir(file.as_bytes()), found.map(str::as_bytes), "{file}");
        }
    }
}
