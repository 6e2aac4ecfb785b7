//! Reads SIP messages for the facts about a call: who offers what, who refuses, who ends it and why (RFC 3261, RFC 3326, RFC 8866).

use crate::event::Lacks;

/// A SIP message, as far as it tells something about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The kind of message.
    pub kind: Kind<'a>,
    /// The method of the transaction (`CSeq`).
    pub method: &'a str,
    /// The `Call-ID`.
    pub call_id: &'a str,
    /// The user part of `From`, empty if there is none.
    pub from_user: &'a str,
    /// The user part of `To`, empty if there is none.
    pub to_user: &'a str,
    /// The tag of `From` (RFC 3261 §19.3), empty if there is none.
    pub from_tag: &'a str,
    /// The tag of `To`, empty if there is none: the message begins a dialog.
    pub to_tag: &'a str,
    /// The cause of a `Reason` header (RFC 3326), 0 without one.
    pub cause: u16,
    /// Whether a request has credentials.
    pub has_credentials: bool,
    /// The session description.
    pub description: Option<Description<'a>>,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A request with this method.
    Request(&'a str),
    /// A response with this status.
    Response(u16),
}

/// A session description, as far as it tells why there is no audio.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description<'a> {
    /// The lines that the description of audio lacks.
    pub lacks: Lacks,
    /// The ports of all media sections.
    pub ports: Vec<u16>,
    /// The payload types and names of the formats of audio, in the order of preference.
    pub formats: Vec<(u8, &'a str)>,
    /// Whether audio is only sent, only received or neither: a hold.
    pub is_held: bool,
}

impl<'a> Message<'a> {
    /// Reads a message. Returns `None` if it is none, if its start line or `Call-ID` cannot be read, or if what names its dialog or its users
    /// is longer than [`LONGEST`]. Lines with control characters are left out: what is read goes into the log.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let start = lines.next().filter(is_printable)?;
        let kind = match start.strip_prefix("SIP/2.0 ") {
            Some(rest) => Kind::Response(rest.split(' ').next()?.parse().ok()?),
            None if start.ends_with(" SIP/2.0") => Kind::Request(start.split(' ').next()?),
            None => return None,
        };
        let mut message = Self {
            kind,
            method: "",
            call_id: "",
            from_user: "",
            to_user: "",
            from_tag: "",
            to_tag: "",
            cause: 0,
            has_credentials: false,
            description: body.starts_with("v=").then(|| Description::parse(body)),
        };
        for (name, value) in lines.filter(is_printable).filter_map(|line| line.split_once(':')) {
            message.read(name.trim_end(), value.trim());
        }
        let names = [message.call_id, message.from_tag, message.to_tag, message.from_user, message.to_user];
        (!message.call_id.is_empty() && names.iter().all(|name| name.len() <= LONGEST)).then_some(message)
    }

    fn read(&mut self, name: &str, value: &'a str) {
        let is = |long: &str, short: &str| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
        match () {
            () if is("Call-ID", "i") => self.call_id = value,
            () if is("CSeq", "CSeq") => self.method = value.rsplit(' ').next().unwrap_or_default(),
            () if is("From", "f") => (self.from_user, self.from_tag) = (user(value), tag(value)),
            () if is("To", "t") => (self.to_user, self.to_tag) = (user(value), tag(value)),
            () if is("Reason", "Reason") => self.cause = cause(value),
            () if is("Authorization", "Proxy-Authorization") => self.has_credentials = true,
            () => {}
        }
    }
}

/// The octets of the longest identifier or user that is read. Calls are kept in memory.
pub const LONGEST: usize = 256;

/// Returns whether a line has no control characters, tabs aside.
fn is_printable(line: &&str) -> bool {
    !line.contains(|character: char| character.is_control() && character != '\t')
}

/// Returns the user part of the SIP URI of a header value.
fn user(value: &str) -> &str {
    let (address, _) = address_and_parameters(value);
    let (scheme, rest) = address.trim_start().split_once(':').unwrap_or_default();
    let is_sip = ["sip", "sips"].iter().any(|sip| scheme.eq_ignore_ascii_case(sip));
    rest.split_once('@').filter(|_| is_sip).map_or("", |(user, _)| user)
}

/// Splits the value of `From` or `To` into its URI and what follows, the parameters of the header. A display name may hold anything in quotes
/// (RFC 3261 §25.1).
fn address_and_parameters(value: &str) -> (&str, &str) {
    let value = value.strip_prefix('"').map_or(value, behind_quote);
    match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').unwrap_or((rest, "")),
        None => value.split_at(value.find(';').unwrap_or(value.len())),
    }
}

/// Returns what is behind the end of a quoted string.
fn behind_quote(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.find(|character| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    });
    end.and_then(|end| text.get(end + 1..)).unwrap_or_default()
}

/// Returns the parameter `tag` of a header value, which stands behind the address.
fn tag(value: &str) -> &str {
    let (_, parameters) = address_and_parameters(value);
    let tag = parameters.split(';').skip(1).find_map(|parameter| {
        let (name, tag) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("tag").then(|| tag.trim())
    });
    tag.unwrap_or_default()
}

fn cause(value: &str) -> u16 {
    let cause = value.split(';').find_map(|part| part.trim().strip_prefix("cause="));
    cause.and_then(|cause| cause.trim().parse().ok()).unwrap_or(0)
}

impl<'a> Description<'a> {
    /// Reads a description. The lines of the session count for its sections (RFC 8866 §5).
    fn parse(body: &'a str) -> Self {
        let mut reading = Reading::default();
        for line in body.lines().filter(is_printable) {
            match (line.get(..2), line.get(2..)) {
                (Some("m="), Some(value)) => reading.section(value),
                (Some("c="), Some(value)) => reading.connection(value),
                (Some("a="), Some(value)) => reading.attribute(value),
                _ => {}
            }
        }
        reading.finish()
    }
}

/// A description while it is read.
#[derive(Default)]
struct Reading<'a> {
    session: Seen,
    audio: Option<Seen>,
    is_in_audio: bool,
    is_in_section: bool,
    profile: &'a str,
    payload_types: Vec<u8>,
    names: Vec<(u8, &'a str)>,
    ports: Vec<u16>,
    audio_port: u16,
}

/// The lines that a part of a description has.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    mux: bool,
    fingerprint: bool,
    crypto: bool,
    ufrag: bool,
    password: bool,
    candidate: bool,
    null_address: bool,
    held: bool,
}

impl<'a> Reading<'a> {
    fn section(&mut self, value: &'a str) {
        let mut words = value.split(' ');
        let kind = words.next().unwrap_or_default();
        let port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or(0);
        self.ports.push(port);
        self.is_in_section = true;
        self.is_in_audio = kind == "audio" && self.audio.is_none();
        if self.is_in_audio {
            self.audio = Some(self.session);
            self.audio_port = port;
            self.profile = words.next().unwrap_or_default();
            self.payload_types = words.filter_map(|word| word.trim().parse().ok()).collect();
        }
    }

    /// Returns the part that a line belongs to; `None` for sections that are not looked at.
    fn part(&mut self) -> Option<&mut Seen> {
        match (self.is_in_section, self.is_in_audio) {
            (false, _) => Some(&mut self.session),
            (true, true) => self.audio.as_mut(),
            (true, false) => None,
        }
    }

    fn connection(&mut self, value: &str) {
        let address = value.trim().rsplit(' ').next().unwrap_or_default();
        if let Some(part) = self.part() {
            part.null_address = matches!(address, "0.0.0.0" | "::");
        }
    }

    fn attribute(&mut self, value: &'a str) {
        let (name, rest) = value.split_once(':').unwrap_or((value.trim_end(), ""));
        if name == "rtpmap" && self.is_in_audio {
            self.names.extend(named(rest));
        }
        let Some(part) = self.part() else { return };
        match name {
            "rtcp-mux" => part.mux = true,
            "fingerprint" => part.fingerprint = true,
            "crypto" => part.crypto = true,
            "ice-ufrag" => part.ufrag = true,
            "ice-pwd" => part.password = true,
            "candidate" => part.candidate = true,
            "sendonly" | "recvonly" | "inactive" => part.held = true,
            "sendrecv" => part.held = false,
            _ => {}
        }
    }

    fn finish(self) -> Description<'a> {
        let Some(seen) = self.audio else {
            let lacks = Lacks::default().with(Lacks::AUDIO, true);
            return Description { lacks, ports: self.ports, ..Description::default() };
        };
        let is_secure = self.profile.contains("SAVP") || seen.crypto;
        let lacks = Lacks::default()
            .with(Lacks::PORT, self.audio_port == 0)
            .with(Lacks::SECURITY, !is_secure)
            .with(Lacks::FEEDBACK, !self.profile.ends_with("AVPF"))
            .with(Lacks::FINGERPRINT, !seen.fingerprint)
            .with(Lacks::ICE, !(seen.ufrag && seen.password))
            .with(Lacks::CANDIDATES, !seen.candidate)
            .with(Lacks::MUX, !seen.mux)
            .with(Lacks::ADDRESS, seen.null_address);
        let name_of = |wanted: u8| self.names.iter().find(|(number, _)| *number == wanted).map(|(_, name)| *name);
        let formats = self
            .payload_types
            .iter()
            .filter_map(|number| Some((*number, name_of(*number).or_else(|| static_name(*number))?)));
        Description { lacks, formats: formats.collect(), ports: self.ports, is_held: seen.held }
    }
}

fn named(rtpmap: &str) -> Option<(u8, &str)> {
    let (number, format) = rtpmap.split_once(' ')?;
    let name = format.split('/').next()?.trim();
    Some((number.parse().ok()?, name)).filter(|_| name.len() <= LONGEST)
}

/// Returns the name of a static payload type (RFC 3551 §6).
pub fn static_name(payload_type: u8) -> Option<&'static str> {
    Some(match payload_type {
        0 => "PCMU",
        3 => "GSM",
        4 => "G723",
        8 => "PCMA",
        9 => "G722",
        10 | 11 => "L16",
        13 => "CN",
        18 => "G729",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "INVITE sip:echo@pbx SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid\r\nFrom: \"A\" <sip:1001@pbx>;tag=1\r\n\
        To: <sip:echo@pbx>\r\ni: abc@x\r\nCSeq: 7 INVITE\r\nContent-Type: application/sdp\r\n\r\n\
        v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\na=fingerprint:sha-256 AA\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=rtcp-mux\r\n\
        a=rtpmap:111 opus/48000/2\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";

    #[test]
    fn an_offer_of_a_browser_says_what_it_lacks() {
        let message = Message::parse(OFFER.as_bytes()).unwrap();
        assert_eq!((message.kind, message.method), (Kind::Request("INVITE"), "INVITE"));
        assert_eq!((message.call_id, message.from_user, message.to_user), ("abc@x", "1001", "echo"));
        assert_eq!((message.from_tag, message.to_tag), ("1", ""));
        let description = message.description.unwrap();
        let expected = Lacks::default().with(Lacks::CANDIDATES, true).with(Lacks::ADDRESS, true);
        assert_eq!(description.lacks, expected, "{}", description.lacks);
        assert_eq!(description.ports, [9, 0]);
        assert_eq!(description.formats, [(111, "opus"), (0, "PCMU")]);
    }

    #[test]
    fn a_plain_answer_lacks_much() {
        let answer = "SIP/2.0 200 OK\r\nCall-ID: 1\r\nTo: sip:a@b;tag=2\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n\
            c=IN IP4 192.0.2.1\r\nm=audio 10000 RTP/AVP 0\r\na=sendonly\r\n";
        let message = Message::parse(answer.as_bytes()).unwrap();
        assert_eq!((message.kind, message.to_tag), (Kind::Response(200), "2"));
        let description = message.description.unwrap();
        assert!(description.lacks.any(Lacks::SECURITY) && description.lacks.any(Lacks::FEEDBACK));
        assert!(!description.lacks.any(Lacks::ADDRESS) && description.is_held);
    }

    #[test]
    fn a_tag_is_a_parameter_of_the_header_and_not_of_the_address() {
        for (value, expected) in [
            ("<sip:a@b;tag=1>;x=y; Tag = 2", "2"),
            ("sip:a@b;tag=3", "3"),
            ("\"a;tag=4\" <sip:a@b>", ""),
            ("<sip:a@b>", ""),
        ] {
            assert_eq!(tag(value), expected, "{value}");
        }
    }

    #[test]
    fn a_display_name_is_no_address() {
        for (value, expected) in [
            ("\"sip:admin@pbx\" <sip:1001@pbx>;tag=1", "1001"),
            ("\"<sip:admin@pbx>\" <SIPS:1001@pbx>", "1001"),
            ("\"\\\"<sip:admin@pbx>\" <sip:1001;x=y@pbx>", "1001;x=y"),
            ("sip:1001@pbx;tag=1", "1001"),
            ("<sip:pbx;user=admin@x>", "pbx;user=admin"),
            ("<tel:1001>", ""),
            ("\"<sip:admin@pbx>", ""),
        ] {
            assert_eq!(user(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_too_long_to_be_kept_is_not_read() {
        let bye = |id: &str, tag: &str| {
            format!("BYE sip:a@b SIP/2.0\r\nCall-ID: {id}\r\nFrom: <sip:1@b>;tag={tag}\r\nCSeq: 2 BYE\r\n\r\n")
        };
        let (most, more) = ("1".repeat(LONGEST), "1".repeat(LONGEST + 1));
        assert!(Message::parse(bye(&most, &most).as_bytes()).is_some());
        assert_eq!(Message::parse(bye(&more, "1").as_bytes()), None);
        assert_eq!(Message::parse(bye("1", &more).as_bytes()), None);
    }

    #[test]
    fn a_bye_says_why() {
        let bye = "BYE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 2 BYE\r\nReason: Q.850;cause=16;text=\"x\"\r\n\r\n";
        assert_eq!(Message::parse(bye.as_bytes()).unwrap().cause, 16);
        for broken in ["", "INVITE", "SIP/2.0 abc\r\nCall-ID: 1\r\n\r\n", "BYE sip:a SIP/2.0\r\n\r\n"] {
            assert_eq!(Message::parse(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn a_caller_cannot_write_lines_of_its_own_into_the_log() {
        let bye = "BYE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nFrom: <sip:1\n[Nov 29] ERROR@b>\r\nCSeq: 2 BYE\x1b[2J\r\n\r\n";
        let message = Message::parse(bye.as_bytes()).unwrap();
        assert_eq!((message.call_id, message.from_user, message.method), ("1", "", ""));
        assert_eq!(Message::parse(bye.replace("BYE sip", "BYE\nsip").as_bytes()), None);
        assert_eq!(Message::parse(bye.replace(": 1\r", ": 1\n2\r").as_bytes()), None, "it has no other Call-ID");
    }
}
