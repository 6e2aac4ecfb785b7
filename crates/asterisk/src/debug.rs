//! The switches of `set debug` commands. They are tested for every packet, so the test is cheap while they are off.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Selects which packets are shown: none, all, or those to and from one peer.
#[derive(Debug)]
pub struct Switch {
    on: AtomicBool,
    only: Mutex<Option<Only>>,
}

/// The peer whose packets are shown, on any port or on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Only {
    /// The address.
    pub ip: IpAddr,
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl Default for Switch {
    fn default() -> Self {
        Self::new()
    }
}

impl Switch {
    /// A switch that is off; to be kept in a `static`.
    pub const fn new() -> Self {
        Self { on: AtomicBool::new(false), only: Mutex::new(None) }
    }

    /// Shows all packets, or those to and from one peer.
    pub fn turn_on(&self, only: Option<Only>) {
        if let Ok(mut peer) = self.only.lock() {
            *peer = only;
        }
        self.on.store(true, Ordering::Relaxed);
    }

    /// Shows no packets any more.
    pub fn turn_off(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// Whether any packets are shown.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Whether packets from and to `address` are shown.
    pub fn wants(&self, address: SocketAddr) -> bool {
        self.is_on() && self.only.lock().is_ok_and(|only| only.is_none_or(|peer| peer.is(address)))
    }
}

impl Only {
    /// Parses an IP address with or without port. Host names are refused; see [`Self::look_up`].
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(Self {
                ip: address.ip().to_canonical(),
                port: Some(address.port()).filter(|port| *port != 0),
            });
        }
        let ip: IpAddr = text.trim_matches(['[', ']']).parse().ok()?;
        Some(Self { ip: ip.to_canonical(), port: None })
    }

    /// Parses an IP address or looks up a host name, with or without port; port 0 means any. Of several addresses of a name the
    /// first counts. Waits for the name server, so call it on a thread of the console only.
    #[expect(
        clippy::disallowed_methods,
        reason = "a command of the console holds no lock, and its operator waits for the answer"
    )]
    pub fn look_up(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| {
            let (host, port) = text.split_once(':').unwrap_or((text, "0"));
            let port = port.parse().ok()?;
            let address = (host, port).to_socket_addrs().ok()?.next()?;
            Some(Self { ip: address.ip().to_canonical(), port: Some(port).filter(|port| *port != 0) })
        })
    }

    /// Returns the address; port 0 stands for any.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(0))
    }

    /// Returns whether `address` is this peer's.
    pub fn is(self, address: SocketAddr) -> bool {
        self.ip == address.ip().to_canonical() && self.port.is_none_or(|port| port == address.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_from_and_to_one_peer_are_shown() {
        let switch = Switch::new();
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(!switch.wants(address("192.0.2.1:4000")));
        switch.turn_on(None);
        assert!(switch.wants(address("192.0.2.1:4000")));
        switch.turn_on(Some(Only { ip: "192.0.2.1".parse().unwrap(), port: None }));
        assert!(switch.wants(address("192.0.2.1:4000")) && switch.wants(address("[::ffff:192.0.2.1]:5000")));
        assert!(!switch.wants(address("192.0.2.2:4000")));
        switch.turn_on(Some(Only { ip: "2001:db8::1".parse().unwrap(), port: Some(4000) }));
        assert!(switch.wants(address("[2001:db8::1]:4000")) && !switch.wants(address("[2001:db8::1]:4002")));
        switch.turn_off();
        assert!(!switch.is_on() && !switch.wants(address("[2001:db8::1]:4000")));
    }

    #[test]
    fn addresses_with_and_without_port() {
        let only = |ip: &str, port| Some(Only { ip: ip.parse().unwrap(), port });
        assert_eq!(Only::parse("192.0.2.1"), only("192.0.2.1", None));
        assert_eq!(Only::parse("192.0.2.1:4000"), only("192.0.2.1", Some(4000)));
        assert_eq!(Only::parse("[2001:db8::1]:4000"), only("2001:db8::1", Some(4000)));
        assert_eq!(Only::parse("[2001:db8::1]"), only("2001:db8::1", None));
        assert_eq!(Only::parse("::ffff:192.0.2.1"), only("192.0.2.1", None), "an IPv4-mapped address is one of IPv4");
        assert_eq!(Only::parse("[::ffff:192.0.2.1]:4000"), only("192.0.2.1", Some(4000)));
        assert_eq!(Only::parse("phone.example"), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the system's resolver")]
    fn names_are_looked_up() {
        let here = Only::look_up("127.0.0.1:4000").unwrap();
        assert!(here.ip.is_loopback() && here.port == Some(4000));
        assert_eq!(Only::look_up("localhost").map(|only| only.port), Some(None));
        assert_eq!(Only::look_up("localhost:0").map(|only| only.address().port()), Some(0));
        assert_eq!(Only::look_up("192.0.2.1:4000").unwrap().address().to_string(), "192.0.2.1:4000");
        for wrong in ["", "localhost:many", "localhost:70000", "no host"] {
            assert_eq!(Only::look_up(wrong), None, "{wrong}");
        }
    }
}
