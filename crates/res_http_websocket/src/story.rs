//! Tells the engine the SIP messages that begin, answer, refuse or end a call, for the story of the call.

use asterisk::signalling::Fact;

use crate::mend::Told;
use crate::session::Client;

/// Returns the fact about a message, if its kind tells something about a call or a registration.
pub fn told(from: From, client: &Client, is_secure: bool, message: &[u8]) -> Option<Told> {
    let tells = TELLING.iter().any(|start| message.starts_with(start)) || message.starts_with(b"SIP/2.0 ");
    let message = std::str::from_utf8(message).ok().filter(|_| tells)?;
    let mut value = format!("secure {}\n", u8::from(is_secure));
    if let Some(address) = client.address.or(client.connection) {
        value += &format!("address {address}\n");
    }
    if let Some(origin) = client.origin.as_deref().filter(|origin| !origin.contains(['\n', '\r'])) {
        value += &format!("origin {origin}\n");
    }
    value.push('\n');
    Some(Told::new(from.name().to_owned(), Fact::Message, value + message))
}

/// The sender of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The client.
    Client,
    /// Asterisk.
    Host,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Host => "host",
        }
    }
}

const TELLING: [&[u8]; 4] = [b"INVITE ", b"BYE ", b"CANCEL ", b"REGISTER "];
