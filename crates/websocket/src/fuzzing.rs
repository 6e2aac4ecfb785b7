//! The bodies of the fuzz targets, which `tests/fuzz` calls. They are here so that they keep compiling. They panic when
//! a promise of the crate is broken.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::forwarded::client_address;
use crate::frame::Header;
use crate::handshake::Request;
use crate::origin::AllowedOrigin;
use crate::{Config, Connection, Deflate, Event, Opcode, State};

/// Parses the input as a frame's header: written again it is the same, and it is as long as its beginning says.
pub fn frame_header(wire: &[u8]) {
    let Ok(Some(header)) = Header::parse(wire) else { return };
    let mut again = Vec::new();
    header.write(&mut again);
    assert_eq!(wire.get(..Header::len_from(wire)), Some(again.as_slice()));
}

/// Parses the input as headers of a request, in lines of `name: value`. The answer names only a subprotocol that was
/// asked for, an origin is the same when it is written and read again, and a client that is not trusted is not believed
/// about addresses.
pub fn handshake(request: &[u8]) {
    let Ok(text) = std::str::from_utf8(request) else { return };
    let headers = || text.lines().filter_map(|line| line.split_once(':'));
    let request = Request::new(true, headers());
    if let Some(allowed) = request.origin().and_then(AllowedOrigin::parse) {
        assert_eq!(AllowedOrigin::parse(&allowed.to_string()), Some(allowed));
    }
    let peer = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(client_address(peer, request.forwarded_for(), &[]), Ok(peer));
    match request.accept(|name| name.is_none_or(|name| name.eq_ignore_ascii_case("sip"))) {
        Ok(accepted) => {
            let accepted = accepted.with_deflate();
            let response = accepted.response();
            assert!(accepted.protocol.is_none_or(|protocol| protocol.eq_ignore_ascii_case("sip")));
            assert_eq!(response.contains("\r\nSec-WebSocket-Protocol: "), accepted.protocol.is_some());
            assert_eq!(response.matches("\r\n\r\n").count(), 1);
        }
        Err(refusal) => assert_eq!(refusal.response().matches("\r\n\r\n").count(), 1),
    }
}

/// Runs a list of operations on a server's connection: a byte that says what happens, and the number of bytes that it
/// uses.
pub fn connection(operations: &[u8]) {
    let deflate = operations.first().filter(|first| *first & 1 == 1).map(|_| Deflate::default());
    let config = Config { max_message_len: 300, max_queued_output: 400, deflate, ..Config::default() };
    let (mut now, max_len) = (Instant::now(), config.max_message_len);
    let mut server = Connection::server(now, config);
    let mut ended = false;
    let mut rest = operations;
    while let [operation, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        match operation % 6 {
            0 | 1 => server.handle_data(now, bytes),
            2 => now += Duration::from_secs((*len).into()),
            3 => drop(server.send(now, Opcode::Binary, bytes)),
            4 => server.handle_transmitted(server.poll_transmit().map_or(0, |front| front.len().min((*len).into()))),
            _ => server.close(now, crate::CloseCode::NORMAL),
        }
        server.handle_timeout(now);
        while let Some(event) = server.poll_event(now) {
            assert!(!ended, "{event:?} after the end");
            match event {
                Event::Message(message) => assert!(message.payload.len() <= max_len),
                Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
                Event::Ended(_) => ended = true,
            }
        }
        assert_eq!(ended, server.state() != State::Open);
        assert!(server.poll_timeout().is_some() || server.state() == State::Closed, "nothing waits for ever");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_that_a_stranger_sends_breaks_a_promise(input in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::frame_header(&input);
            super::handshake(&input);
            super::connection(&input);
        }
    }
}
