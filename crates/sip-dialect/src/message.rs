//! A SIP message in its parts (RFC 3261 §7), borrowed and never changed.

use std::ops::Range;

use memchr::{memchr, memchr2};

/// A SIP message: start line, the headers that the rules look at, and where the body is.
#[derive(Debug)]
pub struct Message<'a> {
    /// The whole message.
    pub bytes: &'a [u8],
    /// The first line.
    pub start: Start<'a>,
    /// `Call-ID` (RFC 3261 §20.8).
    pub call_id: &'a [u8],
    /// `CSeq` (RFC 3261 §20.16).
    pub sequence: Sequence<'a>,
    /// `Content-Type` (RFC 3261 §20.15); empty without one.
    pub content_type: &'a [u8],
    /// The value of `Content-Length` (RFC 3261 §20.14), as a range of the message.
    pub content_length: Option<Range<usize>>,
    /// Whether `To` has a tag: the message belongs to a dialog (RFC 3261 §12).
    pub has_to_tag: bool,
    /// The body, as a range of the message.
    pub body: Range<usize>,
}

/// The first line of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request, with its method (RFC 3261 §7.1).
    Request(&'a [u8]),
    /// A response, with its status code (RFC 3261 §7.2).
    Response(u16),
}

/// The value of `CSeq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// The number of the request.
    pub number: u32,
    /// The method of the request.
    pub method: &'a [u8],
}

/// One header field of a message.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// The name as it was written.
    pub name: &'a [u8],
    /// The value, without white space at its ends; folded lines stay in it as they are.
    pub value: Range<usize>,
    /// All lines of the field with their line ends.
    pub lines: Range<usize>,
}

/// Compact forms of header names (RFC 3261 §7.3.3, RFC 4028 §4).
const COMPACT: [(u8, &str); 10] = [
    (b'c', "content-type"),
    (b'e', "content-encoding"),
    (b'f', "from"),
    (b'i', "call-id"),
    (b'k', "supported"),
    (b'l', "content-length"),
    (b'm', "contact"),
    (b't', "to"),
    (b'v', "via"),
    (b'x', "session-expires"),
];

impl<'a> Message<'a> {
    /// Splits a message; `None` if it is not SIP, or if its `Content-Length` is not the length of its body.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let first = memchr(b'\n', bytes)?;
        let start = Start::parse(bytes.get(..first)?.trim_ascii_end())?;
        let mut message = Self {
            bytes,
            start,
            call_id: &[],
            sequence: Sequence { number: 0, method: &[] },
            content_type: &[],
            content_length: None,
            has_to_tag: false,
            body: bytes.len()..bytes.len(),
        };
        let mut headers = Headers { bytes, at: first + 1 };
        for header in headers.by_ref() {
            message.take(&header)?;
        }
        message.body = headers.body()?..bytes.len();
        message.is_whole().then_some(message)
    }

    /// The body of the message.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(self.body.clone()).unwrap_or_default()
    }

    /// All header fields in their order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let first = memchr(b'\n', self.bytes).map_or(self.bytes.len(), |end| end + 1);
        Headers { bytes: self.bytes, at: first }
    }

    /// The first field of a name, which is given in lower case and in its long form.
    pub fn header(&self, name: &str) -> Option<Header<'a>> {
        self.headers().find(|header| header.is(name))
    }

    /// The value of the first field of a name.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.header(name).and_then(|header| self.bytes.get(header.value))
    }

    /// Whether this is a response to a request of the method.
    pub fn answers(&self, method: &[u8]) -> bool {
        matches!(self.start, Start::Response(_)) && self.sequence.method == method
    }

    /// Keeps what the rules look at; `None` for a field that makes the message unreadable.
    fn take(&mut self, header: &Header<'a>) -> Option<()> {
        let value = self.bytes.get(header.value.clone())?;
        match header.long_name()? {
            Known::CallId => self.call_id = value,
            Known::CSeq => self.sequence = Sequence::parse(value)?,
            Known::ContentType => self.content_type = value,
            Known::ContentLength => self.content_length = Some(header.value.clone()),
            Known::To => self.has_to_tag = has_tag(value),
            // A compressed body is not text.
            Known::ContentEncoding => return None,
            Known::Other => {}
        }
        Some(())
    }

    fn is_whole(&self) -> bool {
        let length = self.content_length.clone().and_then(|range| self.bytes.get(range));
        let is_right = length.is_none_or(|digits| number(digits) == Some(self.body.len()));
        is_right && !self.call_id.is_empty() && !self.sequence.method.is_empty()
    }
}

impl<'a> Start<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
            let code = rest.get(..3).and_then(number)?;
            return Some(Self::Response(u16::try_from(code).ok()?));
        }
        let method = line.get(..memchr(b' ', line)?)?;
        let is_token = !method.is_empty() && method.iter().all(u8::is_ascii_alphabetic);
        (is_token && line.ends_with(b" SIP/2.0")).then_some(Self::Request(method))
    }
}

impl<'a> Sequence<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let end = memchr2(b' ', b'\t', value)?;
        let digits = value.get(..end).and_then(number)?;
        Some(Self { number: u32::try_from(digits).ok()?, method: value.get(end..)?.trim_ascii() })
    }
}

/// The header fields that [`Message`] keeps.
enum Known {
    CallId,
    CSeq,
    ContentType,
    ContentLength,
    ContentEncoding,
    To,
    Other,
}

impl Header<'_> {
    /// Whether the field has this name, given in lower case and in its long form.
    pub fn is(&self, name: &str) -> bool {
        match self.name {
            [letter] => COMPACT.iter().any(|(short, long)| letter.eq_ignore_ascii_case(short) && *long == name),
            written => written.eq_ignore_ascii_case(name.as_bytes()),
        }
    }

    /// `None` for a name that no field may have (RFC 3261 §25.1).
    fn long_name(&self) -> Option<Known> {
        let first = self.name.first()?.to_ascii_lowercase();
        Some(match (first, self.name.len()) {
            (b'c', 1 | 12) if self.is("content-type") => Known::ContentType,
            (b'i', 1) | (b'c', 7) if self.is("call-id") => Known::CallId,
            (b'c', 4) if self.is("cseq") => Known::CSeq,
            (b'l', 1) | (b'c', 14) if self.is("content-length") => Known::ContentLength,
            (b'e', 1) | (b'c', 16) if self.is("content-encoding") => Known::ContentEncoding,
            (b't', 1 | 2) if self.is("to") => Known::To,
            _ => Known::Other,
        })
    }
}

/// Reads header fields up to the empty line.
struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Headers<'_> {
    /// The position of the body, once all fields are read; `None` if no empty line ends them.
    fn body(&self) -> Option<usize> {
        let rest = self.bytes.get(self.at..)?;
        let blank = [&b"\r\n"[..], b"\n"].into_iter().find(|blank| rest.starts_with(blank))?;
        Some(self.at + blank.len())
    }

    /// The end of the line that begins at `at`, its line end included.
    fn line_end(&self, at: usize) -> Option<usize> {
        self.bytes.get(at..).and_then(|rest| memchr(b'\n', rest)).map(|end| at + end + 1)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.body().is_some() {
            return None;
        }
        let begin = self.at;
        let mut end = self.line_end(begin)?;
        while matches!(self.bytes.get(end), Some(b' ' | b'\t')) {
            end = self.line_end(end)?;
        }
        let field = self.bytes.get(begin..end)?;
        let colon = memchr(b':', field)?;
        self.at = end;
        let value = trimmed(self.bytes, begin + colon + 1..end);
        Some(Header { name: field.get(..colon)?.trim_ascii_end(), value, lines: begin..end })
    }
}

/// Narrows a range until white space is at neither end.
pub fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = bytes.get(range.clone()).unwrap_or_default();
    let start = range.start + (text.len() - text.trim_ascii_start().len());
    start..start + text.trim_ascii().len()
}

/// Reads decimal digits and nothing else.
pub fn number(digits: &[u8]) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

/// Finds a parameter of a header value, as in `;tag=abc` (RFC 3261 §7.3.1). `name` is in lower case.
pub fn parameter<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    // Parameters of a URI between < and > are not the header's.
    let outside = memchr::memrchr(b'>', value).map_or(value, |end| value.get(end..).unwrap_or_default());
    outside.split(|byte| *byte == b';').skip(1).find_map(|parameter| {
        let equals = memchr(b'=', parameter)?;
        let (key, text) = parameter.split_at_checked(equals)?;
        key.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then(|| text.get(1..).unwrap_or_default().trim_ascii())
    })
}

fn has_tag(to: &[u8]) -> bool {
    parameter(to, "tag").is_some_and(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:echo@pbx SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK1\r\nVia: SIP/2.0/WS b\r\n\
        t: <sip:echo@pbx;tag=no>\r\nf : Bob <sip:b@pbx>;tag=1\r\nCALL-ID: x@y\r\nCSeq:  7\tINVITE\r\nSubject: a\r\n b\r\n\
        c: application/sdp\r\nl: 4\r\n\r\nv=0\n";

    #[test]
    fn a_message_is_split_where_rfc_3261_section_7_says() {
        let message = Message::parse(INVITE).expect("SIP");
        assert_eq!(message.start, Start::Request(b"INVITE"));
        assert_eq!(message.call_id, b"x@y");
        assert_eq!(message.sequence, Sequence { number: 7, method: b"INVITE" });
        assert_eq!((message.content_type, message.body()), (&b"application/sdp"[..], &b"v=0\n"[..]));
        assert!(!message.has_to_tag, "the tag is a parameter of the URI");
        assert_eq!(message.value("subject"), Some(&b"a\r\n b"[..]));
        assert_eq!(message.headers().filter(|header| header.is("via")).count(), 2);
        assert_eq!(message.value("from").and_then(|from| parameter(from, "tag")), Some(&b"1"[..]));
    }

    #[test]
    fn a_response_has_a_status() {
        let message =
            Message::parse(b"SIP/2.0 180 Ringing\r\ni: 1\r\nCSeq: 1 INVITE\r\nTo: <sip:a>;tag=z\r\n\r\n").expect("SIP");
        assert_eq!(message.start, Start::Response(180));
        assert!(message.answers(b"INVITE") && message.has_to_tag && message.body().is_empty());
    }

    #[test]
    fn what_is_not_whole_is_not_read() {
        let longer = String::from_utf8_lossy(INVITE).replace("l: 4", "l: 5");
        assert!(Message::parse(longer.as_bytes()).is_none(), "Content-Length lies");
        assert!(Message::parse(b"").is_none());
        assert!(Message::parse(b"\r\n\r\n").is_none());
        assert!(Message::parse(b"INVITE sip:a SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n").is_none(), "no empty line");
        assert!(Message::parse(b"INVITE sip:a SIP/2.0\r\nno colon\r\n\r\n").is_none());
        assert!(Message::parse(b"INVITE sip:a SIP/2.0\r\ne: gzip\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n").is_none());
    }
}
