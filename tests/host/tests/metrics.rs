//! `/metrics` in the small host: with many sessions, with clients that do not read, and while modules come and go.

mod common;

use std::time::{Duration, Instant};

use common::rtp::call;
use common::websocket::Browser;
use host_tests::{Host, Kind, Loading};

const RTP: &str = "res_rtp_asterisk";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("rtp.conf", "[general]\nrtpstart=33000\nrtpend=35999\nicesupport=no\nmetrics=yes\n");
    host.load_all(&["res_http_websocket", "res_srtp", RTP]);
    host
}

/// Returns the head and the body of the response.
fn page(headers: &[(&str, &str)]) -> (String, String) {
    let mut client = Browser::request("metrics", false, headers);
    let head = client.head();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body);
    (head, String::from_utf8(body).expect("UTF-8"))
}

#[test]
fn a_hundred_sessions_are_told_and_go_on_to_count_when_they_have_ended() {
    told(100, 1);
}

#[test]
#[ignore = "it takes the time: for a quiet machine"]
fn a_thousand_sessions_are_told_in_less_than_20_ms() {
    let best = told(1000, 30);
    assert!(best < Duration::from_millis(20), "{best:?}");
}

/// Makes so many sessions and has them told so many times. Returns the shortest time.
fn told(sessions: usize, times: usize) -> Duration {
    let _host = host();
    let mut calls: Vec<_> = (0..sessions).map(|_| call()).collect();
    for (instance, phone) in &mut calls {
        phone.send(instance.local(), 1);
        instance.read(common::rtp::RTP);
        instance.write(1);
    }
    let has = |text: &str, line: &str| {
        let line = format!("{line}}} {sessions}");
        assert!(text.lines().any(|told| told.contains(&line)), "{line} in {text}");
    };
    let best = (0..times).map(|_| {
        let began = Instant::now();
        let text = page(&[]).1;
        let taken = began.elapsed();
        has(&text, r#"state="media""#);
        has(&text, r#"direction="received""#);
        has(&text, r#"direction="sent""#);
        taken
    });
    let best = best.min().unwrap_or_default();
    println!("{sessions} sessions in {best:?}");
    drop(calls);
    let after = page(&[]).1;
    has(&after, r#"media="both""#);
    has(&after, r#"direction="sent""#);
    best
}

#[test]
fn a_client_that_does_not_read_keeps_no_module_loaded() {
    let host = host();
    let _deaf: Vec<_> = (0..3).map(|_| Browser::request("metrics", false, &[] as &[(&str, &str)])).collect();
    std::thread::sleep(Duration::from_millis(50));
    assert!(host.unload(RTP), "{}", host.log());
    let (head, _) = page(&[]);
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert_eq!(host.load(RTP), Loading::Loaded, "{}", host.log());
    let (head, body) = page(&[("Accept", "application/openmetrics-text;version=1.0.0")]);
    assert!(
        head.contains("\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{head}"
    );
    assert!(body.ends_with("\n# EOF\n") && body.contains("# UNIT asterisk_rtp_setup_seconds seconds\n"), "{body}");
}

#[test]
fn modules_that_are_not_there_are_not_on_the_page() {
    let host = host();
    let (_, all) = page(&[]);
    assert!(
        all.contains("# TYPE asterisk_websocket_sessions gauge") && all.contains("# TYPE asterisk_srtp_contexts gauge")
    );
    assert!(host.unload("res_srtp"));
    let (_, rest) = page(&[]);
    assert!(rest.contains("# TYPE asterisk_websocket_sessions gauge") && !rest.contains("asterisk_srtp_contexts"));
    host.load_all(&["res_srtp"]);
    assert!(page(&[]).1.contains("# TYPE asterisk_srtp_contexts gauge"));
}
