//! A connection as its peer sees it: bytes in, bytes and events out (RFC 6455 §5, §7).

mod anything;
mod closing;
mod compression;
mod messages;
mod sip;
mod waiting;

use std::time::{Duration, Instant};

use websocket::frame::Header;
use websocket::{Config, Connection, Ended, Event, FrameError, Message, Opcode, State};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn config() -> Config {
    Config { max_message_len: 1000, max_queued_output: 4000, ..Config::default() }
}

/// Returns one masked frame of a client.
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

/// A server's connection, the bytes that it has sent, and a clock.
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

    /// Asserts that the connection fails with this error and sends this status code.
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
