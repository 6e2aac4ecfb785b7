//! res_http_websocket, used by a browser and by chan_sip.

mod common;
#[path = "common/sip.rs"]
mod sip;

use asterisk_sys as sys;
use common::{
    descriptors, eventually,
    websocket::{BINARY, Browser, CLOSE, KeyUpdates, PING, PONG, TEXT, handshake},
};
use host_tests::{Host, Kind, Loading, modules};
use sip::{CLOSE_WITH, HELD, LONGEST_READ, REMEMBER, REMEMBERED, RESPONSES, Sip, forget, sent};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

const MODULE: &str = "res_http_websocket";

fn host() -> Host {
    let host = Host::start(Kind::Newest);
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    host
}

#[test]
fn echo_comes_back_over_ws_and_wss() {
    let host = host();
    for tls in [false, true] {
        let mut browser = Browser::connect("ws", tls, "sip, echo").expect("a handshake");
        for length in [0, 1, 125, 126, 1400, 60_000] {
            let message = vec![b'a'; length];
            browser.send(TEXT, &message);
            assert_eq!(browser.receive(), (TEXT, message), "tls: {tls}");
        }
        browser.send(BINARY, &[0, 255]);
        assert_eq!(browser.receive(), (BINARY, vec![0, 255]));
        browser.send(PING, b"are you there");
        assert_eq!(browser.receive(), (PONG, b"are you there".to_vec()));
        browser.close();
    }
    assert!(eventually(|| host.objects_alive() == 0), "{} objects stay", host.objects_alive());
}

#[test]
fn section_4_2_2_and_4_4_and_7_2_2_an_invalid_handshake_is_refused_over_http_and_the_connection_closed() {
    let host = host();
    let without = |name: &str| handshake("echo").into_iter().filter(|header| header.0 != name).collect::<Vec<_>>();
    let mut wrong_version = handshake("echo");
    wrong_version[4].1 = "99";
    for (headers, status) in [
        (without("Sec-WebSocket-Key"), "HTTP/1.1 400 "),
        (without("Host"), "HTTP/1.1 400 "),
        (without("Upgrade"), "HTTP/1.1 426 "),
        (wrong_version.to_vec(), "HTTP/1.1 426 "),
        // Only `echo` is registered, but this host's own module does not select it unless requested.
        (without("Sec-WebSocket-Protocol"), "HTTP/1.1 400 "),
        (handshake("no-such-protocol").to_vec(), "HTTP/1.1 400 "),
    ] {
        let mut browser = Browser::request("ws", false, &headers);
        let answer = browser.head();
        assert!(answer.starts_with(status), "{headers:?}: {answer:?}");
        if status == "HTTP/1.1 426 " {
            assert!(answer.contains("\r\nSec-WebSocket-Version: 13, 8, 7\r\n"), "{answer:?}");
        }
        assert!(browser.is_closed_by_server(), "{answer:?}");
        browser.hang_up();
    }
    assert!(eventually(|| host.objects_alive() == 0));
}

/// nginx sends `Connection: close` unless it is told otherwise, and HTTP/1.0 with it.
#[test]
fn a_proxy_that_passes_upgrade_and_not_connection_is_served_and_told_once_what_it_lacks() {
    let host = host();
    host.log();
    for connection in [None, Some("close"), Some("keep-alive")] {
        let mut headers = handshake("echo").to_vec();
        headers.retain(|(name, _)| *name != "Connection");
        headers.extend(connection.map(|value| ("Connection", value)));
        let mut browser = Browser::request("ws", false, &headers).shaken_hands().expect("a session");
        browser.send(TEXT, b"through a proxy");
        assert_eq!(browser.receive(), (TEXT, b"through a proxy".to_vec()), "{connection:?}");
        browser.close();
    }
    let log = host.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("proxy_set_header Connection")).collect();
    assert!(matches!(lines[..], [line] if line.contains("the proxy at '127.0.0.1:")), "{log}");
    let (_, sessions) = host.command("websocket show sessions");
    assert!(sessions.contains("3 accepted (3 without Connection: Upgrade); 0 refused"), "{sessions}");
    assert!(eventually(|| host.objects_alive() == 0));
}

#[test]
fn rfc_7118_section_4_1_nobody_speaks_sip_while_it_is_not_registered() {
    let _host = host();
    let refused = Browser::connect("ws", false, "sip").err().expect("nobody is there");
    assert!(refused.starts_with("HTTP/1.1 400 ") && !refused.contains("Sec-WebSocket-Protocol"), "{refused}");
    let sip = Sip::register();
    let browser = Browser::connect("ws", false, "sip").expect("a handshake");
    browser.close();
    drop(sip);
}

/// Tested with every code that the function may be called with.
#[test]
fn section_7_4_1_a_code_that_must_not_be_sent_never_is() {
    let _host = host();
    let _sip = Sip::register();
    for (asked, sent) in [(1005, 1000), (1006, 1000), (1015, 1000), (0, 1000), (999, 1000), (1004, 1000), (1001, 1001)]
    {
        let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
        browser.send(TEXT, format!("{CLOSE_WITH}{asked}").as_bytes());
        assert_eq!(browser.receive(), (CLOSE, u16::to_be_bytes(sent).to_vec()), "{asked}");
        browser.send(CLOSE, &u16::to_be_bytes(sent));
        assert!(browser.is_closed_by_server());
        browser.hang_up();
    }
}

#[test]
fn section_5_1_an_unmasked_frame_ends_the_session_with_1002() {
    let _host = host();
    let mut browser = Browser::connect("ws", false, "echo").expect("a handshake");
    browser.send_bytes(&[0x81, 2, b'h', b'i']);
    let (opcode, reason) = browser.receive();
    assert_eq!((opcode, &reason[..2]), (CLOSE, &1002_u16.to_be_bytes()[..]));
    assert!(browser.is_closed_by_server());
    browser.hang_up();
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let host = host();
    let before = descriptors();
    for _ in 0..20 {
        let mut browser = Browser::connect("ws", false, "echo").expect("a handshake");
        browser.send_bytes(&Browser::frame(TEXT, b"half a frame")[..5]);
        browser.hang_up();
    }
    assert!(eventually(|| host.objects_alive() == 0), "{} objects stay", host.objects_alive());
    assert!(eventually(|| descriptors() <= before), "{} descriptors, {before} before", descriptors());
}

#[test]
fn the_module_stays_while_sip_is_registered() {
    let host = host();
    let sip = Sip::register();
    assert!(!host.unload(MODULE), "chan_sip would be left with dead pointers");
    drop(sip);
    assert!(host.unload(MODULE), "{}", host.log());
}

#[test]
fn the_module_stays_while_a_session_is_up() {
    let host = host();
    let browser = Browser::connect("ws", false, "echo").expect("a handshake");
    assert!(!host.unload(MODULE));
    browser.close();
    assert!(eventually(|| host.use_count(MODULE) == 0));
    assert!(host.unload(MODULE), "{}", host.log());
}

#[test]
fn a_forced_unload_that_is_refused_leaves_a_module_that_serves() {
    let host = host();
    let sip = Sip::register();
    let mut held = Browser::connect("ws", false, "sip").expect("a handshake");
    HELD.store(true, Ordering::Release);
    held.send(TEXT, b"OPTIONS");
    assert_eq!(held.receive().0, TEXT);
    assert!(!host.unload_forced(MODULE), "a thread is still in there");
    let log = host.log();
    assert!(log.contains("does not let go of its sessions") && log.contains("/ws takes sessions again"), "{log}");
    HELD.store(false, Ordering::Release);
    held.hang_up();
    for protocol in ["echo", "sip"] {
        let mut browser = Browser::connect("ws", false, protocol).expect("a handshake");
        browser.send(TEXT, b"OPTIONS");
        assert_eq!(browser.receive().0, TEXT);
        browser.close();
    }
    drop(sip);
    assert!(eventually(|| host.use_count(MODULE) == 0));
    assert!(host.unload(MODULE), "{}", host.log());
}

#[test]
fn a_path_that_is_taken_declines_the_load_and_leaves_nothing() {
    let host = Host::start(Kind::Newest);
    // SAFETY: all zero is valid for this structure of pointers and bits.
    let mut taken: sys::ast_http_uri = unsafe { std::mem::zeroed() };
    taken.uri = c"ws".as_ptr();
    // SAFETY: unlinked again below.
    assert_eq!(unsafe { sys::ast_http_uri_link(&raw mut taken) }, 0);
    let began = Instant::now();
    let loading = host.load(MODULE);
    // SAFETY: linked above.
    unsafe { sys::ast_http_uri_unlink(&raw mut taken) };
    assert_eq!(loading, Loading::Declined);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(host.log().contains("cannot register /ws"));
    assert!(!host.is_mapped(MODULE));
    assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
}

#[test]
fn it_unloads_and_loads_on_one_image_while_chan_sip_is_bound_to_it() {
    let host = host();
    let path = modules::path(MODULE).to_str().expect("plain text").to_owned() + "\0";
    // SAFETY: a NUL-terminated string. The handle stands for chan_sip's weak references.
    let bound = unsafe { libc::dlopen(path.as_ptr().cast(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    assert!(!bound.is_null());
    for _ in 0..3 {
        let sip = Sip::register();
        let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
        browser.send(TEXT, b"REGISTER");
        assert_eq!(browser.receive(), (TEXT, b"got: REGISTER".to_vec()));
        browser.close();
        drop(sip);
        assert!(eventually(|| host.use_count(MODULE) == 0));
        assert!(host.unload(MODULE), "{}", host.log());
        assert!(host.is_mapped(MODULE));
        assert_eq!(host.load(MODULE), Loading::Loaded, "{}", host.log());
    }
    assert!(host.unload(MODULE));
    // SAFETY: our handle, closed once.
    unsafe { libc::dlclose(bound) };
    assert!(!host.is_mapped(MODULE));
}

#[test]
fn two_messages_in_one_segment_both_arrive_now() {
    let _host = host();
    let _sip = Sip::register();
    for tls in [false, true] {
        let mut browser = Browser::connect("ws", tls, "sip").expect("a handshake");
        let both = [Browser::frame(TEXT, b"REGISTER one"), Browser::frame(TEXT, b"REGISTER two")].concat();
        let began = Instant::now();
        browser.send_bytes(&both);
        assert_eq!(browser.receive(), (TEXT, b"got: REGISTER one".to_vec()));
        assert_eq!(browser.receive(), (TEXT, b"got: REGISTER two".to_vec()));
        assert!(began.elapsed() < Duration::from_secs(1), "tls: {tls}, {:?}", began.elapsed());
        browser.close();
    }
}

/// A client must not send frames before the response (RFC 6455 §4.1); if it does, nothing is lost.
#[test]
fn a_client_that_does_not_wait_for_the_handshake_is_heard() {
    let _host = host();
    for (tls, length) in [(false, 5), (false, 60_000), (true, 5), (true, 8000), (true, 60_000)] {
        let (mut browser, serve) = Browser::prepare("ws", tls, &handshake("echo"));
        let messages = [vec![b'a'; length], b"and more".to_vec()];
        browser.send_bytes(&messages.each_ref().map(|message| Browser::frame(TEXT, message)).concat());
        let server = std::thread::spawn(serve);
        let mut browser = browser.shaken_hands().expect("a handshake");
        for message in messages {
            assert_eq!(browser.receive(), (TEXT, message), "tls: {tls}, {length}");
        }
        browser.close();
        server.join().expect("no panic");
    }
}

#[test]
fn a_client_that_does_not_wait_for_the_handshake_is_told_that_there_is_none() {
    let _host = host();
    for tls in [false, true] {
        let (mut browser, serve) = Browser::prepare("ws", tls, &handshake("no-such-protocol"));
        browser.send(TEXT, b"early");
        let server = std::thread::spawn(serve);
        let answer = browser.head();
        assert!(answer.starts_with("HTTP/1.1 400 "), "tls: {tls}, {answer:?}");
        browser.hang_up();
        server.join().expect("no panic");
    }
}

#[test]
fn a_client_that_stops_reading_costs_nobody_else_time() {
    let host = host();
    let sip = Sip::register();
    let mut deaf = Browser::connect("ws", false, "sip").expect("a handshake");
    let flood = Browser::frame(TEXT, &[b'x'; 60_000]);
    // Send until the unread answers have filled all buffers.
    while deaf.try_send(&flood, Duration::from_millis(100)) {}
    let mut other = Browser::connect("ws", false, "sip").expect("a handshake");
    let began = Instant::now();
    other.send(TEXT, b"OPTIONS");
    assert_eq!(other.receive(), (TEXT, b"got: OPTIONS".to_vec()));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    other.close();
    deaf.hang_up();
    drop(sip);
    assert!(eventually(|| host.use_count(MODULE) == 0 && host.objects_alive() == 0));
}

#[test]
fn the_owner_of_a_session_learns_that_its_client_stopped_reading() {
    let host = host();
    let sip = Sip::register();
    let mut deaf = Browser::connect("ws", false, "sip").expect("a handshake");
    let flood = Browser::frame(TEXT, &[b'x'; 60_000]);
    while deaf.try_send(&flood, Duration::from_millis(100)) {}
    // `serve` returns when a write has failed, and requires that the descriptor stays readable from then on.
    assert!(eventually(|| host.use_count(MODULE) == 1), "only sip itself uses it");
    // The Close frame may take a second.
    assert!(eventually(|| host.command("websocket show sessions").1.contains("(not reading: 1)")));
    deaf.hang_up();
    drop(sip);
}

/// Dialogs of chan_sip do this for half a minute, and its peers as long as they are registered.
#[test]
fn a_session_that_is_remembered_when_it_has_ended_costs_no_descriptor() {
    let host = host();
    let sip = Sip::register();
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let before = descriptors();
    for _ in 0..20 {
        let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
        browser.send(TEXT, REMEMBER);
        assert_eq!(browser.receive().1, [b"got: ", REMEMBER].concat());
        browser.close();
    }
    assert!(eventually(|| host.use_count(MODULE) == 1), "only sip itself uses it");
    assert!(eventually(|| descriptors() <= before + 2), "{before} before, {} now", descriptors());
    let told = host.command("websocket show sessions").1;
    assert!(told.contains("0 sessions;") && told.contains("20 more have ended"), "{told}");
    REMEMBERED.lock().expect("no panic").drain(..).for_each(forget);
    let told = host.command("websocket show sessions").1;
    assert!(!told.contains("more have ended"), "{told}");
    drop(sip);
}

/// chan_sip sends it while it holds locks that it needs to handle the response, so that has to come on another thread.
#[test]
fn an_invite_to_a_session_that_has_ended_is_answered_on_another_thread() {
    let host = host();
    for round in 0..2 {
        let sip = Sip::register();
        RESPONSES.lock().expect("no panic").clear();
        let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
        browser.send(TEXT, REMEMBER);
        browser.receive();
        browser.close();
        assert!(eventually(|| host.use_count(MODULE) == 1), "only sip itself uses it");
        let session = REMEMBERED.lock().expect("no panic").pop().expect("one is remembered");
        for number in 0..10 {
            let invite = format!(
                "INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/WS x\r\nFrom: <sip:y>;tag=1\r\nTo: <sip:x>\r\nCall-ID: {number}\r\n\
                 CSeq: 102 INVITE\r\n\r\n"
            );
            assert!(!sent(session, &invite) && !sent(session, &invite.replace("INVITE", "OPTIONS")));
        }
        assert!(eventually(|| RESPONSES.lock().expect("no panic").len() == 10));
        assert!(eventually(|| host.use_count(MODULE) == 1), "the callback has returned");
        let responses = std::mem::take(&mut *RESPONSES.lock().expect("no panic"));
        for (number, (thread, response)) in responses.into_iter().enumerate() {
            assert!(response.starts_with("SIP/2.0 408 ") && response.contains(&format!("\r\nCall-ID: {number}\r\n")));
            assert_ne!(thread, std::thread::current().id());
            assert!(sent(session, &response.replace("SIP/2.0 408 Request Timeout", "ACK sip:x SIP/2.0")), "for us");
        }
        forget(session);
        drop(sip);
        assert!(eventually(|| host.objects_alive() == 0), "{} objects stay, round {round}", host.objects_alive());
        // The thread goes with the module, and comes with the next one.
        assert!(host.unload(MODULE) && host.load(MODULE) == Loading::Loaded, "{}", host.log());
    }
}

/// A page cannot send a PING.
#[test]
fn rfc_5626_section_4_4_1_two_crlfs_are_answered_with_one_and_go_no_further() {
    let host = host();
    let sip = Sip::register();
    let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
    for opcode in [TEXT, BINARY] {
        browser.send(opcode, b"\r\n\r\n");
        assert_eq!(browser.receive(), (TEXT, b"\r\n".to_vec()));
        browser.send(opcode, b"\r\n");
        browser.send(opcode, b"\r\n\r\nBYE");
        assert_eq!(browser.receive(), (opcode, b"got: BYE".to_vec()), "RFC 3261 section 7.5");
    }
    assert!(host.command("websocket show sessions").1.contains("; 2 keepalives answered"));
    browser.close();
    let mut echo = Browser::connect("ws", false, "echo").expect("a handshake");
    echo.send(TEXT, b"\r\n\r\n");
    assert_eq!(echo.receive(), (TEXT, b"\r\n\r\n".to_vec()), "echo is not SIP");
    echo.close();
    drop(sip);
}

/// TLS must answer them before it can read on; the data left in the socket must not keep any thread busy.
#[test]
fn rfc_8446_section_4_6_3_key_updates_with_unread_answers_keep_no_thread_busy() {
    let host = host();
    let mut browser = Browser::connect("ws", true, "echo").expect("a handshake");
    {
        let key_updates = KeyUpdates::begin();
        key_updates.keep_nobody_busy(&mut browser);
        browser.receive_key_updates();
    }
    browser.send(TEXT, b"and on it goes");
    assert_eq!(browser.receive(), (TEXT, b"and on it goes".to_vec()));
    browser.close();
    assert!(eventually(|| host.objects_alive() == 0), "{} objects stay", host.objects_alive());
}

#[test]
fn a_client_that_leaves_the_answers_to_its_key_updates_unread_has_stopped_reading() {
    let host = host();
    let sip = Sip::register();
    let mut deaf = Browser::connect("ws", true, "sip").expect("a handshake");
    let key_updates = KeyUpdates::begin();
    deaf.ask_for_key_updates(&key_updates);
    assert!(eventually(|| host.command("websocket show sessions").1.contains("(not reading: 1)")));
    assert!(eventually(|| host.use_count(MODULE) == 1), "only sip itself uses it");
    deaf.hang_up();
    drop(sip);
}

#[test]
fn a_message_is_at_most_a_quarter_of_the_stack_that_it_is_copied_onto() {
    let host = host();
    let sip = Sip::register();
    const STACK: usize = 160 * 1024;
    for (length, taken) in [(STACK / 4 - 8192, true), (STACK / 4 + 8192, false)] {
        let (mut browser, serve) = Browser::prepare("ws", false, &handshake("sip"));
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(serve).expect("a thread");
        assert!(browser.head().starts_with("HTTP/1.1 101 "));
        browser.send(TEXT, &vec![b'x'; length]);
        let (opcode, answer) = browser.receive();
        match taken {
            true => assert_eq!((opcode, answer.len()), (TEXT, length + 5)),
            false => assert_eq!((opcode, answer), (CLOSE, 1009_u16.to_be_bytes().to_vec())),
        }
        browser.hang_up();
        thread.join().expect("no panic");
    }
    drop(sip);
    assert!(eventually(|| host.use_count(MODULE) == 0));
}

/// A message lent to the protocol is valid until its next read.
#[test]
fn sessions_keep_nothing_of_a_long_message() {
    let _host = host();
    let mut browsers =
        Vec::from_iter((0..40).map(|number| Browser::connect("ws", number % 2 == 1, "echo").expect("up")));
    let mut exchange = |len: usize| {
        for browser in &mut browsers {
            browser.send(TEXT, &vec![b'x'; len]);
            assert_eq!(browser.receive().1.len(), len);
        }
    };
    exchange(10);
    let before = heap();
    exchange(60_000);
    assert!(eventually(|| heap() < before + 40 * 10_000), "{} octets, {before} before", heap());
    for browser in browsers {
        browser.close();
    }
}

/// The bytes allocated by this program, in all of its parts.
fn heap() -> usize {
    // SAFETY: it only reads.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

#[test]
fn a_frame_in_small_pieces_is_never_waited_for() {
    let _host = host();
    let _sip = Sip::register();
    let mut browser = Browser::connect("ws", false, "sip").expect("a handshake");
    *LONGEST_READ.lock().expect("no panic") = Duration::ZERO;
    let frame = Browser::frame(TEXT, b"OPTIONS slowly");
    let (last, most) = frame.split_last().expect("some");
    for byte in most {
        browser.send_bytes(&[*byte]);
        std::thread::sleep(Duration::from_millis(5));
    }
    // Longer than a thread waits for its turn on a busy machine.
    std::thread::sleep(Duration::from_secs(2));
    browser.send_bytes(&[*last]);
    assert_eq!(browser.receive(), (TEXT, b"got: OPTIONS slowly".to_vec()));
    browser.close();
    let longest = *LONGEST_READ.lock().expect("no panic");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
