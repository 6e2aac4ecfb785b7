//! RFC 6455 §5 and §7 as a peer sees them: bytes in, bytes and events out.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use websocket::frame::Header;
use websocket::{
    CloseCode, Config, Connection, Deflate, Ended, Event, FrameError, Message, Opcode, Reassembly, SendError, State,
};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn config() -> Config {
    Config { max_message_len: 1000, max_queued_output: 4000, ..Config::default() }
}

/// One masked frame of a client.
fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Header { fin, compressed: false, opcode, masking_key: Some(KEY), payload_len: payload.len() as u64 }
        .write(&mut wire);
    let start = wire.len();
    wire.extend_from_slice(payload);
    websocket::mask::apply(KEY, 0, &mut wire[start..]);
    wire
}

fn text(payload: &str) -> Vec<u8> {
    frame(true, Opcode::Text, payload.as_bytes())
}

/// A server, what it said so far, and a clock.
struct Server {
    connection: Connection,
    start: Instant,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: Config) -> Self {
        let now = Instant::now();
        Self { connection: Connection::server(now, config), start: now, now }
    }

    fn receives(mut self, data: &[u8]) -> Self {
        self.connection.handle_data(self.now, data);
        self
    }

    fn waits(&mut self, time: Duration) {
        self.now += time;
        self.connection.handle_timeout(self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event(self.now)).collect()
    }

    fn sends(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some(front) = self.connection.poll_transmit() {
            sent.extend_from_slice(front);
            let len = front.len();
            self.connection.handle_transmitted(len);
        }
        sent
    }

    /// Fails with this error and says so with its code.
    fn ends_with(mut self, error: FrameError, code: u16) {
        assert_eq!(self.events(), [Event::Ended(Ended::Broken(error))]);
        assert_eq!(self.connection.state(), State::Closing);
        assert_eq!(self.sends(), [&[0x88, 2], &code.to_be_bytes()[..]].concat());
        assert_eq!(self.connection.state(), State::Draining);
        self.connection.handle_end();
        assert_eq!(self.connection.state(), State::Closed);
        assert_eq!(self.events(), []);
    }
}

fn message(opcode: Opcode, payload: &[u8]) -> Event {
    Event::Message(Message { opcode, payload: payload.to_vec(), more_follows: false })
}

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
fn section_5_1_and_5_5_1_an_unmasked_close_frame_is_none() {
    Server::new().receives(&[0x88, 0x02, 0x03, 0xe8]).ends_with(FrameError::Unmasked, 1002);
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
    // Refused before the rest of the message is here.
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

/// Neither decompressed nor checked: nobody is told of it.
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

#[test]
fn a_frame_waits_only_so_long() {
    let mut server = Server::with(Config { write_timeout: Duration::from_millis(100), ..config() });
    server.connection.send(server.now, Opcode::Text, b"x").unwrap();
    assert_eq!(server.connection.poll_timeout(), Some(server.start + Duration::from_millis(100)));
    server.waits(Duration::from_millis(99));
    assert_eq!(server.connection.state(), State::Open);
    server.waits(Duration::from_millis(1));
    assert_eq!(
        (server.connection.state(), server.events()),
        (State::Closed, vec![Event::Ended(Ended::PeerNotReading)])
    );
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

/// "Hello" of RFC 7692 §7.2.3.1, in one masked frame.
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
    // §7.2.3.1: in two frames, of which the first says so; a PING may come between them.
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
    // §7.2.2 does not exempt text from being UTF-8: 0xff in a stored block.
    let not_text = [0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00];
    with(1000).receives(&rsv1(frame(true, Opcode::Text, &not_text))).ends_with(FrameError::NotUtf8, 1007);
}

#[test]
fn the_limit_is_on_each_part_of_a_message_that_is_delivered_in_parts() {
    for deflate in [None, Some(Deflate::default())] {
        let mut server = Server::with(Config { deflate, max_message_len: 1000, ..config() });
        server.connection.set_reassembly(Reassembly::UpTo(0));
        // A stored block each, when compressed.
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

#[test]
fn a_peer_is_not_silent_because_nobody_listens() {
    let mut server = Server::new().receives(&text("unread"));
    server.waits(Duration::from_secs(300));
    assert_eq!((server.connection.state(), server.sends()), (State::Open, vec![]));
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

#[test]
fn section_5_5_3_a_pong_is_the_same_as_its_ping_and_is_not_answered() {
    let longest: Vec<u8> = (0..125).collect();
    let mut server = Server::new().receives(&frame(true, Opcode::Ping, &longest));
    assert_eq!(server.sends(), [&[0x8a, 125][..], &longest].concat());
    server.events();
    let mut server = server.receives(&frame(true, Opcode::Pong, b"heartbeat"));
    assert_eq!((server.events(), server.sends()), (vec![Event::Pong(b"heartbeat".to_vec())], vec![]));
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

#[test]
fn rfc_7118_section_4_2_both_kinds_of_messages_are_taken_and_what_is_not_utf8_is_sent_as_binary() {
    let wire = [text("SIP"), frame(true, Opcode::Binary, b"SIP \xff")].concat();
    let mut server = Server::new().receives(&wire);
    assert_eq!(server.events(), [message(Opcode::Text, b"SIP"), message(Opcode::Binary, b"SIP \xff")]);
    server.connection.send_text_or_binary(server.now, "κ".as_bytes()).unwrap();
    server.connection.send_text_or_binary(server.now, b"x\xff").unwrap();
    assert_eq!(server.sends(), b"\x81\x02\xce\xba\x82\x02x\xff");
}

#[test]
fn rfc_7118_section_5_1_a_sip_message_is_one_websocket_message_however_it_is_fragmented() {
    let sip = "REGISTER sip:example.com SIP/2.0\r\n\r\n";
    let (head, tail) = sip.as_bytes().split_at(7);
    let wire = [frame(false, Opcode::Text, head), frame(true, Opcode::Continuation, tail), text(sip)].concat();
    let mut server = Server::new().receives(&wire);
    assert_eq!(server.events(), [message(Opcode::Text, sip.as_bytes()), message(Opcode::Text, sip.as_bytes())]);
    server.connection.send(server.now, Opcode::Text, sip.as_bytes()).unwrap();
    assert_eq!(server.sends().first(), Some(&0x81), "what we send is never fragmented");
}

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

/// Frames as peers send them, right and wrong ones.
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
