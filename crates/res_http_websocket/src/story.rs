//! Tells the engine the SIP messages of WebSockets: for the stories of calls, and for captures.

use std::net::SocketAddr;

use asterisk::signalling::Fact;

use crate::mend::Told;
use crate::session::Session;

/// Returns the fact about a whole message that crosses the connection; `None` if it is no SIP.
pub fn told(from: From, session: &Session, message: &[u8]) -> Option<Told> {
    let message = std::str::from_utf8(message).ok().filter(|message| message.contains("SIP/2.0"))?;
    let client = session.client();
    let mut value = format!("secure {}\n", u8::from(session.is_secure()));
    let mut add = |name: &str, address: Option<SocketAddr>| {
        value.extend(address.map(|address| format!("{name} {address}\n")));
    };
    add("address", client.address.or(client.connection));
    add("local", session.local_address().to_std());
    value.extend(session.protocol().module().map(|module| format!("module {module}\n")));
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
    /// Ourselves, in place of Asterisk.
    Module,
    /// Ourselves, refusing a call because the host drains.
    Drain,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Host => "host",
            Self::Module => "module",
            Self::Drain => "drain",
        }
    }
}
