//! Lines of the log that operators' filters know from Asterisk's own module, in its words. Those that a stranger can provoke are
//! limited in rate, for all and for each address. What is left out is in the counters of `rtp show sessions`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use asterisk::limit::{RateLimit, SharedLimit};
use asterisk::rtp::InstancePtr;

use crate::notes::{Level, Note};

/// Logs that a packet has a payload type that was not negotiated.
pub fn unknown_payload_type(payload_type: u8, from: SocketAddr) {
    if UNKNOWN.allow(from.ip()).is_some() {
        asterisk::notice!("Unknown RTP codec {payload_type} received from '{from}'");
    }
}

/// Makes the line about a datagram that is too short for an RTP header, which also phones send as a keepalive.
pub fn too_short(from: SocketAddr) -> Option<Note> {
    SHORT.allow(from.ip()).map(|_| Note::Warning("RTP Read too short".to_owned()))
}

/// Makes the line about DTLS for a session that has none.
pub fn unexpected_dtls(from: SocketAddr, instance: InstancePtr) -> Option<Note> {
    let text = || format!("Received SSL traffic on RTP instance '{instance:p}' without an SSL session");
    DTLS.allow(from.ip()).map(|_| Note::Error(text()))
}

/// Makes the line about a packet that the system did not send. `what` is the beginning of the line: `RTP`, `RTCP SR`.
pub fn not_sent(what: &str, to: SocketAddr) -> Option<Note> {
    TRANSMISSIONS.allow().map(|_| Note::Error(format!("{what} to {to}: the system did not send the packet")))
}

/// Makes the line about a packet from an address that strict RTP does not accept, if the debug log is on.
pub fn refused_source(from: SocketAddr) -> Option<Note> {
    let allowed = asterisk::log::debug_enabled(1) && DETAILS.allow().is_some();
    let text = || format!("Received RTP packet from {from}, dropping due to strict RTP protection.");
    allowed.then(|| Note::OfInstance(Level::Debug, text()))
}

/// Limits lines of the debug log, of which a flood would write one for each packet.
static DETAILS: RateLimit = RateLimit::new(Duration::from_secs(1), 50);

/// Limits lines about unknown payload types.
static UNKNOWN: SharedLimit<IpAddr, 50> = SharedLimit::new(Duration::from_secs(10), 5);

/// Limits lines about short datagrams, which come from as many addresses as a stranger likes to forge.
static SHORT: SharedLimit<IpAddr, 2> = SharedLimit::new(Duration::from_secs(10), 1);

/// Limits lines about DTLS without a session of it.
static DTLS: SharedLimit<IpAddr, 2> = SharedLimit::new(Duration::from_secs(10), 1);

/// Limits lines about what could not be sent.
static TRANSMISSIONS: RateLimit = RateLimit::new(Duration::from_secs(10), 10);
