//! A session description (RFC 8866), line by line. Positions are those of the message that holds it, so that a rule can
//! say which bytes it replaces; all other bytes stay as they are.

use std::ops::Range;

use memchr::memchr;

use crate::message::{number, trimmed};
use crate::pictures::Feedback;

/// A session description: the lines in front of the first `m=` line, and the media sections.
#[derive(Debug)]
pub struct Description<'a> {
    /// The message that holds the description.
    pub bytes: &'a [u8],
    /// The range of the description.
    pub span: Range<usize>,
    /// The line end of the first line.
    pub line_end: &'static str,
    /// The lines in front of the first `m=` line (RFC 8866 §5).
    pub session: Level,
    /// The value of the `o=` line, which names session and version (RFC 8866 §5.2).
    pub origin: Option<Line>,
    /// The value of the `s=` line (RFC 8866 §5.3).
    pub name: &'a [u8],
    /// The mids of the first BUNDLE group (RFC 9143 §7), as a range.
    pub bundle: Option<Range<usize>>,
    /// The media sections in their order.
    pub sections: Vec<Section<'a>>,
}

/// A media section: an `m=` line and the lines up to the next.
#[derive(Debug)]
pub struct Section<'a> {
    /// The type of media, such as `audio`.
    pub media: &'a [u8],
    /// The port, as a range.
    pub port: Range<usize>,
    /// Whether the port is 0: the section is refused or bundled only.
    pub is_refused: bool,
    /// The transport, such as `UDP/TLS/RTP/SAVPF`, as a range.
    pub protocol: Range<usize>,
    /// The formats: payload types between spaces, as a range.
    pub formats: Range<usize>,
    /// The other lines.
    pub level: Level,
}

/// The attributes of the session or of one media section.
#[derive(Debug, Default)]
pub struct Level {
    /// The lines' range: an attribute is added at its end.
    pub span: Range<usize>,
    /// The address of the `c=` line, and the line (RFC 8866 §5.7).
    pub connection: Option<Line>,
    /// Directions (RFC 8866 §6.7) with their lines. The first counts.
    pub directions: Vec<(Direction, Line)>,
    /// `a=mid:` (RFC 5888 §4).
    pub mid: Option<Range<usize>>,
    /// `a=ice-ufrag:` (RFC 8839 §5.4).
    pub ufrag: Option<Range<usize>>,
    /// `a=candidate:` lines (RFC 8839 §5.1).
    pub candidates: Vec<Line>,
    /// `a=rtpmap:` lines (RFC 8866 §6.6).
    pub rtpmaps: Vec<Line>,
    /// `a=fmtp:` lines (RFC 8866 §6.15).
    pub parameters: Vec<Line>,
    /// `a=rtcp-fb:` lines (RFC 4585 §4.2).
    pub feedback_lines: Vec<Line>,
    /// The kinds of feedback in `a=rtcp-fb:` lines that ask for whole pictures.
    pub feedback: Feedback,
    /// Whether there is `a=rtcp-mux` (RFC 5761 §5.1.1).
    pub has_mux: bool,
    /// `a=fingerprint:` lines (RFC 8122 §5).
    pub fingerprints: Vec<Line>,
    /// Whether there is `a=ice-options:` with `trickle` (RFC 8840 §4.1).
    pub trickles: bool,
    /// Whether there is `a=end-of-candidates` (RFC 8840 §8.2).
    pub is_complete: bool,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The value: what follows the attribute's name and its colon, or the address of a `c=` line.
    pub value: Range<usize>,
    /// The line with its line end.
    pub whole: Range<usize>,
}

/// The direction of media (RFC 8866 §6.7), as two questions to the sender of the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// It wants to send.
    pub sends: bool,
    /// It wants to receive.
    pub receives: bool,
}

impl Direction {
    /// The direction of a description that names none.
    pub const BOTH: Self = Self { sends: true, receives: true };
    /// `inactive`.
    pub const NONE: Self = Self { sends: false, receives: false };

    fn parse(attribute: &[u8]) -> Option<Self> {
        ["sendrecv", "sendonly", "recvonly", "inactive"]
            .into_iter()
            .find(|name| attribute.eq_ignore_ascii_case(name.as_bytes()))
            .map(|name| Self { sends: name.starts_with("send"), receives: name.contains("recv") })
    }

    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }

    /// The most that an answer to an offer of this direction may say (RFC 3264 §6.1).
    pub fn answered_with(self, answer: Self) -> Self {
        Self { sends: answer.sends && self.receives, receives: answer.receives && self.sends }
    }
}

impl<'a> Description<'a> {
    /// Reads the description at `span` of `bytes`; `None` if a line is not of the form `x=value`, or an `m=` line is not
    /// as RFC 8866 §5.14 has it.
    pub fn parse(bytes: &'a [u8], span: Range<usize>) -> Option<Self> {
        let text = bytes.get(span.clone())?;
        let first = memchr(b'\n', text)?;
        let mut description = Self {
            bytes,
            span: span.clone(),
            line_end: if text.get(..first)?.ends_with(b"\r") { "\r\n" } else { "\n" },
            session: Level::starting_at(span.start),
            origin: None,
            name: &[],
            bundle: None,
            sections: Vec::new(),
        };
        if text.get(..first)?.trim_ascii_end() != b"v=0" {
            return None;
        }
        let mut at = span.start;
        while at < span.end {
            let rest = bytes.get(at..span.end)?;
            let end = memchr(b'\n', rest).map_or(span.end, |end| at + end + 1);
            description.take(at..end)?;
            at = end;
        }
        Some(description)
    }

    /// Whether the BUNDLE group names a mid.
    pub fn bundles(&self, mid: &[u8]) -> bool {
        let mids = self.bundle.as_ref().map(|range| self.text(range)).unwrap_or_default();
        mids.split(|byte| *byte == b' ').any(|named| named == mid)
    }

    /// Whether a section has a fingerprint, of its own or of the session.
    pub fn is_secure(&self, section: &Section<'_>) -> bool {
        section.level.has_fingerprint() || self.session.has_fingerprint()
    }

    /// The text of a range.
    pub fn text(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// Reads one line, given with its line end.
    fn take(&mut self, whole: Range<usize>) -> Option<()> {
        let line = trimmed(self.bytes, whole.clone());
        let text = self.bytes.get(line.clone())?;
        if text.is_empty() {
            // An empty line at the end of a body is a habit of some clients.
            return Some(());
        }
        let [kind, b'=', value @ ..] = text else { return None };
        match kind {
            b'm' => return self.take_section(line, value, whole.end),
            b's' if self.sections.is_empty() => self.name = value,
            b'o' if self.sections.is_empty() => {
                self.origin = Some(Line { value: line.start + 2..line.end, whole: whole.clone() });
            }
            b'a' if self.sections.is_empty() && self.bundle.is_none() && value.starts_with(BUNDLE) => {
                self.bundle = Some(trimmed(self.bytes, line.start + 2 + BUNDLE.len()..line.end));
            }
            _ => {}
        }
        let level = self.sections.last_mut().map_or(&mut self.session, |section| &mut section.level);
        level.span.end = whole.end;
        match kind {
            b'c' => {
                let value = trimmed(self.bytes, line.start + 2..line.end);
                level.connection = Some(Line { value, whole });
            }
            b'a' => level.take(value, line.start + 2, whole),
            _ => {}
        }
        Some(())
    }

    fn take_section(&mut self, line: Range<usize>, value: &'a [u8], end: usize) -> Option<()> {
        if self.sections.len() == MAX_SECTIONS {
            return None;
        }
        let begin = line.start + 2;
        let mut words = value.split(|byte| *byte == b' ');
        let (media, port, protocol) = (words.next()?, words.next()?, words.next()?);
        let port_at = begin + media.len() + 1;
        let protocol_at = port_at + port.len() + 1;
        let digits = port.split(|byte| *byte == b'/').next()?;
        let formats = trimmed(self.bytes, (protocol_at + protocol.len()).min(line.end)..line.end);
        if media.is_empty() || protocol.is_empty() || formats.is_empty() {
            return None;
        }
        self.sections.push(Section {
            media,
            port: port_at..port_at + digits.len(),
            is_refused: number(digits)? == 0,
            protocol: protocol_at..protocol_at + protocol.len(),
            formats,
            level: Level::starting_at(end),
        });
        Some(())
    }
}

impl Section<'_> {
    /// The position behind the section's last line.
    pub fn end(&self) -> usize {
        self.level.span.end
    }
}

impl Level {
    /// Whether there is a fingerprint.
    pub fn has_fingerprint(&self) -> bool {
        !self.fingerprints.is_empty()
    }

    /// The direction that counts, with its line.
    pub fn direction(&self) -> Option<&(Direction, Line)> {
        self.directions.first()
    }

    fn starting_at(at: usize) -> Self {
        Self { span: at..at, ..Self::default() }
    }

    /// Reads the attribute `text`, which begins at `at`.
    fn take(&mut self, text: &[u8], at: usize, whole: Range<usize>) {
        let name = memchr(b':', text).unwrap_or(text.len());
        let Some((name, value)) = text.split_at_checked(name) else { return };
        let begin = at + name.len() + usize::from(!value.is_empty());
        let line = Line { value: begin..at + text.len(), whole };
        match name {
            b"mid" => self.mid = Some(line.value),
            b"ice-ufrag" => self.ufrag = Some(line.value),
            b"candidate" => self.candidates.push(line),
            b"rtpmap" => self.rtpmaps.push(line),
            b"fmtp" => self.parameters.push(line),
            b"rtcp-fb" => {
                self.feedback.take(value.get(1..).unwrap_or_default());
                self.feedback_lines.push(line);
            }
            b"rtcp-mux" => self.has_mux = true,
            b"fingerprint" => self.fingerprints.push(line),
            b"end-of-candidates" => self.is_complete = true,
            // libdatachannel (node-datachannel 0.33) prints commas where RFC 8839 §5.6 has spaces.
            b"ice-options" => {
                let options = value.get(1..).unwrap_or_default();
                self.trickles |= options.split(|byte| matches!(byte, b' ' | b',')).any(|option| option == b"trickle");
            }
            _ if value.is_empty() => {
                if let Some(direction) = Direction::parse(name) {
                    self.directions.push((direction, line));
                }
            }
            _ => {}
        }
    }
}

const BUNDLE: &[u8] = b"group:BUNDLE";

/// The most media sections of a description that is read. A browser in a large conference has fewer.
pub const MAX_SECTIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Description<'_>> {
        Description::parse(text.as_bytes(), 0..text.len())
    }

    #[test]
    fn every_part_is_where_it_stands() {
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE 0\r\na=sendrecv\r\n\
            m=audio 9/2 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:audio-0\r\na=recvonly\r\na=ice-options:ice2 trickle\r\na=rtcp-mux\r\n\
            a=candidate:1 1 udp 5 192.0.2.1 9 typ host\r\nm=video 0 RTP/AVP 99\r\na=rtpmap:99 AV1/90000\r\n";
        let description = parsed(text).expect("a description");
        let show = |range: &Range<usize>| text.get(range.clone()).expect("in the text");
        assert!(description.bundles(b"0") && !description.bundles(b"audio-0") && description.line_end == "\r\n");
        assert_eq!(description.session.direction().map(|(direction, _)| direction.name()), Some("sendrecv"));
        assert_eq!(show(&description.session.connection.as_ref().expect("c=").value), "IN IP4 192.0.2.1");
        let [audio, video] = &description.sections[..] else { panic!("two sections") };
        assert_eq!((audio.media, show(&audio.port), audio.is_refused), (&b"audio"[..], "9", false));
        assert_eq!((show(&audio.protocol), show(&audio.formats)), ("UDP/TLS/RTP/SAVPF", "111 0"));
        assert_eq!(show(audio.level.mid.as_ref().expect("mid")), "audio-0");
        assert_eq!(show(&audio.level.direction().expect("direction").1.whole), "a=recvonly\r\n");
        assert!(audio.level.trickles && audio.level.has_mux && !audio.level.is_complete);
        assert_eq!(show(&audio.level.candidates[0].value), "1 1 udp 5 192.0.2.1 9 typ host");
        assert!(video.is_refused && show(&(audio.end()..audio.end() + 7)) == "m=video");
        assert_eq!(show(&video.level.rtpmaps[0].value), "99 AV1/90000");
        assert_eq!(video.end(), text.len());
    }

    #[test]
    fn what_is_no_description_is_not_read() {
        for text in [
            "",
            "v=0",
            "v=1\r\n",
            "v=0\r\nnonsense\r\n",
            "v=0\r\nm=audio\r\n",
            "v=0\r\nm=audio x RTP/AVP 0\r\n",
            "v=0\r\nm=audio 9 RTP/AVP\r\n",
            "v=0\r\nm=audio 9 RTP/AVP \r\n",
            "v=0\r\nm= 9 RTP/AVP 0\r\n",
        ] {
            assert!(parsed(text).is_none(), "{text:?}");
        }
        assert!(parsed(&format!("v=0\n{}", "m=audio 9 RTP/AVP 0\n".repeat(65))).is_none());
        assert!(parsed("v=0\nm=audio 9 RTP/AVP 0").is_some(), "the last line may lack its end");
    }

    #[test]
    fn rfc3264_section_6_1_an_answer_says_at_most_the_reverse() {
        let all = ["sendrecv", "sendonly", "recvonly", "inactive"]
            .map(|name| Direction::parse(name.as_bytes()).expect("one"));
        let [both, sends, receives, none] = all;
        assert_eq!(sends.answered_with(both), receives);
        assert_eq!(receives.answered_with(both), sends);
        assert_eq!(receives.answered_with(receives), none);
        for direction in all {
            assert_eq!(both.answered_with(direction), direction);
            assert_eq!(none.answered_with(direction), none);
        }
    }
}
