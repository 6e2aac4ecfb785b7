//! Finds the modules directory in `asterisk.conf`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::location::is_the_machine;
use crate::read::read;

/// The existing modules directory that the configuration of the Asterisk below `prefix` names; `None` if there is none.
pub fn modules_of(prefix: &Path) -> Option<PathBuf> {
    let file = read(&file_of(prefix)).ok()?;
    let named = PathBuf::from(OsString::from_vec(astmoddir(&file)?));
    // In an unpacked system image, absolute paths start at the prefix.
    let in_the_image = prefix.join(named.strip_prefix("/").unwrap_or(&named));
    [in_the_image, named].into_iter().find(|place| place.is_dir())?.canonicalize().ok()
}

/// Whether that configuration includes other files, which we do not read.
pub fn has_other_parts(prefix: &Path) -> bool {
    let file = read(&file_of(prefix)).map(|file| without_comments(&file)).unwrap_or_default();
    let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
    lines.any(|line| [&b"#include"[..], b"#exec", b"#tryinclude"].iter().any(|word| line.starts_with(word)))
}

fn file_of(prefix: &Path) -> PathBuf {
    let root = if is_the_machine(prefix) { Path::new("/") } else { prefix };
    root.join("etc/asterisk/asterisk.conf")
}

/// The value of `astmoddir => /usr/lib/asterisk/modules` in `[directories]`, read as the host does: without regard to
/// case, and without comments from `;--` to `--;`. A section with `(!)`, as in the host's sample, is a template
/// without effect.
fn astmoddir(file: &[u8]) -> Option<Vec<u8>> {
    let file = without_comments(file);
    let mut sections: Vec<Section> = Vec::new();
    for line in file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if let Some(head) = line.strip_prefix(b"[") {
            let section = Section::headed(head, &sections);
            sections.push(section);
        } else if let (Some(section), Some(value)) = (sections.last_mut(), value_of(b"astmoddir", line)) {
            section.value = Some(value.to_vec());
        }
    }
    let of_directories =
        sections.into_iter().filter(|section| section.is_called(b"directories") && !section.is_template);
    of_directories.filter_map(|section| section.value).next_back()
}

/// The parts of a section that we use.
struct Section {
    name: Vec<u8>,
    is_template: bool,
    value: Option<Vec<u8>>,
}

impl Section {
    /// A section with the header `name](template,!)`: it inherits from its templates. `(+)` continues an earlier
    /// section, which has the same effect here.
    fn headed(head: &[u8], before: &[Self]) -> Self {
        let mut parts = head.splitn(2, |byte| *byte == b']');
        let (name, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let options = rest.trim_ascii().strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).unwrap_or_default();
        let options: Vec<&[u8]> = options.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
        let value_of = |template: &&[u8]| before.iter().rfind(|section| section.is_called(template))?.value.clone();
        Self {
            name: name.to_vec(),
            is_template: options.contains(&b"!".as_slice()),
            value: options.iter().filter_map(value_of).next_back(),
        }
    }

    fn is_called(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The value after `name =` or `name =>`.
fn value_of<'a>(name: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.trim_ascii_start().strip_prefix(b"=").filter(|_| start.eq_ignore_ascii_case(name))?;
    Some(value.strip_prefix(b">").unwrap_or(value).trim_ascii())
}

fn without_comments(file: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(file.len());
    let mut rest = file;
    while let Some((first, behind)) = rest.split_first() {
        let (is_block, end) = match rest {
            // `;---` starts an ordinary comment.
            [b';', b'-', b'-', next, ..] if *next != b'-' => (true, find(rest, b"--;").map(|end| end + 3)),
            [b';', ..] => (false, find(rest, b"\n")),
            [b'\\', b';', behind @ ..] => {
                plain.push(b';');
                rest = behind;
                continue;
            }
            _ => {
                plain.push(*first);
                rest = behind;
                continue;
            }
        };
        // A comment separates words, so replace it by a space.
        plain.extend(is_block.then_some(b' '));
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    plain
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_the_host_reads_it() {
        for (file, found) in [
            ("[directories]\nastetcdir => /etc\nastmoddir => /a b ; where\n[options]\nastmoddir => /c\n", Some("/a b")),
            ("[directories]\nastmoddir=/a\n", Some("/a")),
            ("[directories] ; all\n  astmoddir =/a\r\n", Some("/a")),
            ("[directories](!) ; remove the (!)\nastmoddir => /a\n", None),
            ("[directories]\n;astmoddir => /a\n", None),
            ("astmoddir => /a\n", None),
            ("[Directories]\nAstModDir => /a\n", Some("/a")),
            ("[base](!)\nastmoddir => /a\n[directories](base)\nastetcdir => /etc\n", Some("/a")),
            ("[base](!)\nastmoddir => /a\n[directories](base)\nastmoddir => /b\n", Some("/b")),
            ("[directories]\n;-- astmoddir => /a\n--;\nastetcdir => /etc", None),
            (";--\n[directories]\nastmoddir => /a\n--;\n", None),
            ("[directories]\n;------\nastmoddir => /a\n", Some("/a")),
            ("[directories]\nastmoddir => /a\n[directories](+)\nastetcdir => /etc\n", Some("/a")),
            ("", None),
        ] {
            assert_eq!(astmoddir(file.as_bytes()), found.map(|found| found.as_bytes().to_vec()), "{file}");
        }
    }
}
