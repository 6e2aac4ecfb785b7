//! One DTLS association of a session, from nothing over the handshake to the keys and to the peer's close_notify.
//!
//! An [`Association`] decides when a handshake begins and with which address; the handshake itself is a
//! [`Session`]'s. RTP has an association, and RTCP has one of its own where it is not multiplexed with RTP (RFC 5764
//! §3).
//!
//! ```text
//!            begin_if_active,
//!            a ClientHello                 Connected
//!    Idle ------------------> Handshaking -----------> Connected
//!      ^                        |      |                   |
//!      |  a stranger failed,    |      | Failed, Closed    | reject_keys
//!      +--or stands still,------+      +----> Failed <-----+
//!      |  Interrupted                           |
//!      +-- handle_new_path, if it timed out ----+
//!      +-- start_over, from every state
//! ```

mod admission;
mod attempts;
mod credit;
mod rivals;

use std::net::SocketAddr;
use std::time::Instant;

use openssl::error::ErrorStack;

use crate::endpoint::Endpoint;
use crate::error::Failure;
use crate::keys::Keys;
use crate::record;
use crate::retired::Retired;
use crate::role::{Role, Setup};
use crate::session::{self, Session};

pub use admission::Admission;
use attempts::Attempts;
use credit::Credit;

/// One DTLS association, or the lack of it. The default is one that has not begun.
#[derive(Debug, Default)]
pub struct Association {
    state: State,
    path: Option<Path>,
    attempts: Attempts,
    credit: Credit,
}

#[derive(Debug, Default)]
enum State {
    /// No handshake has begun.
    #[default]
    Idle,
    /// A handshake is under way.
    Handshaking {
        session: Box<Session>,
        /// When the handshake began, or last got further.
        progressed: Instant,
        /// It began before the peer's fingerprint was known.
        is_early: bool,
    },
    /// There are keys. The session retires once it has sent everything, if it can; `None` once the peer has closed it.
    Connected { session: Option<Box<Session>> },
    /// There are keys, and OpenSSL's state is freed.
    Retired(Box<Retired>),
    /// The peer did not answer in time. Another path may reach it.
    TimedOut,
    /// There will be no keys until the association starts over.
    Failed,
}

/// The progress of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No handshake has begun.
    Idle,
    /// A handshake is under way.
    Handshaking,
    /// There are keys. They stay in use after the peer has closed the association.
    Connected,
    /// There will be no keys until the association starts over.
    Failed,
}

/// The addresses of a datagram that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// The address that it came from.
    pub from: SocketAddr,
    /// Our address that it came to.
    pub to: SocketAddr,
}

/// The knowledge of the peer's address before the handshake proves who the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// ICE runs: every datagram that the caller hands in came over a pair that ICE has checked (RFC 8445 §7.2.5).
    CheckedByIce,
    /// Without ICE: the address that the peer's description signals, if it signals one.
    Signalled(Option<SocketAddr>),
}

/// A fact about an association, from [`Association::poll_event`].
#[derive(Debug, PartialEq, Eq)]
pub enum AssociationEvent {
    /// The handshake is complete and the peer is the one whose fingerprint its description names. The association
    /// is [`Phase::Connected`]; a caller that cannot use the keys calls [`Association::reject_keys`], and one that uses
    /// them for media calls [`Endpoint::set_keyed`].
    Connected(Keys),
    /// A handshake failed. The association is [`Phase::Failed`]; if it should have keyed media, call
    /// [`Endpoint::drop_disowned_keys`].
    Failed(Failure),
    /// A handshake failed with an address that nobody vouches for, so the peer may have had no part in it. The
    /// association is [`Phase::Idle`] again.
    StrangerFailed(Failure),
    /// OpenSSL ended a handshake because of a message that anybody could have sent. The association is [`Phase::Idle`]
    /// and begins again a little later; the peer was not told.
    Interrupted(Failure),
    /// A ClientHello cannot be accepted. The association waits for another one; it is [`Phase::Idle`] again if the
    /// ClientHello came from an address that nobody vouches for.
    Refused(Failure),
    /// The peer closed the association. Keys that there are stay in use. An association that had none yet is
    /// [`Phase::Failed`]; if it should have keyed media, call [`Endpoint::drop_disowned_keys`].
    Closed,
}

/// How a handshake begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// With our ClientHello.
    Client,
    /// With the peer's ClientHello.
    Server,
    /// With the peer's second ClientHello, which returns our cookie (RFC 6347 §4.2.1).
    ServerAfterCookie,
}

impl Association {
    /// Begins the handshake as the client if that is our role and nothing is missing: the session is activated, the
    /// peer's fingerprint is known or need not be, and no handshake has begun. The caller calls it once it has a route
    /// to the peer.
    pub fn begin_if_active(&mut self, now: Instant, endpoint: &Endpoint) {
        if endpoint.may_connect() && self.phase() == Phase::Idle && self.attempts.may_begin(now) {
            self.begin(now, endpoint, Begin::Client);
        }
    }

    /// Takes in what `endpoint` has learned from the peer's description: a handshake that runs is told the fingerprints.
    /// Events may follow.
    pub fn handle_description(&mut self, endpoint: &Endpoint) {
        let owes_flight = endpoint.is_peer_known() && self.credit.lift();
        let Some(session) = self.session_mut() else { return };
        expect_peer(session, endpoint);
        if owes_flight {
            session.repeat_flight();
        }
    }

    /// Takes in one DTLS datagram that arrived over `path` (RFC 7983 tells DTLS from STUN and media). Where nothing has
    /// begun and our role allows it, the peer becomes the client. Without ICE the rules of [`Admission`] apply.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        peer: PeerAddress,
        path: Path,
        datagram: &[u8],
    ) -> Admission {
        self.attempts.note_time(now);
        match peer {
            PeerAddress::CheckedByIce => self.take_checked(now, endpoint, path, datagram),
            PeerAddress::Signalled(signalled) => self.admit(now, endpoint, signalled, path, datagram),
        }
    }

    /// Lets time pass: retransmits, gives up, and forgets a handshake that strangers brought to a standstill. Calling
    /// early is harmless.
    pub fn handle_timeout(&mut self, now: Instant, peer: PeerAddress) {
        self.attempts.note_time(now);
        if let Some(session) = self.session_mut() {
            session.handle_timeout(now);
        }
        if let PeerAddress::Signalled(signalled) = peer {
            self.forget_stalled(now, signalled);
        }
    }

    /// Writes the next datagram into `buffer` and returns its length; `None` when there is nothing to send. No datagram
    /// is longer than [`MAX_DATAGRAM_LEN`](crate::MAX_DATAGRAM_LEN).
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if let State::Retired(retired) = &mut self.state {
            let datagram = retired.poll_transmit()?;
            buffer.get_mut(..datagram.len())?.copy_from_slice(&datagram);
            return Some(datagram.len());
        }
        loop {
            let Some(len) = self.session_mut()?.poll_transmit(buffer) else {
                self.retire();
                return None;
            };
            // Octets beyond the credit are sent with the flight again, once the peer is known.
            if self.credit.spend(len) {
                return Some(len);
            }
        }
    }

    /// Returns the next event. The state of the association follows each event, so act on one before polling for the
    /// next. Send what [`Association::poll_transmit`] has before: a failed session is gone, and its last alert with it.
    pub fn poll_event(&mut self, peer: PeerAddress) -> Option<AssociationEvent> {
        if let State::Retired(retired) = &mut self.state {
            let closed = retired.poll_closed();
            return closed.then(|| self.close()).map(|()| AssociationEvent::Closed);
        }
        let event = self.session_mut()?.poll_event()?;
        let is_with_stranger = self.is_with_stranger(peer);
        Some(match event {
            session::Event::Connected(keys) => {
                self.connect();
                AssociationEvent::Connected(keys)
            }
            session::Event::Failed(failure) if is_with_stranger || self.began_early() => {
                self.start_over();
                AssociationEvent::StrangerFailed(failure)
            }
            session::Event::Failed(failure) if failure.may_be_forged() && self.attempts.may_go_on() => {
                self.attempts.interrupted();
                (self.state, self.path) = (State::Idle, None);
                AssociationEvent::Interrupted(failure)
            }
            session::Event::Failed(failure) => {
                let is_late = matches!(failure, Failure::TimedOut { .. });
                self.state = if is_late { State::TimedOut } else { State::Failed };
                AssociationEvent::Failed(failure)
            }
            session::Event::Refused(failure) => {
                if is_with_stranger {
                    self.start_over();
                }
                AssociationEvent::Refused(failure)
            }
            session::Event::Closed => {
                self.close();
                AssociationEvent::Closed
            }
        })
    }

    /// When [`Association::handle_timeout`] next has something to do. May change after any other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.session() {
            Some(session) => session.poll_timeout(),
            None => self.attempts.next().filter(|_| self.phase() == Phase::Idle),
        }
    }

    /// The number of handshakes that OpenSSL ended because of a message that anybody could have sent.
    pub fn interruptions(&self) -> u32 {
        self.attempts.interruptions()
    }

    /// Notes that there is a new path to the peer. A handshake gets its whole time again, and one that has timed out may begin again:
    /// browsers go on with theirs for as long as their connection lasts. Other failures stay.
    pub fn handle_new_path(&mut self, now: Instant) {
        match &mut self.state {
            State::TimedOut => self.start_over(),
            State::Handshaking { session, .. } => session.handle_new_path(now),
            _ => {}
        }
    }

    /// Forgets the association, so that another one can begin. Keys that came from it stay in use.
    pub fn start_over(&mut self) {
        *self = Self::default();
    }

    /// Ends the association because its keys could not be used.
    pub fn reject_keys(&mut self) {
        self.state = State::Failed;
    }

    /// The progress of the association.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Handshaking { .. } => Phase::Handshaking,
            State::Connected { .. } | State::Retired(_) => Phase::Connected,
            State::TimedOut | State::Failed => Phase::Failed,
        }
    }

    /// Where the peer's datagrams come from and arrive: the way for answers before ICE has selected a pair. Without
    /// ICE, the address that the handshake is with; `None` until there is one.
    pub fn path(&self) -> Option<Path> {
        self.path
    }

    /// The version of DTLS that the handshake agreed on, as OpenSSL names it: "DTLSv1.2". `None` before there are keys, and once the
    /// peer has closed the association.
    pub fn version(&self) -> Option<&'static str> {
        match &self.state {
            State::Connected { session: Some(session) } => Some(session.version()),
            // AES-GCM is in no earlier version.
            State::Retired(_) => Some("DTLSv1.2"),
            _ => None,
        }
    }

    /// Describes the progress in words, for a console.
    pub fn progress(&self, endpoint: &Endpoint) -> &'static str {
        match &self.state {
            State::TimedOut | State::Failed => "failed",
            State::Handshaking { session, .. } | State::Connected { session: Some(session) } => session.progress(),
            State::Connected { session: None } => "closed by the peer",
            State::Retired(_) => "connected",
            State::Idle if endpoint.setup() == Setup::Active => {
                "not begun, something is missing in the peer's description"
            }
            State::Idle => "waiting for the peer's ClientHello",
        }
    }

    /// Takes in a datagram that came over a pair that ICE has checked.
    fn take_checked(&mut self, now: Instant, endpoint: &mut Endpoint, path: Path, datagram: &[u8]) -> Admission {
        if self.phase() == Phase::Idle && self.attempts.may_begin(now) && record::is_of_client_hello(datagram) {
            self.accept_checked(now, endpoint);
        }
        if let Some(decided) = self.meet_rival(now, endpoint, path, datagram) {
            return decided;
        }
        if !self.hand_over(now, datagram) {
            return Admission::Refused;
        }
        self.credit.earn(datagram.len());
        self.path = Some(path);
        Admission::Taken
    }

    /// Begins a handshake with a ClientHello that came over a pair that ICE has checked. It may have overtaken the
    /// peer's description. The handshake begins then, with a limit to what is sent, and its keys wait.
    fn accept_checked(&mut self, now: Instant, endpoint: &mut Endpoint) {
        if endpoint.may_accept() {
            self.begin_as_server(now, endpoint, Begin::Server);
        } else if endpoint.may_accept_early() {
            self.begin_as_server(now, endpoint, Begin::Server);
            self.credit = Credit::EARLY;
        }
    }

    /// Whether a handshake may begin with the peer's ClientHello.
    fn awaits_hello(&self, now: Instant, endpoint: &Endpoint) -> bool {
        endpoint.may_accept() && self.phase() == Phase::Idle && self.attempts.may_begin(now)
    }

    fn begin_as_server(&mut self, now: Instant, endpoint: &mut Endpoint, begin: Begin) {
        endpoint.settle_as_server();
        self.begin(now, endpoint, begin);
    }

    fn begin(&mut self, now: Instant, endpoint: &Endpoint, begin: Begin) {
        let is_early = !endpoint.is_peer_known();
        self.attempts.begin(now);
        self.state = match begun(now, endpoint, begin) {
            Ok(session) => State::Handshaking { session: Box::new(session), progressed: now, is_early },
            Err(_) => State::Failed,
        };
    }

    /// Whether the handshake began before the peer's description, so that only its fingerprint tells whose it is.
    fn began_early(&self) -> bool {
        matches!(self.state, State::Handshaking { is_early: true, .. })
    }

    /// Whether the handshake is with somebody of whom only its end will tell whether it is the peer.
    fn is_with_stranger(&self, peer: PeerAddress) -> bool {
        match peer {
            PeerAddress::CheckedByIce => false,
            PeerAddress::Signalled(signalled) => self.is_with_another(signalled),
        }
    }

    /// Whether the association is known to be with another address than `address`.
    fn is_with_another(&self, address: Option<SocketAddr>) -> bool {
        self.path.is_some_and(|path| Some(path.from) != address)
    }

    fn connect(&mut self) {
        self.state = match std::mem::take(&mut self.state) {
            State::Handshaking { session, .. } => State::Connected { session: Some(session) },
            other => other,
        };
    }

    fn close(&mut self) {
        self.state = match self.state {
            State::Connected { .. } | State::Retired(_) => State::Connected { session: None },
            _ => State::Failed,
        };
    }

    /// Hands a datagram to the session, or to what is left of it; `false` if there is none.
    fn hand_over(&mut self, now: Instant, datagram: &[u8]) -> bool {
        match &mut self.state {
            State::Handshaking { session, .. } | State::Connected { session: Some(session) } => {
                session.handle_datagram(now, datagram);
            }
            State::Retired(retired) => retired.handle_datagram(datagram),
            State::Idle | State::Connected { session: None } | State::TimedOut | State::Failed => return false,
        }
        true
    }

    /// Frees OpenSSL's state once it is not needed.
    fn retire(&mut self) {
        if let State::Connected { session: Some(session) } = &mut self.state
            && let Some(retired) = session.retire()
        {
            self.state = State::Retired(Box::new(retired));
        }
    }

    fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Handshaking { session, .. } | State::Connected { session: Some(session) } => Some(session),
            _ => None,
        }
    }

    fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Handshaking { session, .. } | State::Connected { session: Some(session) } => Some(session),
            _ => None,
        }
    }
}

fn begun(now: Instant, endpoint: &Endpoint, begin: Begin) -> Result<Session, ErrorStack> {
    let role = if begin == Begin::Client { Role::Client } else { Role::Server };
    let mut session = Session::new(endpoint.context(), role)?;
    expect_peer(&mut session, endpoint);
    match begin {
        Begin::Client | Begin::Server => session.start(now),
        Begin::ServerAfterCookie => session.start_after_cookie(now),
    }
    Ok(session)
}

fn expect_peer(session: &mut Session, endpoint: &Endpoint) {
    session.expect_fingerprints(endpoint.remote_fingerprints().clone(), !endpoint.is_description_complete());
}

#[cfg(test)]
mod tests;
