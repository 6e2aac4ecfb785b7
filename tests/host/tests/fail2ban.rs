//! Applies `contrib/fail2ban` to lines of the module, in the formats in which the host writes them.

mod common;

use common::websocket::{Browser, handshake};
use host_tests::{Host, Kind, Loading};
use regex::Regex;

const MODULE: &str = "res_http_websocket";

#[test]
fn clients_that_are_refused_are_banned() {
    let (host, filter) = (host(), Filter::read());
    let wrong = |name: &str, value: &'static str| {
        let headers = handshake("echo").map(|header| if header.0 == name { (header.0, value) } else { header });
        headers.into_iter().filter(|header| !header.1.is_empty()).collect::<Vec<_>>()
    };
    for (client, headers) in [
        wrong("Upgrade", "h2c"),
        wrong("Host", ""),
        wrong("Sec-WebSocket-Key", "short"),
        wrong("Sec-WebSocket-Version", "12"),
        wrong("Sec-WebSocket-Protocol", ""),
        wrong("Sec-WebSocket-Protocol", "chat"),
        wrong("Origin", "https://evil.example"),
        wrong("Origin", "x' WARNING[1] report.rs: WebSocket: connection from '203.0.113.6:1' refused: no "),
        wrong("Origin", "x refused: too few descriptors are left"),
    ]
    .into_iter()
    .enumerate()
    {
        // The rate limit allows fewer lines about one client.
        let client = format!("198.51.100.{client}");
        let headers = [headers, vec![("X-Forwarded-For", &client)]].concat();
        for line in written(&refusal(&host, &headers)) {
            assert_eq!(filter.banned(&line), Some(client.clone()), "{line}");
        }
    }
}

#[test]
fn clients_refused_without_their_fault_are_not_banned() {
    let (host, filter) = (host(), Filter::read());
    let mut headers = handshake("echo").to_vec();
    headers.extend([("X-Forwarded-For", "198.51.100.7"); 2]);
    let of_a_proxy = refusal(&host, &headers);
    let full = ["too many sessions", "too many sessions (3 more not shown)", "too few descriptors are left"];
    let full = full
        .map(|why| format!("WARNING report.rs:52 {MODULE}: WebSocket: connection from '192.0.2.1:9' refused: {why}"));
    for line in full.iter().chain([&of_a_proxy]).flat_map(|logged| written(logged)) {
        assert!(filter.prefix.is_match(&line), "{line}");
        assert_eq!(filter.banned(&line), None, "{line}");
    }
}

/// Text from peers is quoted in other lines, too.
#[test]
fn other_lines_ban_nobody() {
    let filter = Filter::read();
    for quoted in [
        "a: WebSocket: connection from '8.8.8.8:1' refused: no Host header",
        "report.rs: WebSocket: connection from '8.8.8.8:1' refused: no Host header",
        "x WARNING[1] report.rs: WebSocket: connection from '8.8.8.8:1' refused: no Host header",
        "[] WARNING[1]: report.rs:52 res_http_websocket: WebSocket: connection from '8.8.8.8:1' refused: no Host header",
    ] {
        let logged =
            format!("WARNING chan_sip.c:15423 check_auth: username mismatch, have <100>, digest has <{quoted}>");
        for line in written(&logged) {
            assert_eq!(filter.banned(&line), None, "{line}");
        }
    }
}

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("websocket.conf", "[general]\nallowedorigins = https://phone.example\ntrustedproxies = 127.0.0.1\n");
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

/// The line logged when a request with these headers is refused.
fn refusal(host: &Host, headers: &[(&str, &str)]) -> String {
    host.log();
    let mut browser = Browser::request("ws", false, headers);
    assert!(browser.head().starts_with("HTTP/1.1 4"), "{headers:?}");
    browser.hang_up();
    let log = host.log();
    log.lines().find(|line| line.contains("' refused: ")).unwrap_or_else(|| panic!("{log}")).to_owned()
}

/// A line of the small core in the formats of real hosts: in a file, on a console and in syslog; without the time,
/// which fail2ban removes first.
fn written(logged: &str) -> Vec<String> {
    let (place, message) = logged.split_once(": ").expect("a message");
    let &[level, place, function] = &*place.split(' ').collect::<Vec<_>>() else { panic!("{place}") };
    let (file, line) = place.split_once(':').expect("a line");
    let thread = "4711";
    ["", "[C-0000001f]"]
        .iter()
        .flat_map(|call| {
            [
                format!("[] {level}[{thread}]{call} {file}: {message}"),
                format!("[] {level}[{thread}]{call}: {file}:{line} {function}: {message}"),
                format!(" pbx asterisk[99]: {level}[{thread}]{call}: {file}:{line} in {function}: {message}"),
            ]
        })
        .collect()
}

/// The two expressions; the second is applied to what the first leaves.
struct Filter {
    prefix: Regex,
    failure: Regex,
}

impl Filter {
    fn read() -> Self {
        let text = include_str!("../../../contrib/fail2ban/asterisk-websocket.conf");
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {key}")).trim()
        };
        let prefix = value("prefregex")
            .replace("%(__prefix_line)s", PREFIX_LINE)
            .replace("%(__pid_re)s", value("__pid_re"))
            .replace("<F-CONTENT>", "(?P<content>")
            .replace("</F-CONTENT>", ")");
        let failure = value("failregex").replace("<ADDR>", r"\[?(?P<address>[\d.]+|[\da-f:]+)\]?");
        let compile = |text: &str| Regex::new(text).unwrap_or_else(|error| panic!("{error}"));
        Self { prefix: compile(&prefix), failure: compile(&failure) }
    }

    fn banned(&self, line: &str) -> Option<String> {
        let content = self.prefix.captures(line)?.name("content")?.as_str();
        Some(self.failure.captures(content)?.name("address")?.as_str().to_owned())
    }
}

/// The prefix that fail2ban's `common.conf` defines for the daemon asterisk: brackets of the time, a host, a program.
const PREFIX_LINE: &str = r"\s*(?:\[\]\s*)?(?:\S+\s+)?(?:asterisk(?:\[\d+\])?:?\s+)?";
