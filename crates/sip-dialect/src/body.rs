//! Where in a message a session description is: the whole body, or one part of it (RFC 5621, RFC 2046 §5.1).

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::message::{Message, number, parameter};

/// The part of a body that has a content type.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The range of the content.
    pub content: Range<usize>,
    /// The value of the part's own `Content-Length`, if it has one.
    pub content_length: Option<Range<usize>>,
}

/// Finds the content of a type, such as `application/sdp`.
pub fn find(message: &Message<'_>, wanted: &str) -> Option<Part> {
    let kind = media_type(message.content_type);
    if kind.eq_ignore_ascii_case(wanted.as_bytes()) {
        return Some(Part { content: message.body.clone(), content_length: None });
    }
    let is_multipart = kind.get(..10).is_some_and(|begin| begin.eq_ignore_ascii_case(b"multipart/"));
    let boundary = is_multipart.then(|| parameter(message.content_type, "boundary")).flatten()?;
    let boundary = boundary.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(boundary);
    find_in_parts(message, boundary, wanted)
}

fn find_in_parts(message: &Message<'_>, boundary: &[u8], wanted: &str) -> Option<Part> {
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return None;
    }
    let delimiter = [b"--", boundary].concat();
    let body = message.body();
    let mut delimiters = memmem::find_iter(body, &delimiter);
    let mut begin = delimiters.next()? + delimiter.len();
    for end in delimiters.take(MAX_PARTS) {
        if let Some(part) = part(message, begin..end, wanted) {
            return Some(part);
        }
        begin = end + delimiter.len();
    }
    None
}

/// Reads one part: headers, an empty line, the content. `range` counts from the beginning of the body, and goes from one
/// delimiter to the next; the line end in front of a delimiter belongs to it.
fn part(message: &Message<'_>, range: Range<usize>, wanted: &str) -> Option<Part> {
    let base = message.body.start + range.start;
    let text = message.body().get(range)?;
    let (mut at, mut is_wanted, mut length) = (memchr(b'\n', text)? + 1, false, None);
    loop {
        let rest = text.get(at..)?;
        let end = at + memchr(b'\n', rest)? + 1;
        let line = text.get(at..end)?.trim_ascii_end();
        if line.is_empty() {
            at = end;
            break;
        }
        let colon = memchr(b':', line)?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        if name.eq_ignore_ascii_case(b"content-type") {
            is_wanted = media_type(value.trim_ascii()).eq_ignore_ascii_case(wanted.as_bytes());
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let blanks = value.len() - value.trim_ascii_start().len();
            length = Some(at + colon + 1 + blanks..at + line.len());
        }
        at = end;
    }
    let content = text.get(at..)?;
    let content = content.strip_suffix(b"\r\n").or_else(|| content.strip_suffix(b"\n"))?;
    let is_right =
        length.clone().and_then(|range| text.get(range)).is_none_or(|digits| number(digits) == Some(content.len()));
    (is_wanted && is_right).then(|| Part {
        content: base + at..base + at + content.len(),
        content_length: length.map(|range| base + range.start..base + range.end),
    })
}

/// The type without its parameters.
fn media_type(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// The longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// The most parts that are looked at.
const MAX_PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content_type: &str, body: &str) -> String {
        format!("INVITE sip:a SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: {content_type}\r\n\r\n{body}")
    }

    fn found(text: &str) -> Option<&str> {
        let message = Message::parse(text.as_bytes()).expect("SIP");
        find(&message, "application/sdp").and_then(|part| text.get(part.content))
    }

    #[test]
    fn a_description_is_the_body_or_a_part_of_it() {
        assert_eq!(found(&message("Application/SDP; charset=utf-8", "v=0\r\n")), Some("v=0\r\n"));
        assert_eq!(found(&message("text/plain", "v=0\r\n")), None);
        let parts = "preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b1\r\nContent-Length: 10\r\n\
            Content-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n--b1--\r\n";
        assert_eq!(found(&message("multipart/mixed; boundary=\"b1\"", parts)), Some("v=0\r\ns=-\r\n"));
        assert_eq!(found(&message("multipart/mixed;boundary=b1", &parts.replace("10", "11"))), None, "the length lies");
        assert_eq!(found(&message("multipart/mixed;boundary=b2", parts)), None);
        assert_eq!(found(&message("multipart/mixed", parts)), None);
    }
}
