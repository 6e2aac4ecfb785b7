//! Messages made of frames (RFC 6455 §5, §6).

use std::time::Instant;

use websocket::frame::Header;
use websocket::{CloseCode, Connection, Ended, Event, FrameError, Message, Opcode, Reassembly, SendError};

use crate::{KEY, Server, config, frame, message, text};

#[test]
fn two_messages_in_one_segment_are_two_events() {
    let mut server = Server::new().receives(&[text("one"), text("two")].concat());
    assert_eq!(server.events(), [message(Opcode::Text, b"one"), message(Opcode::Text, b"two")]);
}

#[test]
fn an_empty_message_is_a_message() {
    let mut server = Server::new().receives(&text(""));
    assert_eq!(server.events(), [message(Opcode::Text, b"")]);
}

#[test]
fn section_5_4_control_frames_come_between_fragments() {
    let wire = [
        frame(false, Opcode::Text, b"Hel"),
        frame(true, Opcode::Ping, b"there?"),
        frame(false, Opcode::Continuation, b""),
        frame(true, Opcode::Continuation, b"lo"),
    ];
    let mut server = Server::new().receives(&wire.concat());
    assert_eq!(server.events(), [Event::Ping(b"there?".to_vec()), message(Opcode::Text, b"Hello")]);
    assert_eq!(server.sends(), b"\x8a\x06there?");
}

#[test]
fn section_5_4_fragments_come_in_their_order_around_control_frames() {
    let wire = [
        frame(false, Opcode::Binary, b"one"),
        frame(true, Opcode::Ping, b"there?"),
        frame(false, Opcode::Continuation, b"two"),
        frame(true, Opcode::Pong, b"here"),
        frame(true, Opcode::Continuation, b"three"),
    ];
    let part = |opcode, payload: &[u8], more_follows| {
        Event::Message(Message { opcode, payload: payload.to_vec(), more_follows })
    };
    let (ping, pong) = (Event::Ping(b"there?".to_vec()), Event::Pong(b"here".to_vec()));
    let mut server = Server::new();
    server.connection.set_reassembly(Reassembly::UpTo(0));
    let expected = [
        part(Opcode::Binary, b"one", true),
        ping.clone(),
        part(Opcode::Continuation, b"two", true),
        pong.clone(),
        part(Opcode::Binary, b"three", false),
    ];
    assert_eq!(server.receives(&wire.concat()).events(), expected);
    let expected = [ping, pong, message(Opcode::Binary, b"onetwothree")];
    assert_eq!(Server::new().receives(&wire.concat()).events(), expected);
}

#[test]
fn section_5_4_messages_are_taken_in_fragments_and_whole() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let wire = [
            frame(true, opcode, b"whole"),
            frame(false, opcode, b"in fr"),
            frame(true, Opcode::Continuation, b"agments"),
            frame(true, opcode, b"again"),
        ];
        let expected = [&b"whole"[..], b"in fragments", b"again"].map(|payload| message(opcode, payload));
        assert_eq!(Server::new().receives(&wire.concat()).events(), expected);
    }
}

#[test]
fn section_6_2_fragments_are_unmasked_each_with_its_own_key_and_joined() {
    let masked = |key: [u8; 4], fin, opcode, payload: &[u8]| {
        let mut wire = Vec::new();
        let payload_len = payload.len() as u64;
        Header { fin, compressed: false, opcode, masking_key: Some(key), payload_len }.write(&mut wire);
        wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        wire
    };
    let long = [b'x'; 130];
    let wire = [
        masked([1, 2, 3, 4], false, Opcode::Text, b"one"),
        masked([0; 4], false, Opcode::Continuation, b""),
        masked([0xff, 0, 0xff, 0], false, Opcode::Continuation, &long),
        masked([9, 8, 7, 6], true, Opcode::Continuation, b"three"),
        masked([5; 4], true, Opcode::Binary, b"the next"),
    ];
    let first = [&b"one"[..], &long, b"three"].concat();
    let expected = [message(Opcode::Text, &first), message(Opcode::Binary, b"the next")];
    assert_eq!(Server::new().receives(&wire.concat()).events(), expected);
}

#[test]
fn section_6_1_frames_are_whole_messages_in_the_order_of_sending() {
    let mut server = Server::new();
    let now = server.now;
    let all = [
        (Opcode::Binary, 0x82),
        (Opcode::Text, 0x81),
        (Opcode::Ping, 0x89),
        (Opcode::Pong, 0x8a),
        (Opcode::Text, 0x81),
    ];
    let mut expected = Vec::new();
    for (number, (opcode, first)) in all.into_iter().enumerate() {
        server.connection.send(now, opcode, &[b'0' + number as u8]).unwrap();
        expected.extend([first, 1, b'0' + number as u8]);
    }
    server.connection.send(now, Opcode::Binary, &[b'x'; 1000]).unwrap();
    expected.extend([&[0x82, 126, 3, 0xe8][..], &[b'x'; 1000]].concat());
    server.connection.close(now, CloseCode::NORMAL);
    expected.extend([0x88, 2, 3, 0xe8]);
    assert_eq!(server.sends(), expected);
}

#[test]
fn section_5_4_what_may_follow_what() {
    Server::new().receives(&frame(true, Opcode::Continuation, b"x")).ends_with(FrameError::NothingToContinue, 1002);
    let twice = [frame(false, Opcode::Text, b"x"), text("y")].concat();
    Server::new().receives(&twice).ends_with(FrameError::MessageUnfinished, 1002);
}

#[test]
fn section_5_1_a_client_masks() {
    Server::new().receives(&[0x81, 0x05]).ends_with(FrameError::Unmasked, 1002);
    let mut client = Connection::client(Instant::now(), config(), Box::new(|| KEY));
    client.handle_data(Instant::now(), &text("x"));
    assert_eq!(client.poll_event(Instant::now()), Some(Event::Ended(Ended::Broken(FrameError::Masked))));
}

#[test]
fn section_5_2_and_5_5_refused_at_the_second_byte() {
    Server::new().receives(&[0xc1, 0x80]).ends_with(FrameError::ReservedBits(0b100), 1002);
    Server::new().receives(&[0x83, 0x80]).ends_with(FrameError::UnknownOpcode(3), 1002);
    Server::new().receives(&[0x09, 0x80]).ends_with(FrameError::ControlFragmented, 1002);
    Server::new().receives(&[0x89, 0xfe]).ends_with(FrameError::ControlTooLong(126), 1002);
}

#[test]
fn section_5_6_and_8_1_text_is_utf8_as_a_whole() {
    let cut = [frame(false, Opcode::Text, b"\xce"), frame(true, Opcode::Continuation, b"\xba")];
    let mut server = Server::new().receives(&cut.concat());
    assert_eq!(server.events(), [message(Opcode::Text, "κ".as_bytes())]);
    Server::new().receives(&frame(true, Opcode::Text, b"\xce")).ends_with(FrameError::NotUtf8, 1007);
    // The text is refused before the rest of the message has arrived.
    let start = frame(true, Opcode::Text, b"\xed\xa0\x80 and more");
    Server::new().receives(&start[..8]).ends_with(FrameError::NotUtf8, 1007);
    let mut server = Server::new().receives(&frame(true, Opcode::Binary, b"\xff"));
    assert_eq!(server.events(), [message(Opcode::Binary, b"\xff")]);
}

#[test]
fn section_10_4_a_message_too_big_ends_with_at_its_header() {
    let mut header = Vec::new();
    let declared =
        Header { fin: true, compressed: false, opcode: Opcode::Text, masking_key: Some(KEY), payload_len: 1 << 40 };
    declared.write(&mut header);
    Server::new().receives(&header).ends_with(FrameError::TooBig { len: 1 << 40, max: 1000 }, 1009);
    let fragments = [frame(false, Opcode::Text, &[b'x'; 600]), frame(true, Opcode::Continuation, &[b'x'; 401])];
    Server::new().receives(&fragments.concat()).ends_with(FrameError::TooBig { len: 1001, max: 1000 }, 1009);
    let fits = [frame(false, Opcode::Text, &[b'x'; 600]), frame(true, Opcode::Continuation, &[b'x'; 400])];
    assert_eq!(Server::new().receives(&fits.concat()).events().len(), 1);
}

#[test]
fn section_5_4_fragments_can_be_had_as_they_come() {
    let fragments = [
        frame(false, Opcode::Text, b"one"),
        frame(false, Opcode::Continuation, b"two"),
        frame(true, Opcode::Continuation, b"three"),
    ];
    let part = |opcode, payload: &[u8], more_follows| {
        Event::Message(Message { opcode, payload: payload.to_vec(), more_follows })
    };
    let mut server = Server::new();
    server.connection.set_reassembly(Reassembly::UpTo(0));
    let expected = [
        part(Opcode::Text, b"one", true),
        part(Opcode::Continuation, b"two", true),
        part(Opcode::Text, b"three", false),
    ];
    assert_eq!(server.receives(&fragments.concat()).events(), expected);

    let mut server = Server::new();
    server.connection.set_reassembly(Reassembly::UpTo(4));
    let expected = [part(Opcode::Text, b"onetwo", true), part(Opcode::Text, b"three", false)];
    assert_eq!(server.receives(&fragments.concat()).events(), expected);
}

#[test]
fn section_5_5_and_5_6_what_we_send_is_checked() {
    let mut server = Server::new();
    let now = server.now;
    let mut send = |opcode, payload: &[u8]| server.connection.send(now, opcode, payload);
    assert_eq!(send(Opcode::Text, b"\xff"), Err(SendError::NotUtf8));
    for opcode in [Opcode::Ping, Opcode::Pong] {
        assert_eq!(send(opcode, &[0; 126]), Err(SendError::ControlTooLong(126)));
        assert_eq!(send(opcode, &[0; 125]), Ok(()));
    }
    assert_eq!(send(Opcode::Close, b""), Err(SendError::Opcode(Opcode::Close)));
    assert_eq!(send(Opcode::Continuation, b""), Err(SendError::Opcode(Opcode::Continuation)));
    assert_eq!(send(Opcode::Binary, b"\xff"), Ok(()));
    let longest = |first| [&[first, 125][..], &[0; 125]].concat();
    assert_eq!(server.sends(), [longest(0x89), longest(0x8a), b"\x82\x01\xff".to_vec()].concat());
}

#[test]
fn section_5_1_and_5_3_a_server_never_masks_and_a_client_takes_a_fresh_key_for_each_frame() {
    let mut server = Server::new();
    server.connection.send(server.now, Opcode::Text, &[b'x'; 200]).unwrap();
    server.connection.close(server.now, CloseCode::NORMAL);
    let sent = server.sends();
    assert_eq!((sent[1], sent[205]), (126, 2), "the bit above the length is not set");
    let mut next = 0;
    let keys = move || {
        next += 1;
        [next; 4]
    };
    let now = Instant::now();
    let mut client = Connection::client(now, config(), Box::new(keys));
    client.send(now, Opcode::Text, b"\0").unwrap();
    client.send(now, Opcode::Ping, b"\0").unwrap();
    let mut wire = Vec::new();
    while let Some(front) = client.poll_transmit() {
        wire.extend_from_slice(front);
        let len = front.len();
        client.handle_transmitted(len);
    }
    assert_eq!(wire, [0x81, 0x81, 1, 1, 1, 1, 1, 0x89, 0x81, 2, 2, 2, 2, 2]);
}
