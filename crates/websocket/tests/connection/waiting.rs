//! PINGs, deadlines and limits: a peer that is silent, too slow or too fast.

use std::time::Duration;

use websocket::{Config, Ended, Event, Opcode, SendError, State};

use crate::{Server, config, frame, message, text};

#[test]
fn section_5_5_2_every_ping_is_answered_to_a_peer_that_reads() {
    let pings: Vec<u8> = (0..10u8).flat_map(|number| frame(true, Opcode::Ping, &[number])).collect();
    let mut server = Server::new().receives(&pings);
    assert_eq!(server.events().len(), 10);
    assert_eq!(server.sends(), (0..10u8).flat_map(|number| [0x8a, 1, number]).collect::<Vec<_>>());
}

#[test]
fn section_5_5_3_only_the_newest_pings_are_answered_to_a_peer_that_does_not_read() {
    let mut server = Server::new();
    server.connection.send(server.now, Opcode::Text, b"stuck").unwrap();
    for _ in 0..1000 {
        server = server.receives(&frame(true, Opcode::Ping, b"old"));
        assert_eq!(server.events(), [Event::Ping(b"old".to_vec())]);
    }
    let mut server = server.receives(&frame(true, Opcode::Ping, b"new"));
    let sent = server.sends();
    assert!(sent.starts_with(b"\x81\x05stuck\x8a\x03old") && sent.ends_with(b"\x8a\x03new"));
    assert_eq!(sent.len(), 7 + 16 * 5);
}

#[test]
fn a_peer_that_does_not_read_is_left_behind() {
    let mut server = Server::with(Config { max_queued_output: 500, ..config() });
    server.connection.send(server.now, Opcode::Text, &[b'x'; 600]).expect("one frame always fits");
    let full = SendError::OutputFull { queued: 604, max: 500 };
    assert_eq!(server.connection.send(server.now, Opcode::Text, b"y"), Err(full));
    assert_eq!(server.events(), [Event::Ended(Ended::PeerNotReading)]);
    assert_eq!(server.sends()[604..], [0x88, 2, 0x03, 0xf5], "1013, behind the frame that had begun");
}

#[test]
fn empty_frames_that_wait_are_not_free() {
    let mut server = Server::with(Config { max_queued_output: 16 * 1024, ..config() });
    let sent = (0..).take_while(|_| server.connection.send(server.now, Opcode::Text, b"").is_ok()).count();
    assert!((100..400).contains(&sent), "{sent} frames of two bytes in 16 KiB");
    assert_eq!(server.events(), [Event::Ended(Ended::PeerNotReading)]);
}

/// Asserts that the peer is given up after 100 ms, and not a millisecond earlier.
fn is_left_behind_after_100_ms(server: &mut Server) {
    server.waits(Duration::from_millis(99));
    assert_eq!(server.connection.state(), State::Open);
    server.waits(Duration::from_millis(1));
    assert_eq!(
        (server.connection.state(), server.events()),
        (State::Closed, vec![Event::Ended(Ended::PeerNotReading)])
    );
}

#[test]
fn a_frame_waits_only_so_long() {
    let mut server = Server::with(Config { write_timeout: Duration::from_millis(100), ..config() });
    server.connection.send(server.now, Opcode::Text, b"x").unwrap();
    assert_eq!(server.connection.poll_timeout(), Some(server.start + Duration::from_millis(100)));
    is_left_behind_after_100_ms(&mut server);
}

#[test]
fn a_stream_that_has_something_of_its_own_to_write_waits_as_long_as_a_frame() {
    let mut server = Server::with(Config { write_timeout: Duration::from_millis(100), ..config() });
    server.connection.handle_stuck(server.now);
    server.waits(Duration::from_millis(60));
    server.connection.handle_stuck(server.now);
    assert_eq!(server.connection.poll_timeout(), Some(server.start + Duration::from_millis(100)));
    server.connection.handle_unstuck();
    server.waits(Duration::from_millis(60));
    server.connection.handle_stuck(server.now);
    is_left_behind_after_100_ms(&mut server);
}

#[test]
fn rfc_7118_section_6_a_silent_peer_is_asked_and_then_given_up() {
    let mut server = Server::new();
    server.waits(Duration::from_secs(30));
    assert_eq!(server.sends(), b"\x89\x09keepalive");
    let mut alive = server.receives(&frame(true, Opcode::Pong, b"keepalive"));
    assert_eq!(alive.events(), [], "an answer to our own PING is nobody else's business");
    alive.waits(Duration::from_secs(29));
    assert_eq!(alive.sends(), b"");
    alive.waits(Duration::from_secs(1));
    assert_eq!(alive.sends(), b"\x89\x09keepalive");
    alive.waits(Duration::from_secs(20));
    assert_eq!((alive.connection.state(), alive.events()), (State::Closed, vec![Event::Ended(Ended::PeerSilent)]));
}

#[test]
fn whoever_connects_says_something_in_time() {
    let strict = Config { first_message_timeout: Some(Duration::from_secs(5)), ..config() };
    let mut server = Server::with(strict.clone()).receives(&frame(true, Opcode::Ping, b""));
    assert_eq!(server.connection.poll_timeout(), Some(server.start + Duration::from_secs(5)));
    server.events();
    server.sends();
    server.waits(Duration::from_secs(5));
    assert_eq!(server.events(), [Event::Ended(Ended::NoMessage)]);
    assert_eq!(server.sends(), [0x88, 2, 0x03, 0xf0], "1008");

    let mut server = Server::with(strict.clone()).receives(&text("REGISTER"));
    assert_eq!(server.events().len(), 1);
    server.waits(Duration::from_secs(6));
    assert_eq!(server.connection.state(), State::Open);

    let mut server = Server::with(strict).receives(&[frame(true, Opcode::Pong, b""), text("unread")].concat());
    server.waits(Duration::from_secs(6));
    assert_eq!(server.connection.state(), State::Open, "nobody has read it, but it is here");
}

#[test]
fn a_flood_is_ended_with_1008() {
    let limited = Config { max_messages_per_second: Some(2), ..config() };
    let flood: Vec<u8> = (0..30).flat_map(|_| text("x")).collect();
    let mut server = Server::with(limited).receives(&flood);
    let events = server.events();
    assert_eq!((events.len(), events.last()), (21, Some(&Event::Ended(Ended::TooManyMessages))));
    assert_eq!(server.sends(), [0x88, 2, 0x03, 0xf0]);
}

#[test]
fn a_message_that_never_ends_is_ended_with_1008() {
    let limited = Config { max_messages_per_second: Some(2), ..config() };
    for fragment in [&b""[..], b"x"] {
        let limited = Config { max_message_len: usize::MAX, ..limited.clone() };
        let fragments = [frame(false, Opcode::Text, b""), frame(false, Opcode::Continuation, fragment).repeat(19_999)];
        let mut server = Server::with(limited).receives(&fragments.concat());
        assert_eq!(server.events(), []);
        let mut server = server.receives(&frame(false, Opcode::Continuation, fragment));
        assert_eq!(server.events(), [Event::Ended(Ended::TooManyMessages)]);
        assert_eq!(server.sends(), [0x88, 2, 0x03, 0xf0]);
    }
}

#[test]
fn whoever_cuts_messages_into_pieces_says_no_more_than_others() {
    let limited = Config { max_messages_per_second: Some(2), ..config() };
    let pieces = frame(false, Opcode::Continuation, b"x").repeat(100);
    let one = [frame(false, Opcode::Text, b""), pieces, frame(true, Opcode::Continuation, b"")].concat();
    let mut server = Server::with(limited).receives(&one.repeat(18));
    assert_eq!(server.events(), vec![message(Opcode::Text, &[b'x'; 100]); 18]);
}

#[test]
fn a_peer_is_not_silent_because_nobody_listens() {
    let mut server = Server::new().receives(&text("unread"));
    server.waits(Duration::from_secs(300));
    assert_eq!((server.connection.state(), server.sends()), (State::Open, vec![]));
}

#[test]
fn section_5_5_3_a_pong_is_the_same_as_its_ping_and_is_not_answered() {
    let longest: Vec<u8> = (0..125).collect();
    let mut server = Server::new().receives(&frame(true, Opcode::Ping, &longest));
    assert_eq!(server.sends(), [&[0x8a, 125][..], &longest].concat());
    server.events();
    let mut server = server.receives(&frame(true, Opcode::Pong, b"heartbeat"));
    assert_eq!((server.events(), server.sends()), (vec![Event::Pong(b"heartbeat".to_vec())], vec![]));
}
