//! `webrtc drain`: a host that is to become empty takes nothing new and keeps what it has.

mod common;
#[path = "common/sip.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod sip;

use common::eventually;
use common::websocket::{Browser, TEXT, handshake};
use host_tests::{Host, Kind, Loading};
use sip::Sip;

const MODULE: &str = "res_http_websocket";

/// The beginning of a call.
const INVITE: &str = "INVITE sip:echo@pbx SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK1\r\n\
    From: <sip:1001@pbx>;tag=1\r\nTo: <sip:echo@pbx>\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

/// The head of the response to a request for a WebSocket.
fn answer() -> String {
    let mut browser = Browser::request("ws", false, &handshake("sip"));
    let head = browser.head();
    browser.hang_up();
    head
}

/// The response of this side of the WebSocket to a message, or of `chan_sip`, which repeats what it reads.
fn response(browser: &mut Browser, message: &str) -> String {
    browser.send(TEXT, message.as_bytes());
    String::from_utf8(browser.receive().1).expect("SIP")
}

#[test]
fn a_new_websocket_is_refused_with_503_until_the_draining_ends() {
    let host = host();
    let _sip = Sip::register();
    let mut before = Browser::connect("ws", false, "sip").expect("a handshake");
    // The answer to the handshake leaves before the session is counted; the answer to a message, after.
    assert_eq!(response(&mut before, "OPTIONS sip:pbx SIP/2.0\r\n\r\n"), "got: OPTIONS sip:pbx SIP/2.0\r\n\r\n");
    host.log();
    let (_, told) = host.command("webrtc drain");
    assert!(told.starts_with("Draining: ") && told.contains("1 sessions go on"), "{told}");
    assert!(host.log().contains("NOTICE") && answer().starts_with("HTTP/1.1 503 "));
    assert!(answer().contains("\r\nRetry-After: 5\r\n"));
    let (_, sessions) = host.command("websocket show sessions");
    assert!(sessions.contains("draining: 2"), "{sessions}");
    assert_eq!(response(&mut before, "OPTIONS sip:pbx SIP/2.0\r\n\r\n"), "got: OPTIONS sip:pbx SIP/2.0\r\n\r\n");

    assert_eq!(host.command("webrtc drain off").1, "Not draining; 1 sessions\n");
    assert!(answer().starts_with("HTTP/1.1 101 "));
    before.close();
    assert!(eventually(|| host.objects_alive() == 0));
}

#[test]
fn a_new_call_is_refused_with_503_and_what_belongs_to_a_call_that_is_up_is_not() {
    let host = host();
    let _sip = Sip::register();
    let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
    let passes = |browser: &mut Browser, message: &str| response(browser, message).starts_with("got: ");
    assert!(passes(&mut browser, INVITE));
    host.command("webrtc drain on");
    let refused = response(&mut browser, INVITE);
    assert!(refused.starts_with("SIP/2.0 503 ") && refused.contains("\r\nRetry-After: 5\r\n"), "{refused}");
    assert!(refused.contains("\r\nCSeq: 7 INVITE\r\n") && refused.contains("branch=z9hG4bK1\r\n"), "{refused}");
    for message in [
        INVITE.replace("<sip:echo@pbx>\r\n", "<sip:echo@pbx>;tag=2\r\n"),
        INVITE.replace("INVITE", "BYE"),
        INVITE.replace("INVITE", "REGISTER"),
    ] {
        assert!(passes(&mut browser, &message), "{message}");
    }
    host.command("webrtc drain off");
    assert!(passes(&mut browser, INVITE));
    browser.close();
}

#[test]
fn the_history_of_calls_lists_a_call_that_was_refused() {
    let host = host();
    assert_eq!(host.load("res_rtp_asterisk"), Loading::Loaded, "{}", host.log());
    let _sip = Sip::register();
    let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
    host.command("webrtc drain on");
    assert!(response(&mut browser, INVITE).starts_with("SIP/2.0 503 "));
    let history = || host.command("rtp show history").1;
    assert!(eventually(|| history().contains("1 calls have ended")), "{}", history());
    assert!(
        history().contains("1001, ") && history().contains("this host is draining (webrtc drain)"),
        "{}",
        history()
    );
    let (_, story) = host.command("rtp show session 1");
    assert!(story.contains("SIP: refused with 503 by webrtc drain"), "{story}");
    browser.close();
}

#[test]
fn draining_stays_over_a_reload_and_ends_with_an_unload() {
    let host = host();
    let sip = Sip::register();
    host.command("webrtc drain");
    host.reload(MODULE);
    assert!(answer().starts_with("HTTP/1.1 503 "));
    drop(sip);
    assert!(eventually(|| host.unload(MODULE)), "{}", host.log());
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    let _sip = Sip::register();
    assert!(answer().starts_with("HTTP/1.1 101 "));
}

#[test]
fn another_word_than_on_and_off_changes_nothing() {
    let host = host();
    let _sip = Sip::register();
    let (answered, _) = host.command("webrtc drain now");
    assert_ne!(answered, host.command("webrtc drain off").0);
    assert!(answer().starts_with("HTTP/1.1 101 "));
}
