//! Any input, cut anywhere (RFC 6455 §10.7).

use std::time::Instant;

use proptest::prelude::*;
use websocket::frame::Header;
use websocket::{CloseCode, Connection, Ended, Event, FrameError, Opcode, State};

use crate::{KEY, Server, config, frame, message, text};

#[test]
fn a_client_and_a_server_understand_each_other() {
    let now = Instant::now();
    let mut client = Connection::client(now, config(), Box::new(|| KEY));
    let mut server = Server::new();
    client.send(now, Opcode::Text, b"Hello").unwrap();
    client.close(now, CloseCode::NORMAL);
    while let Some(front) = client.poll_transmit() {
        let len = front.len();
        server.connection.handle_data(now, front);
        client.handle_transmitted(len);
    }
    let closed = Event::Ended(Ended::ByPeer(b"\x03\xe8".to_vec()));
    assert_eq!(server.events(), [message(Opcode::Text, b"Hello"), closed]);
    client.handle_data(now, &server.sends());
    assert_eq!((client.state(), server.connection.state()), (State::Closed, State::Closed));
}

#[test]
fn section_10_7_what_is_wrong_ends_with_its_code() {
    let big =
        Header { fin: true, compressed: false, opcode: Opcode::Binary, masking_key: Some(KEY), payload_len: 1001 };
    let mut too_big = Vec::new();
    big.write(&mut too_big);
    for (wire, error, code) in [
        (vec![0x91, 0x80], FrameError::ReservedBits(0b001), 1002),
        (vec![0xa1, 0x80], FrameError::ReservedBits(0b010), 1002),
        (vec![0xc1, 0x80], FrameError::ReservedBits(0b100), 1002),
        (vec![0x87, 0x80], FrameError::UnknownOpcode(7), 1002),
        (vec![0x8f, 0x80], FrameError::UnknownOpcode(15), 1002),
        (vec![0x82, 0xfe, 0, 125, 0, 0, 0, 0], FrameError::LengthNotMinimal(125), 1002),
        (vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], FrameError::LengthTooLarge, 1002),
        (vec![0x81, 0x00], FrameError::Unmasked, 1002),
        (vec![0x0a, 0x80], FrameError::ControlFragmented, 1002),
        (vec![0x88, 0xfe], FrameError::ControlTooLong(126), 1002),
        (frame(false, Opcode::Continuation, b""), FrameError::NothingToContinue, 1002),
        ([frame(false, Opcode::Binary, b""), text("")].concat(), FrameError::MessageUnfinished, 1002),
        (frame(true, Opcode::Close, b"\x03"), FrameError::CloseTooShort, 1002),
        (frame(true, Opcode::Close, b"\x03\xee"), FrameError::CloseCode(1006), 1002),
        (frame(true, Opcode::Close, b"\x03\xe8\xc0"), FrameError::NotUtf8, 1007),
        (frame(true, Opcode::Text, b"\xc0"), FrameError::NotUtf8, 1007),
        (too_big, FrameError::TooBig { len: 1001, max: 1000 }, 1009),
    ] {
        Server::new().receives(&wire).ends_with(error, code);
    }
}

/// Generates valid and invalid frames.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop::sample::select(vec![
        Opcode::Text,
        Opcode::Text,
        Opcode::Continuation,
        Opcode::Continuation,
        Opcode::Binary,
        Opcode::Ping,
        Opcode::Pong,
        Opcode::Close,
    ]);
    let payload = prop_oneof![
        4 => "[a-zκ😀]{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..140),
        1 => Just(b"\x03\xe8bye".to_vec()),
    ];
    prop_oneof![
        30 => (any::<bool>(), opcode, payload).prop_map(|(fin, opcode, payload)| frame(fin, opcode, &payload)),
        1 => proptest::collection::vec(any::<u8>(), 0..30),
    ]
}

proptest! {
    #[test]
    fn section_10_7_any_split_of_the_stream_gives_the_same(
        frames in proptest::collection::vec(frames(), 0..12),
        cuts in proptest::collection::vec(1usize..40, 1..8),
    ) {
        let wire = frames.concat();
        let mut whole = Server::new().receives(&wire);
        let mut split = Server::new();
        let mut rest = wire.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            split.connection.handle_data(split.now, piece);
            rest = tail;
        }
        prop_assert_eq!(whole.events(), split.events());
        prop_assert_eq!(whole.sends(), split.sends());
        prop_assert_eq!(whole.connection.state(), split.connection.state());
    }
}
