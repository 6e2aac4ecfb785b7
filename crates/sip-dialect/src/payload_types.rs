//! Payload types that the host gives a meaning of its own.
//!
//! In `m=video` and `m=text` the host looks at an `a=rtpmap` line only if the format's name begins as one of its own. A
//! payload type with another name keeps the meaning that it has in the host's table, which is longer than that of
//! RFC 3551 §6.

use crate::carriers;
use crate::message::number;
use crate::sdp::{Description, Section};

/// The formats of a section without those that the host would misread; `None` if it misreads none. `has_vp8`: the host gets VP8
/// under a name that it reads.
pub fn understood(description: &Description<'_>, section: &Section<'_>, has_vp8: bool) -> Option<Vec<u8>> {
    let read = if section.media == b"video" { READ_IN_VIDEO } else { READ_IN_TEXT };
    let mut misread = [false; 128];
    for line in &section.level.rtpmaps {
        let mut words = description.text(&line.value).split(|byte| *byte == b' ' || *byte == b'/');
        let (Some(kind), Some(name)) = (words.next().and_then(number), words.next()) else { continue };
        if let Some(misread) = misread.get_mut(kind) {
            let is_carried = has_vp8 && section.media == b"video" && carriers::VP8.has_name(name);
            let is_read = is_carried || read.iter().any(|begin| begins_with(name, begin));
            *misread = !is_read && has_another_meaning(kind, name);
        }
    }
    let is_misread = |word: &&[u8]| number(word).and_then(|kind| misread.get(kind)).is_some_and(|misread| *misread);
    let words = || description.text(&section.formats).split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words().any(|word| is_misread(&word)).then(|| {
        let left: Vec<&[u8]> = words().filter(|word| !is_misread(word)).collect();
        left.join(&b' ')
    })
}

fn begins_with(name: &[u8], begin: &str) -> bool {
    name.get(..begin.len()).is_some_and(|first| first.eq_ignore_ascii_case(begin.as_bytes()))
}

/// Whether the host has a meaning for a payload type, and another than this name's.
fn has_another_meaning(kind: usize, name: &[u8]) -> bool {
    let known = MEANINGS.iter().find(|(number, _)| usize::from(*number) == kind);
    known.is_some_and(|(_, meaning)| !name.eq_ignore_ascii_case(meaning.as_bytes()))
}

/// Names begin like this in the `a=rtpmap` lines that the host looks at, by the type of media.
const READ_IN_VIDEO: [&str; 2] = ["H26", "MP4"];
const READ_IN_TEXT: [&str; 2] = ["T140", "RED"];

/// The meanings that Asterisk 11.0 to 11.25 gives payload types without an `a=rtpmap` line.
const MEANINGS: [(u8, &str); 37] = [
    (0, "PCMU"),
    (2, "G726-32"),
    (3, "GSM"),
    (4, "G723"),
    (5, "DVI4"),
    (6, "DVI4"),
    (7, "LPC"),
    (8, "PCMA"),
    (9, "G722"),
    (10, "L16"),
    (11, "L16"),
    (13, "CN"),
    (16, "DVI4"),
    (17, "DVI4"),
    (18, "G729"),
    (19, "CN"),
    (26, "JPEG"),
    (31, "H261"),
    (34, "H263"),
    (97, "iLBC"),
    (98, "H263-1998"),
    (99, "H264"),
    (101, "telephone-event"),
    (102, "G7221"),
    (103, "H263-1998"),
    (104, "MP4V-ES"),
    (105, "RED"),
    (106, "T140"),
    (110, "speex"),
    (111, "G726-32"),
    (112, "AAL2-G726-32"),
    (115, "G7221"),
    (116, "G719"),
    (117, "speex"),
    (118, "L16"),
    (119, "speex"),
    (121, "cisco-telephone-event"),
];
