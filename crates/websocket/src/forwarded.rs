//! Finds the client behind a proxy by `X-Forwarded-For`, of which only the part that trusted proxies wrote is believed.
//!
//! A proxy has to replace the header that its client sent. If it appends to that instead, a client can hide the proxy's
//! entry: it sends an invented address and pads the line with blanks. A server with lines of a fixed length cuts the
//! line before the proxy's entry and trims the blanks, and nothing shows the loss. If the proxy adds a line of its own,
//! the client's line is there too, or appears as the rest of another line that was too long. So a request with more
//! than one line, or with a long one, is refused.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP network: `192.0.2.0/24`, `2001:db8::/32`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u32,
}

impl Network {
    /// Whether the address belongs to the network. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, len) = bits(self.address);
        let (other, other_len) = bits(address.to_canonical());
        // A prefix of length 0 would shift by all bits, which overflows: every address matches.
        len == other_len && (own ^ other).checked_shr(len - self.prefix_len).unwrap_or(0) == 0
    }
}

/// A text that is not an IP network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix_len) = match text.trim().split_once('/') {
            Some((address, len)) => (address, Some(len.parse().map_err(|_| NoNetwork)?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let (_, len) = bits(address);
        let prefix_len = prefix_len.unwrap_or(len);
        // IPv4-mapped networks are converted to IPv4, as addresses are before they are compared.
        let mapped = address.to_canonical();
        let (_, mapped_len) = bits(mapped);
        match prefix_len.checked_sub(len - mapped_len) {
            Some(mapped_prefix_len) if prefix_len <= len => Ok(Self { address: mapped, prefix_len: mapped_prefix_len }),
            _ => Err(NoNetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// Reasons why a proxy's `X-Forwarded-For` cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// There is more than one header, and only one can be the proxy's.
    #[error("comes more than once")]
    Several,
    /// The header is so long that a server may have cut it.
    #[error("is too long")]
    TooLong,
    /// An entry that a trusted proxy wrote is not an IP address.
    #[error("names no address")]
    NoAddress,
}

/// Returns the address of a client: `peer`, the address of its connection, unless that is a trusted proxy. Then it is the
/// rightmost entry of `forwarded_for` that is not a trusted proxy itself, or the leftmost one if all are. Each proxy
/// appends the address that it was contacted from, and entries further left may be invented. A proxy that sends no header
/// asks on its own behalf.
pub fn client_address(peer: IpAddr, forwarded_for: &[&str], trusted: &[Network]) -> Result<IpAddr, Unbelievable> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return Ok(client);
    }
    let header = match forwarded_for {
        [] => return Ok(client),
        [header] if header.len() <= MAX_LEN => header,
        [_] => return Err(Unbelievable::TooLong),
        _ => return Err(Unbelievable::Several),
    };
    for entry in header.rsplit(',') {
        client = address_of(entry.trim()).ok_or(Unbelievable::NoAddress)?.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    Ok(client)
}

/// The longest header in bytes that is believed: more than a chain of proxies needs, and less than any server cuts a
/// line at.
const MAX_LEN: usize = 1024;

/// Reads the address of an entry. Some proxies add a port, and brackets around IPv6.
fn address_of(entry: &str) -> Option<IpAddr> {
    let as_address = entry.parse().ok().or_else(|| entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    as_address.or_else(|| entry.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u32::from(v4).into(), 32),
        IpAddr::V6(v6) => (v6.into(), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        match client_address(peer.parse().expect("an address"), headers, &trusted) {
            Ok(address) => address.to_string(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn without_trusted_proxies_nobody_is_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(client("192.0.2.1", &["198.51.100.7"], &["192.0.2.2"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_no_further() {
        let proxies = ["192.0.2.0/24", "::1"];
        assert_eq!(client("192.0.2.1", &["198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(client("::ffff:192.0.2.1", &["198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(
            client("192.0.2.1", &["10.0.0.1, 198.51.100.7"], &proxies),
            "198.51.100.7",
            "10.0.0.1 is an invention"
        );
        assert_eq!(client("192.0.2.1", &["198.51.100.7, 192.0.2.9"], &proxies), "198.51.100.7", "two proxies");
        assert_eq!(client("192.0.2.1", &["192.0.2.8, 192.0.2.9"], &proxies), "192.0.2.8", "nobody but proxies");
        assert_eq!(client("::1", &["[2001:db8::1]:4711"], &proxies), "2001:db8::1");
        assert_eq!(client("::1", &["198.51.100.7:80"], &proxies), "198.51.100.7");
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_the_proxy() {
        for rubbish in ["", "unknown", "198.51.100.7, ", "1.2.3", "host.example", "198.51.100.7\u{fffd}"] {
            assert_eq!(client("192.0.2.1", &[rubbish], &["192.0.2.1"]), "names no address", "{rubbish:?}");
            assert_eq!(client("192.0.2.2", &[rubbish], &["192.0.2.1"]), "192.0.2.2", "nobody asked");
        }
        assert_eq!(client("192.0.2.1", &["unknown, 192.0.2.1"], &["192.0.2.1"]), "names no address");
        assert_eq!(client("192.0.2.1", &[], &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn a_client_cannot_smuggle_in_an_address_of_its_own() {
        let proxies = ["192.0.2.1"];
        for both in [["203.0.113.6", "198.51.100.7"], ["198.51.100.7", "203.0.113.6"]] {
            assert_eq!(client("192.0.2.1", &both, &proxies), "comes more than once");
        }
        let padded = format!("203.0.113.6{}", ",".repeat(MAX_LEN));
        assert_eq!(client("192.0.2.1", &[&padded], &proxies), "is too long");
        assert_eq!(client("192.0.2.9", &[&padded, "203.0.113.6"], &proxies), "192.0.2.9");
    }

    #[test]
    fn networks() {
        let network = |text: &str| text.parse::<Network>();
        assert!(network("0.0.0.0/0").is_ok_and(|all| all.contains("203.0.113.9".parse().expect("an address"))));
        assert!(network("0.0.0.0/0").is_ok_and(|all| !all.contains("::1".parse().expect("an address"))));
        assert!(
            network("2001:db8::/32").is_ok_and(|net| net.contains("2001:db8:ffff::1".parse().expect("an address")))
        );
        assert_eq!(network("192.0.2.1").map(|one| one.to_string()), Ok("192.0.2.1/32".to_owned()));
        for mapped in ["::ffff:192.0.2.1/120", "::ffff:192.0.2.1"] {
            assert!(
                network(mapped).is_ok_and(|net| net.contains("192.0.2.1".parse().expect("an address"))),
                "{mapped}"
            );
        }
        assert_eq!(network("::ffff:192.0.2.0/120").map(|net| net.to_string()), Ok("192.0.2.0/24".to_owned()));
        for bad in ["::ffff:192.0.2.1/95", "", "x", "192.0.2.1/33", "192.0.2.1/", "::1/129", "192.0.2.1/-1"] {
            assert_eq!(network(bad), Err(NoNetwork), "{bad}");
        }
    }
}
