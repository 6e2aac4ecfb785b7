//! SIP messages and their descriptions, as far as a phone in a test needs them (RFC 3261 §7, RFC 8866).

use std::net::{IpAddr, SocketAddr};

/// A SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The request line or the status line.
    pub first: String,
    /// The header fields in their order, with full names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Message {
    /// Parses a datagram; `None` if it is no SIP.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next().filter(|first| first.contains("SIP/2.0"))?.to_owned();
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((full(&name.trim().to_ascii_lowercase()).to_owned(), value.trim().to_owned()))
        });
        Some(Self { first, headers: headers.collect(), body: body.to_owned() })
    }

    /// The value of the first header field with this name, which is in lower case.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// The values of all header fields with this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The method of a request, or of the request that a response answers.
    pub fn method(&self) -> &str {
        match self.status() {
            Some(_) => self.header("cseq").split_whitespace().nth(1).unwrap_or_default(),
            None => self.first.split(' ').next().unwrap_or_default(),
        }
    }

    /// The number of CSeq.
    pub fn number(&self) -> u32 {
        self.header("cseq").split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// Whether it belongs to a dialog: its To has a tag.
    pub fn is_in_dialog(&self) -> bool {
        self.header("to").contains(";tag=")
    }

    /// The URI of Contact, the target of later requests (RFC 3261 §12.2.1.1).
    pub fn contact(&self) -> Option<String> {
        let contact = self.header("contact");
        let uri = contact.split_once('<').map_or(contact, |(_, rest)| rest.split('>').next().unwrap_or_default());
        (!uri.is_empty()).then(|| uri.to_owned())
    }

    /// The address of the `number`th stream of the description, counted from 0.
    pub fn media(&self, number: usize) -> Option<SocketAddr> {
        let section = self.section(number)?;
        let port = section.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
        let address = |text: &str| -> Option<IpAddr> {
            let line = text.lines().find_map(|line| line.strip_prefix("c=IN "))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some(SocketAddr::new(address(section).or_else(|| address(&self.body))?, port))
    }

    /// The lines of the `number`th stream of the description, beginning with that of `m=`.
    pub fn section(&self, number: usize) -> Option<&str> {
        let starts: Vec<_> = self.body.match_indices("m=").filter(|(at, _)| self.begins_line(*at)).collect();
        let (start, _) = *starts.get(number)?;
        let end = starts.get(number + 1).map_or(self.body.len(), |(at, _)| *at);
        Some(&self.body[start..end])
    }

    fn begins_line(&self, at: usize) -> bool {
        at == 0 || self.body[..at].ends_with('\n')
    }
}

/// The full name of a header field that may be in compact form.
fn full(name: &str) -> &str {
    match name {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        "c" => "content-type",
        other => other,
    }
}

/// The answer to a challenge for a password (RFC 7616 with MD5, without `qop`).
pub fn credentials(challenge: &str, user: &str, secret: &str, method: &str, target: &str) -> String {
    let part = |name: &str| {
        let after = challenge.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
        after.split('"').next().unwrap_or_default()
    };
    let (realm, nonce) = (part("realm"), part("nonce"));
    let digest = |text: String| format!("{:x}", md5::compute(text));
    let (who, what) = (digest(format!("{user}:{realm}:{secret}")), digest(format!("{method}:{target}")));
    let response = digest(format!("{who}:{nonce}:{what}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", response=\"{response}\", algorithm=MD5"
    )
}

/// A description of streams, without the line breaks of the wire.
#[derive(Clone, Debug)]
pub struct Description {
    address: IpAddr,
    lines: Vec<String>,
}

impl Description {
    /// A description whose streams go to this address.
    pub fn new(address: IpAddr) -> Self {
        Self { address, lines: Vec::new() }
    }

    /// Adds a stream: `kind` as in `audio`, its port, formats with their payload type and name as in `(0, "PCMU/8000")`,
    /// and more attributes as in `ptime:20`.
    pub fn with(mut self, kind: &str, port: u16, formats: &[(u8, &str)], attributes: &[&str]) -> Self {
        let numbers: String = formats.iter().map(|(number, _)| format!(" {number}")).collect();
        self.lines.push(format!("m={kind} {port} RTP/AVP{numbers}"));
        let named = formats.iter().filter(|(_, name)| !name.is_empty());
        self.lines.extend(named.map(|(number, name)| format!("a=rtpmap:{number} {name}")));
        self.lines.extend(attributes.iter().map(|attribute| format!("a={attribute}")));
        self
    }

    /// The text, with `version` in the origin: a description that changes has another one (RFC 3264 §8).
    pub fn text(&self, version: u32) -> String {
        let family = if self.address.is_ipv4() { "IP4" } else { "IP6" };
        let address = self.address;
        let head =
            format!("v=0\r\no=plain 1 {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n");
        self.lines.iter().fold(head, |text, line| text + line + "\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_its_status_and_the_addresses_of_its_streams() {
        let body = Description::new(IpAddr::from([127, 0, 0, 1]))
            .with("audio", 4000, &[(0, "PCMU/8000")], &["ptime:20"])
            .with("video", 4002, &[(99, "H264/90000")], &[])
            .text(1);
        let text =
            format!("SIP/2.0 200 OK\r\nt: <sip:a@b>;tag=1\r\nCSeq: 7 INVITE\r\nContact: <sip:c@d:1>\r\n\r\n{body}");
        let message = Message::parse(&text).unwrap();
        assert_eq!((message.status(), message.method(), message.number()), (Some(200), "INVITE", 7));
        assert!(message.is_in_dialog());
        assert_eq!(message.contact().as_deref(), Some("sip:c@d:1"));
        assert_eq!(message.media(1), Some(SocketAddr::from(([127, 0, 0, 1], 4002))));
        assert!(message.section(0).unwrap().ends_with("a=ptime:20\r\n"));
    }
}
