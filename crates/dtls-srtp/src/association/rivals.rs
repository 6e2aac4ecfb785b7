//! Rivals: a second ClientHello for a handshake of ours as the server that is under way, by another client or by the same
//! one anew.
//!
//! The first ClientHello may be somebody else's, who forges the peer's address or who read our offer before the peer's
//! answer arrived. The peer's own must not wait until that handshake is given up. A rival is asked for a cookie (RFC 6347
//! §4.2.1), and takes the handshake over when it returns that: so it receives what is sent to its address. A client that
//! is in the middle of its handshake drops our request, because that has the number of our first message.
//!
//! Before the peer's description arrived, everybody who read our offer may take part, each from an address of its own.
//! Then the first keeps its place until the description says whose checks count.

use std::time::Instant;

use super::{Admission, Association, Begin, Path, State};
use crate::endpoint::Endpoint;
use crate::hello::ClientHello;

/// The outcome of comparing a datagram with the handshake under way.
#[derive(Debug, PartialEq, Eq)]
enum Rival {
    /// It is no rival's ClientHello.
    None,
    /// The rival has yet to return a cookie.
    Unproven,
    /// The rival has returned our cookie.
    Proven,
}

impl Association {
    /// Takes in a rival's ClientHello. Returns what becomes of the datagram if that is decided: the request for a cookie.
    /// Otherwise the datagram is the session's, which may be another one by now.
    pub(super) fn meet_rival(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        path: Path,
        datagram: &[u8],
    ) -> Option<Admission> {
        let hello = ClientHello::parse(datagram)?;
        match self.rival(endpoint, &hello, path) {
            Rival::None => None,
            Rival::Unproven => {
                let request = endpoint.context().hello_verify_request(&hello, path.from);
                Some(request.map_or(Admission::Refused, Admission::Answer))
            }
            Rival::Proven if self.attempts.may_be_taken_over() => {
                self.begin_as_server(now, endpoint, Begin::ServerAfterCookie);
                None
            }
            Rival::Proven => Some(Admission::Refused),
        }
    }

    fn rival(&self, endpoint: &Endpoint, hello: &ClientHello<'_>, path: Path) -> Rival {
        let State::Handshaking { session, is_early, .. } = &self.state else { return Rival::None };
        let Some((random, begins)) = session.client_hello() else { return Rival::None };
        let is_another = random != hello.random();
        let is_elsewhere = self.path.is_some_and(|own| own.from != path.from);
        if *is_early && is_elsewhere && !endpoint.is_peer_known() {
            return Rival::None;
        }
        if !is_another {
            // The client has missed our flight, and somebody's request reached it. Nobody else knows its random.
            let asks_anew = begins == 0 && hello.has_cookie();
            return if asks_anew { Rival::Proven } else { Rival::None };
        }
        if endpoint.context().has_our_cookie(hello, path.from) { Rival::Proven } else { Rival::Unproven }
    }
}
