//! The WebSocket protocol (RFC 6455): handshake, frames, messages and the closing handshake.
//!
//! This crate opens no sockets and reads no clock. The caller feeds bytes from the stream and the time, writes the
//! bytes that [`Connection::poll_transmit`] returns, and polls [`Connection::poll_event`]:
//!
//! ```
//! use std::time::Instant;
//! use websocket::{Config, Connection, Event, Opcode};
//!
//! let now = Instant::now();
//! let mut connection = Connection::server(now, Config::default());
//! // The masked "Hello" of RFC 6455 §5.7.
//! connection.handle_data(now, &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
//! let Some(Event::Message(message)) = connection.poll_event(now) else { panic!() };
//! assert_eq!((message.opcode, message.payload.as_slice()), (Opcode::Text, &b"Hello"[..]));
//! ```
//!
//! | file | section of RFC 6455 |
//! |---|---|
//! | [`handshake`] | 4: the opening handshake, as a server |
//! | [`frame`], [`mask`] | 5.2, 5.3: the header of a frame, masking |
//! | `receiver` | 5.4, 5.5: from bytes to messages and control frames |
//! | [`utf8`] | 8.1: text is UTF-8, checked as it arrives |
//! | [`close`] | 7.4: status codes |
//! | [`origin`], [`forwarded`] | 10.2: which pages may connect; and the client behind a proxy |
//! | `extension`, [`deflate`] | 9.1, and RFC 7692: permessage-deflate |
//! | [`connection`] | 5.5: PING and PONG, deadlines |
//! | `connection/closing` | 7: the closing handshake |
//! | `rate` | 10.4: the limit on messages per second |
//!
//! Left out, with reasons: context takeover of permessage-deflate (an idle connection would keep up to 300 KiB for it);
//! other extensions (none is registered that SIP has a use for); the client's side of the opening handshake, and random
//! masking keys (only tests are clients, and they pass keys in).
//!
//! Departures from RFC 6455: versions 7 and 8 of the drafts are accepted besides 13, because the host's own module
//! accepts them and their frames are the same; a request without a subprotocol is refused unless an application is
//! registered for it; a request without the token `Upgrade` in `Connection` (§4.2.1 item 4) is accepted if everything
//! else is right, because the host's own module accepts it, and proxies of a common configuration (nginx told to pass
//! `Upgrade` and nothing about `Connection`) serve browsers that way. [`handshake::Accepted::connection`] tells, for a
//! log line.
#![forbid(unsafe_code)]

pub mod close;
pub mod connection;
pub mod deflate;
mod error;
mod extension;
pub mod forwarded;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
pub mod mask;
pub mod origin;
mod output;
mod rate;
mod receiver;
pub mod utf8;

pub use close::CloseCode;
pub use connection::{Config, Connection, Ended, Event, State};
pub use deflate::Deflate;
pub use error::{FrameError, SendError};
pub use frame::Opcode;
pub use receiver::{Message, Reassembly};
