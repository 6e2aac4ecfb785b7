//! The candidates of a call: found ahead of it by a STUN server that may do anything, configured, and of IPv6.

mod common;

use asterisk_sys as sys;
use common::{
    eventually,
    rtp::Instance,
    stun::{Answer, StunServer},
    webrtc::{OurCandidate, candidates, configure_dtls, password},
};
use host_tests::{Host, Kind, Loading};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

const MODULE: &str = "res_rtp_asterisk";
const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

/// Loads the module with these lines behind `[general]`.
fn host(lines: &str) -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", &format!("[general]\nrtpstart=30000\nrtpend=30999\n{lines}\n"));
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

fn asking(server: SocketAddr) -> Host {
    host(&format!("stunaddr={server}"))
}

/// Waits until the console says so.
fn shows(host: &Host, text: &str) -> bool {
    eventually(|| host.command("rtp show gathering").1.contains(text))
}

fn of_kind(instance: &Instance, kind: sys::ast_rtp_ice_candidate_type) -> Vec<OurCandidate> {
    let all = candidates(instance).expect("ICE");
    all.into_iter().filter(|candidate| candidate.kind == kind).collect()
}

fn reflexive(instance: &Instance) -> Vec<OurCandidate> {
    of_kind(instance, sys::AST_RTP_ICE_CANDIDATE_TYPE_SRFLX)
}

#[test]
fn behind_a_1_to_1_nat_a_call_has_the_public_address_with_its_own_ports() {
    let server = StunServer::start(Answer::Mapped(PUBLIC, 0));
    let host = asking(server.address());
    let first = Instance::new();
    assert!(shows(&host, "127.0.0.1: 203.0.113.5 to the outside"), "{}", host.command("rtp show gathering").1);
    let instance = Instance::new();
    let found = reflexive(&instance);
    let expected = [instance.local(), instance.local_rtcp()];
    assert_eq!(found.len(), 2, "{found:?}");
    for (candidate, base) in found.iter().zip(expected) {
        assert_eq!(candidate.address, SocketAddr::new(PUBLIC.into(), base.port()));
        assert_eq!(candidate.related, Some(base));
    }
    assert!(host.command("rtp show gathering").1.contains("ports are left as they are"));
    drop((first, instance));
    assert!(host.unload(MODULE));
}

#[test]
fn behind_a_nat_that_changes_ports_a_call_gets_sockets_whose_address_is_known() {
    let server = StunServer::start(Answer::Mapped(PUBLIC, 1000));
    let host = host(&format!("stunaddr={}\nstunpool=2", server.address()));
    // Says where sessions are bound.
    let _first = Instance::new();
    assert!(shows(&host, "Pool: 2 of 2"), "{}", host.command("rtp show gathering").1);
    for _ in 0..3 {
        let instance = Instance::new();
        let found = reflexive(&instance);
        let expected = [instance.local(), instance.local_rtcp()];
        assert_eq!(found.len(), 2, "{found:?}");
        for (candidate, base) in found.iter().zip(expected) {
            assert_eq!(candidate.address, SocketAddr::new(PUBLIC.into(), base.port() + 1000));
            assert_eq!(candidate.related, Some(base));
        }
        assert!(shows(&host, "Pool: 2 of 2"), "the pool is filled again");
    }
    assert!(!host.command("rtp show gathering").1.contains(" 0 got some"));
}

#[test]
fn while_a_phone_rings_the_mapping_that_it_was_told_is_kept() {
    let server = StunServer::start(Answer::Mapped(PUBLIC, 1000));
    let host = host(&format!("stunaddr={}\nstunpool=2", server.address()));
    let _first = Instance::new();
    assert!(shows(&host, "Pool: 2 of 2"), "{}", host.command("rtp show gathering").1);
    assert_eq!(server.indications(), 0);
    let offered = Instance::new();
    assert_eq!(reflexive(&offered).len(), 2);
    assert!(common::eventually(|| server.indications() == 2), "one from each socket");
}

#[test]
fn the_machine_s_own_address_is_told_once() {
    let server = StunServer::start(Answer::Mapped(Ipv4Addr::LOCALHOST, 0));
    let host = asking(server.address());
    let first = Instance::new();
    assert!(shows(&host, "127.0.0.1: 127.0.0.1 to the outside"));
    assert_eq!(reflexive(&Instance::new()), []);
    drop(first);
}

/// As long as a call on an idle machine takes a hundred times, and a hundredth of the time that a server has for its answer.
const AT_ONCE: Duration = Duration::from_millis(400);

#[test]
fn a_server_that_gives_no_address_delays_nothing_and_is_not_repeated_in_the_log() {
    let refused = UdpSocket::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound");
    for answer in
        [Some(Answer::Silence), Some(Answer::Garbage), Some(Answer::Error(420)), Some(Answer::OtherTransaction), None]
    {
        let server = answer.map(StunServer::start);
        let began = Instant::now();
        let host = asking(server.as_ref().map_or(refused, StunServer::address));
        let first = Instance::new();
        if let Some(server) = &server {
            assert!(eventually(|| server.requests() > 0), "{answer:?}");
        } else {
            assert!(
                shows(&host, "failures: 1") || shows(&host, "nobody listens"),
                "{}",
                host.command("rtp show gathering").1
            );
        }
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                let start = Instant::now();
                let instance = Instance::new();
                assert_eq!(reflexive(&instance), [], "{answer:?}");
                start.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[10] < AT_ONCE, "{answer:?}: {times:?}");
        if matches!(answer, None | Some(Answer::Error(_))) {
            // Repeated after a second or so.
            assert!(eventually(|| !host.command("rtp show gathering").1.contains("failures: 0")));
        }
        let warnings = host.log().lines().filter(|line| line.contains("STUN: server")).count();
        assert!(warnings <= 1, "{answer:?}: {warnings}");
        drop(first);
        let start = Instant::now();
        assert!(host.unload(MODULE));
        assert!(start.elapsed() < AT_ONCE * 5 && began.elapsed() < Duration::from_secs(30), "{answer:?}");
    }
}

#[test]
fn a_refusal_is_told_with_the_server_and_what_follows() {
    let server = StunServer::start(Answer::Error(420));
    let host = asking(server.address());
    let mut log = String::new();
    let line = format!("STUN: server {} (stunaddr): it answers with error 420", server.address());
    assert!(
        eventually(|| {
            log.push_str(&host.log());
            log.contains(&line)
        }),
        "{log}"
    );
    assert!(shows(&host, "last request: it answers with error 420"));
}

#[test]
fn with_ice_off_nobody_is_asked() {
    let server = StunServer::start(Answer::Mapped(PUBLIC, 0));
    let host = host(&format!("icesupport=no\nstunaddr={}", server.address()));
    let instance = Instance::new();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((server.requests(), candidates(&instance)), (0, None));
    assert!(host.command("rtp show gathering").1.contains("No STUN server is asked"));
}

#[test]
fn a_reload_asks_another_server_by_its_name() {
    let servers = [PUBLIC, Ipv4Addr::new(203, 0, 113, 6)].map(|ip| StunServer::start(Answer::Mapped(ip, 0)));
    let host = asking(servers[0].address());
    let first = Instance::new();
    assert!(shows(&host, "203.0.113.5"));
    let port = servers[1].address().port();
    host.configure(
        "rtp.conf",
        &format!("[general]\nrtpstart=30000\nrtpend=30999\nstunaddr=localhost:{port}\n; changed\n"),
    );
    assert_eq!(host.reload(MODULE), 0);
    drop(Instance::new());
    assert!(shows(&host, "127.0.0.1: 203.0.113.6"), "{}", host.command("rtp show gathering").1);
    assert!(reflexive(&Instance::new()).iter().all(|found| found.address.ip() == IpAddr::from([203, 0, 113, 6])));
    drop(first);
}

#[test]
fn subnets_say_what_is_told_and_who_may_ask() {
    let server = StunServer::start(Answer::Mapped(PUBLIC, 0));
    let host = host(&format!("ice_deny=127.0.0.0/8\nstun_deny=0.0.0.0/0\nstunaddr={}", server.address()));
    let instance = Instance::new();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((server.requests(), candidates(&instance)), (0, Some(vec![])));
    assert!(password(&instance).is_some(), "a peer that checks us is answered");
    drop(instance);
    assert!(host.unload(MODULE));
}

#[test]
fn an_advertised_address_takes_the_place_of_the_local_one() {
    let _host = host("[ice_host_candidates]\n127.0.0.1 => 203.0.113.7");
    let instance = Instance::new();
    let all = candidates(&instance).expect("ICE");
    assert_eq!(all, of_kind(&instance, sys::AST_RTP_ICE_CANDIDATE_TYPE_HOST));
    let expected =
        [instance.local(), instance.local_rtcp()].map(|own| SocketAddr::new([203, 0, 113, 7].into(), own.port()));
    assert_eq!(all.iter().map(|candidate| candidate.address).collect::<Vec<_>>(), expected);
    assert!(all.iter().all(|candidate| candidate.related.is_none()));
}

#[test]
fn an_external_address_stands_beside_the_local_one() {
    let _host = host("ice_external_address=203.0.113.7");
    let instance = Instance::new();
    let found = reflexive(&instance);
    assert_eq!(found[0].address, SocketAddr::new([203, 0, 113, 7].into(), instance.local().port()));
    assert_eq!(of_kind(&instance, sys::AST_RTP_ICE_CANDIDATE_TYPE_HOST).len(), 2);
}

#[test]
fn a_wrong_value_is_told_with_its_line() {
    let host = host("stunaddr=two words\n[ice_host_candidates]\neth0 => 203.0.113.7");
    let log = host.log();
    assert!(log.contains("rtp.conf, line 4: stunaddr = 'two words' is not a name or an address"), "{log}");
    assert!(log.contains("'eth0' in [ice_host_candidates] is not an IP address"), "{log}");
}

#[test]
fn candidates_of_ipv6_have_no_brackets() {
    let host = host("");
    host.load_all(&["res_srtp"]);
    let instance = Instance::on(Ipv6Addr::LOCALHOST.into());
    let by_host = candidates(&instance).expect("ICE");
    assert!(by_host.len() == 2 && by_host.iter().all(|candidate| candidate.address.is_ipv6()), "{by_host:?}");
    assert_eq!(configure_dtls(&instance, Kind::Newest, None), 0);
    assert_eq!(candidates(&instance), Some(vec![]), "chan_sip prints ufrag and password with an empty list");
    let password = password(&instance).expect("ICE");
    let lines: Vec<_> = password.split("\r\n").filter(|line| line.starts_with("a=candidate:")).collect();
    let port = instance.local().port();
    assert_eq!(lines[0], format!("a=candidate:1 1 UDP 2130706431 ::1 {port} typ host"));
    assert_eq!(lines[1], format!("a=candidate:1 2 UDP 2130706430 ::1 {} typ host", port + 1));
    assert_eq!(lines.len(), 2);
}
