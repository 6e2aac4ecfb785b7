use std::net::SocketAddr;

use super::*;
use crate::event::{By, Lacks, Unbound};

pub(super) fn media() -> Media {
    Media {
        candidates: vec![SocketAddr::from(([192, 168, 1, 2], 10_000))],
        ice_wanted: true,
        ice: Some(Ice { is_active: true, has_selected: true, requests: 1, responses: 1, ..Ice::default() }),
        dtls: Some(Dtls { has_heard: true, is_connected: true, failure: None }),
        is_encrypted: true,
        received: (50, Some(Duration::ZERO)),
        sent: (50, Some(Duration::ZERO)),
        ports: (10_000, 20_000),
        ..Media::default()
    }
}

fn called_by(by: By, answer: Lacks) -> Signalling {
    let offer = Some(Lacks::default());
    Signalling { offered_by: Some(by), offer, answer: Some(answer), ..Signalling::default() }
}

fn of(media: Media) -> Facts {
    Facts { media: Some(media), ..Facts::default() }
}

fn refused(status: u16, media: Option<Media>) -> Facts {
    let signalling = Signalling {
        offered_by: Some(By::Client),
        offer: Some(Lacks::default()),
        refusal: Some((By::Host, status)),
        ..Signalling::default()
    };
    Facts { signalling: Some(signalling), media, ..Facts::default() }
}

#[track_caller]
fn names(facts: &Facts, key: &str) {
    let verdict = facts.verdict();
    assert_eq!(verdict.key, key, "{verdict}");
    assert!(key == "firewall" || verdict.sentence.contains(key), "{verdict}");
}

#[test]
fn a_healthy_call_has_nothing_to_change() {
    let verdict = of(media()).verdict();
    assert_eq!((verdict.to_string().as_str(), verdict.key), ("media flows both ways", ""));
}

#[test]
fn what_is_wrong_and_stops_nothing_is_a_remark() {
    let mut facts = of(Media { certificate: Some(Certificate::OutOfDate), ..media() });
    facts.stun = Some("no answer".to_owned());
    let text = facts.verdict().to_string();
    assert!(text.starts_with("media flows both ways; also: STUN: no answer; correct stunaddr in rtp.conf"), "{text}");
    assert!(text.contains("dtlscertfile"), "{text}");
}

#[test]
fn a_call_without_sockets_is_told_why_it_got_none() {
    let of = |why| NoSocket { why, ip: [192, 0, 2, 1].into(), ports: (10_000, 10_001) };
    let without = |why| Facts { no_socket: Some(of(why)), ..Facts::default() };
    names(&without(Unbound::PortsInUse), "rtpend");
    names(&without(Unbound::NoDescriptors), "maxfiles");
    names(&without(Unbound::NoAddress), "bindaddr");
    names(&without(Unbound::Forbidden), "rtpstart");
    names(&without(Unbound::Other(97)), "");
    let sentence = |why| without(why).verdict().sentence;
    assert!(
        sentence(Unbound::NoAddress).starts_with("the call got no sockets: 192.0.2.1 is no address of this machine")
    );
    for other in [Unbound::NoDescriptors, Unbound::NoAddress, Unbound::Forbidden, Unbound::Other(97)] {
        assert!(!sentence(other).contains("in use"), "{}", sentence(other));
    }
}

#[test]
fn a_call_that_a_drain_refused_is_no_fault_of_its_account() {
    let mut facts = refused(503, None);
    assert!(facts.verdict().sentence.starts_with("Asterisk refused the call with 503"));
    facts.signalling.as_mut().unwrap().refusal = Some((By::Drain, 503));
    let verdict = facts.verdict();
    assert_eq!(verdict.key, "");
    assert!(verdict.sentence.starts_with("this host is draining (webrtc drain) and takes no new calls"), "{verdict}");
}

#[test]
fn faults_of_certificates() {
    let with = |problem| of(Media { certificate: Some(problem), ..Media::default() });
    names(&with(Certificate::NoCertificate), "dtlscertfile");
    names(&with(Certificate::Unreadable), "dtlscertfile");
    names(&with(Certificate::OtherKey), "dtlsprivatekey");
}

#[test]
fn a_refused_call_is_about_what_the_account_lacks() {
    let with_dtls = || Some(Media { dtls: Some(Dtls::default()), ..Media::default() });
    names(&refused(488, Some(Media::default())), "dtlsenable");
    names(&refused(488, with_dtls()), "allow");
    let mut facts = refused(488, with_dtls());
    facts.account.name = Some("1001".to_owned());
    names(&facts, "encryption");
    facts.account.settings = vec![("encryption".to_owned(), "yes".to_owned())];
    names(&facts, "avpf");
    facts.account.settings.push(("avpf".to_owned(), "yes".to_owned()));
    names(&facts, "allow");
    names(&refused(403, None), "secret");
    names(&refused(404, None), "context");
}

#[test]
fn a_client_that_asterisk_does_not_admit_is_about_its_account() {
    let mut facts = refused(401, None);
    let signalling = facts.signalling.as_mut().unwrap();
    (signalling.is_registration, signalling.wrong_credentials) = (true, 1);
    names(&facts, "secret");
    facts.account.name = Some("1001".to_owned());
    names(&facts, "secret");
    for (name, value) in [("permit", "192.0.2.0/24"), ("host", "192.0.2.9"), ("type", "user")] {
        facts.account.settings.push((name.to_owned(), value.to_owned()));
        names(&facts, name);
    }
    facts.account.settings = vec![("type".to_owned(), "friend".to_owned()), ("host".to_owned(), "dynamic".to_owned())];
    names(&facts, "secret");
    facts.account.settings = vec![("host".to_owned(), "192.0.2.9".to_owned())];
    facts.signalling.as_mut().unwrap().is_registration = false;
    names(&facts, "secret");
}

#[test]
fn a_limit_of_calls_is_told_beside_a_party_that_does_not_answer() {
    let mut facts = refused(480, None);
    assert!(!facts.verdict().sentence.contains("call-limit"));
    facts.account.name = Some("1001".to_owned());
    facts.account.settings = vec![("call-limit".to_owned(), "1".to_owned())];
    assert!(facts.verdict().sentence.contains("call-limit = 1 in [1001] of sip.conf"), "{}", facts.verdict());
}

#[test]
fn an_answer_without_ice_names_the_file_that_turns_it_off() {
    let facts = |wanted| Facts {
        signalling: Some(called_by(By::Client, Lacks::ICE)),
        media: Some(Media { ice: None, ice_wanted: wanted, ..media() }),
        ..Facts::default()
    };
    names(&facts(true), "icesupport");
    assert!(facts(true).verdict().sentence.ends_with("sip.conf"));
    assert!(facts(false).verdict().sentence.ends_with("rtp.conf"));
}

#[test]
fn an_answer_that_asterisk_does_not_take_is_about_avpf() {
    let mut signalling = called_by(By::Host, Lacks::default());
    signalling.offer = Some(Lacks::FEEDBACK);
    signalling.bye = Some((By::Host, Duration::from_millis(20)));
    let media = Some(Media { received: (0, None), ..media() });
    names(&Facts { signalling: Some(signalling), media, ..Facts::default() }, "avpf");
}

#[test]
fn without_a_path_it_is_the_firewall_or_our_addresses() {
    let ice = |requests, responses| Some(Ice { is_active: true, requests, responses, ..Ice::default() });
    let with = |requests, responses| of(Media { ice: ice(requests, responses), ..media() });
    names(&with(0, 0), "firewall");
    assert!(with(3, 0).verdict().sentence.contains("leaves this machine"));
    names(&with(0, 3), "firewall");
    let mut facts = with(0, 0);
    facts.media.as_mut().unwrap().peer_candidates = vec![SocketAddr::from(([203, 0, 113, 1], 1))];
    names(&facts, "stunaddr");
    facts.stun = Some("stun.example does not answer".to_owned());
    names(&facts, "stunaddr");
    facts.turn = Some("401 wrong credentials".to_owned());
    names(&facts, "turnpassword");
}

#[test]
fn keys_that_do_not_come_have_a_reason() {
    let with = |dtls| of(Media { keys_due: true, dtls: Some(dtls), received: (0, None), ..media() });
    let failed = |failure| with(Dtls { has_heard: true, failure: Some(failure), ..Dtls::default() });
    names(&failed(Handshake::NotTrusted), "dtlsverify");
    names(&failed(Handshake::Alert(42)), "dtlscertfile");
    names(&failed(Handshake::TimedOut), "dtls_mtu");
    names(&with(Dtls::default()), "dtlssetup");
}

#[test]
fn a_phone_behind_a_nat_is_about_nat() {
    let behind = Media {
        ice: None,
        signalled: Some(SocketAddr::from(([192, 168, 0, 9], 4000))),
        heard_from: Some(SocketAddr::from(([203, 0, 113, 9], 4100))),
        ..media()
    };
    names(&of(behind.clone()), "nat");
    assert_eq!(of(Media { follows: true, ..behind }).verdict().key, "");
}

#[test]
fn a_page_on_http_of_another_host_has_no_microphone() {
    for safe in ["https://pbx.example", "http://localhost:8088", "http://127.0.0.1:1", "http://[::1]:8088", "null"] {
        assert_eq!(insecure(safe), None, "{safe}");
    }
    assert!(insecure("http://pbx.example:8088").is_some() && insecure("http://192.168.1.5").is_some());
    let signalling = Signalling { origin: Some("http://pbx.example".to_owned()), ..Signalling::default() };
    names(&Facts { signalling: Some(signalling), ..Facts::default() }, "tlsenable");
}
