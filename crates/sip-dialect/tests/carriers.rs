//! Opus and VP8 under the names of formats that the host knows: offers of browsers, answers of chan_sip, and both the other way.

#[allow(dead_code, reason = "the tests of rules use more of it")]
#[path = "common/call.rs"]
mod call;
mod common;

use call::{Call, NO_CHANGE};
use common::difference;
use sip_dialect::{Dialect, Event, Outcome, Rule, Rules};

/// Audio of a Chromium 156.
const CHROMIUM: &str = include_str!("messages/jssip-chromium-trickles.sip");
/// Audio and video of a Firefox 153, which writes `a=fmtp` before `a=rtpmap`.
const FIREFOX: &str = include_str!("messages/jssip-firefox-offers-video.sip");
/// The answer of chan_sip 11.25.3 with our engine to an offer of PCMU.
const ANSWER: &str = include_str!("descriptions/asterisk-answer.sdp");

fn both() -> Rules {
    Rules::from(Rule::Opus).with(Rule::Vp8)
}

/// An answer of chan_sip with the carriers.
fn carried(opus: &str, vp8: &str) -> String {
    let audio = ANSWER.replace("SAVPF 0 8 126", &format!("SAVPF {opus} 0 126")).replace(
        "a=rtpmap:0 PCMU/8000\r\n",
        &format!("a=rtpmap:{opus} G719/48000\r\na=fmtp:{opus} bitrate=64000\r\na=rtpmap:0 PCMU/8000\r\n"),
    );
    format!(
        "{audio}m=video 12056 RTP/SAVPF {vp8}\r\na=rtpmap:{vp8} MP4V-ES/90000\r\na=ice-ufrag:pictures\r\n\
         a=fingerprint:sha-256 00\r\n"
    )
}

fn client_says(message: &str, rules: Rules) -> (String, String) {
    match Dialect::new(rules).handle_client(message.as_bytes()) {
        Outcome::Changed { message: changed, .. } => difference(message, &changed),
        Outcome::Unchanged => NO_CHANGE,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc7587_section_7_chromium_offers_opus_as_g719() {
    let (lost, got) = client_says(CHROMIUM, both());
    assert_eq!(got, "m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8 126|a=rtpmap:111 G719/48000");
    assert_eq!(
        lost,
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126|a=rtpmap:111 opus/48000/2|a=rtcp-fb:111 transport-cc|\
         a=fmtp:111 minptime=10;useinbandfec=1|a=rtpmap:63 red/48000/2|a=fmtp:63 111/111|a=rtpmap:13 CN/8000|\
         a=rtpmap:110 telephone-event/48000"
    );
}

#[test]
fn rfc7741_section_6_firefox_offers_vp8_as_mpeg4_and_keeps_its_numbers() {
    let (lost, got) = client_says(FIREFOX, both());
    assert_eq!(got, "a=rtpmap:109 G719/48000|a=rtpmap:120 MP4V-ES/90000");
    assert_eq!(
        lost,
        "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1|a=rtcp-fb:109 transport-cc|a=rtpmap:109 opus/48000/2|\
         a=fmtp:120 max-fs=12288;max-fr=60|a=rtcp-fb:120 nack|a=rtcp-fb:120 nack pli|a=rtcp-fb:120 ccm fir|\
         a=rtcp-fb:120 goog-remb|a=rtcp-fb:120 transport-cc|a=rtpmap:120 VP8/90000"
    );
}

#[test]
fn each_format_has_its_own_switch() {
    let (_, got) = client_says(FIREFOX, Rule::Opus.into());
    assert_eq!(got, "a=rtpmap:109 G719/48000");
    let (_, got) = client_says(FIREFOX, Rule::Vp8.into());
    assert_eq!(got, "a=rtpmap:120 MP4V-ES/90000");
}

#[test]
fn without_the_switches_nothing_is_renamed() {
    for message in [CHROMIUM, FIREFOX] {
        let (lost, got) = client_says(message, Rules::DEFAULT);
        assert!(!got.contains("G719") && !got.contains("MP4V") && !lost.contains("rtpmap"), "{lost} {got}");
    }
    let mut call = Call::new(Rules::DEFAULT.without(Rule::Mid).without(Rule::FingerprintCase).without(Rule::Pictures));
    assert_eq!(call.host_offers(&carried("116", "104")), NO_CHANGE);
}

#[test]
fn a_number_of_vp8_that_means_another_format_to_the_host_is_offered_all_the_same() {
    // 97 is iLBC to the host, and Firefox's 99 is AV1.
    let (_, offer) = FIREFOX.split_once("\r\n\r\n").expect("a body");
    let offer = offer.replace(":120 ", ":97 ").replace(" 120 ", " 97 ");
    let (_, got) = Call::new(both().with(Rule::PayloadTypes)).client_offers(&offer);
    assert!(got.contains("m=video 56990 UDP/TLS/RTP/SAVPF 97 124 125 100 123 122"), "{got}");
    let (_, got) = Call::new(Rule::PayloadTypes.into()).client_offers(&offer);
    assert!(got.contains("m=video 56990 UDP/TLS/RTP/SAVPF 124 125 100 123 122"), "{got}");
}

/// Without `payloadtypes` the host would read a retransmission (RFC 4588) of that number as MPEG-4, which carries VP8.
#[test]
fn a_retransmission_is_not_taken_for_vp8() {
    let (_, offer) = FIREFOX.split_once("\r\n\r\n").expect("a body");
    let offer = offer.replace(":124 ", ":104 ").replace(" 124 ", " 104 ");
    assert!(offer.contains("a=rtpmap:104 rtx/90000"), "{offer}");
    let (_, got) = Call::new(Rule::Vp8.into()).client_offers(&offer);
    assert!(got.contains("m=video 56990 UDP/TLS/RTP/SAVPF 120 121 125 99 100 123 122 119"), "{got}");
    assert_eq!(Call::new(Rule::Opus.into()).client_offers(&offer).1.matches("m=video").count(), 0);
    let alone = offer.replace("SAVPF 120 104 121 125 99 100 123 122 119", "SAVPF 104");
    let (_, got) = Call::new(Rule::Vp8.into()).client_offers(&alone);
    assert!(got.contains("m=video 0 UDP/TLS/RTP/SAVPF 104"), "{got}");
}

#[test]
fn the_answer_to_a_browser_has_opus_and_vp8_under_its_numbers() {
    let mut call = Call::new(both());
    let (_, offer) = FIREFOX.split_once("\r\n\r\n").expect("a body");
    call.client_offers(offer);
    let (lost, got) = call.host_answers(&carried("109", "120"));
    assert_eq!(lost, "a=rtpmap:109 G719/48000|a=fmtp:109 bitrate=64000|a=rtpmap:120 MP4V-ES/90000");
    assert_eq!(
        got,
        "a=rtpmap:109 opus/48000/2|a=fmtp:109 minptime=10;useinbandfec=1|a=rtpmap:120 VP8/90000|\
         a=rtcp-fb:* ccm fir|a=rtcp-fb:* nack pli"
    );
}

#[test]
fn an_offer_of_the_host_has_opus_and_vp8_and_the_engine_is_told_of_opus() {
    let mut call = Call::new(both());
    let (_, got) = call.host_offers(&carried("116", "104"));
    assert_eq!(
        got,
        "a=rtpmap:116 opus/48000/2|a=fmtp:116 minptime=10;useinbandfec=1|a=rtpmap:104 VP8/90000|a=rtcp-fb:* ccm fir|\
         a=rtcp-fb:* nack pli"
    );
    let told: Vec<Event> = std::iter::from_fn(|| call.dialect.poll_event()).collect();
    assert_eq!(told, [Event::Opus { ufrag: "3cf5a9a1".to_owned() }]);
    assert_eq!(call.host_offers(ANSWER), NO_CHANGE);
    assert_eq!(call.dialect.poll_event(), None);
    let (_, answer) = CHROMIUM.split_once("\r\n\r\n").expect("a body");
    assert!(call.client_answers(answer).1.contains("a=rtpmap:111 G719/48000"));
}

#[test]
fn parameters_of_opus_are_told_if_the_host_has_none() {
    let mut call = Call::new(both());
    let bare = carried("116", "104").replace("a=fmtp:116 bitrate=64000\r\n", "");
    assert!(call.host_offers(&bare).1.contains("a=rtpmap:116 opus/48000/2|a=fmtp:116 minptime=10;useinbandfec=1"));
}

#[test]
fn a_refused_section_and_a_stream_of_text_stay() {
    let mut call = Call::new(both());
    let refused = carried("116", "104").replace("12056", "0").replace("m=audio", "m=text");
    assert_eq!(call.host_offers(&refused), NO_CHANGE);
}
