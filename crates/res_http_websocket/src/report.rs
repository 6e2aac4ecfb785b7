//! Reports on sessions: lines in the host's log, manager events, and the messages that `websocket set debug` shows. Nothing
//! here runs under a lock of ours.
//!
//! `contrib/fail2ban` matches lines by the name of this file.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use asterisk::debug::Switch;
use asterisk::limit::SharedLimit;
use asterisk::log::Level;
use asterisk::manager::{Category, Event};
use sip_dialect::Rules;
use sip_dialect::transport::PONG;
use websocket::handshake::{Refusal, Request};
use websocket::{Ended, Opcode};

use crate::counters::{Counters, Traffic};
use crate::limits::household;
use crate::mend::Mended;
use crate::session::{Session, Spoken};

/// The switch of `websocket set debug`.
pub static SHOWN: Switch = Switch::new();

/// Limits lines about clients that do something wrong, in all and of one address: nobody fills the log with them, or hides
/// those about others. A filter that bans addresses has seen enough by then.
static REFUSALS: SharedLimit<Option<IpAddr>, 50> = SharedLimit::new(Duration::from_secs(10), 5);

/// Limits lines about refusals that are not the client's fault, in all and of one kind. A filter bans nobody for these, so
/// they must not take the place of the lines that it needs to see.
static BLAMELESS: SharedLimit<&str, 30> = SharedLimit::new(Duration::from_secs(10), 10);

/// An address as log lines show it: in quotes, and IPv4-mapped addresses as IPv4.
pub struct Peer(pub Option<SocketAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => write!(f, "'{}'", asterisk::sockaddr::unmapped(address)),
            None => f.write_str("nowhere"),
        }
    }
}

/// Reports that a request was answered with an error.
pub fn refused(counters: &Counters, client: Option<SocketAddr>, asked: &Request<'_>, refusal: Refusal) {
    counters.refused(refusal);
    let quoted = match refusal {
        Refusal::Origin => asked.origin(),
        Refusal::ForwardedFor(_) => asked.forwarded_for().first().copied(),
        _ => None,
    };
    let left_out = match refusal {
        Refusal::TooManySessions | Refusal::Draining | Refusal::Descriptors | Refusal::ForwardedFor(_) => {
            BLAMELESS.allow(refusal.name())
        }
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

/// Logs one line in the form that `contrib/fail2ban` reads. `left_out` is the number of lines that the limit left out before
/// it, or `None` to leave out this one too.
fn warn(client: Option<SocketAddr>, why: &dyn std::fmt::Display, quoted: Option<&str>, left_out: Option<u64>) {
    let Some(left_out) = left_out else { return };
    let more = if left_out == 0 { String::new() } else { format!(" ({left_out} more not shown)") };
    // Text from the peer comes last: it might imitate any other part of the line.
    let said = quoted.map(|quoted| format!(" ('{quoted:.200}')")).unwrap_or_default();
    asterisk::warning!("WebSocket: connection from {} refused: {why}{more}{said}", Peer(client));
}

/// Reports that the answer to a request did not get through. Only for debugging: a client that hangs up early may do so
/// often.
pub fn not_begun(counters: &Counters, client: Option<SocketAddr>, error: &std::io::Error) {
    counters.not_begun();
    asterisk::debug!(1, "WebSocket: connection from {}: {error}", Peer(client));
}

/// Reports that a session has begun. `version` is the client's `Sec-WebSocket-Version`.
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

/// Limits lines about proxies that need another line in their configuration: one an hour of each.
static LACKING: SharedLimit<Option<IpAddr>, 20> = SharedLimit::new(Duration::from_secs(3600), 1);

/// Reports that a session's request came without the token `Upgrade` in its `Connection` header, which browsers always
/// send: a proxy replaced it. The line names the proxy, not the client behind it, and is none that `contrib/fail2ban`
/// reads.
pub fn proxy_lacks_connection(counters: &Counters, session: &Session) {
    counters.lacked_connection();
    let proxy = session.client().connection;
    if LACKING.allow(proxy.map(household_of)).is_some() {
        asterisk::warning!(
            "WebSocket: the proxy at {} passes the header Upgrade and not Connection. Accepted all the same; the line \
             to add is, in nginx: proxy_http_version 1.1; proxy_set_header Connection \"upgrade\";",
            Peer(proxy)
        );
    }
}

/// Reports that the stream of a session is closed, and why.
pub fn closed(counters: &Counters, session: &Session, ended: &Ended, traffic: &Traffic) {
    counters.ended(ended, traffic);
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

/// An event with the headers that all events about a session have.
fn about(event: &'static std::ffi::CStr, session: &Session) -> Event {
    Event::new(Category::System, event)
        .header("Session", session.id())
        .header("Protocol", session.protocol().name())
        .header("Address", Plain(session.client().address))
        .header("Secure", if session.is_secure() { "yes" } else { "no" })
}

/// An address as manager events show it: without quotes, and empty where there is none.
struct Plain(Option<SocketAddr>);

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |address| write!(f, "{}", asterisk::sockaddr::unmapped(address)))
    }
}

/// Reports a message that we wrote in the client's place; `wants_show` is the answer of [`Switch::wants`].
pub fn spoken(session: &Session, spoken: &Spoken, wants_show: bool) {
    let peer = Peer(session.client().address);
    match spoken {
        Spoken::Pong => session.counters().kept_alive(),
        Spoken::Response(_) => {
            session.counters().answered();
            asterisk::verbose!(2, "WebSocket: connection from {peer} has ended, so an INVITE for it fails with 408");
        }
    }
    if wants_show {
        match spoken {
            Spoken::Pong => show(Way::To, session, Opcode::Text, PONG),
            Spoken::Response(response) => show(Way::InPlaceOf, session, Opcode::Text, response),
        }
    }
}

/// The direction of a message.
pub enum Way {
    /// From the client.
    From,
    /// To the client.
    To,
    /// To the consumer, in the client's place.
    InPlaceOf,
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::InPlaceOf => "in place of",
        }
    }
}

/// Limits the messages shown in a second, in all and of one session: the host queues the lines that its disk is too slow for,
/// and a client may send messages faster than any disk takes them.
static MESSAGES: SharedLimit<u64, 50> = SharedLimit::new(Duration::from_secs(1), 25);

/// Shows a message line by line, as SIP messages are written. The caller asks [`Switch::wants`] first.
pub fn show(way: Way, session: &Session, opcode: Opcode, payload: &[u8]) {
    let Some(left_out) = MESSAGES.allow(session.id()) else { return };
    if left_out != 0 {
        write(&format!("WebSocket: {left_out} more messages not shown"));
    }
    show_lines(&format!("{opcode:?} {} {}", way.name(), Peer(session.client().address)), session, payload);
}

/// Shows a payload line by line, below a line that says what it is.
fn show_lines(what: &str, session: &Session, payload: &[u8]) {
    write("");
    write(&format!("<--- WebSocket {what}, session {}, {} octets --->", session.id(), payload.len()));
    let (lines, left_out) = lines(payload);
    lines.iter().for_each(|line| write(line));
    if left_out != 0 {
        write(&format!("({left_out} more octets)"));
    }
}

fn write(line: &str) {
    asterisk::log::write(Level::Verbose(0), format_args!("{line}"));
}

/// Counts a message that was mended, and shows its other form to whoever sees messages. `Way` is that of the message; a response
/// goes the other way.
pub fn mended(way: Way, session: &Session, mended: &Mended, is_shown: bool) {
    let (rules, form, payload) = match mended {
        Mended::Not => return,
        Mended::Unreadable => return session.counters().unreadable(),
        Mended::Changed(payload, rules) => (*rules, "passes as", payload),
        Mended::Answered(payload, rule) => (Rules::from(*rule), "is answered with", payload),
    };
    session.counters().mended(rules);
    if is_shown && MESSAGES.allow(session.id()).is_some() {
        let way = way.name();
        show_lines(&format!("the message {way} {} {form} ({rules})", Peer(session.client().address)), session, payload);
    }
}

/// The most of one message that is shown. Nobody reads a longer SIP message on a console.
const MAX_LINES: usize = 200;
const MAX_OCTETS: usize = 16 * 1024;

/// Splits a message into the lines to show. The second value is the number of octets left out.
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
