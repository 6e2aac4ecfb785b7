//! What the host is told of sessions: its log, its managers, and whoever switched on `websocket set debug`. Nothing here
//! runs under a lock of ours.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use asterisk::debug::Switch;
use asterisk::limit::SharedLimit;
use asterisk::log::Level;
use asterisk::manager::{Category, Event};
use websocket::handshake::{Refusal, Request};
use websocket::{Ended, Opcode};

use crate::admission::household;
use crate::counters::{Counters, Traffic};
use crate::session::Session;

/// `websocket set debug`.
pub static SHOWN: Switch = Switch::new();

/// Nobody should be able to fill the log by asking wrongly, nor to hide in it who else does. A filter that bans has seen
/// enough by then.
static REFUSALS: SharedLimit<Option<IpAddr>, 50> = SharedLimit::new(Duration::from_secs(10), 5);

/// The same for refusals that are no fault of whoever asks, each kind of which has a share. A filter bans nobody for them,
/// so that they may not take the place of those that it needs to see.
static BLAMELESS: SharedLimit<&str, 30> = SharedLimit::new(Duration::from_secs(10), 10);

/// An address as log lines have it.
pub struct Peer(pub Option<SocketAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => write!(f, "'{}'", asterisk::sockaddr::unmapped(address)),
            None => f.write_str("nowhere"),
        }
    }
}

/// The request of this client was answered with an error.
pub fn refused(counters: &Counters, client: Option<SocketAddr>, asked: &Request<'_>, refusal: Refusal) {
    counters.refused(refusal);
    let quoted = match refusal {
        Refusal::Origin => asked.origin(),
        Refusal::ForwardedFor(_) => asked.forwarded_for().first().copied(),
        _ => None,
    };
    let left_out = match refusal {
        Refusal::TooManySessions | Refusal::Descriptors | Refusal::ForwardedFor(_) => BLAMELESS.allow(refusal.name()),
        _ => REFUSALS.allow(client.map(household_of)),
    };
    warn(client, &refusal, quoted, left_out);
    Event::new(Category::System, c"WebSocketRefuse")
        .header("Address", Plain(client))
        .header("Reason", refusal)
        .header("Origin", asked.origin().unwrap_or_default())
        .send();
}

fn household_of(client: SocketAddr) -> IpAddr {
    household(client.ip())
}

/// One line, in the form that `contrib/fail2ban` reads, with how many there was no room for before it. Managers are not a
/// log, and are told of each.
fn warn(client: Option<SocketAddr>, why: &dyn std::fmt::Display, quoted: Option<&str>, left_out: Option<u64>) {
    let Some(left_out) = left_out else { return };
    let more = if left_out == 0 { String::new() } else { format!(" ({left_out} more not shown)") };
    // What a peer may have written comes last in the line.
    let said = quoted.map(|quoted| format!(" ('{quoted:.200}')")).unwrap_or_default();
    asterisk::warning!("WebSocket: connection from {} refused: {why}{more}{said}", Peer(client));
}

/// The answer to its request did not get through: whoever hangs up early may do so often.
pub fn not_begun(counters: &Counters, client: Option<SocketAddr>, error: &std::io::Error) {
    counters.not_begun();
    asterisk::debug!(1, "WebSocket: connection from {}: {error}", Peer(client));
}

/// A session has begun.
pub fn accepted(counters: &Counters, session: &Session, version: u8) {
    counters.accepted();
    let (client, protocol) = (session.client(), session.protocol().name());
    asterisk::verbose!(
        2,
        "WebSocket: connection from {} for protocol '{protocol}' (version {version}) accepted",
        Peer(client.address)
    );
    about(c"WebSocketAccept", session).header("Origin", client.origin.as_deref().unwrap_or_default()).send();
}

/// The stream of a session is closed.
pub fn closed(counters: &Counters, session: &Session, ended: &Ended, traffic: &Traffic) {
    counters.ended(ended);
    let address = session.client().address;
    match ended {
        Ended::NoMessage | Ended::TooManyMessages => {
            warn(address, ended, None, REFUSALS.allow(address.map(household_of)));
        }
        _ => asterisk::verbose!(2, "WebSocket: connection from {}: {ended}", Peer(address)),
    }
    about(c"WebSocketClose", session)
        .header("Reason", ended)
        .header("Duration", traffic.began.elapsed().as_secs())
        .header("MessagesIn", traffic.messages_in)
        .header("MessagesOut", traffic.messages_out)
        .send();
}

fn about(event: &'static std::ffi::CStr, session: &Session) -> Event {
    Event::new(Category::System, event)
        .header("Session", session.id())
        .header("Protocol", session.protocol().name())
        .header("Address", Plain(session.client().address))
        .header("Secure", if session.is_secure() { "yes" } else { "no" })
}

struct Plain(Option<SocketAddr>);

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |address| write!(f, "{}", asterisk::sockaddr::unmapped(address)))
    }
}

/// Which way a message went.
pub enum Way {
    From,
    To,
}

/// So many messages a second are shown, and so many of one session: the host queues lines that its disk is too slow for,
/// and a client may send them faster than any disk is.
static MESSAGES: SharedLimit<u64, 50> = SharedLimit::new(Duration::from_secs(1), 25);

/// The text of a message, line by line as SIP has it; ask [`Switch::wants`] first.
pub fn show(way: Way, session: &Session, opcode: Opcode, payload: &[u8]) {
    let Some(left_out) = MESSAGES.allow(session.id()) else { return };
    let write = |line: &str| asterisk::log::write(Level::Verbose(0), format_args!("{line}"));
    if left_out != 0 {
        write(&format!("WebSocket: {left_out} more messages not shown"));
    }
    let way = match way {
        Way::From => "from",
        Way::To => "to",
    };
    let peer = Peer(session.client().address);
    write("");
    write(&format!("<--- WebSocket {opcode:?} {way} {peer}, session {}, {} octets --->", session.id(), payload.len()));
    let (lines, left_out) = lines(payload);
    lines.iter().for_each(|line| write(line));
    if left_out != 0 {
        write(&format!("({left_out} more octets)"));
    }
}

/// More of a message is not shown. A SIP message that is longer is none that anybody reads.
const MAX_LINES: usize = 200;
const MAX_OCTETS: usize = 16 * 1024;

/// What is shown of a message, and how many octets are not.
fn lines(payload: &[u8]) -> (Vec<String>, usize) {
    let (mut lines, mut rest) = (Vec::new(), payload.get(..MAX_OCTETS).unwrap_or(payload));
    let mut left_out = payload.len() - rest.len();
    while !rest.is_empty() {
        if lines.len() == MAX_LINES {
            left_out += rest.len();
            break;
        }
        let (line, after) = match rest.iter().position(|octet| *octet == b'\n') {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        lines.push(line.chars().map(|character| if character.is_control() { '.' } else { character }).collect());
        rest = after;
    }
    (lines, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_as_it_is() {
        let shown = |payload: &str| lines(payload.as_bytes());
        assert_eq!(shown("a\r\n\r\nb\x1b\tc\r"), (vec!["a".to_owned(), String::new(), "b..c".to_owned()], 0));
        assert_eq!(lines(b"\xff"), (vec!["\u{fffd}".to_owned()], 0));
        assert_eq!(shown(""), (vec![], 0));
    }

    #[test]
    fn what_is_too_long_or_has_too_many_lines_is_shown_in_part() {
        for len in [0, 1, 199, 200, 201, 65_536] {
            assert_eq!(lines(&vec![b'\n'; len]), (vec![String::new(); len.min(200)], len.saturating_sub(200)));
            assert_eq!(lines(&b"a\r\n".repeat(len)), (vec!["a".to_owned(); len.min(200)], 3 * len.saturating_sub(200)));
        }
        for len in [MAX_OCTETS, MAX_OCTETS + 1, 65_536] {
            assert_eq!(lines(&vec![b'x'; len]), (vec!["x".repeat(MAX_OCTETS)], len - MAX_OCTETS));
        }
    }
}
