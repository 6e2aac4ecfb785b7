//! `websocket.conf` and the console of res_http_websocket.

mod common;

use common::{
    eventually,
    websocket::{BINARY, Browser, CLOSE, PING, TEXT, handshake},
};
use host_tests::{Host, Kind, Loading};

const MODULE: &str = "res_http_websocket";

fn host(settings: &str) -> Host {
    let host = Host::start(Kind::Newest);
    host.configure("websocket.conf", &format!("[general]\n{settings}"));
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

/// The log up to this line: our thread logs the end of a session with a delay, when it gets its lock.
fn until(said: impl Fn() -> String, text: &str) -> String {
    let mut all = String::new();
    let found = eventually(|| {
        all += &said();
        all.contains(text)
    });
    assert!(found, "never said {text:?}: {all}");
    all
}

/// The status line of the response to a request from this page, with these further headers.
fn status(origin: Option<&str>, more: &[(&str, &str)]) -> String {
    let mut headers: Vec<_> = handshake("echo").into_iter().filter(|header| header.0 != "Origin").collect();
    headers.extend(origin.map(|origin| ("Origin", origin)));
    headers.extend(more);
    let mut browser = Browser::request("ws", false, &headers);
    let status = browser.head().lines().next().unwrap_or_default().to_owned();
    browser.hang_up();
    status
}

#[test]
fn without_the_file_everybody_comes_in() {
    let host = Host::start(Kind::Newest);
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    for origin in [None, Some("null"), Some("https://anybody.example")] {
        assert!(status(origin, &[]).starts_with("HTTP/1.1 101 "), "{origin:?}");
    }
    let (_, settings) = host.command("websocket show settings");
    assert!(settings.contains("Allowed origins:      all") && settings.contains("Sessions:             unlimited"));
}

#[test]
fn section_10_2_other_pages_are_refused_in_one_line_that_fail2ban_can_read() {
    let host = host("allowedorigins = https://phone.example, *.example.com\n");
    assert!(status(Some("https://phone.example"), &[]).starts_with("HTTP/1.1 101 "));
    assert!(status(Some("https://a.example.com"), &[]).starts_with("HTTP/1.1 101 "));
    host.log();
    host.manager_events();
    assert!(status(Some("https://evil.example"), &[]).starts_with("HTTP/1.1 403 "));
    let log = host.log();
    let expected = "WebSocket: connection from '127.0.0.1:";
    let line = log.lines().find(|line| line.contains(expected)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.ends_with("' refused: its Origin is not allowed ('https://evil.example')"), "{line}");
    let events = host.manager_events();
    assert!(events.contains("WebSocketRefuse") && events.contains("Reason: its Origin is not allowed"), "{events}");
    assert!(status(None, &[]).starts_with("HTTP/1.1 403 "));
}

/// The log accepts five lines about one address in ten seconds.
#[test]
fn managers_are_told_of_every_refusal() {
    let host = host("allowedorigins = none\n");
    host.log();
    host.manager_events();
    for _ in 0..60 {
        assert!(status(Some("https://evil.example"), &[]).starts_with("HTTP/1.1 403 "));
    }
    let log = host.log();
    assert!((5..=10).contains(&log.matches("' refused: ").count()), "{log}");
    assert_eq!(host.manager_events().matches("WebSocketRefuse").count(), 60);
}

#[test]
fn a_flood_of_refusals_hides_no_other() {
    let host = host("allowedorigins = https://phone.example\ntrustedproxies = 127.0.0.1\nmaxsessions = 1\n");
    let of = |client| ("X-Forwarded-For", client);
    let session = Browser::connect("ws", false, "echo").expect("a handshake");
    host.log();
    for _ in 0..60 {
        assert!(status(Some("https://evil.example"), &[of("198.51.100.7")]).starts_with("HTTP/1.1 403 "));
        assert!(status(None, &[of("198.51.100.7"), of("198.51.100.7")]).starts_with("HTTP/1.1 400 "));
    }
    assert!(status(Some("https://evil.example"), &[of("198.51.100.8")]).starts_with("HTTP/1.1 403 "));
    assert!(status(Some("https://phone.example"), &[of("198.51.100.9")]).starts_with("HTTP/1.1 503 "));
    let log = host.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).collect::<Vec<_>>();
    assert!((5..=10).contains(&lines("from '198.51.100.7:").len()), "{log}");
    assert!((10..=20).contains(&lines("refused: X-Forwarded-For ").len()), "{log}");
    let other = lines("from '198.51.100.8:");
    let told = " more not shown) ('https://evil.example')";
    assert!(
        matches!(other[..], [line] if line.contains("its Origin is not allowed (") && line.ends_with(told)),
        "{log}"
    );
    assert!(matches!(lines("from '198.51.100.9:")[..], [line] if line.contains("too many sessions (")), "{log}");
    session.close();
}

#[test]
fn a_broken_list_of_origins_allows_nobody() {
    let host = host("allowedorigins = phone.example\n");
    assert!(host.log().contains("websocket.conf, line 2: allowedorigins = 'phone.example' is not a list of origins"));
    assert!(status(Some("https://phone.example"), &[]).starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_limit_that_is_misspelt_is_said_to_be_none() {
    let host = host("maxsession = 1\n\nMaxSessions = 2\n[webrtc]\nmaxsessions = 1\n[General]\nmaxsessions = 1\n");
    let log = host.log();
    let warned = |text: &str| log.lines().any(|line| line.starts_with("WARNING ") && line.ends_with(text));
    assert!(
        warned("websocket.conf, line 2: unknown key 'maxsession' in [general] is ignored, check its name"),
        "{log}"
    );
    assert!(warned("websocket.conf, line 6: unknown section [webrtc] is ignored, check its name"), "{log}");
    assert!(
        warned("websocket.conf, line 8: there is more than one section [General], only the first is used"),
        "{log}"
    );
    assert_eq!(log.lines().filter(|line| line.starts_with("WARNING ")).count(), 3, "{log}");
    let (_, settings) = host.command("websocket show settings");
    assert!(settings.contains("Sessions:             2\n"), "{settings}");
}

#[test]
fn opus_and_vp8_have_one_carrier_each_and_phones_that_may_use_it_are_named() {
    let host = Host::start(Kind::Newest);
    host.configure("websocket.conf", "[sip]\nopus = G719\nvp8 = h264\n");
    let accounts =
        "[general]\n[1001]\ntype = friend\ntransport = ws\nallow = g719\n[2001]\ntype = peer\nallow = ulaw,g719\n";
    host.configure("sip.conf", accounts);
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    let log = host.log();
    assert!(log.contains("websocket.conf, line 3: vp8 = 'h264' is not mpeg4 or no; using no"), "{log}");
    assert!(log.contains("sip.conf: 2001 may use g719 over other transports than ws and wss"), "{log}");
    let (_, settings) = host.command("websocket show settings");
    assert!(settings.contains("sipml, opus") && !settings.contains("vp8"), "{settings}");
    host.configure("websocket.conf", "[sip]\nopus = no\nvp8 = mpeg4\n; changed\n");
    host.reload(MODULE);
    assert!(!host.log().contains("sip.conf: "));
    let (_, settings) = host.command("websocket show settings");
    assert!(settings.contains("sipml, vp8") && !settings.contains("opus"), "{settings}");
}

#[test]
fn the_address_from_a_trusted_proxy_counts() {
    let host = host("trustedproxies = 127.0.0.0/8\nmaxsessionsperaddress = 1\n");
    let through = |client| {
        let mut headers = handshake("echo").to_vec();
        headers.push(("X-Forwarded-For", client));
        Browser::request("ws", false, &headers).shaken_hands()
    };
    let first = through("198.51.100.7").expect("a handshake");
    assert!(through("198.51.100.7").is_err_and(|answer| answer.starts_with("HTTP/1.1 429 ")));
    assert!(host.log().contains("WebSocket: connection from '198.51.100.7:"));
    let other = through("198.51.100.8").expect("a handshake");
    // The response to the handshake is sent before the session is counted.
    let counts = "2 sessions; 2 accepted; 1 refused (sessions of an address: 1); 0 ended";
    assert!(eventually(|| host.command("websocket show sessions").1.contains(counts)));
    let (_, sessions) = host.command("websocket show sessions");
    assert!(sessions.contains("'198.51.100.7:") && sessions.contains("'198.51.100.8:"), "{sessions}");
    first.close();
    assert!(eventually(|| through("198.51.100.7").is_ok()), "the ended session still counts");
    other.close();
}

/// A client with an unreadable header from its proxy is not taken for the proxy itself.
#[test]
fn an_unclear_address_from_a_trusted_proxy_is_refused() {
    let host = host("trustedproxies = 127.0.0.1\n");
    let long = [b"203.0.113.6".to_vec(), vec![b','; 4070]].concat();
    let (real, made_up) = (&b"198.51.100.7"[..], &b"203.0.113.6"[..]);
    for (lines, why) in [
        (&[&b"203.0.113.6\xff, 198.51.100.7\xff"[..]][..], "names no address"),
        (&[&b"unknown"[..]], "names no address"),
        (&[&b"203.0.113.6, "[..]], "names no address"),
        (&[&long[..]], "is too long"),
        (&[real, made_up], "comes more than once"),
        (&[made_up, real], "comes more than once"),
    ] {
        let ours = handshake("echo").map(|(name, value)| (name, value.as_bytes()));
        let headers = [&ours[..], &lines.iter().map(|line| ("x-forwarded-for", *line)).collect::<Vec<_>>()].concat();
        let mut browser = Browser::request("ws", false, &headers);
        assert!(browser.head().starts_with("HTTP/1.1 400 "), "{why}");
        browser.hang_up();
        let (log, why) = (host.log(), format!("' refused: X-Forwarded-For of its proxy {why} ('"));
        assert!(log.contains("connection from '127.0.0.1:") && log.contains(&why), "{log}");
    }
    // The proxy itself sends a health check.
    assert!(status(None, &[]).starts_with("HTTP/1.1 101 "));
    let (_, sessions) = host.command("websocket show sessions");
    assert!(sessions.contains("6 refused (forwarded for: 6)"), "{sessions}");
}

#[test]
fn a_page_whose_origin_is_not_utf8_is_not_one_without() {
    let _host = host("allowedorigins = none\n");
    let ours = handshake("echo").map(|(name, value)| (name, value.as_bytes()));
    let headers = ours.map(|(name, value)| (name, if name == "Origin" { &b"\xff"[..] } else { value }));
    let mut browser = Browser::request("ws", false, &headers);
    assert!(browser.head().starts_with("HTTP/1.1 403 "));
    browser.hang_up();
}

#[test]
fn a_reload_is_for_sessions_to_come() {
    let host = host("");
    let first = Browser::connect("ws", false, "echo").expect("a handshake");
    host.configure("websocket.conf", "[general]\nmaxsessions = 1\n; changed\n");
    host.reload(MODULE);
    assert!(Browser::connect("ws", false, "echo").is_err_and(|answer| answer.starts_with("HTTP/1.1 503 ")));
    first.close();
}

#[test]
fn silent_and_too_talkative_clients_are_refused() {
    let host = host("firstmessagetimeout = 1\nmaxmessagerate = 1\n");
    host.manager_events();
    let mut silent = Browser::connect("ws", false, "echo").expect("a handshake");
    assert_eq!(silent.receive(), (CLOSE, 1008_u16.to_be_bytes().to_vec()));
    silent.hang_up();
    let mut loud = Browser::connect("ws", false, "echo").expect("a handshake");
    for _ in 0..10 {
        loud.send(TEXT, b"x");
        assert_eq!(loud.receive(), (TEXT, b"x".to_vec()));
    }
    loud.send(TEXT, b"x");
    assert_eq!(loud.receive(), (CLOSE, 1008_u16.to_be_bytes().to_vec()));
    loud.hang_up();
    let log = until(|| host.log(), "' refused: too many messages a second");
    assert!(log.contains("' refused: no message in the time for the first"), "{log}");
    // Both were accepted.
    assert!(!host.manager_events().contains("WebSocketRefuse"));
}

#[test]
fn messages_up_to_the_limit_and_1009_beyond() {
    let _host = host("echomaxmessagesize = 200000\nmaxqueuedoutput = 16384\n");
    let mut browser = Browser::connect("ws", false, "echo").expect("a handshake");
    let long = vec![b'x'; 200_000];
    browser.send(BINARY, &long);
    assert_eq!(browser.receive(), (BINARY, long));
    browser.send_bytes(&Browser::frame(TEXT, &vec![b'x'; 200_001])[..14]);
    assert_eq!(browser.receive(), (CLOSE, 1009_u16.to_be_bytes().to_vec()));
    browser.hang_up();
}

#[test]
fn a_silent_browser_is_asked_and_then_gone() {
    let host = host("pinginterval = 1\npongtimeout = 1\n");
    let mut browser = Browser::connect("ws", false, "echo").expect("a handshake");
    assert_eq!(browser.receive().0, PING);
    assert!(browser.is_closed_by_server());
    browser.hang_up();
    assert!(eventually(|| host.use_count(MODULE) == 0));
    until(|| host.log(), "the peer is silent");
}

#[test]
fn compression_is_agreed_to_only_when_it_is_switched_on() {
    for (settings, expected) in [("", false), ("compression = yes\n", true)] {
        let _host = host(settings);
        let mut headers = handshake("echo").to_vec();
        headers.push(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"));
        let mut browser = Browser::request("ws", false, &headers);
        let answer = browser.head();
        assert_eq!(answer.contains("Sec-WebSocket-Extensions: permessage-deflate"), expected, "{answer}");
        if expected {
            // "Hello" of RFC 7692 §7.2.3.1. The response is too short to be compressed.
            let mut frame = Browser::frame(TEXT, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
            frame[0] |= 0x40;
            browser.send_bytes(&frame);
            assert_eq!(browser.receive(), (TEXT, b"Hello".to_vec()));
        }
        browser.close();
    }
}

#[test]
fn section_5_8_and_9_1_a_feature_that_was_not_negotiated_ends_with_1002() {
    for (settings, offer) in [("compression = no\n", true), ("compression = yes\n", false)] {
        let _host = host(settings);
        let mut headers = handshake("echo").to_vec();
        headers.extend(offer.then_some(("Sec-WebSocket-Extensions", "permessage-deflate")));
        let mut browser = Browser::request("ws", false, &headers);
        assert!(!browser.head().contains("Sec-WebSocket-Extensions"));
        let mut frame = Browser::frame(TEXT, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        frame[0] |= 0x40;
        browser.send_bytes(&frame);
        assert_eq!(browser.receive(), (CLOSE, 1002_u16.to_be_bytes().to_vec()));
        assert!(browser.is_closed_by_server());
        browser.hang_up();
    }
}

#[test]
fn the_console_shows_and_ends_sessions() {
    let host = host("");
    host.manager_events();
    let mut browser = Browser::connect("ws", true, "echo").expect("a handshake");
    let (_, none) = host.command("websocket set debug 198.51.100.1");
    assert!(none.contains("messages of 198.51.100.1 are shown"), "{none}");
    browser.send(TEXT, b"not shown");
    browser.receive();
    host.command("websocket set debug on");
    browser.send(TEXT, b"OPTIONS sip:x\r\nVia: y\r\n\r\n");
    browser.receive();
    let log = host.log();
    assert!(log.contains("<--- WebSocket Text from '127.0.0.1:") && log.contains("<--- WebSocket Text to "), "{log}");
    assert!(log.lines().any(|line| line.starts_with("VERBOSE[0] ") && line.ends_with(": Via: y")), "{log}");
    assert!(!log.contains("not shown"), "{log}");
    host.command("websocket set debug off");
    let (_, sessions) = host.command("websocket show sessions");
    let id = sessions.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a session").to_owned();
    let (_, session) = host.command(&format!("websocket show session {id}"));
    assert!(session.contains("echo over wss") && session.contains("Received:    2 messages, 34 octets"), "{session}");
    assert!(
        session.contains("Origin:      https://phone.example") && session.contains("State:       open"),
        "{session}"
    );
    let (answer, unknown) = host.command("websocket show session 4711");
    assert!(answer != 0 && unknown.contains("There is no session 4711"), "{unknown}");
    let (_, closing) = host.command(&format!("websocket close {id}"));
    assert!(closing.contains("is being closed"), "{closing}");
    assert_eq!(browser.receive(), (CLOSE, 1000_u16.to_be_bytes().to_vec()));
    browser.send(CLOSE, &1000_u16.to_be_bytes());
    assert!(browser.is_closed_by_server());
    browser.hang_up();
    assert!(eventually(|| host.use_count(MODULE) == 0));
    let events = until(|| host.manager_events(), "WebSocketClose");
    assert!(
        events.contains("WebSocketAccept")
            && events.contains("Reason: closed with 1000")
            && events.contains("MessagesIn: 2"),
        "{events}"
    );
}

/// The host queues lines if its disk is too slow.
#[test]
fn long_text_from_a_client_cannot_fill_the_log() {
    let host = host("");
    host.command("websocket set debug on");
    let mut flood = Browser::connect("ws", false, "echo").expect("a handshake");
    let mut polite = Browser::connect("ws", false, "echo").expect("a handshake");
    host.log();
    let exchange = |browser: &mut Browser, message: &[u8]| {
        browser.send(TEXT, message);
        assert_eq!(browser.receive(), (TEXT, message.to_vec()));
    };
    exchange(&mut flood, &[b'\n'; 60_000]);
    let log = host.log();
    assert!((200..410).contains(&log.lines().count()), "{}", log.lines().count());
    assert!(log.lines().any(|line| line.ends_with(": (59800 more octets)")), "{log}");
    let began = std::time::Instant::now();
    for _ in 0..200 {
        exchange(&mut flood, b"flood");
    }
    exchange(&mut polite, b"polite");
    let (log, seconds) = (host.log(), began.elapsed().as_secs() as usize + 2);
    assert!(log.matches(": flood\n").count() <= 25 * seconds, "{log}");
    assert!(log.contains(" more messages not shown\n"), "{log}");
    assert_eq!(log.matches(": polite").count(), 2, "{log}");
    host.command("websocket set debug off");
    flood.close();
    polite.close();
}

#[test]
fn a_client_cannot_send_commands_to_the_terminal() {
    let host = host("");
    let title = "\x1b]0;x\x07\u{9b}2J";
    let headers = handshake("echo").map(|(name, value)| (name, if name == "Origin" { title } else { value }));
    let headers = [&headers[..], &[("User-Agent", title)]].concat();
    let mut browser = Browser::request("ws", false, &headers).shaken_hands().expect("a handshake");
    // After a message, it is counted as a session.
    browser.send(TEXT, b"x");
    browser.receive();
    let (_, sessions) = host.command("websocket show sessions");
    let id = sessions.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a session").to_owned();
    let (_, session) = host.command(&format!("websocket show session {id}"));
    let harmless = r"\u{1b}]0;x\u{7}\u{9b}2J";
    assert!(session.contains(&format!("Origin:      {harmless}\nUser agent:  {harmless}\n")), "{session:?}");
    browser.close();
}

#[test]
fn a_file_that_cannot_be_read_forbids_everything() {
    let host = Host::start(Kind::Newest);
    host.configure("websocket.conf", "[general\nmaxsessions = 1\n");
    assert_eq!(host.load(MODULE), Loading::Declined);
    assert!(host.log().contains("websocket.conf cannot be read"));
}
