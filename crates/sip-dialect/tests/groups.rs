//! Groups of media sections (RFC 9143): Chromium's by `bundlePolicy`, as Chromium 156 described them, and Firefox's.

#[path = "common/call.rs"]
mod call;
mod common;

use call::{Call, NO_CHANGE};
use sip_dialect::{Rule, Rules};

/// The answer of chan_sip 11.25.3 with our engine.
const ANSWER: &str = include_str!("descriptions/asterisk-answer.sdp");

/// The candidates and the port of a section that has a transport of its own.
const OWN: &str = "a=candidate:1 1 udp 2122194687 192.0.2.2 44977 typ host\r\n";

fn call() -> Call {
    Call::new(Rules::from(Rule::Mid).with(Rule::Group))
}

fn offer(origin: &str, mids: &str, video: Option<(u16, &str)>) -> String {
    let head = format!("v=0\r\no={origin} 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n");
    let section = |media: &str, port: u16, candidates: &str, mid: u8| {
        format!(
            "m={media} {port} UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.2\r\n{candidates}a=ice-ufrag:mrMf\r\na=fingerprint:sha-256 00\r\n\
             a=mid:{mid}\r\na=rtcp-mux\r\n"
        )
    };
    let video = video.map(|(port, candidates)| section("video", port, candidates, 1)).unwrap_or_default();
    format!("{head}{}{video}", section("audio", 44720, &OWN.replace("44977", "44720"), 0))
}

fn answer(video: u16) -> String {
    format!("{ANSWER}m=video {video} UDP/TLS/RTP/SAVPF 99\r\na=fingerprint:sha-256 00\r\na=rtcp-mux\r\n")
}

/// With `max-bundle` Chromium refuses the answer: "Answer cannot remove m= section with mid='0' from already-established BUNDLE
/// group".
#[test]
fn rfc9143_section_7_3_3_a_section_that_is_alone_stays_in_its_group() {
    let mut call = call();
    call.client_offers(&offer("-", "0", None));
    assert_eq!(call.host_answers(ANSWER).1, "a=group:BUNDLE 0|a=mid:0");
}

#[test]
fn a_section_without_a_transport_of_its_own_is_refused() {
    let mut call = call();
    let (_, got) = call.client_offers(&offer("-", "0 1", Some((9, ""))));
    assert_eq!(got, "m=video 0 UDP/TLS/RTP/SAVPF 0");
    assert_eq!(call.host_answers(&answer(0)).1, "a=group:BUNDLE 0|a=mid:0|a=mid:1");
    // From now on the client's calls are offered with a group.
    assert_eq!(call.host_offers(&answer(12056)).1, "a=group:BUNDLE 0|a=mid:0|a=mid:1");
}

#[test]
fn sections_with_transports_of_their_own_are_never_grouped() {
    let mut call = call();
    assert_eq!(call.client_offers(&offer("-", "0 1", Some((44977, OWN)))), NO_CHANGE);
    assert_eq!(call.host_answers(&answer(12056)).1, "a=mid:0|a=mid:1");
    // The camera goes, and comes again: the host keeps its transport meanwhile.
    assert_eq!(call.client_offers(&offer("-", "0", Some((0, "")))), NO_CHANGE);
    assert_eq!(call.host_answers(&answer(0)).1, "a=mid:0|a=mid:1");
    assert_eq!(call.client_offers(&offer("-", "0 1", Some((44977, OWN)))), NO_CHANGE);
    assert_eq!(call.host_answers(&answer(12056)).1, "a=mid:0|a=mid:1");
}

/// The client puts the new section onto the group's transport at once, and shows candidates of it as well.
#[test]
fn rfc9143_section_7_3_2_what_joins_an_agreed_group_is_refused() {
    for candidates in ["", OWN] {
        let mut call = call();
        call.client_offers(&offer("-", "0", None));
        call.host_answers(ANSWER);
        assert_eq!(call.client_offers(&offer("-", "0 1", Some((9, candidates)))).1, "m=video 0 UDP/TLS/RTP/SAVPF 0");
        assert_eq!(call.host_answers(&answer(0)).1, "a=group:BUNDLE 0|a=mid:0|a=mid:1");
        let offered = "a=group:BUNDLE 0|a=mid:0|m=video 0 UDP/TLS/RTP/SAVPF 0|a=mid:1";
        assert_eq!(call.host_offers(ANSWER).1, offered, "the group stays, and the section (RFC 3264 section 8)");
    }
}

#[test]
fn a_client_that_answers_with_a_group_keeps_it() {
    let mut call = call();
    assert_eq!(call.host_offers(ANSWER).1, "a=group:BUNDLE 0|a=mid:0");
    call.client_answers(&offer("-", "0", None));
    assert_eq!(call.client_offers(&offer("-", "0 1", Some((9, "")))).1, "m=video 0 UDP/TLS/RTP/SAVPF 0");
}

/// Firefox takes an answer without a group whatever its policy.
#[test]
fn firefox_needs_no_group() {
    let mut call = call();
    call.client_offers(&offer("mozilla...THIS_IS_SDPARTA-99.0", "0", None));
    assert_eq!(call.host_answers(ANSWER).1, "a=mid:0");
    let joins = offer("mozilla...THIS_IS_SDPARTA-99.0", "0 1", Some((51141, "")));
    assert_eq!(call.client_offers(&joins).1, "m=video 0 UDP/TLS/RTP/SAVPF 0", "the host would refuse all");
    assert_eq!(call.host_answers(&answer(0)).1, "a=mid:0|a=mid:1");
}

/// "max-bundle configured but session description has no BUNDLE group": the page answers 488.
#[test]
fn a_client_that_refuses_two_sections_is_offered_a_group_the_next_time() {
    let mut call = call();
    assert_eq!(call.host_offers(&answer(12056)).1, "a=mid:0|a=mid:1");
    let refusal = call.answer("SIP/2.0 488 Not Acceptable Here", "", "");
    call.dialect.handle_client(refusal.as_bytes());
    assert_eq!(call.host_offers(&answer(12056)).1, "a=group:BUNDLE 0|a=mid:0|a=mid:1");
}

#[test]
fn without_the_rule_nothing_is_refused() {
    let mut call = Call::new(Rule::Mid.into());
    assert_eq!(call.client_offers(&offer("-", "0 1", Some((9, "")))), NO_CHANGE);
    assert_eq!(call.host_answers(&answer(12056)).1, "a=mid:0|a=mid:1");
}
