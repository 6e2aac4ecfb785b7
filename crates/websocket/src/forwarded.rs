//! Who is behind a proxy: `X-Forwarded-For`, believed only as far as proxies that are trusted wrote it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u32,
}

impl Network {
    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, len) = bits(self.address);
        let (other, other_len) = bits(address.to_canonical());
        // A shift by all bits is none that Rust knows.
        len == other_len && (own ^ other).checked_shr(len - self.prefix_len).unwrap_or(0) == 0
    }
}

/// What is no network.
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
        if prefix_len > len { Err(NoNetwork) } else { Ok(Self { address, prefix_len }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// The address of a client: that of its connection, or what the proxy at the other end says about it. Read from the
/// right, where the nearest proxy wrote; what stands left of an address that is not trusted may be anybody's invention.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for entry in forwarded_for.rev().flat_map(|header| header.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        // Behind "unknown" or rubbish nobody can be seen: it stays with the proxy.
        let Some(address) = address_of(entry.trim()) else { break };
        client = address.to_canonical();
    }
    client
}

/// Some proxies add a port, and brackets around IPv6.
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
        client_address(peer.parse().expect("an address"), headers.iter().copied(), &trusted).to_string()
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
        assert_eq!(client("192.0.2.1", &["198.51.100.7", "192.0.2.9"], &proxies), "198.51.100.7", "in two headers");
        assert_eq!(client("::1", &["[2001:db8::1]:4711"], &proxies), "2001:db8::1");
        assert_eq!(client("::1", &["198.51.100.7:80"], &proxies), "198.51.100.7");
    }

    #[test]
    fn what_cannot_be_read_stays_with_the_proxy() {
        for rubbish in ["", "unknown", "198.51.100.7, ", "1.2.3", "host.example"] {
            assert_eq!(client("192.0.2.1", &[rubbish], &["192.0.2.1"]), "192.0.2.1", "{rubbish:?}");
        }
        assert_eq!(client("192.0.2.1", &[], &["192.0.2.1"]), "192.0.2.1");
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
        for bad in ["", "x", "192.0.2.1/33", "192.0.2.1/", "::1/129", "192.0.2.1/-1"] {
            assert_eq!(network(bad), Err(NoNetwork), "{bad}");
        }
    }
}
