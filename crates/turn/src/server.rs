//! Names of TURN servers: `turn:` and `turns:` URIs (RFC 7065), or `host[:port]`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A server as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port; 3478, or 5349 with TLS, where none was given.
    pub port: u16,
    /// How the server is spoken to.
    pub protocol: Protocol,
}

/// The protocol between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// Why a text names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The host is missing or not one.
    #[error("no host")]
    Host,
    /// The port is not one.
    #[error("no port")]
    Port,
    /// The part behind the question mark is not `transport=udp`, `tcp` or, for the scheme `turns`, `tcp`.
    #[error("no transport that is supported: udp and tcp are, for turns only tcp")]
    Transport,
}

impl Server {
    /// Reads a URI of RFC 7065 or `host[:port]`; the latter is spoken to by `plain`, if it names no other.
    pub fn parse(text: &str, plain: Protocol) -> Result<Self, ServerError> {
        let (rest, query) = text.split_once('?').map_or((text, None), |(rest, query)| (rest, Some(query)));
        let (scheme, authority) = match rest.split_once(':') {
            Some((scheme, authority)) if scheme.eq_ignore_ascii_case("turn") => (Scheme::Turn, authority),
            Some((scheme, authority)) if scheme.eq_ignore_ascii_case("turns") => (Scheme::Turns, authority),
            _ => (Scheme::None, rest),
        };
        let protocol = protocol(scheme, query, plain)?;
        let (host, port) = host_and_port(authority)?;
        let default = if protocol == Protocol::Tls { 5349 } else { 3478 };
        Ok(Self { host: host.to_owned(), port: port.unwrap_or(default), protocol })
    }

    /// Returns the address if the host is one already.
    pub fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port))
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        Self::parse(text, Protocol::Udp)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.protocol == Protocol::Tls { "turns" } else { "turn" };
        let transport = if self.protocol == Protocol::Udp { "udp" } else { "tcp" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(formatter, "{scheme}:{open}{}{close}:{}?transport={transport}", self.host, self.port)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    None,
    Turn,
    Turns,
}

fn protocol(scheme: Scheme, query: Option<&str>, plain: Protocol) -> Result<Protocol, ServerError> {
    let transport = query.map(|query| query.strip_prefix("transport=").ok_or(ServerError::Transport)).transpose()?;
    match (scheme, transport.map(str::to_ascii_lowercase).as_deref()) {
        (Scheme::Turns, None | Some("tcp")) => Ok(Protocol::Tls),
        (Scheme::Turns, _) => Err(ServerError::Transport),
        (_, Some("udp")) | (Scheme::Turn, None) => Ok(Protocol::Udp),
        (_, Some("tcp")) => Ok(Protocol::Tcp),
        (Scheme::None, None) => Ok(plain),
        (_, Some(_)) => Err(ServerError::Transport),
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), ServerError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(ServerError::Host)?;
            let is_ipv6 = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
            if !is_ipv6 {
                return Err(ServerError::Host);
            }
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(ServerError::Port)?) })
        }
        // An IPv6 address without brackets has no port.
        None if authority.parse::<IpAddr>().is_ok() => (authority, None),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:%".contains(letter);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(ServerError::Host);
    }
    let port = port.map(|port| port.parse().map_err(|_| ServerError::Port)).transpose()?;
    if port == Some(0) { Err(ServerError::Port) } else { Ok((host, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> String {
        text.parse::<Server>().map_or_else(|error| error.to_string(), |server| server.to_string())
    }

    #[test]
    fn rfc7065_section_3_uris() {
        for (text, expected) in [
            ("turn:example.org", "turn:example.org:3478?transport=udp"),
            ("turns:example.org", "turns:example.org:5349?transport=tcp"),
            ("TURNS:example.org:443?transport=tcp", "turns:example.org:443?transport=tcp"),
            ("turn:example.org:8000?transport=tcp", "turn:example.org:8000?transport=tcp"),
            ("turn:[2001:db8::1]:80?transport=udp", "turn:[2001:db8::1]:80?transport=udp"),
            ("turn:[2001:db8::1]", "turn:[2001:db8::1]:3478?transport=udp"),
        ] {
            assert_eq!(server(text), expected);
        }
    }

    #[test]
    fn a_host_with_or_without_a_port() {
        for (text, expected) in [
            ("myturn.server.com:34780", "turn:myturn.server.com:34780?transport=udp"),
            ("192.0.2.1", "turn:192.0.2.1:3478?transport=udp"),
            ("2001:db8::1", "turn:[2001:db8::1]:3478?transport=udp"),
            ("192.0.2.1:80?transport=tcp", "turn:192.0.2.1:80?transport=tcp"),
        ] {
            assert_eq!(server(text), expected);
        }
        assert_eq!(Server::parse("192.0.2.1", Protocol::Tcp).unwrap().protocol, Protocol::Tcp);
    }

    #[test]
    fn a_name_of_nothing_is_an_error() {
        for (text, expected) in [
            ("", ServerError::Host),
            ("turn:", ServerError::Host),
            ("turn://example.org", ServerError::Host),
            ("[192.0.2.1]:80", ServerError::Host),
            ("two words", ServerError::Host),
            ("example.org:0", ServerError::Port),
            ("example.org:70000", ServerError::Port),
            ("[2001:db8::1]80", ServerError::Port),
            ("turns:example.org?transport=udp", ServerError::Transport),
            ("turn:example.org?transport=sctp", ServerError::Transport),
            ("turn:example.org?x", ServerError::Transport),
        ] {
            assert_eq!(text.parse::<Server>(), Err(expected), "{text}");
        }
    }
}
