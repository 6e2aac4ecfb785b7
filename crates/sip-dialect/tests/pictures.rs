//! Requests for whole pictures, between a client that knows RTCP feedback and a host that knows INFO.

#[allow(dead_code, reason = "the tests of rules use more of it")]
#[path = "common/call.rs"]
mod call;
mod common;

use call::{Call, NO_CHANGE};
use sip_dialect::{Event, Outcome, Rule};

/// Audio and video from a Firefox 153.
const VIDEO: &str = include_str!("descriptions/video-99-is-av1.sdp");
/// The answer of chan_sip 11.25.3 with our engine, without video.
const AUDIO: &str = include_str!("descriptions/asterisk-answer.sdp");

/// The body that chan_sip writes, shortened.
const WISH: &str = "<media_control><vc_primitive><to_encoder><picture_fast_update>\r\n</picture_fast_update>";

const BOTH: &str = "a=rtcp-fb:* ccm fir|a=rtcp-fb:* nack pli";

fn answer() -> String {
    format!(
        "{AUDIO}m=video 12056 RTP/SAVPF 99\r\na=rtpmap:99 H264/90000\r\na=ice-ufrag:pictures\r\na=fingerprint:sha-256 00\r\n"
    )
}

fn info(call: &mut Call, content_type: &str, body: &str) -> Vec<Event> {
    let info = call.request("INFO", &format!("Content-Type: {content_type}\r\n"), body);
    assert_eq!(call.dialect.handle_host(info.as_bytes()), Outcome::Unchanged);
    std::iter::from_fn(|| call.dialect.poll_event()).collect()
}

#[test]
fn rfc5104_section_7_1_an_answer_has_the_kinds_of_the_offer() {
    let mut call = Call::new(Rule::Pictures.into());
    call.client_offers(VIDEO);
    assert_eq!(call.host_answers(&answer()).1, BOTH);
    assert_eq!(call.host_answers(AUDIO), NO_CHANGE);
    call.client_offers(&VIDEO.replace("120 nack pli", "120 nack"));
    assert_eq!(call.host_answers(&answer()).1, "a=rtcp-fb:* ccm fir");
    call.client_offers(&VIDEO.replace("a=rtcp-fb", "a=x-fb"));
    assert_eq!(call.host_answers(&answer()), NO_CHANGE);
}

#[test]
fn rfc5104_section_7_1_an_offer_of_the_host_has_both_kinds_in_video_alone() {
    let mut call = Call::new(Rule::Pictures.into());
    assert_eq!(call.host_offers(&answer()).1, BOTH);
    assert_eq!(call.host_offers(AUDIO), NO_CHANGE);
    let without_feedback = answer().replace("RTP/SAVPF 99", "RTP/SAVP 99");
    assert_eq!(call.host_offers(&without_feedback), NO_CHANGE);
    let refused = answer().replace("12056", "0");
    assert_eq!(call.host_offers(&refused), NO_CHANGE);
    let has_one = format!("{}a=rtcp-fb:99 nack pli\r\n", answer());
    assert_eq!(call.host_offers(&has_one).1, "a=rtcp-fb:* ccm fir");
}

#[test]
fn rfc5168_a_wish_of_the_host_reaches_the_engine() {
    let mut call = Call::new(Rule::Pictures.into());
    assert_eq!(info(&mut call, "application/media_control+xml", WISH), [], "of no call");
    call.client_offers(VIDEO);
    call.host_answers(&answer());
    let wanted = Event::PictureWanted { ufrag: "pictures".to_owned() };
    assert_eq!(info(&mut call, "application/media_control+xml", WISH), [wanted]);
    assert_eq!(info(&mut call, "application/media_control+xml", "<media_control/>"), []);
    assert_eq!(info(&mut call, "application/dtmf-relay", WISH), []);
    call.host_answers(AUDIO);
    assert_eq!(info(&mut call, "application/media_control+xml", WISH), [], "of audio");
}
