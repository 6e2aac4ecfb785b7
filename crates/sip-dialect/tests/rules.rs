//! Each rule on a message of the client that needs it, and on one that it does not concern.

#[path = "common/call.rs"]
mod call;
mod common;

use call::{Call, NO_CHANGE};
use common::difference;
use sip_dialect::{Dialect, Event, Outcome, Rule, Rules};

/// An offer as Firefox 153 prints it when its page holds the call.
const FIREFOX_HOLD: &str = include_str!("descriptions/firefox-hold.sdp");
/// The first offer of a page that only listens, from Chromium 156.
const LISTEN_ONLY: &str = include_str!("descriptions/listen-only.sdp");
/// Audio and video from a Firefox 153 that has no H.264.
const VIDEO: &str = include_str!("descriptions/video-99-is-av1.sdp");
/// The answer of chan_sip 11.25.3 with our engine.
const ANSWER: &str = include_str!("descriptions/asterisk-answer.sdp");

#[test]
fn rfc8866_section_6_7_the_direction_of_a_section_is_its_own() {
    let mut call = Call::new(Rules::DEFAULT);
    let (removed, added) = call.client_offers(FIREFOX_HOLD);
    assert_eq!((removed.as_str(), added.as_str()), ("a=sendrecv", ""));
    let without = FIREFOX_HOLD.replace("a=sendonly\r\n", "");
    let invite = call.request("INVITE", "Content-Type: application/sdp\r\n", &without);
    let Outcome::Changed { message, .. } = call.dialect.handle_client(invite.as_bytes()) else { panic!("unchanged") };
    assert!(message.ends_with(b"a=setup:actpass\r\na=sendrecv\r\n"), "it moves to where it counts");
}

#[test]
fn rfc3264_section_6_1_the_answer_to_one_direction_is_the_other() {
    for (offered, answered) in [("recvonly", "sendonly"), ("sendonly", "recvonly"), ("inactive", "inactive")] {
        let mut call = Call::new(Rule::AnswerDirection.into());
        call.client_offers(&LISTEN_ONLY.replace("a=recvonly", &format!("a={offered}")));
        let (removed, added) = call.host_answers(ANSWER);
        assert_eq!((removed, added), ("a=sendrecv".to_owned(), format!("a={answered}")));
    }
    let mut call = Call::new(Rule::AnswerDirection.into());
    call.client_offers(&LISTEN_ONLY.replace("a=recvonly", "a=sendrecv"));
    assert_eq!(call.host_answers(ANSWER), NO_CHANGE);
}

#[test]
fn an_answer_is_fitted_to_the_offer_that_it_answers() {
    let mut call = Call::new(Rule::AnswerDirection.into());
    call.client_offers(LISTEN_ONLY);
    assert_eq!(call.host_answers(ANSWER).1, "a=sendonly");
    call.client_offers(&LISTEN_ONLY.replace("a=recvonly", "a=sendrecv"));
    assert_eq!(call.host_answers(ANSWER), NO_CHANGE, "the page sends again");
    call.client_offers(LISTEN_ONLY);
    assert_eq!(call.host_answers(ANSWER).1, "a=sendonly");
    assert_eq!(call.host_answers(ANSWER).1, "a=sendonly", "the host repeats its answer");
}

#[test]
fn rfc3264_section_6_a_payload_type_that_the_host_misreads_is_not_offered() {
    let mut call = Call::new(Rule::PayloadTypes.into());
    let (removed, added) = call.client_offers(VIDEO);
    assert_eq!(removed, "m=video 40002 UDP/TLS/RTP/SAVPF 120 121 99 100");
    assert_eq!(added, "m=video 40002 UDP/TLS/RTP/SAVPF 120 100");
    let mut call = Call::new(Rule::PayloadTypes.into());
    let only = VIDEO.replace("SAVPF 120 121 99 100", "SAVPF 99");
    assert_eq!(call.client_offers(&only).1, "m=video 0 UDP/TLS/RTP/SAVPF 99");
    let mut call = Call::new(Rule::PayloadTypes.into());
    assert_eq!(call.client_offers(&VIDEO.replace("AV1/", "H264/").replace("121", "122")), NO_CHANGE);
}

#[test]
fn rfc5888_section_9_1_an_answer_has_the_mids_of_the_offer() {
    let mut call = Call::new(Rules::from(Rule::Mid).with(Rule::Group));
    call.client_offers(
        &LISTEN_ONLY.replace("o=mozilla", "o=-").replace("BUNDLE 0", "BUNDLE audio-0").replace("mid:0", "mid:audio-0"),
    );
    assert_eq!(call.host_answers(ANSWER), (String::new(), "a=group:BUNDLE audio-0|a=mid:audio-0".to_owned()));
}

#[test]
fn a_refused_section_has_its_mid_and_no_group() {
    let mut call = Call::new(Rules::from(Rule::Mid).with(Rule::Group));
    call.client_offers(&VIDEO.replace("o=mozilla", "o=-"));
    let answer = format!("{ANSWER}m=video 0 UDP/TLS/RTP/SAVPF 120 100\r\n");
    assert_eq!(call.host_answers(&answer).1, "a=mid:0|a=mid:1", "each has a transport of its own");
    let refused = answer.replace("m=audio 12054", "m=audio 0");
    assert_eq!(call.host_answers(&refused).1, "a=mid:0|a=mid:1");
}

/// Chromium ends the call at the answer to its next offer: "Answer cannot remove m= section with mid='1' from already-established
/// BUNDLE group".
#[test]
fn rfc9143_section_7_3_3_of_two_sections_none_is_grouped() {
    let mut call = Call::new(Rules::from(Rule::Mid).with(Rule::Group));
    call.client_offers(VIDEO);
    let answer = format!("{ANSWER}m=video 12056 UDP/TLS/RTP/SAVPF 120\r\na=fingerprint:sha-256 00\r\n");
    assert_eq!(call.host_answers(&answer).1, "a=mid:0|a=mid:1");
    assert_eq!(call.host_offers(&answer).1, "a=mid:0|a=mid:1");
}

#[test]
fn an_offer_without_mids_or_group_is_answered_without() {
    let mut call = Call::new(Rules::from(Rule::Mid).with(Rule::Group));
    call.client_offers(&LISTEN_ONLY.replace("a=mid:0\r\n", "").replace("a=group:BUNDLE 0\r\n", ""));
    assert_eq!(call.host_answers(ANSWER), NO_CHANGE);
    call.client_offers(&LISTEN_ONLY.replace("a=group:BUNDLE 0\r\n", ""));
    assert_eq!(call.host_answers(ANSWER).1, "a=mid:0");
    call.client_offers(LISTEN_ONLY);
    let without_mux = ANSWER.replace("a=rtcp-mux\r\n", "");
    assert_eq!(call.host_answers(&without_mux).1, "a=mid:0", "a group needs rtcp-mux (RFC 9143 section 9.3)");
}

#[test]
fn rfc8829_section_5_2_1_an_offer_of_the_host_has_mids() {
    let mut call = Call::new(Rules::from(Rule::Mid).with(Rule::Group));
    assert_eq!(call.host_offers(ANSWER).1, "a=group:BUNDLE 0|a=mid:0");
    call.client_answers(&LISTEN_ONLY.replace("a=mid:0", "a=mid:first"));
    assert_eq!(call.host_offers(ANSWER).1, "a=group:BUNDLE first|a=mid:first", "and keeps them");
    let plain = ANSWER.replace("a=fingerprint", "a=x-nothing");
    assert_eq!(call.host_offers(&plain), NO_CHANGE, "a plain phone has never seen one");
}

#[test]
fn rfc8829_section_5_1_2_an_answer_has_the_offered_transport() {
    let mut call = Call::new(Rule::Profile.into());
    call.client_offers(LISTEN_ONLY);
    assert_eq!(call.host_answers(ANSWER), NO_CHANGE);
    let (_, added) = call.host_answers(&ANSWER.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"));
    assert_eq!(added, "m=audio 12054 UDP/TLS/RTP/SAVPF 0 8 126");
    assert_eq!(
        call.host_answers(&ANSWER.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVP")),
        NO_CHANGE,
        "another one altogether"
    );
}

#[test]
fn rfc4028_section_7_4_a_client_refreshes_by_update() {
    let mut call = Call::new(Rules::DEFAULT);
    call.host_offers(ANSWER);
    let accepted = call.response("Session-Expires: 90;refresher=uas\r\nAllow: INVITE,ACK,UPDATE\r\n", LISTEN_ONLY);
    let Outcome::Changed { message, rules } = call.dialect.handle_client(accepted.as_bytes()) else {
        panic!("unchanged")
    };
    assert_eq!(rules, Rule::SessionTimer.into());
    assert_eq!(difference(&accepted, &message).0, "Session-Expires: 90;refresher=uas");
    let update = call.request("UPDATE", "Session-Expires: 90;refresher=uac\r\n", "");
    let Outcome::Answered { response, rule: Rule::SessionTimer } = call.dialect.handle_client(update.as_bytes()) else {
        panic!("not answered")
    };
    let response = String::from_utf8(response).expect("text");
    assert!(response.starts_with("SIP/2.0 200 OK\r\nVia: SIP/2.0/WS client.invalid;branch=z9hG4bK"), "{response}");
    assert!(response.ends_with(
        "\r\nContact: <sip:asterisk@192.0.2.1:5060;transport=WS>\r\nRequire: timer\r\n\
         Session-Expires: 90;refresher=uac\r\nContent-Length: 0\r\n\r\n"
    ));
}

#[test]
fn an_update_that_is_no_refresh_is_the_hosts_to_answer() {
    let mut call = Call::new(Rules::DEFAULT);
    call.host_offers(ANSWER);
    let accepted = call.response("Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n", LISTEN_ONLY);
    assert_eq!(call.dialect.handle_client(accepted.as_bytes()), Outcome::Unchanged, "the host refreshes");
    let accepted = call.response("Session-Expires: 90;refresher=uas\r\nAllow: INVITE\r\n", LISTEN_ONLY);
    assert_eq!(call.dialect.handle_client(accepted.as_bytes()), Outcome::Unchanged, "the client refreshes by INVITE");
    let update = call.request("UPDATE", "Session-Expires: 90\r\n", "");
    assert_eq!(call.dialect.handle_client(update.as_bytes()), Outcome::Unchanged);
}

#[test]
fn rfc8840_candidates_in_info_reach_their_call() {
    let mut call = Call::new(Rules::DEFAULT);
    let offer = LISTEN_ONLY
        .replace("IP4 192.0.2.10\r\na=cand", "IP4 0.0.0.0\r\na=x-cand")
        .replace("a=ice-u", "a=ice-options:trickle\r\na=ice-u");
    assert_eq!(call.client_offers(&offer), ("c=IN IP4 0.0.0.0".to_owned(), "c=IN IP4 192.0.0.8".to_owned()));
    let fragment = "a=ice-ufrag:abcd1234\r\na=ice-pwd:0123456789abcdef0123456789abcdef\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
        a=candidate:1 1 udp 2122260223 192.0.2.10 40000 typ host\r\n";
    let info = call.request(
        "INFO",
        "Content-Type: application/trickle-ice-sdpfrag\r\nInfo-Package: trickle-ice\r\n",
        fragment,
    );
    assert!(matches!(call.dialect.handle_client(info.as_bytes()), Outcome::Answered { rule: Rule::Trickle, .. }));
    assert_eq!(call.dialect.poll_event(), None, "the host has not described itself");
    assert!(call.host_answers(ANSWER).1.ends_with("a=ice-options:trickle|a=end-of-candidates"));
    let candidate = "candidate:1 1 udp 2122260223 192.0.2.10 40000 typ host".to_owned();
    assert_eq!(call.dialect.poll_event(), Some(Event::Candidate { ufrag: "3cf5a9a1".to_owned(), candidate }));
    let end =
        call.request("INFO", "Content-Type: application/trickle-ice-sdpfrag\r\n", "a=mid:0\r\na=end-of-candidates\r\n");
    call.dialect.handle_client(end.as_bytes());
    assert_eq!(call.dialect.poll_event(), Some(Event::EndOfCandidates { ufrag: "3cf5a9a1".to_owned() }));
    let other = call.request(
        "INFO",
        "Content-Type: application/trickle-ice-sdpfrag\r\n",
        &fragment.replace("abcd1234", "older"),
    );
    call.dialect.handle_client(other.as_bytes());
    assert_eq!(call.dialect.poll_event(), None, "candidates of another generation (RFC 8840 section 4.4)");
}

#[test]
fn an_info_without_candidates_or_dialog_is_the_hosts_to_answer() {
    let mut call = Call::new(Rules::DEFAULT);
    let fragment = "a=mid:0\r\na=end-of-candidates\r\n";
    let info = call.request("INFO", "Content-Type: application/trickle-ice-sdpfrag\r\n", fragment);
    assert_eq!(call.dialect.handle_client(info.as_bytes()), Outcome::Unchanged, "no dialog");
    call.client_offers(LISTEN_ONLY);
    let digit = call.request("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=1\r\n");
    assert_eq!(call.dialect.handle_client(digit.as_bytes()), Outcome::Unchanged);
}

#[test]
fn rfc8839_section_5_1_long_addresses_are_carried_in_the_foundation() {
    let mut call = Call::new(Rule::LongCandidates.into());
    let long =
        "a=candidate:842163049 1 udp 2122260223 fd00:1111:2222:3333:4444:5555:6666:7777 40000 typ host generation 0";
    let offer = LISTEN_ONLY.replace("a=candidate:1 1 udp 2122260223 192.0.2.10 40000 typ host", long);
    let (removed, added) = call.client_offers(&offer);
    assert_eq!(removed, long);
    let words: Vec<&str> = added.split([' ', ':']).collect();
    assert_eq!((words[2], words[5], words[6]), ("1", "192.0.0.8", "40000"));
    let (carried, _) = ice::carried::decode(words[1]).expect("carried");
    assert_eq!(
        carried,
        ice::carried::Carried::V6("fd00:1111:2222:3333:4444:5555:6666:7777".parse().expect("an address"))
    );
    let short = offer.replace("fd00:1111:2222:3333:4444:5555:6666:7777", "fd00::2");
    assert_eq!(call.client_offers(&short), NO_CHANGE);
}

#[test]
fn a_description_in_a_multipart_body_is_read_too() {
    let part = format!(
        "--b\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{FIREFOX_HOLD}\r\n--b--\r\n",
        FIREFOX_HOLD.len()
    );
    let mut call = Call::new(Rules::DEFAULT);
    let invite = call.request("INVITE", "Content-Type: multipart/mixed;boundary=b\r\n", &part);
    let Outcome::Changed { message, .. } = call.dialect.handle_client(invite.as_bytes()) else { panic!("unchanged") };
    let changed = String::from_utf8(message).expect("text");
    assert!(
        changed.contains(&format!("\r\nContent-Length: {}\r\n\r\nv=0", FIREFOX_HOLD.len() - "a=sendrecv\r\n".len()))
    );
    let (head, body) = changed.split_once("\r\n\r\n").expect("a body");
    assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
}

#[test]
fn a_rule_that_is_switched_off_changes_nothing() {
    for rule in Rule::ALL {
        let mut call = Call::new(Rules::from(rule));
        let mut idle = Call::new(Rules::DEFAULT.without(rule));
        let own = call.client_offers(FIREFOX_HOLD);
        // The page offers Opus.
        assert_eq!(own != NO_CHANGE, matches!(rule, Rule::SessionDirection | Rule::Opus));
        assert_eq!(idle.client_offers(FIREFOX_HOLD) == NO_CHANGE, rule == Rule::SessionDirection);
    }
}

#[test]
fn rfc8122_section_5_the_name_of_a_hash_is_in_lower_case() {
    let mut call = Call::new(Rule::FingerprintCase.into());
    call.client_offers(LISTEN_ONLY);
    let (lost, got) = call.host_answers(ANSWER);
    assert_eq!((lost.replace("SHA-256", "sha-256"), lost != got), (got, true));
    assert_eq!(call.host_answers(&ANSWER.replace("SHA-256", "sha-256")), NO_CHANGE);
}

#[test]
fn rfc3264_section_8_a_changed_description_has_a_higher_version() {
    let mut call = Call::new(Rule::Version.into());
    assert_eq!(call.client_offers(LISTEN_ONLY), NO_CHANGE);
    assert_eq!(call.client_offers(LISTEN_ONLY), NO_CHANGE, "the session is refreshed");
    let changed = LISTEN_ONLY.replace("a=recvonly", "a=sendonly");
    let (_, got) = call.client_offers(&changed);
    assert!(got.contains("o=mozilla 1000000000000000001 2 IN"), "{got}");
    let anew = LISTEN_ONLY.replace("1000000000000000001 1 IN", "77 0 IN");
    assert!(call.client_offers(&anew).1.contains("o=mozilla 77 3 IN"), "another session of the same dialog");
    let higher = LISTEN_ONLY.replace("1000000000000000001 1 IN", "77 9 IN");
    assert_eq!(call.client_offers(&higher), NO_CHANGE);
}

#[test]
fn the_answer_to_an_offer_that_was_not_read_is_as_it_was() {
    let mut call = Call::new(Rules::DEFAULT);
    let broken = LISTEN_ONLY.replace("s=-", "nonsense");
    let invite = call.request("INVITE", "Content-Type: application/sdp\r\n", &broken);
    assert_eq!(call.dialect.handle_client(invite.as_bytes()), Outcome::Unreadable);
    assert_eq!(call.host_answers(&ANSWER.replace("SHA-256", "sha-256")), NO_CHANGE);
}

#[test]
fn rfc3264_section_5_the_answer_to_an_invite_without_a_description_is_an_offer() {
    let mut call = Call::new(Rules::from(Rule::Mid));
    let invite = call.request("INVITE", "", "");
    assert_eq!(call.dialect.handle_client(invite.as_bytes()), Outcome::Unchanged);
    assert_eq!(call.host_answers(ANSWER).1, "a=mid:0");
}

#[test]
fn one_info_tells_of_64_candidates_at_most() {
    let mut call = Call::new(Rules::DEFAULT);
    call.client_offers(LISTEN_ONLY);
    call.host_answers(ANSWER);
    let many = "a=candidate:1\r\n".repeat(5000);
    let info = call.request("INFO", "Content-Type: application/trickle-ice-sdpfrag\r\n", &many);
    call.dialect.handle_client(info.as_bytes());
    assert_eq!(std::iter::from_fn(|| call.dialect.poll_event()).count(), 64);
}

#[test]
fn calls_that_a_client_refuses_are_forgotten() {
    let mut call = Call::new(Rules::DEFAULT);
    call.host_offers(ANSWER);
    let busy = call.answer("SIP/2.0 486 Busy Here", "", "");
    call.dialect.handle_client(busy.as_bytes());
    assert_eq!(call.dialect.memory(), 0);
}

#[test]
fn no_two_sections_of_an_offer_have_the_same_mid() {
    let mut call = Call::new(Rules::from(Rule::Mid));
    call.host_offers(ANSWER);
    call.client_answers(&LISTEN_ONLY.replace("a=mid:0", "a=mid:1"));
    let video = ANSWER.split_once("m=audio").map(|(_, section)| format!("m=video{section}")).expect("a section");
    assert_eq!(call.host_offers(&format!("{ANSWER}{video}")).1, "a=mid:1|a=mid:65");
}

#[test]
fn a_session_that_the_host_refreshes_is_not_refreshed_here() {
    let mut call = Call::new(Rules::DEFAULT);
    let timer = "Content-Type: application/sdp\r\nSession-Expires: 90;refresher=uas\r\nContact: <sip:a>\r\n";
    let invite = call.request("INVITE", timer, ANSWER);
    call.dialect.handle_host(invite.as_bytes());
    let accepted = call.response("Session-Expires: 90;refresher=uas\r\n", LISTEN_ONLY);
    assert_eq!(call.dialect.handle_client(accepted.as_bytes()), Outcome::Unchanged);
    let update = call.request("UPDATE", "Session-Expires: 90;refresher=uac\r\n", "");
    assert_eq!(call.dialect.handle_client(update.as_bytes()), Outcome::Unchanged);
}

#[test]
fn a_hold_of_a_client_that_refreshes_here_shows_the_host_no_timer() {
    let mut call = Call::new(Rules::DEFAULT.without(Rule::FingerprintCase));
    call.host_offers(ANSWER);
    let accepted = call.response("Session-Expires: 90;refresher=uas\r\n", LISTEN_ONLY);
    call.dialect.handle_client(accepted.as_bytes());
    let hold = LISTEN_ONLY.replace("a=recvonly", "a=sendonly").replace("001 1 IN", "001 2 IN");
    let invite =
        call.request("INVITE", "Content-Type: application/sdp\r\nSession-Expires: 90;refresher=uac\r\n", &hold);
    let Outcome::Changed { message, rules } = call.dialect.handle_client(invite.as_bytes()) else {
        panic!("unchanged")
    };
    assert_eq!(rules, Rule::SessionTimer.into());
    assert_eq!(difference(&invite, &message).0, "Session-Expires: 90;refresher=uac");
}

#[test]
fn sections_that_the_host_is_not_told_are_not_mended_either() {
    let mut call = Call::new(Rules::DEFAULT);
    let more = LISTEN_ONLY.split_once("m=audio").map(|(_, section)| format!("m=audio{section}")).expect("a section");
    let more = more
        .replace("mid:0", "mid:1")
        .replace("IP4 192.0.2.10", "IP4 0.0.0.0")
        .replace("udp 2122260223 192.0.2.10", "udp 1 fd00:1111:2222:3333:4444:5555:6666:7777");
    let offer =
        format!("{LISTEN_ONLY}{more}").replace("s=-", "s=Doubango Telecom - chrome").replace("BUNDLE 0", "BUNDLE 0 1");
    assert_eq!(call.client_offers(&offer).1, "");
}

#[test]
fn what_cannot_be_read_passes_and_is_told() {
    let mut dialect = Dialect::new(Rules::DEFAULT);
    assert_eq!(dialect.handle_client(b"\r\n\r\n"), Outcome::Unchanged);
    assert_eq!(dialect.handle_client(b"GET / HTTP/1.1\r\n\r\n"), Outcome::Unreadable);
    let call = Call::new(Rules::DEFAULT);
    let invite = call.request("INVITE", "Content-Type: application/sdp\r\n", "v=0\r\nm=audio\r\n");
    assert_eq!(dialect.handle_client(invite.as_bytes()), Outcome::Unreadable);
    let lies = invite.replace("Content-Length: 14", "Content-Length: 15");
    assert_ne!(lies, invite);
    assert_eq!(dialect.handle_client(lies.as_bytes()), Outcome::Unreadable);
}

#[test]
fn the_calls_of_a_session_are_known_until_they_end() {
    let mut call = Call::new(Rules::DEFAULT);
    call.client_offers(LISTEN_ONLY);
    call.host_answers(ANSWER);
    assert_eq!(call.dialect.calls().collect::<Vec<_>>(), [b"3cf5a9a1"]);
    let refused = call.answer("SIP/2.0 491 Request Pending", "", "");
    call.dialect.handle_host(refused.as_bytes());
    assert_eq!(call.dialect.calls().count(), 1, "a refused re-INVITE leaves the dialog");
    let bye = call.request("BYE", "", "");
    call.dialect.handle_client(bye.as_bytes());
    assert_eq!((call.dialect.calls().count(), call.dialect.memory()), (0, 0));
    call.client_offers(LISTEN_ONLY);
    let busy = call.answer("SIP/2.0 486 Busy Here", "", "");
    call.dialect.handle_host(busy.as_bytes());
    assert_eq!(call.dialect.memory(), 0);
}
