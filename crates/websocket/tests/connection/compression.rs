//! Compressed messages (RFC 7692).

use std::time::Instant;

use websocket::{Config, Connection, Deflate, Event, FrameError, Message, Opcode, Reassembly};

use crate::{KEY, Server, config, frame, message, text};

/// Returns the "Hello" of RFC 7692 §7.2.3.1 in one masked frame.
fn compressed_hello() -> Vec<u8> {
    let mut wire = frame(true, Opcode::Text, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    wire[0] |= 0x40;
    wire
}

#[test]
fn rfc_7692_section_7_2_3_messages_are_decompressed() {
    let with = || Server::with(Config { deflate: Some(Deflate::default()), ..config() });
    let mut server = with().receives(&[compressed_hello(), text("plain"), compressed_hello()].concat());
    let hello = message(Opcode::Text, b"Hello");
    assert_eq!(server.events(), [hello.clone(), message(Opcode::Text, b"plain"), hello.clone()]);
    // In two frames only the first has RSV1 set (§7.2.3.1). A PING may come between them.
    let mut first = frame(false, Opcode::Text, &[0xf2, 0x48, 0xcd]);
    first[0] |= 0x40;
    let rest = frame(true, Opcode::Continuation, &[0xc9, 0xc9, 0x07, 0x00]);
    let mut server = with().receives(&[first, frame(true, Opcode::Ping, b""), rest].concat());
    assert_eq!(server.events(), [Event::Ping(vec![]), hello]);
}

#[test]
fn rfc_7692_section_6_what_cannot_be_decompressed_ends_it() {
    let with =
        |max_message_len| Server::with(Config { deflate: Some(Deflate::default()), max_message_len, ..config() });
    let rsv1 = |mut wire: Vec<u8>| {
        wire[0] |= 0x40;
        wire
    };
    Server::new().receives(&compressed_hello()).ends_with(FrameError::ReservedBits(0b100), 1002);
    with(1000).receives(&rsv1(frame(true, Opcode::Text, &[0xff; 9]))).ends_with(FrameError::Deflate, 1007);
    with(1000).receives(&rsv1(frame(true, Opcode::Ping, b""))).ends_with(FrameError::ReservedBits(0b100), 1002);
    with(4).receives(&compressed_hello()).ends_with(FrameError::TooBig { len: 5, max: 4 }, 1009);
    // Compressed text has to be UTF-8 too (§7.2.2); 0xff in a stored block is not.
    let not_text = [0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00];
    with(1000).receives(&rsv1(frame(true, Opcode::Text, &not_text))).ends_with(FrameError::NotUtf8, 1007);
}

#[test]
fn the_limit_is_on_each_part_of_a_message_that_is_delivered_in_parts() {
    for deflate in [None, Some(Deflate::default())] {
        let mut server = Server::with(Config { deflate, max_message_len: 1000, ..config() });
        server.connection.set_reassembly(Reassembly::UpTo(0));
        // Compressed fragments are a stored block each.
        let stored = [&[0x00, 0xf4, 0x01, 0x0b, 0xfe][..], &[b'x'; 500]].concat();
        let payload = if deflate.is_some() { &stored[..] } else { &[b'x'; 500] };
        let mut wire = frame(false, Opcode::Text, payload);
        wire[0] |= if deflate.is_some() { 0x40 } else { 0 };
        wire.extend((0..20).flat_map(|_| frame(false, Opcode::Continuation, payload)));
        let events = server.receives(&wire).events();
        let is_part = |event: &Event| matches!(event, Event::Message(Message { more_follows: true, .. }));
        assert!(events.len() == 21 && events.iter().all(is_part), "{:?}", events.last());
    }
}

#[test]
fn rfc_7692_two_that_agreed_understand_each_other() {
    let now = Instant::now();
    let agreed = Config { deflate: Some(Deflate::default()), max_message_len: 100_000, ..Config::default() };
    let mut client = Connection::client(now, agreed.clone(), Box::new(|| KEY));
    let mut server = Server::with(agreed);
    let sip = "Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks\r\n".repeat(100);
    client.send(now, Opcode::Text, sip.as_bytes()).unwrap();
    client.send(now, Opcode::Text, b"short").unwrap();
    let mut sent = 0;
    while let Some(front) = client.poll_transmit() {
        let len = front.len();
        sent += len;
        server.connection.handle_data(now, front);
        client.handle_transmitted(len);
    }
    assert_eq!(server.events(), [message(Opcode::Text, sip.as_bytes()), message(Opcode::Text, b"short")]);
    assert!(sent < sip.len() / 10, "{sent}");
}
