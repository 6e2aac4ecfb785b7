//! The end of a connection (RFC 6455 §5.5.1, §7).

use websocket::{CloseCode, Config, Deflate, Ended, Event, FrameError, Opcode, SendError, State};

use crate::{Server, config, frame, message, text};

#[test]
fn section_5_1_and_5_5_1_an_unmasked_close_frame_is_none() {
    Server::new().receives(&[0x88, 0x02, 0x03, 0xe8]).ends_with(FrameError::Unmasked, 1002);
}

#[test]
fn section_5_5_1_the_code_that_came_is_echoed() {
    let mut server = Server::new().receives(&frame(true, Opcode::Close, b"\x0b\xb8bye"));
    assert_eq!(server.events(), [Event::Ended(Ended::ByPeer(b"\x0b\xb8bye".to_vec()))]);
    assert_eq!(server.connection.state(), State::Closing);
    assert_eq!(server.sends(), [0x88, 2, 0x0b, 0xb8]);
    assert_eq!(server.connection.state(), State::Closed, "the server closes the stream first");

    let mut server = Server::new().receives(&frame(true, Opcode::Close, b""));
    assert_eq!(server.sends(), [0x88, 0]);
}

#[test]
fn section_7_4_2_bad_close_frames() {
    let close = |payload: &[u8]| Server::new().receives(&frame(true, Opcode::Close, payload));
    close(b"\x03").ends_with(FrameError::CloseTooShort, 1002);
    close(b"\x03\xed").ends_with(FrameError::CloseCode(1005), 1002);
    close(b"\x03\xe8\xff").ends_with(FrameError::NotUtf8, 1007);
}

#[test]
fn section_5_5_1_and_5_5_2_nothing_is_said_or_heard_after_a_close_frame() {
    let after = [frame(true, Opcode::Close, b"\x03\xe8"), text("late"), frame(true, Opcode::Ping, b"")].concat();
    let mut server = Server::new().receives(&after);
    assert_eq!(server.events(), [Event::Ended(Ended::ByPeer(b"\x03\xe8".to_vec()))]);
    assert_eq!(server.connection.send(server.now, Opcode::Text, b"x"), Err(SendError::Closed));
    assert_eq!(server.sends(), [0x88, 2, 3, 0xe8]);
}

#[test]
fn section_5_5_1_and_6_1_nothing_is_sent_after_our_own_close_frame() {
    let mut server = Server::new();
    server.connection.close(server.now, CloseCode::NORMAL);
    for opcode in [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong] {
        assert_eq!(server.connection.send(server.now, opcode, b"x"), Err(SendError::Closed));
    }
    server.connection.close(server.now, CloseCode::GOING_AWAY);
    assert_eq!(server.sends(), [0x88, 2, 3, 0xe8]);
    let crossing = [text("crossing"), frame(true, Opcode::Ping, b"there?"), text("more")].concat();
    let mut server = server.receives(&crossing);
    assert_eq!(server.events(), [Event::Ended(Ended::ByUs(CloseCode::NORMAL))]);
    assert_eq!(server.sends(), b"", "no PONG either");
    let mut server = server.receives(&frame(true, Opcode::Close, b"\x03\xe8"));
    assert_eq!((server.sends(), server.connection.state()), (vec![], State::Closed));
}

#[test]
fn section_7_1_2_we_close() {
    let mut server = Server::new();
    server.connection.close(server.now, CloseCode::GOING_AWAY);
    assert_eq!(server.events(), [Event::Ended(Ended::ByUs(CloseCode::GOING_AWAY))]);
    assert_eq!(server.sends(), [0x88, 2, 3, 0xe9]);
    let mut server = server.receives(&[text("crossed"), frame(true, Opcode::Ping, b"")].concat());
    assert_eq!(server.connection.state(), State::Closing, "the peer's Close is awaited");
    let mut answered = server.receives(&frame(true, Opcode::Close, b"\x03\xe9"));
    assert_eq!((answered.connection.state(), answered.events()), (State::Closed, vec![]));

    server = Server::new();
    server.connection.close(server.now, CloseCode::NORMAL);
    server.waits(config().close_timeout);
    assert_eq!(server.connection.state(), State::Closed, "but not for ever");
}

/// Nobody is told of such a message, so it is neither decompressed nor checked.
#[test]
fn what_comes_after_our_close_frame_is_not_looked_into() {
    let mut begun = frame(false, Opcode::Text, &[0xf2, 0x48, 0xcd]);
    begun[0] |= 0x40;
    let mut server = Server::with(Config { deflate: Some(Deflate::default()), ..config() }).receives(&begun);
    server.connection.close(server.now, CloseCode::NORMAL);
    server.events();
    server.sends();
    let mut broken = frame(true, Opcode::Text, &[0xff; 9]);
    broken[0] |= 0x40;
    let rest = [frame(true, Opcode::Continuation, &[0xff; 9]), broken, text("x")].concat();
    let mut server = server.receives(&rest);
    assert_eq!((server.connection.state(), server.sends()), (State::Closing, vec![]));
    let server = server.receives(&frame(true, Opcode::Close, b"\x03\xe8"));
    assert_eq!(server.connection.state(), State::Closed);
}

#[test]
fn a_message_is_answered_before_a_mistake_behind_it_ends_the_connection() {
    let mut server = Server::new().receives(&[text("first"), vec![0xd1, 0x80]].concat());
    assert_eq!(server.connection.poll_event(server.now), Some(message(Opcode::Text, b"first")));
    server.connection.send(server.now, Opcode::Text, b"answer").unwrap();
    assert_eq!(server.sends(), b"\x81\x06answer");
    server.ends_with(FrameError::ReservedBits(0b101), 1002);
}

#[test]
fn what_came_before_the_end_of_the_stream_is_reported() {
    let mut server = Server::new().receives(&[text("one"), text("two"), vec![0x81]].concat());
    server.connection.handle_end();
    assert_eq!(server.connection.state(), State::Closed);
    assert_eq!(server.connection.send(server.now, Opcode::Text, b"x"), Err(SendError::Closed));
    let ended = Event::Ended(Ended::StreamEnded);
    assert_eq!(server.events(), [message(Opcode::Text, b"one"), message(Opcode::Text, b"two"), ended]);

    let mut server = Server::new().receives(&[text("one"), frame(true, Opcode::Close, b"\x03\xe8")].concat());
    server.connection.handle_end();
    assert_eq!(server.events(), [message(Opcode::Text, b"one"), Event::Ended(Ended::ByPeer(b"\x03\xe8".to_vec()))]);
}

#[test]
fn a_close_frame_behind_an_unread_message_ends_our_own_closing() {
    let mut server = Server::new().receives(&[text("unread"), text("x"), frame(true, Opcode::Close, b"")].concat());
    server.connection.close(server.now, CloseCode::NORMAL);
    server.sends();
    assert_eq!(server.connection.state(), State::Closed);
}

#[test]
fn section_7_1_1_the_server_ends_the_stream_before_a_client_gives_up_waiting_for_it() {
    let mut server = Server::new().receives(&[0x83, 0x80]);
    server.sends();
    assert_eq!(server.connection.state(), State::Draining);
    server.waits(config().close_timeout / 4);
    assert_eq!(server.connection.state(), State::Closed);
}

#[test]
fn section_7_1_7_nothing_is_processed_after_failing() {
    let mut server = Server::new().receives(&[vec![0xb1, 0x80], text("late"), frame(true, Opcode::Ping, b"")].concat());
    assert_eq!(server.events(), [Event::Ended(Ended::Broken(FrameError::ReservedBits(0b011)))]);
    let mut server = server.receives(&[text("later"), frame(true, Opcode::Close, b"")].concat());
    assert_eq!((server.events(), server.sends()), (vec![], vec![0x88, 2, 0x03, 0xea]));
}
