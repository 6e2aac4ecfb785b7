//! Media sections that chan_sip has declined, and of which it says nothing when it offers, or answers an offer whose version it knows.

#[allow(dead_code, reason = "the tests of rules use more of it")]
#[path = "common/call.rs"]
mod call;
mod common;

use call::{Call, NO_CHANGE};
use sip_dialect::{Outcome, Rule, Rules};

/// The answer of chan_sip 11.25.3 with our engine, which is also how it offers.
const AUDIO: &str = include_str!("descriptions/asterisk-answer.sdp");

const SDP: &str = "Content-Type: application/sdp\r\n";

fn call() -> Call {
    Call::new(Rules::from(Rule::Mid).with(Rule::Group))
}

/// A description of a browser's, with a mid in each section. The group has those that are in use.
fn page(sections: &[&str]) -> String {
    let used = |(mid, section): (usize, &&str)| (!section.contains(" 0 ")).then(|| format!(" {mid}"));
    let mids: String = sections.iter().enumerate().filter_map(used).collect();
    let head = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n");
    let lines = "c=IN IP4 192.0.2.2\r\na=ice-ufrag:mrMf\r\na=fingerprint:sha-256 00\r\na=rtcp-mux\r\n";
    let section = |(mid, section): (usize, &&str)| format!("m={section}\r\n{lines}a=mid:{mid}\r\n");
    head + &sections.iter().enumerate().map(section).collect::<String>()
}

/// A description of chan_sip's with these sections.
fn host(sections: &[&str]) -> String {
    let (head, audio) = AUDIO.split_once("m=audio").expect("a section");
    let section = |section: &&str| match *section {
        "audio" => format!("m=audio{audio}"),
        "video" => "m=video 12056 UDP/TLS/RTP/SAVPF 99\r\na=fingerprint:sha-256 00\r\na=rtcp-mux\r\n".to_owned(),
        declined => format!("m={declined}\r\n"),
    };
    head.to_owned() + &sections.iter().map(section).collect::<String>()
}

/// The `m=` lines without formats, the mids and the group that the client gets.
fn told(call: &mut Call, message: &str) -> String {
    let Outcome::Changed { message, .. } = call.dialect.handle_host(message.as_bytes()) else { panic!("unchanged") };
    let again = call.dialect.handle_host(&message);
    assert_eq!(again, Outcome::Unchanged, "what is in its place stays there");
    let text = String::from_utf8(message).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a body");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{text}");
    let lines = body.lines().filter(|line| ["m=", "a=mid", "a=group"].iter().any(|begin| line.starts_with(begin)));
    lines.map(|line| line.split(" UDP/").next().unwrap_or(line)).collect::<Vec<_>>().join("|")
}

/// An INVITE of the host's in the dialog.
fn offered(call: &mut Call, sections: &[&str]) -> String {
    let invite = call.request("INVITE", SDP, &host(sections));
    told(call, &invite)
}

/// The host's answer to the client's last INVITE.
fn answered(call: &mut Call, sections: &[&str]) -> String {
    let answer = call.answer("SIP/2.0 200 OK", SDP, &host(sections));
    told(call, &answer)
}

/// A call whose data channel, which stands first, is declined, as is its picture.
fn call_with_declined_sections() -> (Call, String) {
    let offer = page(&[DATA, AUDIO_LINE, VIDEO_LINE]);
    let mut call = call();
    call.client_offers(&offer);
    answered(&mut call, &["application 0 UDP/DTLS/SCTP webrtc-datachannel", "audio", "video 0 UDP/TLS/RTP/SAVPF 96"]);
    (call, offer)
}

const DATA: &str = "application 9 UDP/DTLS/SCTP webrtc-datachannel";
const AUDIO_LINE: &str = "audio 44720 UDP/TLS/RTP/SAVPF 8 0";
const VIDEO_LINE: &str = "video 44977 UDP/TLS/RTP/SAVPF 96 97";
const STOPPED: &str = "video 0 UDP/TLS/RTP/SAVPF 96";

/// JsSIP answers 488 to an offer with fewer sections than its browser's session has, and chan_sip hangs up.
#[test]
fn a_call_outlives_asterisks_reinvite_after_a_camera_was_refused() {
    let mut call = call();
    call.client_offers(&page(&[AUDIO_LINE]));
    answered(&mut call, &["audio"]);
    call.client_offers(&page(&[AUDIO_LINE, VIDEO_LINE]));
    answered(&mut call, &["audio", "video 0 UDP/TLS/RTP/SAVPF 96 97"]);
    let (lost, got) = call.host_offers(AUDIO);
    assert_eq!((lost.as_str(), got.as_str()), ("", "a=group:BUNDLE 0|a=mid:0|m=video 0 UDP/TLS/RTP/SAVPF 96|a=mid:1"));
    // The host skips a section with port 0.
    assert_eq!(call.client_answers(&page(&[AUDIO_LINE, STOPPED])), NO_CHANGE);
    assert_eq!(offered(&mut call, &["audio"]), "a=group:BUNDLE 0|m=audio 12054|a=mid:0|m=video 0|a=mid:1");
}

#[test]
fn a_call_outlives_asterisks_reinvite_after_a_camera_was_stopped() {
    let mut call = call();
    call.client_offers(&page(&[AUDIO_LINE, VIDEO_LINE]));
    answered(&mut call, &["audio", "video"]);
    call.client_offers(&page(&[AUDIO_LINE, STOPPED]));
    answered(&mut call, &["audio", STOPPED]);
    assert_eq!(offered(&mut call, &["audio"]), "m=audio 12054|a=mid:0|m=video 0|a=mid:1");
}

#[test]
fn a_called_page_that_declines_the_picture_outlives_a_reinvite() {
    let mut call = call();
    offered(&mut call, &["audio", "video"]);
    call.client_answers(&page(&[AUDIO_LINE, STOPPED]));
    assert_eq!(offered(&mut call, &["audio"]), "a=group:BUNDLE 0|m=audio 12054|a=mid:0|m=video 0|a=mid:1");
}

#[test]
fn audio_behind_a_data_channel_keeps_its_mid() {
    let (mut call, _) = call_with_declined_sections();
    let expected = "a=group:BUNDLE 1|m=application 0|a=mid:0|m=audio 12054|a=mid:1|m=video 0|a=mid:2";
    assert_eq!(offered(&mut call, &["audio"]), expected);
    let invite = call.request("INVITE", SDP, AUDIO);
    let Outcome::Changed { message, rules } = call.dialect.handle_host(invite.as_bytes()) else { panic!("unchanged") };
    assert_eq!(rules, Rules::from(Rule::Mid).with(Rule::Group));
    assert!(
        String::from_utf8_lossy(&message).contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n")
    );
}

/// The host does not look at an offer whose version it knows, and its answer lacks what it has declined as well.
#[test]
fn a_page_that_refreshes_its_session_is_answered_with_all_its_sections() {
    let (mut call, offer) = call_with_declined_sections();
    // The audio has the transport, whatever stands in front of it.
    let refused = "m=application 0 UDP/DTLS/SCTP webrtc-datachannel|m=video 0 UDP/TLS/RTP/SAVPF 96 97";
    assert_eq!(call.client_offers(&offer).1, refused);
    let expected = "a=group:BUNDLE 1|m=application 0|a=mid:0|m=audio 12054|a=mid:1|m=video 0|a=mid:2";
    assert_eq!(answered(&mut call, &["audio"]), expected);
    assert_eq!(offered(&mut call, &["audio"]), expected);
}

#[test]
fn the_picture_stays_in_front_of_the_audio() {
    let mut call = call();
    let offer = page(&[VIDEO_LINE, AUDIO_LINE]);
    call.client_offers(&offer);
    let expected = "m=video 12056|a=mid:0|m=audio 12054|a=mid:1";
    assert_eq!(answered(&mut call, &["video", "audio"]), expected);
    assert_eq!(offered(&mut call, &["audio", "video"]), expected);
    call.client_offers(&offer);
    assert_eq!(answered(&mut call, &["audio", "video"]), expected);
}

#[test]
fn the_section_in_use_is_the_hosts_and_not_one_that_was_stopped() {
    let mut call = call();
    call.client_offers(&page(&[STOPPED, AUDIO_LINE, VIDEO_LINE]));
    answered(&mut call, &[STOPPED, "audio", "video"]);
    let expected = "m=video 0|a=mid:0|m=audio 12054|a=mid:1|m=video 12056|a=mid:2";
    assert_eq!(offered(&mut call, &["audio", "video"]), expected);
}

#[test]
fn an_offer_that_the_host_refused_leaves_the_session_as_it_was() {
    let mut call = call();
    call.client_offers(&page(&[AUDIO_LINE]));
    answered(&mut call, &["audio"]);
    call.client_offers(&page(&[DATA, AUDIO_LINE]));
    let refusal = call.answer("SIP/2.0 491 Request Pending", "", "");
    call.dialect.handle_host(refusal.as_bytes());
    assert_eq!(offered(&mut call, &["audio"]), "a=group:BUNDLE 0|m=audio 12054|a=mid:0");
}

#[test]
fn an_offer_of_the_page_says_anew_which_sections_there_are() {
    let (mut call, _) = call_with_declined_sections();
    call.client_offers(&page(&[AUDIO_LINE, STOPPED]));
    assert_eq!(answered(&mut call, &["audio"]), "a=group:BUNDLE 0|m=audio 12054|a=mid:0|m=video 0|a=mid:1");
}

/// The host repeats the client's sections in their order when it tells who the call is with now (`sendrpid`).
#[test]
fn a_declined_section_that_asterisk_does_mention_keeps_its_mid() {
    let (mut call, _) = call_with_declined_sections();
    let sections = ["application 0 UDP/DTLS/SCTP webrtc-datachannel", "audio", "video 0 UDP/TLS/RTP/SAVPF 96 97"];
    let expected = "a=group:BUNDLE 1|m=application 0|a=mid:0|m=audio 12054|a=mid:1|m=video 0|a=mid:2";
    assert_eq!(offered(&mut call, &sections), expected);
}

/// Such as a fax (T.38), for which the host offers nothing else.
#[test]
fn what_asterisk_adds_stands_behind_the_rest() {
    let mut call = call();
    call.client_offers(&page(&[AUDIO_LINE]));
    answered(&mut call, &["audio"]);
    let invite = call.request("INVITE", SDP, "v=0\r\no=- 1 1 IN IP4 a\r\nm=image 4000 udptl t38\r\na=T38FaxVersion:0");
    let Outcome::Changed { message, .. } = call.dialect.handle_host(invite.as_bytes()) else { panic!("unchanged") };
    let expected = "a\r\nm=audio 0 UDP/TLS/RTP/SAVPF 8\r\na=mid:0\r\nm=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n";
    assert!(message.ends_with(expected.as_bytes()), "{}", String::from_utf8_lossy(&message));
}

#[test]
fn a_description_in_a_multipart_body_gets_its_declined_sections_too() {
    let (mut call, _) = call_with_declined_sections();
    let part =
        format!("--b\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{AUDIO}\r\n--b--\r\n", AUDIO.len());
    let invite = call.request("INVITE", "Content-Type: multipart/mixed;boundary=b\r\n", &part);
    let expected = "a=group:BUNDLE 1|m=application 0|a=mid:0|m=audio 12054|a=mid:1|m=video 0|a=mid:2";
    assert_eq!(told(&mut call, &invite), expected);
}

#[test]
fn an_offer_in_answer_to_an_empty_invite_has_all_sections() {
    let (mut call, _) = call_with_declined_sections();
    let invite = call.request("INVITE", "", "");
    call.dialect.handle_client(invite.as_bytes());
    let expected = "a=group:BUNDLE 1|m=application 0|a=mid:0|m=audio 12054|a=mid:1|m=video 0|a=mid:2";
    assert_eq!(answered(&mut call, &["audio"]), expected);
}

#[test]
fn sections_of_sipml5_that_the_host_was_not_told_are_not_declined() {
    let mut call = Call::new(Rules::DEFAULT);
    let both = page(&[AUDIO_LINE, AUDIO_LINE]).replace("s=-", "s=Doubango Telecom - chrome");
    call.client_offers(&both.replace("a=rtcp-mux", "a=rtcp-mux\r\na=sendrecv"));
    call.host_answers(AUDIO);
    let got = call.host_offers(AUDIO).1;
    assert!(!got.contains("m="), "{got}");
}

#[test]
fn without_the_rule_no_section_is_added() {
    let mut call = Call::new(Rule::Group.into());
    call.client_offers(&page(&[DATA, AUDIO_LINE]));
    assert_eq!(call.host_offers(AUDIO), NO_CHANGE);
}

/// The declined section would have no transport or format.
#[test]
fn a_section_that_is_too_long_to_remember_is_not_added() {
    let mut call = Call::new(Rule::Mid.into());
    let long = format!("x{} 9 RTP/AVP 0", "y".repeat(300));
    call.client_offers(&page(&[&long, AUDIO_LINE]));
    call.host_answers(&host(&[&long.replace(" 9 ", " 0 "), "audio"]));
    assert!(!call.host_offers(AUDIO).1.contains("m="));
}
