//! A complete WebRTC call through the modules: ICE, DTLS-SRTP and media, with an independent peer.

mod common;

use common::{
    HostThread,
    channel::Channel,
    descriptors,
    dtls_phone::DtlsPhone,
    eventually,
    rtp::{FRAME_LEN, Frame, Instance},
    threads,
    webrtc::{Call, Identity, Offer, configure_dtls, fingerprint},
};
use host_tests::{Host, Kind};
use std::path::Path;
use std::time::{Duration, Instant};

const SRTP: &str = "res_srtp";
const RTP: &str = "res_rtp_asterisk";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=32000\nrtpend=32999\n");
    host.load_all(&[SRTP, RTP]);
    host
}

/// Each side receives the other's media, and nothing else.
fn is_a_conversation(call: &mut Call) {
    assert!(call.talk_until(|call| call.connected), "ICE and DTLS within ten seconds");
    assert!(
        call.talk_until(|call| call.heard.len() >= 25 && call.frames.len() >= 25),
        "heard {}, frames {}",
        call.heard.len(),
        call.frames.len()
    );
    assert!(call.heard.iter().all(|payload| payload == &[0x11; FRAME_LEN]));
    assert!(call.frames.iter().filter_map(Frame::voice).all(|payload| payload == [0x22; FRAME_LEN]));
}

#[test]
fn a_browser_calls() {
    let host = host();
    is_a_conversation(&mut Call::new(Kind::Newest, Offer::Browser, host.directory()));
}

#[test]
fn a_browser_is_called() {
    let host = host();
    is_a_conversation(&mut Call::new(Kind::Newest, Offer::Asterisk, host.directory()));
}

/// Werift and str0m drop packets whose SSRC no `a=ssrc` names (RFC 5576), so a described one stays.
#[test]
fn the_described_ssrc_stays_when_another_source_is_heard() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    is_a_conversation(&mut call);
    let described = call.instance.stats().local_ssrc;
    call.instance.change_source();
    call.heard.clear();
    assert!(call.talk_until(|call| call.heard.len() >= 25), "heard {}", call.heard.len());
    assert_eq!(call.instance.stats().local_ssrc, described);
}

#[test]
fn refused_packets_are_logged_with_their_address_and_the_call() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    is_a_conversation(&mut call);
    let to = call.instance.local();
    let stranger = std::net::UdpSocket::bind((to.ip(), 0)).expect("loopback");
    let mut forgery = [0x5a; 60];
    forgery[..2].copy_from_slice(&[0x80, 111]);
    (0..12).for_each(|_| drop(stranger.send_to(&forgery, to)));
    let line = format!("10 packets refused, the last from {}: srtp", stranger.local_addr().expect("bound"));
    let mut log = String::new();
    let is_logged = call.talk_until(|_| {
        log.push_str(&host.log());
        log.contains(&line)
    });
    assert!(is_logged, "{log}");
    let line = log.lines().find(|logged| logged.contains(&line)).expect("it is there");
    assert!(line.contains(&format!("RTP port {}, ", to.port())), "{line}");
}

#[test]
fn a_dialplan_that_reads_nothing_does_not_keep_the_call_from_coming_up() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    assert!(call.browser_alone_until(|call| call.connected), "{}", host.log());
    is_a_conversation(&mut call);
}

/// Longer than the time between two reports, and than that between two checks of consent.
const LONG_ENOUGH: Duration = Duration::from_secs(7);

fn host_with_frequent_reports() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=32000\nrtpend=32999\nrtcpinterval=500\n");
    host.load_all(&[SRTP, RTP]);
    host
}

/// chan_sip keeps the instance for 32 s after the BYE. By then the port of a phone may serve its next call.
#[test]
fn after_the_end_of_a_call_nothing_is_sent_to_the_port_of_the_peer() {
    let host = host_with_frequent_reports();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    call.instance.set_property(asterisk_sys::AST_RTP_PROPERTY_RTCP, 1);
    is_a_conversation(&mut call);
    assert!(!call.arriving_within(Duration::from_secs(1)).is_empty(), "a report while the call is up");
    call.instance.stop();
    call.arriving_within(Duration::from_millis(10));
    let strays = call.arriving_within(LONG_ENOUGH);
    assert_eq!(strays, Vec::<Vec<u8>>::new());
    let Call { instance, .. } = &call;
    instance.write(0x11);
    assert_eq!(call.arriving_within(Duration::from_millis(100)), Vec::<Vec<u8>>::new(), "media after the end");
}

#[test]
fn a_call_that_ends_before_anybody_answered_sends_no_more_checks() {
    let host = host_with_frequent_reports();
    let call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    assert!(!call.arriving_within(Duration::from_secs(1)).is_empty(), "checks while the call is set up");
    call.instance.stop();
    call.arriving_within(Duration::from_millis(10));
    assert_eq!(call.arriving_within(Duration::from_secs(4)), Vec::<Vec<u8>>::new());
}

#[test]
fn a_held_call_goes_on_with_reports_and_checks_and_comes_back() {
    let host = host_with_frequent_reports();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    call.instance.set_property(asterisk_sys::AST_RTP_PROPERTY_RTCP, 1);
    is_a_conversation(&mut call);
    call.hold();
    call.arriving_within(Duration::from_millis(10));
    let arrived = call.arriving_within(LONG_ENOUGH);
    let (checks, reports): (Vec<_>, Vec<_>) = arrived.iter().partition(|datagram| datagram[0] < 4);
    assert!(!checks.is_empty() && reports.len() > 5, "{} checks, {} reports", checks.len(), reports.len());
    call.resume();
    is_a_conversation_again(&mut call);
}

#[test]
fn a_refused_stream_is_silent_until_it_is_used_again() {
    let host = host_with_frequent_reports();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    is_a_conversation(&mut call);
    call.refuse();
    call.arriving_within(Duration::from_millis(10));
    assert_eq!(call.arriving_within(Duration::from_secs(3)), Vec::<Vec<u8>>::new());
    call.resume();
    is_a_conversation_again(&mut call);
}

/// RFC 8839 §4.2.5. A B2BUA moves the call to a phone that knows no ICE.
#[test]
fn a_description_without_ice_moves_the_call_to_its_address() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    is_a_conversation(&mut call);
    let old = call.move_without_ice();
    old.set_nonblocking(true).expect("a socket");
    while old.recv(&mut [0; 2048]).is_ok() {}
    is_a_conversation_again(&mut call);
    assert!(old.recv(&mut [0; 2048]).is_err(), "something was sent to the old address");
}

/// The fingerprint is as before, so nothing but ICE tells that there are no keys any more.
#[test]
fn a_page_that_opens_its_connection_anew_with_the_same_certificate_is_heard_again() {
    let host = host();
    for offer in [Offer::Browser, Offer::Asterisk] {
        let mut call = Call::new(Kind::Newest, offer, host.directory());
        is_a_conversation(&mut call);
        call.reconnect();
        is_a_conversation_again(&mut call);
        assert!(call.refresh());
        is_a_conversation_again(&mut call);
    }
}

#[test]
fn an_offer_in_mid_call_is_answered_by_another_browser() {
    let host = host();
    for offer in [Offer::Browser, Offer::Asterisk] {
        let mut call = Call::new(Kind::Newest, offer, host.directory());
        is_a_conversation(&mut call);
        call.is_answered_by_another();
        is_a_conversation_again(&mut call);
        let asked = Instant::now();
        call.talk_until(|_| asked.elapsed() > Duration::from_secs(3));
        assert!(call.refresh(), "its credentials changed in an answer, so ours stay");
        call.hold();
        call.resume();
        assert!(call.refresh());
        is_a_conversation_again(&mut call);
    }
}

fn is_a_conversation_again(call: &mut Call) {
    call.heard.clear();
    call.frames.clear();
    is_a_conversation(call);
}

/// Consent is lost 30 s after the last answer (RFC 7675 §5.1).
const CONSENT_LASTS: Duration = Duration::from_secs(30);

/// Nobody reads the channel, as with an AGI script. While a thread of the host is busy with it, nobody waits for that thread.
#[test]
fn a_call_whose_browser_is_gone_ends_and_no_other() {
    let host = host();
    let other = Channel::without_rtp();
    let mut held = Call::new(Kind::Newest, Offer::Browser, host.directory());
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    let (held_channel, channel) = (held.channel(), call.channel());
    is_a_conversation(&mut held);
    held.hold();
    is_a_conversation(&mut call);
    let gone = Instant::now();
    held.browser_alone_for(CONSENT_LASTS - Duration::from_secs(7));
    assert_eq!(channel.cause(), None, "{}", host.log());
    channel.while_locked(|| held.browser_alone_for(Duration::from_secs(8)));
    let sessions = host.command("rtp show sessions").1;
    assert!(sessions.contains("the peer is gone: consent lost"), "{sessions}");
    while channel.cause().is_none() && gone.elapsed() < CONSENT_LASTS + Duration::from_secs(5) {
        held.browser_alone_for(Duration::from_millis(100));
    }
    let log = host.log();
    assert_eq!(channel.cause(), Some(asterisk_sys::AST_CAUSE_REQUESTED_CHAN_UNAVAIL), "{log}");
    assert!(log.contains("consenttimeout") && log.contains("hanging up SIP/test-00000001"), "{log}");
    assert_eq!((held_channel.cause(), other.cause()), (None, None), "{log}");
    assert!(host.command("rtp show sessions").1.contains("1 calls were ended"), "{log}");
    drop((held, call, held_channel, channel, other));
    assert!(host.unload(RTP), "{log}");
}

#[test]
fn nothing_is_said_in_clear_before_the_handshake() {
    let host = host();
    let call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    let eavesdropper = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    eavesdropper.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    call.instance.set_remote(eavesdropper.local_addr().expect("bound"));
    for _ in 0..5 {
        call.instance.write(0x11);
    }
    let mut buffer = [0; 2048];
    while let Ok(length) = eavesdropper.recv(&mut buffer) {
        assert!(buffer[0] < 64, "media of {length} bytes in clear");
    }
    // Unencrypted RTP is not accepted either.
    let clear = common::rtp::Phone::new().packet(0, false, &[0x33; FRAME_LEN]);
    eavesdropper.send_to(&clear, call.instance.local()).expect("loopback");
    if call.instance.is_readable(common::rtp::RTP, Duration::from_millis(300)) {
        assert_eq!(call.instance.read(common::rtp::RTP), []);
    }
}

#[test]
fn another_certificate_than_the_one_announced_gets_no_audio() {
    let host = host();
    let mut call = Call::with_fingerprint(Kind::Newest, Offer::Browser, host.directory(), |right| {
        let other = if right.starts_with('A') { "B" } else { "A" };
        right.replacen(&right[..1], other, 1)
    });
    assert!(!call.browser_alone_until(|call| call.sent > 400) || call.heard.is_empty());
    assert!(call.heard.is_empty() && call.frames.is_empty());
}

/// RFC 8122 §6.2: keys agreed with one certificate are not valid for another certificate.
#[test]
fn keys_end_when_the_peer_announces_a_certificate_and_never_shows_it() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Asterisk, host.directory());
    is_a_conversation(&mut call);
    call.announce_another_certificate();
    let announced = Instant::now();
    call.heard.clear();
    // Media continues until then: the new handshake may be on its way.
    assert!(call.talk_until(|call| call.heard.len() >= 25));
    call.talk_until(|_| false);
    call.talk_until(|_| announced.elapsed() > Duration::from_secs(11));
    call.heard.clear();
    call.frames.clear();
    call.talk_until(|_| announced.elapsed() > Duration::from_secs(12));
    assert!(call.heard.is_empty() && call.frames.is_empty());
    assert!(host.log().contains("no keys after 10 s"));
}

/// Without ICE and with `nat=comedia`, one datagram once took the peer's place and received its handshake messages.
#[test]
fn a_stranger_does_not_keep_a_phone_without_ice_from_its_handshake() {
    let host = host();
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    let noise = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32][..], &[0x5a; 32]].concat();
    for said in [DtlsPhone::new().hello(), noise, alert] {
        let phone = DtlsPhone::new();
        let instance = phone.call(host.directory(), phone.socket.local_addr().expect("bound"));
        let stranger = std::net::UdpSocket::bind("127.0.0.2:0").expect("loopback");
        stranger.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        stranger.send_to(&said, instance.local()).expect("loopback");
        let mut buffer = [0; 2048];
        let answers = std::iter::from_fn(|| stranger.recv(&mut buffer).ok());
        assert!(answers.sum::<usize>() < said.len(), "the answers are longer than the request");
        assert!(phone.shakes_hands(instance.local()), "after {:02x?}: {}", &said[..13], host.log());
        assert!(stranger.recv(&mut buffer).is_err());
    }
}

#[test]
fn a_phone_behind_a_nat_and_without_ice_shakes_hands() {
    let host = host();
    let phone = DtlsPhone::new();
    let instance = phone.call(host.directory(), "192.0.2.1:4000".parse().expect("an address"));
    assert!(phone.shakes_hands(instance.local()), "{}", host.log());
}

#[test]
fn a_stranger_with_another_certificate_does_not_prevent_the_handshake() {
    let host = host();
    let phone = DtlsPhone::new();
    let instance = phone.call(host.directory(), "192.0.2.1:4000".parse().expect("an address"));
    // The attacker may believe that it has succeeded, because our close follows our last flight.
    DtlsPhone::new().shakes_hands(instance.local());
    assert!(eventually(|| host.log().contains("its SDP says")), "{}", host.log());
    assert!(phone.shakes_hands(instance.local()), "{}", host.log());
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let host = host();
    let instance = Instance::new();
    let missing = host.directory().join("missing.pem");
    assert_ne!(configure_dtls(&instance, Kind::Newest, Some(&missing)), 0);
    assert!(host.log().contains("missing.pem"));
    let broken = host.directory().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n").expect("writable");
    assert_ne!(configure_dtls(&instance, Kind::Newest, Some(&broken)), 0);
    assert!(host.log().contains("broken.pem"));
}

#[test]
fn certificates_that_sip_conf_names_are_looked_at_before_a_call() {
    let host = Host::start(Kind::Newest);
    let file = |name: &str| host.directory().join(name).display().to_string();
    Identity::new().write(file("good.pem").as_ref());
    Identity::until(-3).write(file("ended.pem").as_ref());
    let (good, ended, absent) = (file("good.pem"), file("ended.pem"), file("absent.pem"));
    // The log is not limited to what peers do.
    let more: Vec<String> = (0..20).map(|number| file(&format!("ended-{number}.pem"))).collect();
    let accounts: String = more.iter().map(|more| format!("[2001]\ndtlscertfile = {more}\n")).collect();
    for more in &more {
        std::fs::copy(&ended, more).expect("writable");
    }
    host.configure(
        "sip.conf",
        &format!(
            "[general]\ncontext = calls\n[1001]\ndtlscertfile = {good}\n[1002]\ndtlscertfile = {ended}\n\
             [1003]\ndtlsenable = yes\ndtlscertfile = {absent}\n[1003]\ndtlscertfile = {absent}\n{accounts}"
        ),
    );
    host.load_all(&[SRTP, RTP]);
    std::fs::remove_file(host.directory().join("sip.conf")).expect("written above");
    let log = host.log();
    let lines = |words: [&str; 2]| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    assert_eq!(lines([&absent, "sip.conf, line 9: dtlscertfile"]), 1, "{log}");
    assert_eq!(lines([&ended, "sip.conf, line 6: dtlscertfile"]), 1, "{log}");
    for more in &more {
        assert_eq!(lines([more, "ended on"]), 1, "{log}");
    }
    assert_eq!(lines([&good, ""]), 0, "{log}");
}

#[test]
fn without_a_certificate_file_there_is_one_of_our_own() {
    let _host = host();
    let (first, second) = (Instance::new(), Instance::new());
    for instance in [&first, &second] {
        assert_eq!(configure_dtls(instance, Kind::Newest, None), 0);
    }
    assert_eq!(fingerprint(&first).len(), 32 * 3 - 1);
    assert_eq!(fingerprint(&first), fingerprint(&second), "made once");
}

#[test]
fn calls_leave_nothing_behind() {
    let host = host();
    is_a_conversation(&mut Call::new(Kind::Newest, Offer::Browser, host.directory()));
    let before = common::settled_footprint();
    for _ in 0..3 {
        let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
        is_a_conversation(&mut call);
        assert!(!host.unload(SRTP) && !host.unload(RTP), "in use");
    }
    let now = || (descriptors(), threads());
    assert!(eventually(|| now() == before), "{:?}, {before:?}", now());
    assert_eq!(host.objects_alive(), 0);
    assert!(host.unload(RTP) && host.unload(SRTP), "{}", host.log());
    assert!(!host.is_mapped(RTP) && !host.is_mapped(SRTP));
}

#[test]
fn a_host_thread_outlives_the_modules() {
    let host = host();
    let thread = HostThread::start();
    run_on(&thread, host.directory());
    assert!(host.unload(RTP) && host.unload(SRTP), "{}", host.log());
    assert!(!host.is_mapped(RTP) && !host.is_mapped(SRTP));
    thread.end();
    host.load_all(&[SRTP, RTP]);
    run_on(&HostThread::start(), host.directory());
}

fn run_on(thread: &HostThread, directory: &Path) {
    let directory = directory.to_owned();
    thread.run(move || is_a_conversation(&mut Call::new(Kind::Newest, Offer::Browser, &directory)));
}

/// The words are those of the story; `rtp show session` names a session by its port.
#[test]
fn a_call_tells_its_story() {
    let host = host();
    let mut call = Call::new(Kind::Newest, Offer::Browser, host.directory());
    is_a_conversation(&mut call);
    let port = call.instance.local().port();
    let (_, story) = host.command(&format!("rtp show session {port}"));
    let mut rest = story.as_str();
    for event in [
        "RTP: session made: ",
        "DTLS: configured",
        "ICE: our candidate, host: ",
        "ICE: component 1 selected the pair: ",
        "DTLS: connected, fingerprint matches, SRTP_",
        "RTP: first packet ",
        "Verdict: media flows both ways",
    ] {
        rest = rest.split_once(event).unwrap_or_else(|| panic!("{event} is missing or out of order in {story}")).1;
    }
    for event in ["ICE: candidate of the peer, host: ", "DTLS: first record of the peer: ", "packet received, payload"]
    {
        assert!(story.contains(event), "{event} is missing in {story}");
    }
    let (_, nothing) = host.command("rtp show session 1");
    assert!(nothing.contains("No call has the port, the channel or the Call-ID '1'"), "{nothing}");
    let (_, answer) = host.action("RTPShowSession", ("Session", &port.to_string()));
    let json = answer.lines().find_map(|line| line.strip_prefix("JSON: ")).unwrap_or_else(|| panic!("{answer}"));
    let told: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let events = told["events"].as_array().expect("a list").iter().filter_map(|event| event["event"].as_str());
    let selected = events.filter(|event| *event == "ICE: component 1 selected the pair").count();
    assert!(selected == 1 && told["port"] == port && told["setting"].is_null(), "{told}");
    assert!(
        answer.ends_with("Event: RTPShowSessionComplete\r\nActionID: 7\r\nEventList: Complete\r\nListItems: 1\r\n\r\n")
    );
    let (_, nothing) = host.action("RTPShowSession", ("Session", "1"));
    assert!(nothing.starts_with("Response: Error\r\n") && nothing.contains("Message: No such session: "), "{nothing}");
}
