//! The local candidates of a session (RFC 8445 §5.1.1), from what is known when it begins.

use std::net::{IpAddr, SocketAddr};

use ice::{Agent, Candidate, CandidateKind, Component};

use super::Known;
use super::settings::Gathering;
use crate::transport::interfaces;
use crate::transport::sockets::Pair;

/// The differences between the candidates that the agent has and those that the peer is told (`[ice_host_candidates]`).
///
/// The agent needs the addresses that its sockets have, since checks arrive there. A peer is told the advertised ones as host
/// candidates, as by Asterisk 16.
#[derive(Debug, Default)]
pub struct Disguise {
    /// Addresses of this machine that the peer is not told.
    hidden: Vec<IpAddr>,
    /// Public addresses, each with the address of this machine that they stand for.
    advertised: Vec<(IpAddr, IpAddr)>,
}

/// Adds the candidates of `sockets` to a new agent. Host candidates come first: the order says which address is preferred.
pub fn add(agent: &mut Agent, sockets: &Pair, gathering: &Gathering, known: &Known) -> Disguise {
    let hosts = interfaces::host_addresses(sockets.rtp.local().ip(), gathering);
    add_to(agent, &hosts, sockets, gathering, known)
}

fn add_to(agent: &mut Agent, hosts: &[IpAddr], sockets: &Pair, gathering: &Gathering, known: &Known) -> Disguise {
    let ports = [(Component::Rtp, sockets.rtp.local().port()), (Component::Rtcp, sockets.rtcp.local().port())];
    for host in hosts {
        ports.iter().for_each(|(component, port)| agent.add_local_candidate(*component, SocketAddr::new(*host, *port)));
    }
    let mut add_reflexive = |base: IpAddr, public: IpAddr| {
        for (component, port) in ports {
            let (public, base) = (SocketAddr::new(public, port), SocketAddr::new(base, port));
            agent.add_gathered_candidate(component, CandidateKind::ServerReflexive, public, Some(base));
        }
    };
    let mut disguise = Disguise::default();
    for line in gathering.advertised.iter().filter(|line| hosts.contains(&line.local)) {
        add_reflexive(line.local, line.public);
        disguise.advertised.push((line.public, line.local));
        if !line.tells_local {
            disguise.hidden.push(line.local);
        }
    }
    for public in &gathering.external {
        let base = hosts.iter().find(|host| host.is_ipv4() == public.is_ipv4());
        base.iter().for_each(|base| add_reflexive(**base, *public));
    }
    for host in hosts {
        known.reflexive(*host).iter().for_each(|public| add_reflexive(*host, *public));
    }
    if let Some(mapped) = sockets.mapped.filter(|mapped| hosts.contains(&mapped.base)) {
        for ((component, port), public) in ports.into_iter().zip([mapped.rtp, mapped.rtcp]) {
            let base = SocketAddr::new(mapped.base, port);
            agent.add_gathered_candidate(component, CandidateKind::ServerReflexive, public, Some(base));
        }
    }
    disguise
}

impl Disguise {
    /// Returns the candidates for the peer.
    pub fn apply(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        candidates.iter().filter_map(|candidate| self.told(candidate, candidates)).collect()
    }

    fn told(&self, candidate: &Candidate, all: &[Candidate]) -> Option<Candidate> {
        let is_host = candidate.kind == CandidateKind::Host;
        let (ip, base) = (candidate.addr.ip(), candidate.related.map(|base| base.ip()));
        if is_host && self.hidden.contains(&ip) {
            return None;
        }
        let is_advertised =
            !is_host && self.advertised.iter().any(|(public, local)| (*public, Some(*local)) == (ip, base));
        let is_base_hidden = base.is_some_and(|base| self.hidden.contains(&base));
        Some(match () {
            () if is_advertised => Candidate {
                kind: CandidateKind::Host,
                related: None,
                priority: as_host(candidate, is_base_hidden, all),
                ..candidate.clone()
            },
            () if is_base_hidden => Candidate { related: Some(unknown(candidate.addr)), ..candidate.clone() },
            () => candidate.clone(),
        })
    }
}

/// Returns the priority of the host candidate that an advertised one takes the place of, or of one behind it.
fn as_host(candidate: &Candidate, takes_its_place: bool, all: &[Candidate]) -> u32 {
    let base = all.iter().find(|other| {
        other.kind == CandidateKind::Host
            && other.component == candidate.component
            && Some(other.addr) == candidate.related
    });
    let behind = if takes_its_place { 0 } else { BEHIND };
    base.map_or(candidate.priority, |base| base.priority.saturating_sub(behind))
}

/// Returns the related address of a candidate whose base the peer is not told, as browsers have it.
pub fn unknown(addr: SocketAddr) -> SocketAddr {
    let ip: IpAddr = if addr.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    SocketAddr::new(ip, 9)
}

/// The difference of priorities between a host candidate and the advertised one beside it: 128 in the local preference (RFC 8445
/// §5.1.2.1), more than there are host candidates.
const BEHIND: u32 = 128 << 8;

#[cfg(test)]
mod tests {
    use ice::{Config, Credentials, Role};

    use super::super::Mapped;
    use super::super::pool::Reflexive;
    use super::super::settings::Advertised;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn sockets() -> Pair {
        Pair::bind(ip("127.0.0.1"), (30_000, 39_999), std::process::id(), true).unwrap()
    }

    /// Returns the candidates of component 1 as the peer is told, with `P` for the port of the socket.
    fn told(hosts: &[&str], gathering: &Gathering, known: &Known, mapped: Option<Reflexive>) -> Vec<String> {
        let sockets = Pair { mapped, ..sockets() };
        let mut agent = Agent::new(Config::new(Role::Controlled, 7, Credentials::from_random(&[7; 32]), [7; 32]));
        let hosts: Vec<_> = hosts.iter().map(|host| ip(host)).collect();
        let disguise = add_to(&mut agent, &hosts, &sockets, gathering, known);
        let told = disguise.apply(agent.local_candidates());
        let port = format!(" {}", sockets.rtp.local().port());
        let line =
            |candidate: &Candidate| candidate.to_string().replace(&port, " P").split_once("UDP ").unwrap().1.to_owned();
        told.iter().filter(|candidate| candidate.component == Component::Rtp).map(line).collect()
    }

    fn known(base: &str, address: &str, preserves_ports: bool) -> Known {
        let (address, confirmed) = (address.parse().unwrap(), crate::clock::now());
        Known {
            mapped: vec![Mapped { base: ip(base), address, preserves_ports, confirmed }],
            lines: Vec::new(),
            trouble: None,
            servers: Vec::new(),
        }
    }

    #[test]
    fn behind_a_nat_that_preserves_ports_the_public_address_has_the_session_s_port() {
        let all = told(&["192.0.2.5"], &Gathering::default(), &known("192.0.2.5", "203.0.113.5:777", true), None);
        assert_eq!(
            all,
            ["2130706431 192.0.2.5 P typ host", "1694498815 203.0.113.5 P typ srflx raddr 192.0.2.5 rport P"]
        );
    }

    #[test]
    fn without_a_nat_and_behind_one_that_changes_ports_there_are_host_candidates_alone() {
        for (address, preserves) in [("192.0.2.5:777", true), ("203.0.113.5:777", false)] {
            let all = told(&["192.0.2.5"], &Gathering::default(), &known("192.0.2.5", address, preserves), None);
            assert_eq!(all, ["2130706431 192.0.2.5 P typ host"]);
        }
    }

    #[test]
    fn sockets_of_the_pool_bring_their_mapping() {
        let [rtp, rtcp] = ["203.0.113.5:777", "203.0.113.5:999"].map(|address| address.parse().unwrap());
        let mapped = Some(Reflexive { base: ip("192.0.2.5"), rtp, rtcp, server: rtp });
        let all = told(&["192.0.2.5"], &Gathering::default(), &Known::default(), mapped);
        assert_eq!(all[1..], ["1694498815 203.0.113.5 777 typ srflx raddr 192.0.2.5 rport P"]);
        assert_eq!(told(&["192.0.2.6"], &Gathering::default(), &Known::default(), mapped).len(), 1);
    }

    #[test]
    fn an_external_address_stands_beside_the_first_one_of_its_family() {
        let external = vec![ip("203.0.113.5"), ip("2001:db8::5")];
        let gathering = Gathering { external, ..Gathering::default() };
        let all = told(&["192.0.2.5", "192.0.2.6", "fd99::1"], &gathering, &Known::default(), None);
        assert!(all[3].contains("203.0.113.5 P typ srflx raddr 192.0.2.5 rport P"), "{all:#?}");
        assert!(all[4].contains("2001:db8::5 P typ srflx raddr fd99::1 rport P"), "{all:#?}");
        assert_eq!(all.len(), 5);
    }

    fn advertises(tells_local: bool) -> Gathering {
        let advertised = vec![Advertised { local: ip("192.0.2.5"), public: ip("203.0.113.5"), tells_local }];
        Gathering { advertised, ..Gathering::default() }
    }

    #[test]
    fn an_advertised_address_takes_the_place_of_the_local_one_which_nobody_is_told() {
        let known = known("192.0.2.5", "203.0.113.9:777", true);
        let all = told(&["192.0.2.5", "192.0.2.6"], &advertises(false), &known, None);
        let expected = [
            "2130706175 192.0.2.6 P typ host",
            "2130706431 203.0.113.5 P typ host",
            "1694498815 203.0.113.9 P typ srflx raddr 0.0.0.0 rport 9",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn include_local_address_tells_both_the_local_one_first() {
        let all = told(&["192.0.2.5"], &advertises(true), &Known::default(), None);
        assert_eq!(all, ["2130706431 192.0.2.5 P typ host", "2130673663 203.0.113.5 P typ host"]);
        assert_eq!(told(&["192.0.2.6"], &advertises(true), &Known::default(), None).len(), 1, "another interface");
    }
}
