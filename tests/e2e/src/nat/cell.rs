//! One cell of the table: a call from a browser behind a router to a PBX behind a router.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::coturn::{self, Coturn};
use super::{Family, Nat, PBX_INSIDE, PBX_OUTSIDE, World};
use crate::failure::{Result, ensure};
use crate::lab::Lab;
use crate::phone::{Browser, Phone};
use crate::ports::Ports;
use crate::site::{Site, VOICE};

/// The ICE servers of the browser's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the table")]
pub enum Servers {
    None,
    Stun,
    /// Over UDP, TCP and TLS, which answers STUN as well.
    Turn,
    /// TURN over TLS alone, as for a firewall that knows no other protocol.
    TurnOverTls,
}

impl Servers {
    /// Those of the table.
    pub const ALL: [Self; 3] = [Self::None, Self::Stun, Self::Turn];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Stun => "STUN",
            Self::Turn => "TURN",
            Self::TurnOverTls => "TURN over TLS",
        }
    }

    /// `iceServers` of RTCPeerConnection.
    fn configuration(self, world: &World) -> Value {
        let address = SocketAddr::new(world.address_of_server(), coturn::PORT);
        let tls = SocketAddr::new(world.address_of_server(), coturn::TLS_PORT);
        match self {
            Self::None => json!([]),
            Self::Stun => json!([{ "urls": format!("stun:{address}") }]),
            Self::Turn => relay(&[
                format!("turn:{address}?transport=udp"),
                format!("turn:{address}?transport=tcp"),
                format!("turns:{tls}?transport=tcp"),
            ]),
            Self::TurnOverTls => relay(&[format!("turns:{tls}?transport=tcp")]),
        }
    }
}

/// `iceServers` of a TURN server at these addresses.
fn relay(addresses: &[String]) -> Value {
    json!([{ "urls": addresses, "username": coturn::USER, "credential": coturn::PASSWORD }])
}

/// How the PBX finds the addresses at which it can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathering {
    /// By its interfaces alone.
    Interfaces,
    /// `stunaddr` of `rtp.conf`.
    Stun,
    /// `[ice_host_candidates]` of `rtp.conf`.
    Named,
    /// `turnaddr` of `rtp.conf`.
    Turn,
}

impl Gathering {
    /// Lines of `rtp.conf`.
    fn configuration(self, world: &World) -> String {
        let server = SocketAddr::new(world.address_of_server(), coturn::PORT);
        match self {
            Self::Interfaces => String::new(),
            Self::Stun => format!("stunaddr = {server}\n"),
            Self::Named => format!("[ice_host_candidates]\n{PBX_INSIDE} => {PBX_OUTSIDE}\n"),
            Self::Turn => {
                format!(
                    "turnaddr = turn:{server}\nturnusername = {}\nturnpassword = {}\n",
                    coturn::USER,
                    coturn::PASSWORD
                )
            }
        }
    }
}

/// A PBX: its router, if it has one, and its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pbx {
    /// Its router's translation.
    pub nat: Option<Nat>,
    /// Its configuration.
    pub gathering: Gathering,
    /// The versions of IP of this PBX and its browsers.
    pub family: Family,
}

impl Pbx {
    /// Whether a path exists that ICE can find.
    ///
    /// A browser that may send no UDP needs a relay. Otherwise:
    /// - A PBX that is reachable at an address which it knows is reached from everywhere.
    /// - A PBX behind 1:1 or symmetric NAT reaches a full cone at the address that the browser knows by STUN.
    /// - A relay passes on only what comes from an address that its client knows the other end by: the PBX has to know its own
    ///   public address for the browser's relay, and the browser its own for the PBX's relay.
    pub fn has_path(self, home: Nat, servers: Servers) -> bool {
        let knows_itself = servers != Servers::None;
        let sends_udp = home != Nat::UdpBlocked;
        let has_relay = matches!(servers, Servers::Turn | Servers::TurnOverTls);
        match (self.nat, self.gathering) {
            _ if self.family != Family::Ipv4 => sends_udp || has_relay,
            (Some(Nat::OneToOne | Nat::FullCone), Gathering::Interfaces) => home == Nat::FullCone && knows_itself,
            (Some(Nat::Symmetric), Gathering::Turn) => has_relay || sends_udp && knows_itself,
            (Some(Nat::Symmetric), Gathering::Stun) => has_relay || home == Nat::FullCone && knows_itself,
            (Some(Nat::Symmetric), _) => home == Nat::FullCone && knows_itself,
            _ => sends_udp || has_relay,
        }
    }
}

impl fmt::Display for Pbx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nat {
            None => f.write_str("public address")?,
            Some(nat) => write!(f, "{} NAT", nat.name())?,
        }
        match self.gathering {
            Gathering::Interfaces => {}
            Gathering::Stun => f.write_str(", `stunaddr`")?,
            Gathering::Named => f.write_str(", `[ice_host_candidates]`")?,
            Gathering::Turn => f.write_str(", `turnaddr`")?,
        }
        match self.family {
            Family::Ipv4 => Ok(()),
            Family::Ipv6 => f.write_str("; the browser has IPv6 alone"),
            Family::Both => f.write_str("; IPv4 and IPv6"),
        }
    }
}

/// A PBX that runs in its world.
#[derive(Debug)]
pub struct Running {
    // Asterisk ends before its network.
    lab: Lab,
    _coturn: Coturn,
    world: World,
}

impl Running {
    /// Starts the PBX, and homes for browsers behind `homes`.
    pub fn start(name: &str, pbx: Pbx, homes: &[Nat]) -> Result<Self> {
        let ports = Ports::claim()?;
        let world = World::build(pbx.nat, homes, pbx.family, &ports)?;
        let listens: IpAddr = match pbx.family {
            Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::Ipv6 | Family::Both => Ipv6Addr::UNSPECIFIED.into(),
        };
        let site = Site { listens: Some(listens), rtp: pbx.gathering.configuration(&world), ..Site::default() };
        let home = crate::lab::home_of(name)?;
        home.make_certificate()?;
        let coturn = Coturn::start(world.internet(), &world.addresses_of_server(), &home)?;
        let lab = Lab::in_namespace(world.pbx(), ports, home, &site)?;
        // Asterisk gathers ahead of calls.
        thread::sleep(Duration::from_secs(1));
        Ok(Self { lab, _coturn: coturn, world })
    }

    /// The Asterisk.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Opens a browser behind this router and registers it.
    pub fn open(&self, browser: Browser, home: Nat) -> Result<Phone> {
        let place = self.world.behind(home)?;
        let mut phone = Phone::in_namespace(place, &self.lab, browser, "1001")?;
        phone.register_with(&self.lab, self.world.address_of_pbx())?;
        Ok(phone)
    }

    /// Calls from `phone` to an echo, and listens to it.
    pub fn call(&self, phone: &mut Phone, servers: Servers, patience: Duration) -> Result<Outcome> {
        let found = phone.call_by_way_of("mirror", servers.configuration(&self.world), patience)?;
        let outcome = Outcome::of(&found);
        if outcome.is_connected() {
            phone.hears(VOICE)?;
        }
        phone.hangup()?;
        self.lab.until_idle(Duration::from_secs(10))?;
        Ok(outcome)
    }

    /// Places a call that has to have audio both ways.
    pub fn connects(&self, browser: Browser, home: Nat, servers: Servers) -> Result<Outcome> {
        let outcome = self.call(&mut self.open(browser, home)?, servers, PATIENCE)?;
        println!("{browser:?} behind {}, {}: {outcome}", home.name(), servers.name());
        ensure(outcome.is_connected(), || format!("{outcome}: {}", self.lab.directory().display()))?;
        Ok(outcome)
    }
}

/// The longest time to wait for the first audio. Both browsers give up ICE earlier where nothing answers.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Audio went both ways.
    Connected {
        /// The time from the answer to the first packet of the echo.
        after: Duration,
        /// The browser's candidate: its type, and the transport to its relay.
        local: String,
        /// The type of the PBX's candidate, as the browser knows it.
        remote: String,
    },
    /// No audio came, and this is the browser's state of ICE.
    Silent(String),
    /// The call, or what it was to prove, failed.
    Failed(String),
}

impl Outcome {
    fn of(found: &Value) -> Self {
        let text = |name: &str| found[name].as_str().unwrap_or("unknown").to_owned();
        let Some(milliseconds) = found["milliseconds"].as_f64() else {
            return Self::Silent(text("iceConnectionState"));
        };
        let protocol = found["relayProtocol"].as_str().map(|protocol| format!(" over {}", protocol.to_uppercase()));
        let local = text("local") + &protocol.filter(|_| found["local"] == "relay").unwrap_or_default();
        Self::Connected { after: Duration::from_secs_f64(milliseconds / 1000.0), local, remote: text("remote") }
    }

    /// Whether audio went both ways.
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { after, local, remote } => write!(f, "✔ {local} – {remote}, {} ms", after.as_millis()),
            Self::Silent(state) => write!(f, "✘ ICE {state}"),
            Self::Failed(why) => write!(f, "✘ {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(nat: Option<Nat>, gathering: Gathering) -> usize {
        let pbx = Pbx { nat, gathering, family: Family::Ipv4 };
        let homes = super::super::table::HOMES;
        homes
            .into_iter()
            .flat_map(|home| Servers::ALL.map(|servers| pbx.has_path(home, servers)))
            .filter(|has| *has)
            .count()
    }

    #[test]
    fn a_reachable_pbx_is_missed_only_by_a_browser_without_udp_and_relay() {
        assert_eq!(paths(None, Gathering::Interfaces), 10);
        assert_eq!(paths(Some(Nat::OneToOne), Gathering::Stun), 10);
        assert_eq!(paths(Some(Nat::OneToOne), Gathering::Named), 10);
        assert_eq!(paths(Some(Nat::FullCone), Gathering::Stun), 10);
    }

    #[test]
    fn a_pbx_that_does_not_know_its_address_reaches_full_cones_alone() {
        assert_eq!(paths(Some(Nat::OneToOne), Gathering::Interfaces), 2);
        assert_eq!(paths(Some(Nat::Symmetric), Gathering::Interfaces), 2);
    }

    #[test]
    fn a_pbx_behind_a_symmetric_nat_needs_a_relay() {
        assert_eq!(paths(Some(Nat::Symmetric), Gathering::Stun), 5);
        assert_eq!(paths(Some(Nat::Symmetric), Gathering::Turn), 7);
    }
}
