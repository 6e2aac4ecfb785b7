//! Messages of real clients, recorded between them and chan_sip of Asterisk 11.25.3, and what becomes of them.
//!
//! JsSIP 3.13.8, SIP.js 0.21 and sipML5 2.1.4 in Chromium 156 and Firefox 153, aiortc 1.16, werift 0.24, str0m 0.24,
//! GStreamer's webrtcbin 1.22 and libdatachannel (node-datachannel 0.33).

mod common;

use common::difference;
use sip_dialect::{Dialect, Event, Outcome, Rule, Rules};

macro_rules! message {
    ($name:literal) => {
        include_str!(concat!("messages/", $name, ".sip"))
    };
}

/// The lines that a message lost and got, and the rules that did it.
type Changed = (String, String, Rules);

fn client_says(dialect: &mut Dialect, message: &str) -> Changed {
    changed(message, dialect.handle_client(message.as_bytes()))
}

fn host_says(dialect: &mut Dialect, message: &str) -> Changed {
    changed(message, dialect.handle_host(message.as_bytes()))
}

fn changed(before: &str, outcome: Outcome) -> Changed {
    match outcome {
        Outcome::Unchanged => (String::new(), String::new(), Rules::NONE),
        Outcome::Changed { message, rules } => {
            let (lost, got) = difference(before, &message);
            (lost, got, rules)
        }
        other => panic!("{other:?}"),
    }
}

fn rules<const N: usize>(rules: [Rule; N]) -> Rules {
    rules.into_iter().fold(Rules::NONE, Rules::with)
}

#[test]
fn firefox_holds() {
    let (lost, got, rules) = client_says(&mut Dialect::new(Rules::DEFAULT), message!("jssip-firefox-holds"));
    assert_eq!((lost.as_str(), got.as_str(), rules), ("a=sendrecv", "", Rule::SessionDirection.into()));
}

#[test]
fn sipml5_holds_as_the_host_understands() {
    let (.., made) = client_says(&mut Dialect::new(Rules::DEFAULT), message!("sipml5-chromium-holds"));
    assert_eq!(made, Rules::NONE);
}

#[test]
fn a_page_listens() {
    let mut dialect = Dialect::new(Rules::DEFAULT.without(Rule::FingerprintCase));
    assert_eq!(client_says(&mut dialect, message!("jssip-chromium-listens")).2, Rules::NONE);
    let answer = as_answer_to(message!("sipjs-chromium-is-answered"), message!("jssip-chromium-listens"));
    let (lost, got, made) = host_says(&mut dialect, &answer);
    assert_eq!(lost, "a=sendrecv");
    assert_eq!(got, "a=group:BUNDLE 0|a=sendonly|a=mid:0|a=ice-options:trickle|a=end-of-candidates");
    assert_eq!(made, rules([Rule::AnswerDirection, Rule::Mid, Rule::Group, Rule::Trickle]));
}

#[test]
fn firefox_offers_video_without_h264() {
    let (lost, got, _) =
        client_says(&mut Dialect::new(Rule::PayloadTypes.into()), message!("jssip-firefox-offers-video"));
    assert_eq!(lost, "m=video 56990 UDP/TLS/RTP/SAVPF 120 124 121 125 99 100 123 122 119");
    assert_eq!(got, "m=video 56990 UDP/TLS/RTP/SAVPF 120 124 125 100 123 122");
}

#[test]
fn jssip_is_called_and_refreshes() {
    let mut dialect = Dialect::new(Rules::DEFAULT.without(Rule::FingerprintCase));
    let (lost, got, _) = host_says(&mut dialect, message!("jssip-firefox-is-called"));
    assert_eq!((lost.as_str(), got.as_str()), ("", "a=group:BUNDLE 0|a=mid:0"));
    let (lost, got, made) = client_says(&mut dialect, message!("jssip-firefox-accepts"));
    assert_eq!((lost.as_str(), got.as_str()), ("Session-Expires: 90;refresher=uas|a=sendrecv", ""));
    assert_eq!(made, rules([Rule::SessionDirection, Rule::SessionTimer]));
    let refreshed = dialect.handle_client(message!("jssip-firefox-refreshes").as_bytes());
    let Outcome::Answered { response, rule: Rule::SessionTimer } = refreshed else { panic!("{refreshed:?}") };
    let response = String::from_utf8(response).expect("text");
    for line in [
        "SIP/2.0 200 OK\r\n",
        "\r\nVia: SIP/2.0/WS uhrkujc0b8pf.invalid;branch=z9hG4bK3401819\r\n",
        "\r\nTo: <sip:asterisk@127.0.0.1:12000>;tag=as018bcf5a\r\n",
        "\r\nCSeq: 3106 UPDATE\r\n",
        "\r\nContact: <sip:asterisk@127.0.0.1:12000;transport=WS>\r\n",
        "\r\nSession-Expires: 90;refresher=uac\r\n",
    ] {
        assert!(response.contains(line), "{line:?} in {response}");
    }
}

#[test]
fn a_page_trickles() {
    let mut dialect = Dialect::new(Rules::DEFAULT);
    let (lost, got, made) = client_says(&mut dialect, message!("jssip-chromium-trickles"));
    assert_eq!((lost.as_str(), got.as_str(), made), ("c=IN IP4 0.0.0.0", "c=IN IP4 192.0.0.8", Rule::Trickle.into()));
    let answer = as_answer_to(message!("sipjs-chromium-is-answered"), message!("jssip-chromium-trickles"));
    host_says(&mut dialect, &answer);
    let answered = dialect.handle_client(message!("jssip-chromium-trickles-info").as_bytes());
    assert!(matches!(answered, Outcome::Answered { rule: Rule::Trickle, .. }));
    let Some(Event::Candidate { candidate, .. }) = dialect.poll_event() else { panic!("no candidate") };
    assert_eq!(candidate, "candidate:834896423 1 udp 2122194687 192.0.2.2 41161 typ host generation 0 network-id 1");
}

#[test]
fn a_page_hides_its_addresses() {
    let (_, got, made) = client_says(&mut Dialect::new(Rules::DEFAULT), message!("sipjs-chromium-hides-addresses"));
    assert_eq!(made, rules([Rule::Trickle, Rule::LongCandidates]));
    let candidates: Vec<&str> = got.split('|').filter_map(|line| line.strip_prefix("a=candidate:")).collect();
    assert!(!candidates.is_empty());
    for candidate in candidates {
        let words: Vec<&str> = candidate.split(' ').collect();
        let carried = ice::carried::decode(words[0]).map(|(carried, _)| carried);
        assert!(matches!(carried, Some(ice::carried::Carried::Mdns(_))) && words[4] == "192.0.0.8", "{candidate}");
    }
}

#[test]
fn stacks_get_their_mid_and_group_back() {
    for (offer, answer, mid) in [
        (message!("aiortc-calls"), message!("aiortc-is-answered"), "0"),
        (message!("werift-calls"), message!("werift-is-answered"), "0"),
        (message!("str0m-calls"), message!("str0m-is-answered"), "0sR"),
        (message!("webrtcbin-calls"), message!("webrtcbin-is-answered"), "audio0"),
        (message!("libdatachannel-calls"), message!("libdatachannel-is-answered"), "audio"),
    ] {
        let mut dialect = Dialect::new(Rules::from(Rule::Mid).with(Rule::Group));
        assert_eq!(client_says(&mut dialect, offer).2, Rules::NONE);
        let (lost, got, _) = host_says(&mut dialect, answer);
        assert_eq!((lost, got), (String::new(), format!("a=group:BUNDLE {mid}|a=mid:{mid}")));
    }
}

#[test]
fn str0m_holds_with_the_version_of_its_call() {
    let mut dialect = Dialect::new(Rule::Version.into());
    assert_eq!(client_says(&mut dialect, message!("str0m-calls")).2, Rules::NONE);
    let hold = as_answer_to(message!("str0m-holds"), message!("str0m-calls"));
    let (lost, got, _) = client_says(&mut dialect, &hold);
    let version = |line: &str| line.split(' ').nth(2).and_then(|word| word.parse::<u64>().ok());
    assert_eq!((version(&lost), version(&got)), (Some(2), Some(3)), "{lost} {got}");
    assert_eq!(client_says(&mut dialect, &hold).1, got, "the same once more is the same version");
}

#[test]
fn sipml5_resumes_with_one_more_section() {
    let mut dialect = Dialect::new(Rules::DEFAULT);
    client_says(&mut dialect, message!("sipml5-chromium-holds"));
    let held = as_answer_to(message!("sipjs-chromium-is-answered"), message!("sipml5-chromium-holds"));
    let (_, got, _) = host_says(&mut dialect, &held.replace("a=sendrecv", "a=recvonly"));
    assert!(got.contains("a=inactive"), "{got}");
    let resumed = message!("sipml5-chromium-resumes");
    let Outcome::Changed { message, rules } = dialect.handle_client(resumed.as_bytes()) else { panic!("unchanged") };
    assert_eq!((rules, count(&message, "m=audio")), (Rule::Sipml.into(), 1));
    let answer = as_answer_to(message!("sipjs-chromium-is-answered"), resumed);
    let Outcome::Changed { message, .. } = dialect.handle_host(answer.as_bytes()) else { panic!("unchanged") };
    let counts =
        ["m=audio", "a=inactive", "a=sendrecv", "a=mid:0", "a=mid:1", "a=candidate", "a=group:BUNDLE 0 1", "sha-256"];
    assert_eq!(counts.map(|line| count(&message, line)), [2, 1, 1, 1, 1, 2, 1, 2]);
    assert!(matches!(dialect.handle_host(&message), Outcome::Unchanged));
}

fn count(message: &[u8], what: &str) -> usize {
    String::from_utf8_lossy(message).matches(what).count()
}

#[test]
fn a_foundation_of_32_characters_is_read_by_the_host() {
    let (lost, got, _) = client_says(&mut Dialect::new(Rule::LongCandidates.into()), message!("aiortc-calls"));
    let foundations =
        |lines: &str| lines.split('|').map(|line| line["a=candidate:".len()..].find(' ')).collect::<Vec<_>>();
    assert_eq!((foundations(&lost), foundations(&got)), (vec![Some(32); 2], vec![Some(31); 2]));
}

#[test]
fn what_no_rule_concerns_is_the_same() {
    let about_answers = [Rule::Mid, Rule::Group, Rule::Trickle, Rule::FingerprintCase];
    let mut dialect = Dialect::new(about_answers.into_iter().fold(Rules::DEFAULT, Rules::without));
    assert_eq!(client_says(&mut dialect, message!("sipjs-chromium-calls")).2, Rules::NONE);
    assert_eq!(host_says(&mut dialect, message!("sipjs-chromium-is-answered")).2, Rules::NONE);
}

/// A recorded answer, with the `Call-ID` and `CSeq` of another call's offer.
fn as_answer_to(answer: &str, offer: &str) -> String {
    let header = |message: &str, name: &str| {
        let line = message.lines().find(|line| line.starts_with(name)).expect("there");
        line.to_owned()
    };
    ["Call-ID:", "CSeq:"]
        .iter()
        .fold(answer.to_owned(), |answer, name| answer.replace(&header(&answer, name), &header(offer, name)))
}
