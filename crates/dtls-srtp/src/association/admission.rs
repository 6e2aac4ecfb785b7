//! Admission: which addresses may take part in a handshake where no pair that ICE has checked tells. That is DTLS with
//! the signalled address, and behind a NAT (`nat=comedia`) with one that is unknown before the peer's first datagram.
//!
//! The peer proves who it is by its certificate, at the end of the handshake. Until then a stranger must neither keep
//! the peer out nor have more sent to an address than came from there:
//!
//! - A server begins with a ClientHello and nothing else. With the signalled address it begins at once; with another
//!   address when the client has returned a cookie (RFC 6347 §4.2.1). A ClientHello from the signalled address ends an
//!   unfinished handshake with another address.
//! - A second client at the address of an unfinished handshake takes it over when it returns a cookie (see `rivals.rs`).
//! - A client sends to the signalled address, and to another one once that has brought the handshake further. During
//!   the first second it accepts datagrams from the signalled address only.
//! - A handshake that has begun accepts datagrams from one address only, the one that it is with. If that is not the
//!   signalled address and the handshake fails, the association is as if it had not begun. While such a handshake
//!   stands still, a server accepts another client that returns a cookie, and a client begins again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Association, Begin, Path, State};
use crate::endpoint::Endpoint;
use crate::hello::ClientHello;
use crate::role::Role;

/// The outcome of [`Association::handle_datagram`].
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// The association has taken the datagram in.
    Taken,
    /// Nothing has changed, and this datagram is to be sent back to where the other came from: the request for a cookie
    /// (RFC 6347 §4.2.1). It is shorter than the datagram that it answers.
    Answer(Vec<u8>),
    /// Nothing has changed: the datagram is dropped.
    Refused,
}

/// The standing of an address before the handshake has proved who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The peer's description signals the address.
    Signalled,
    /// Nothing is known of the address.
    Unknown,
}

impl Association {
    /// Takes in a datagram that no pair of ICE vouches for. `signalled` is the address that the peer's description
    /// names.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        signalled: Option<SocketAddr>,
        path: Path,
        datagram: &[u8],
    ) -> Admission {
        let origin = if signalled == Some(path.from) { Origin::Signalled } else { Origin::Unknown };
        if let Some(hello) = ClientHello::parse(datagram)
            && (self.awaits_hello(now, endpoint) || self.gives_way(now, signalled, path.from))
        {
            let context = endpoint.context();
            let begin = match (hello.has_cookie(), origin) {
                (true, _) if context.has_our_cookie(&hello, path.from) => Begin::ServerAfterCookie,
                (false, Origin::Signalled) => Begin::Server,
                _ => {
                    let request = context.hello_verify_request(&hello, path.from);
                    return request.map_or(Admission::Refused, Admission::Answer);
                }
            };
            self.begin_as_server(now, endpoint, begin);
            self.path = Some(path);
        } else if self.path.is_none_or(|own| own.from == path.from)
            && let Some(decided) = self.meet_rival(now, endpoint, path, datagram)
        {
            return decided;
        }
        self.listen(now, origin, path, datagram)
    }

    /// Forgets a handshake that we began as the client, that another than the signalled address took over, and that
    /// stands still. [`Association::begin_if_active`] begins the next one.
    pub(super) fn forget_stalled(&mut self, now: Instant, signalled: Option<SocketAddr>) {
        if self.is_unfinished(Role::Client) && self.is_with_another(signalled) && self.stands_still(now) {
            self.start_over();
        }
    }

    /// Whether a ClientHello from `newcomer` takes the place of an unfinished handshake with another address.
    fn gives_way(&self, now: Instant, signalled: Option<SocketAddr>, newcomer: SocketAddr) -> bool {
        let is_with_stranger = self.is_with_another(Some(newcomer)) && self.is_with_another(signalled);
        // A slow phone may stand still for long; its handshake goes on if nobody else comes.
        self.is_unfinished(Role::Server) && is_with_stranger && (signalled == Some(newcomer) || self.stands_still(now))
    }

    fn is_unfinished(&self, role: Role) -> bool {
        matches!(&self.state, State::Handshaking { session, .. } if session.role() == role)
    }

    fn stands_still(&self, now: Instant) -> bool {
        matches!(self.state, State::Handshaking { progressed, .. } if now >= progressed + STALLED)
    }

    /// Hands the datagram to the session if it comes from the address that the handshake is with, or may be with. A
    /// datagram that brings the handshake further settles that address.
    fn listen(&mut self, now: Instant, origin: Origin, path: Path, datagram: &[u8]) -> Admission {
        if !self.listens_to(now, origin, path.from) {
            return Admission::Refused;
        }
        let steps = |association: &Self| association.session().map(|session| session.steps());
        let before = steps(self);
        if !self.hand_over(now, datagram) {
            return Admission::Refused;
        }
        if steps(self) != before {
            self.path = Some(path);
            if let State::Handshaking { progressed, .. } = &mut self.state {
                *progressed = now;
            }
        }
        Admission::Taken
    }

    fn listens_to(&self, now: Instant, origin: Origin, from: SocketAddr) -> bool {
        match (self.path, &self.state) {
            (Some(path), _) => path.from == from,
            (None, _) if origin == Origin::Signalled => true,
            (None, State::Handshaking { progressed, .. }) => now >= *progressed + SIGNALLED_ALONE,
            (None, _) => false,
        }
    }
}

/// A handshake that has not got further for this long stands still. Most peers have answered the first flight or one of
/// its repetitions by then.
const STALLED: Duration = Duration::from_secs(3);

/// A client accepts answers from the signalled address only for this long after its ClientHello.
const SIGNALLED_ALONE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
