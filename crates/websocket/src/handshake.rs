//! The opening handshake, as a server (RFC 6455 §4.2).
//!
//! The host has parsed the request. This module checks its headers and writes the answer.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{PAD, STANDARD};
use sha1::{Digest, Sha1};

use crate::deflate::{Choice, Deflate};
use crate::extension;
use crate::forwarded::Unbelievable;

/// The text that is hashed with the client's key, which proves that the server understood the handshake (RFC 6455
/// §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The supported versions, newest first, as a refusal lists them (RFC 6455 §4.4).
const VERSIONS: &str = "13, 8, 7";

/// The headers of a request that the handshake uses.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    is_get: bool,
    host: Option<&'a str>,
    /// `Upgrade` has the token `websocket`.
    asks_for_websocket: bool,
    connection: ConnectionHeader,
    key: Option<&'a str>,
    version: Option<&'a str>,
    protocols: Vec<&'a str>,
    extensions: Vec<&'a str>,
    origin: Option<&'a str>,
    user_agent: Option<&'a str>,
    forwarded_for: Vec<&'a str>,
    /// A header came more than once that may come only once.
    doubled: bool,
}

/// A request that is accepted, with the answer 101.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The subprotocol as the client spells it; `None` if the client asks for none and the server accepts that.
    pub protocol: Option<&'a str>,
    /// The version: 13, or 7 or 8 of the drafts.
    pub version: u8,
    /// The parameters of permessage-deflate, if it was agreed on (RFC 7692).
    pub deflate: Option<Deflate>,
    /// Whether `Connection` has the token `Upgrade`, as RFC 6455 §4.2.1 item 4 wants. A proxy that does not know how to
    /// upgrade a connection takes it off.
    pub connection: ConnectionHeader,
    key: &'a str,
    offered_deflate: Option<Deflate>,
}

/// The `Connection` header of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConnectionHeader {
    /// It has the token `Upgrade`.
    Upgrades,
    /// It has other tokens, such as `close`, or is missing.
    #[default]
    DoesNotUpgrade,
}

/// Reasons why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The method is not GET (RFC 6455 §4.2.1 item 1).
    #[error("the method is not GET")]
    Method,
    /// `Upgrade` does not ask for `websocket` (RFC 6455 §4.2.1 item 3).
    #[error("no Upgrade header that asks for websocket")]
    NoUpgrade,
    /// `Host` is missing (RFC 6455 §4.2.1 item 2).
    #[error("no Host header")]
    NoHost,
    /// `Sec-WebSocket-Key` is missing or is not 16 bytes in base64 (RFC 6455 §4.2.1 item 5).
    #[error("Sec-WebSocket-Key missing, or not 16 bytes in base64")]
    Key,
    /// The key or the version appears more than once (RFC 6455 §11.3.1, §11.3.5).
    #[error("Sec-WebSocket-Key or Sec-WebSocket-Version more than once")]
    Doubled,
    /// `Sec-WebSocket-Extensions` does not follow its grammar (RFC 6455 §9.1).
    #[error("Sec-WebSocket-Extensions malformed")]
    Extensions,
    /// The version is missing or not supported (RFC 6455 §4.2.1 item 6).
    #[error("Sec-WebSocket-Version is none of {VERSIONS}")]
    Version,
    /// The subprotocols are not different names, each a token (RFC 6455 §4.1 item 10).
    #[error("Sec-WebSocket-Protocol malformed")]
    Protocols,
    /// The client asks for no subprotocol, so there is no application for the session.
    #[error("no Sec-WebSocket-Protocol header")]
    NoProtocol,
    /// No application is registered for any of the subprotocols.
    #[error("none of the subprotocols that it asks for is registered")]
    UnknownProtocol,
    /// The page's origin is not in the list of allowed origins (RFC 6455 §10.2).
    #[error("its Origin is not allowed")]
    Origin,
    /// A trusted proxy sent an `X-Forwarded-For` that does not say who the client is.
    #[error("X-Forwarded-For of its proxy {0}")]
    ForwardedFor(Unbelievable),
    /// The client has as many sessions as one address may have.
    #[error("too many sessions of this address")]
    TooManyOfAddress,
    /// There are as many sessions as the server may have.
    #[error("too many sessions")]
    TooManySessions,
    /// The server is to become empty.
    #[error("the server is draining")]
    Draining,
    /// The process needs its remaining descriptors for calls, and its HTTP server for further connections.
    #[error("too few descriptors are left")]
    Descriptors,
}

impl<'a> Request<'a> {
    /// Collects the headers of a request. Names are compared without regard to case, and a list may be spread over
    /// several headers.
    pub fn new(is_get: bool, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut request = Self { is_get, ..Self::default() };
        for (name, value) in headers {
            request.add(name, value.trim());
        }
        request
    }

    /// Checks the request (RFC 6455 §4.2.1) and chooses the first of its subprotocols for which `supported` returns
    /// `true`. A client may ask for no subprotocol (§4.1 item 10); then `supported` is called with `None`.
    ///
    /// A request whose `Connection` does not ask for the upgrade is accepted, see the documentation of this crate. That
    /// opens no door to pages of other sites: a script's `fetch` and a form can set neither `Upgrade` nor `Sec-` headers
    /// (forbidden request-headers of the Fetch standard), and those are still required.
    pub fn accept(&self, supported: impl Fn(Option<&str>) -> bool) -> Result<Accepted<'a>, Refusal> {
        if !self.is_get {
            return Err(Refusal::Method);
        }
        if !self.asks_for_websocket {
            return Err(Refusal::NoUpgrade);
        }
        if self.host.is_none() {
            return Err(Refusal::NoHost);
        }
        let version = match self.version {
            Some("13") => 13,
            Some("8") => 8,
            Some("7") => 7,
            _ => return Err(Refusal::Version),
        };
        if self.doubled {
            return Err(Refusal::Doubled);
        }
        let key = self.key.filter(|key| is_nonce(key)).ok_or(Refusal::Key)?;
        let mut seen = HashSet::new();
        if !self.protocols.iter().all(|name| extension::is_token(name) && seen.insert(name)) {
            return Err(Refusal::Protocols);
        }
        let protocol = match self.protocols[..] {
            [] if supported(None) => None,
            [] => return Err(Refusal::NoProtocol),
            ref asked => {
                let found = asked.iter().find(|name| supported(Some(name)));
                Some(*found.ok_or(Refusal::UnknownProtocol)?)
            }
        };
        let mut choice = Choice::default();
        for header in &self.extensions {
            let read = extension::parse(header, |offered| choice.handle(offered));
            read.map_err(|extension::Malformed| Refusal::Extensions)?;
        }
        Ok(Accepted {
            protocol,
            version,
            deflate: None,
            connection: self.connection,
            key,
            offered_deflate: choice.made(),
        })
    }

    /// The origin of the page that asks; `None` if the client is not a browser (RFC 6455 §10.2).
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// The `User-Agent`, as the client names itself.
    pub fn user_agent(&self) -> Option<&'a str> {
        self.user_agent
    }

    /// Returns the values of `X-Forwarded-For`, for [`crate::forwarded::client_address`].
    pub fn forwarded_for(&self) -> &[&'a str] {
        &self.forwarded_for
    }

    fn add(&mut self, name: &str, value: &'a str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Host") {
            self.host = Some(value);
        } else if is("Upgrade") {
            self.asks_for_websocket |= list(value).any(|token| token.eq_ignore_ascii_case("websocket"));
        } else if is("Connection") {
            if list(value).any(|token| token.eq_ignore_ascii_case("upgrade")) {
                self.connection = ConnectionHeader::Upgrades;
            }
        } else if is("Sec-WebSocket-Key") {
            self.doubled |= self.key.replace(value).is_some();
        } else if is("Sec-WebSocket-Version") {
            self.doubled |= self.version.replace(value).is_some();
        } else if is("Sec-WebSocket-Protocol") {
            self.protocols.extend(list(value));
        } else if is("Sec-WebSocket-Extensions") {
            self.extensions.push(value);
        } else if is("Origin") {
            self.origin = Some(value);
        } else if is("User-Agent") {
            self.user_agent = Some(value);
        } else if is("X-Forwarded-For") {
            self.forwarded_for.push(value);
        }
    }
}

impl Accepted<'_> {
    /// Accepts permessage-deflate if the client makes an offer that we can accept (RFC 7692 §5).
    #[must_use]
    pub fn with_deflate(mut self) -> Self {
        self.deflate = self.offered_deflate;
        self
    }

    /// Returns the answer to send (RFC 6455 §4.2.2). It names a subprotocol only if the client asked for it, because a
    /// client has to fail the connection otherwise (§4.1).
    pub fn response(&self) -> String {
        let protocol = self.protocol.map(|protocol| format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
        let protocol = protocol.unwrap_or_default();
        let deflate = self.deflate.map(|deflate| format!("Sec-WebSocket-Extensions: {}\r\n", deflate.answer()));
        let extensions = deflate.unwrap_or_default();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\
             {protocol}{extensions}\r\n",
            accept_key(self.key)
        )
    }
}

/// The value of `Retry-After` (RFC 9110 §10.2.3) in the answer of a server that drains, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 5;

impl Refusal {
    /// A short name of the reason, for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::NoUpgrade => "upgrade",
            Self::NoHost => "host",
            Self::Key => "key",
            Self::Doubled => "doubled header",
            Self::Extensions => "extensions",
            Self::Version => "version",
            Self::Protocols | Self::NoProtocol | Self::UnknownProtocol => "protocol",
            Self::Origin => "origin",
            Self::ForwardedFor(_) => "forwarded for",
            Self::TooManyOfAddress => "sessions of an address",
            Self::TooManySessions => "sessions",
            Self::Draining => "draining",
            Self::Descriptors => "descriptors",
        }
    }

    /// Returns the answer to send. It always has the list of versions, as the answers of the host's own module do.
    pub fn response(&self) -> String {
        let (status, upgrade) = match self {
            Self::Method => ("501 Not Implemented", ""),
            Self::NoUpgrade | Self::Version => ("426 Upgrade Required", "Upgrade: websocket\r\n"),
            Self::Origin => ("403 Forbidden", ""),
            Self::TooManyOfAddress => ("429 Too Many Requests", ""),
            Self::TooManySessions | Self::Draining | Self::Descriptors => ("503 Service Unavailable", ""),
            _ => ("400 Bad Request", ""),
        };
        let connection = if upgrade.is_empty() { "close" } else { "Upgrade, close" };
        let retry = match self {
            Self::Draining => format!("Retry-After: {RETRY_AFTER_SECONDS}\r\n"),
            _ => String::new(),
        };
        format!(
            "HTTP/1.1 {status}\r\n\
             {upgrade}{retry}\
             Connection: {connection}\r\n\
             Sec-WebSocket-Version: {VERSIONS}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }
}

/// Computes `Sec-WebSocket-Accept` (RFC 6455 §4.2.2 item 5.4).
fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn is_nonce(key: &str) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && LENIENT.decode_slice(key, &mut nonce) == Ok(16)
}

/// Base64 that accepts padding bits other than zero, as a decoder may (RFC 4648 §3.5): some clients draw 22 random
/// characters.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of RFC 6455 §1.2.
    const SECTION_1_2: [(&str, &str); 7] = [
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn with(name: &str, value: Option<&'static str>) -> Result<u8, Refusal> {
        let headers = SECTION_1_2.into_iter().filter_map(|(own, given)| match (own == name, value) {
            (true, None) => None,
            (true, Some(value)) => Some((own, value)),
            (false, _) => Some((own, given)),
        });
        Request::new(true, headers).accept(|name| name == Some("chat")).map(|accepted| accepted.version)
    }

    #[test]
    fn section_4_2_2_and_11_3_3_and_11_3_4_the_request_of_1_2_is_answered() {
        let request = Request::new(true, SECTION_1_2);
        let accepted = request.accept(|name| name == Some("superchat")).unwrap();
        assert_eq!((accepted.protocol, accepted.version), (Some("superchat"), 13));
        let response = accepted.response();
        assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n"), "{response}");
        for header in [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol: superchat",
        ] {
            assert!(response.contains(&format!("\r\n{header}\r\n")), "{response}");
            // These headers may appear only once (§11.3.3, §11.3.4).
            let (name, _) = header.split_once(':').expect("a header");
            assert_eq!(response.matches(&format!("\r\n{name}:")).count(), 1, "{response}");
        }
    }

    #[test]
    fn rfc_7118_section_4_1_sip_is_answered_with_sip() {
        let asked = SECTION_1_2.into_iter().filter(|(name, _)| *name != "Sec-WebSocket-Protocol");
        let request = Request::new(true, asked.chain([("Sec-WebSocket-Protocol", "xmpp, sip")]));
        let response = request.accept(|name| name == Some("sip")).unwrap().response();
        assert!(response.contains("\r\nSec-WebSocket-Protocol: sip\r\n"), "{response}");
    }

    #[test]
    fn section_4_2_1_tokens_are_found_in_lists_whatever_their_case() {
        assert_eq!(with("Connection", Some("keep-alive, Upgrade")), Ok(13));
        assert_eq!(with("Upgrade", Some("WebSocket")), Ok(13));
        assert_eq!(with("Upgrade", Some("h2c")), Err(Refusal::NoUpgrade));
        assert_eq!(with("Upgrade", None), Err(Refusal::NoUpgrade));
        assert_eq!(with("Host", None), Err(Refusal::NoHost));
    }

    /// nginx sends `Connection: close` unless it is told otherwise.
    #[test]
    fn section_4_2_1_a_request_whose_connection_header_a_proxy_replaced_is_accepted_and_known() {
        let without = SECTION_1_2.into_iter().filter(|(name, _)| *name != "Connection");
        for (more, expected) in [
            (vec![], ConnectionHeader::DoesNotUpgrade),
            (vec![("Connection", "close")], ConnectionHeader::DoesNotUpgrade),
            (vec![("Connection", "keep-alive")], ConnectionHeader::DoesNotUpgrade),
            (vec![("Connection", "keep-alive"), ("connection", "upgrade")], ConnectionHeader::Upgrades),
        ] {
            let request = Request::new(true, without.clone().chain(more.clone()));
            let accepted = request.accept(|_| true).unwrap();
            assert_eq!(accepted.connection, expected, "{more:?}");
            assert!(accepted.response().contains("\r\nConnection: Upgrade\r\n"), "{more:?}");
            for needed in ["Host", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
                let lacking = without.clone().filter(|(name, _)| *name != needed).chain(more.clone());
                assert!(Request::new(true, lacking).accept(|_| true).is_err(), "{more:?} without {needed}");
            }
        }
    }

    #[test]
    fn section_4_2_1_key_is_16_bytes() {
        for bad in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZTEyMzQ1", "!GhlIHNhbXBsZSBub25jZQ=="] {
            assert_eq!(with("Sec-WebSocket-Key", Some(bad)), Err(Refusal::Key), "{bad}");
        }
        // The surplus bits of the last character are ignored.
        assert_eq!(with("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZZ==")), Ok(13));
        assert_eq!(with("Sec-WebSocket-Key", None), Err(Refusal::Key));
    }

    #[test]
    fn section_11_3_1_and_11_3_5_key_and_version_come_once() {
        for name in ["Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
            let twice = SECTION_1_2.into_iter().chain(SECTION_1_2.into_iter().filter(|(own, _)| *own == name));
            assert_eq!(Request::new(true, twice).accept(|_| true), Err(Refusal::Doubled), "{name}");
        }
    }

    #[test]
    fn section_4_2_2_and_9_1_extensions_are_agreed_to_or_ignored_or_malformed() {
        let answer = |offer| {
            let request = Request::new(true, SECTION_1_2.into_iter().chain([("Sec-WebSocket-Extensions", offer)]));
            request.accept(|_| true).map(|accepted| (accepted.response(), accepted.with_deflate().response()))
        };
        let (without, with) = answer("x-webkit-deflate-frame, permessage-deflate; client_max_window_bits").unwrap();
        assert!(!without.contains("Sec-WebSocket-Extensions"), "nothing is agreed to unasked: {without}");
        assert_eq!(with.matches("\r\nSec-WebSocket-Extensions: permessage-deflate; ").count(), 1, "{with}");
        assert!(with.ends_with("\r\n\r\n") && with.matches("\r\n\r\n").count() == 1);
        let (_, none) = answer("x-unknown").unwrap();
        assert!(!none.contains("Sec-WebSocket-Extensions"), "{none}");
        assert_eq!(answer("permessage-deflate; =").unwrap_err(), Refusal::Extensions);
    }

    #[test]
    fn section_9_1_and_11_3_2_several_headers_are_one_list() {
        let offers = [("Sec-WebSocket-Extensions", "x-other; a=1"), ("sec-websocket-extensions", "permessage-deflate")];
        let request = Request::new(true, SECTION_1_2.into_iter().chain(offers));
        let response = request.accept(|_| true).map(|accepted| accepted.with_deflate().response()).unwrap();
        assert_eq!(response.matches("\r\nSec-WebSocket-Extensions: permessage-deflate").count(), 1, "{response}");
        let malformed = [offers[0], ("Sec-WebSocket-Extensions", "permessage-deflate; =")];
        let request = Request::new(true, SECTION_1_2.into_iter().chain(malformed));
        assert_eq!(request.accept(|_| true), Err(Refusal::Extensions));
    }

    #[test]
    fn section_4_4_versions() {
        for good in ["13", "8", "7"] {
            assert!(with("Sec-WebSocket-Version", Some(good)).is_ok());
        }
        for bad in [Some("0"), Some("14"), Some("x"), Some("+13"), Some("013"), Some("13.0"), Some("13,8"), None] {
            assert_eq!(with("Sec-WebSocket-Version", bad), Err(Refusal::Version));
        }
        let response = Refusal::Version.response();
        assert!(response.starts_with("HTTP/1.1 426 ") && response.contains("\r\nSec-WebSocket-Version: 13, 8, 7\r\n"));
    }

    #[test]
    fn without_a_subprotocol_there_is_nobody_to_talk_to() {
        assert_eq!(with("Sec-WebSocket-Protocol", None), Err(Refusal::NoProtocol));
        assert_eq!(with("Sec-WebSocket-Protocol", Some(" , ")), Err(Refusal::NoProtocol));
        assert_eq!(with("Sec-WebSocket-Protocol", Some("x,y")), Err(Refusal::UnknownProtocol));
        assert!(Refusal::UnknownProtocol.response().starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn section_4_1_subprotocols_are_different_tokens() {
        for bad in ["chat, chat", "chat, a b", "chat;x", "chat/1", "ch\u{e4}t, chat", "\"chat\""] {
            assert_eq!(with("Sec-WebSocket-Protocol", Some(bad)), Err(Refusal::Protocols), "{bad}");
        }
        assert_eq!(with("Sec-WebSocket-Protocol", Some("x,, chat ,")), Ok(13), "a list may have empty elements");
        assert!(Refusal::Protocols.response().starts_with("HTTP/1.1 400 "));
    }

    /// As many subprotocols as a request has room for. When each was compared with each, they took 6 s of a server's
    /// time, and minutes here.
    #[test]
    fn section_4_1_ninety_thousand_subprotocols_are_told_apart() {
        let names = (0..90_000).map(|number| format!("{number:x},")).collect::<String>();
        let asked = SECTION_1_2.into_iter().chain([("Sec-WebSocket-Protocol", &*names)]);
        assert!(Request::new(true, asked.clone()).accept(|name| name == Some("15f8f")).is_ok());
        let twice = Request::new(true, asked.chain([("Sec-WebSocket-Protocol", "15f8f")]));
        assert_eq!(twice.accept(|_| true), Err(Refusal::Protocols));
    }

    #[test]
    fn section_4_1_and_4_2_2_a_client_that_asks_for_no_subprotocol_is_told_of_none() {
        let asked = SECTION_1_2.into_iter().filter(|(name, _)| *name != "Sec-WebSocket-Protocol");
        let request = Request::new(true, asked);
        let accepted = request.accept(|name| name.is_none()).unwrap();
        assert_eq!(accepted.protocol, None);
        let response = accepted.response();
        assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n"), "{response}");
        assert!(!response.contains("Sec-WebSocket-Protocol"), "{response}");
        // A client that asks for subprotocols is not given another one.
        let request = Request::new(true, SECTION_1_2);
        assert_eq!(request.accept(|name| name.is_none()), Err(Refusal::UnknownProtocol));
    }

    #[test]
    fn lists_may_come_in_several_headers() {
        let more = [("sec-websocket-protocol", "sip")];
        let request = Request::new(true, SECTION_1_2.into_iter().chain(more));
        assert_eq!(request.accept(|name| name == Some("sip")).map(|accepted| accepted.protocol), Ok(Some("sip")));
    }

    #[test]
    fn section_4_2_1_and_4_2_2_refusals_are_http_answers() {
        for (refusal, status) in [
            (Refusal::Origin, "403 Forbidden"),
            (Refusal::TooManyOfAddress, "429 Too Many Requests"),
            (Refusal::TooManySessions, "503 Service Unavailable"),
            (Refusal::Draining, "503 Service Unavailable\r\nRetry-After: 5"),
            (Refusal::Descriptors, "503 Service Unavailable"),
            (Refusal::Key, "400 Bad Request"),
            (Refusal::ForwardedFor(Unbelievable::Several), "400 Bad Request"),
        ] {
            assert!(refusal.response().starts_with(&format!("HTTP/1.1 {status}\r\n")), "{refusal}");
        }
    }

    #[test]
    fn section_4_1_the_headers_about_who_asks() {
        let more = [("origin", "https://phone.example"), ("X-Forwarded-For", "a, b"), ("x-forwarded-for", "c")];
        let request = Request::new(true, SECTION_1_2.into_iter().chain(more).chain([("User-Agent", "Mozilla")]));
        assert_eq!((request.origin(), request.user_agent()), (Some("https://phone.example"), Some("Mozilla")));
        assert_eq!(request.forwarded_for(), ["a, b", "c"]);
    }

    #[test]
    fn section_4_2_1_only_get_upgrades() {
        assert_eq!(Request::new(false, SECTION_1_2).accept(|_| true), Err(Refusal::Method));
    }
}
