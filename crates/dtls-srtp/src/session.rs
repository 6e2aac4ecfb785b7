//! One DTLS handshake on OpenSSL, from the first datagram to the keys and to the end of the association.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, Ssl, SslStream};
use openssl::x509::X509VerifyResult;

use crate::context::Context;
use crate::error::Failure;
use crate::fingerprint::{Fingerprint, FingerprintError, Fingerprints, HashFunction};
use crate::guard::{Guard, Piece};
use crate::hello;
use crate::keys::{Keys, Profile};
use crate::libssl;
use crate::record::{self, Filter, Phase};
use crate::retired::{Opener, Retired};
use crate::role::Role;
use crate::timer::{Due, Timers};
use crate::wire::Wire;

/// A fact about a session, from [`Session::poll_event`].
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete, and the peer's certificate is the one that its SDP names.
    Connected(Keys),
    /// A ClientHello cannot be accepted. Anybody could have sent it, so the session waits for another one. If it was
    /// the peer's, this is the reason why there will be no media.
    Refused(Failure),
    /// The handshake failed: there will be no keys.
    Failed(Failure),
    /// The peer ended the association (close_notify, or an encrypted fatal alert).
    Closed,
}

/// One DTLS association, on OpenSSL with memory buffers.
#[derive(Debug)]
pub struct Session {
    context: Arc<Context>,
    role: Role,
    state: State,
    stream: SslStream<Wire>,
    remote_fingerprints: Fingerprints,
    /// More fingerprints may follow, so a certificate that has none of them is not refused yet.
    more_may_follow: bool,
    filter: Filter,
    guard: Guard,
    timers: Timers,
    /// The flight with which a server has completed the handshake.
    last_flight: Vec<Vec<u8>>,
    last_alert: Option<u8>,
    steps: u32,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    /// Not started. Datagrams that the peer has sent already are kept.
    Idle { early: Vec<Vec<u8>> },
    /// A server that has not accepted a ClientHello yet.
    AwaitingHello,
    /// Handshake messages are exchanged.
    Handshake,
    /// The handshake is complete, but the peer's fingerprint is not known yet.
    AwaitingFingerprint { keys: Keys },
    /// Keys have been reported. Records are still read, because the last flight may have to be sent again.
    Connected,
    /// Failed, or closed by either side.
    Ended,
}

impl Session {
    /// The version of DTLS, as OpenSSL names it.
    pub fn version(&self) -> &'static str {
        self.stream.ssl().version_str()
    }

    /// Creates a session that begins with [`start`](Self::start).
    pub fn new(context: &Arc<Context>, role: Role) -> Result<Self, ErrorStack> {
        Ok(Self {
            context: Arc::clone(context),
            role,
            state: State::Idle { early: Vec::new() },
            stream: new_stream(context, role)?,
            remote_fingerprints: Fingerprints::default(),
            more_may_follow: false,
            filter: Filter::default(),
            guard: Guard::new(role, context.allows_dtls_1_0()),
            timers: Timers::default(),
            last_flight: Vec::new(),
            last_alert: None,
            steps: 0,
            events: VecDeque::new(),
        })
    }

    /// Changes the role, as a later SDP may do until messages have been exchanged. Afterwards the role stays, and the
    /// result is `false`.
    pub fn set_role(&mut self, role: Role) -> Result<bool, ErrorStack> {
        if role == self.role {
            return Ok(true);
        }
        if !matches!(self.state, State::Idle { .. } | State::AwaitingHello) {
            return Ok(false);
        }
        self.stream = new_stream(&self.context, role)?;
        self.guard = Guard::new(role, self.context.allows_dtls_1_0());
        self.role = role;
        self.state = State::Idle { early: Vec::new() };
        Ok(true)
    }

    /// Adds a fingerprint that the peer's certificate may have (RFC 8122 §5), before the handshake, during it or after
    /// it. Of several, those by the strongest hash function count, and the certificate has to have one of them.
    pub fn set_remote_fingerprint(&mut self, function: HashFunction, text: &str) -> Result<(), FingerprintError> {
        let mut fingerprints = self.remote_fingerprints.clone();
        fingerprints.insert(Fingerprint::parse(function, text)?);
        self.expect_fingerprints(fingerprints, false);
        Ok(())
    }

    /// Replaces the fingerprints, of which the peer's certificate has to have one. While `more_may_follow`, one that has
    /// none of them waits.
    pub(crate) fn expect_fingerprints(&mut self, fingerprints: Fingerprints, more_may_follow: bool) {
        self.remote_fingerprints = fingerprints;
        self.more_may_follow = more_may_follow;
        if let State::AwaitingFingerprint { keys } = &self.state {
            let keys = keys.clone();
            self.finish(keys);
        }
    }

    /// Begins the handshake: a client sends its ClientHello, a server handles the datagrams that have arrived already.
    /// Later calls do nothing.
    pub fn start(&mut self, now: Instant) {
        let State::Idle { early } = &mut self.state else { return };
        let early = std::mem::take(early);
        match self.role {
            Role::Client => {
                self.state = State::Handshake;
                self.advance(now);
            }
            Role::Server => self.state = State::AwaitingHello,
        }
        early.iter().for_each(|datagram| self.handle_datagram(now, datagram));
    }

    /// Begins the handshake of a server whose client has returned our cookie ([`Context::has_our_cookie`]).
    ///
    /// The client's ClientHello is its second message then, and our ServerHello will be our second. OpenSSL does not
    /// expect that of a new session, so it is given a made-up first ClientHello, and its answer to that is dropped: the
    /// HelloVerifyRequest has been sent already.
    pub fn start_after_cookie(&mut self, now: Instant) {
        if self.role == Role::Server && matches!(self.state, State::Idle { .. }) {
            libssl::require_cookie(self.stream.ssl());
            let first = self.filter.apply(Role::Server, Phase::Handshake, &hello::least_client_hello());
            self.stream.get_mut().receive(first.records);
            // OpenSSL asks for more input here. Should it not, the ClientHello that comes next is refused.
            let _ = self.do_handshake();
            while self.stream.get_mut().transmit().is_some() {}
        }
        self.start(now);
    }

    /// Takes in one DTLS datagram (RFC 7983 tells DTLS from STUN and media). Records that do not belong to this
    /// handshake change nothing.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let phase = match &mut self.state {
            State::Idle { early } => {
                if early.len() < EARLY_MAX {
                    early.push(datagram.to_vec());
                }
                return;
            }
            State::AwaitingHello | State::Handshake => Phase::Handshake,
            State::AwaitingFingerprint { .. } | State::Connected => Phase::Connected(self.shortest_record()),
            State::Ended => return,
        };
        self.filter.set_decrypting(libssl::decrypts(self.stream.ssl()));
        let filtered = self.filter.apply(self.role, phase, datagram);
        self.last_alert = filtered.alert.or(self.last_alert);
        let records = match phase {
            Phase::Handshake => {
                let pieces = self.guard.receive(now, &filtered.records);
                self.filter.join(pieces)
            }
            Phase::Connected(_) => filtered.records,
        };
        if records.is_empty() {
            return;
        }
        self.stream.get_mut().receive(records);
        match phase {
            Phase::Handshake => self.step(now),
            Phase::Connected(_) => self.read(),
        }
    }

    /// Lets time pass. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let overdue = self.guard.release_overdue(now);
        if !overdue.is_empty() {
            let records = self.filter.join(overdue.into_iter().map(Piece::Message));
            self.stream.get_mut().receive(records);
            self.step(now);
        }
        match self.timers.expire(now) {
            Some(Due::Retransmission) => libssl::retransmit(&mut self.stream),
            Some(Due::GivingUp) => self.fail(Failure::TimedOut { alert: self.last_alert }),
            None => {}
        }
    }

    /// Notes that the path to the peer is another one.
    pub(crate) fn handle_new_path(&mut self, now: Instant) {
        self.timers.path_changed(now);
    }

    /// Sends the last flight again, before its time, if the peer has not answered it.
    pub(crate) fn repeat_flight(&mut self) {
        if matches!(self.state, State::Handshake) && libssl::is_flight_outstanding(self.stream.ssl()) {
            libssl::retransmit(&mut self.stream);
        }
    }

    /// Ends the association and tells the peer with a close_notify (RFC 5246 §7.2.1).
    pub fn close(&mut self) {
        if matches!(self.state, State::AwaitingFingerprint { .. } | State::Connected) {
            self.send_close_notify();
        }
        self.end();
    }

    /// Frees OpenSSL's state if keys have been reported, everything has been sent and OpenSSL is not needed for what is left to do.
    /// `None` if the session has to stay.
    pub(crate) fn retire(&mut self) -> Option<Retired> {
        if !self.is_connected() || self.stream.get_ref().queued() > 0 || !self.events.is_empty() {
            return None;
        }
        let opener = Opener::new(self.stream.ssl(), self.role)?;
        self.send_close_notify();
        let farewell = self.stream.get_mut().transmit()?;
        Some(Retired::new(opener, std::mem::take(&mut self.last_flight), farewell))
    }

    /// Writes the next datagram into `buffer` and returns its length; `None` when there is nothing to send. No datagram
    /// is longer than [`MAX_DATAGRAM_LEN`].
    pub fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let datagram = self.stream.get_mut().transmit()?;
        let len = datagram.len();
        buffer.get_mut(..len)?.copy_from_slice(&datagram);
        Some(len)
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) next has something to do. May change after any other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let overdue = self.guard.poll_timeout().filter(|_| matches!(self.state, State::Handshake));
        [self.timers.next(), overdue].into_iter().flatten().min()
    }

    /// The number of datagrams that have brought the handshake further, or to its end. Compare it before and after a
    /// datagram to learn whether the datagram belonged to the handshake.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// A server's, until the handshake is complete: the random of the ClientHello that it has accepted, and the number of
    /// that message, which is 0 if the client was not asked for a cookie.
    pub(crate) fn client_hello(&self) -> Option<(&[u8], u16)> {
        let is_under_way = self.role == Role::Server && matches!(self.state, State::Handshake);
        self.guard.client_hello().filter(|_| is_under_way)
    }

    /// The number of records that came before their keys and were dropped because too many had.
    pub fn premature_records(&self) -> u32 {
        self.filter.premature_dropped()
    }

    /// Our role: whether we send the ClientHello or wait for it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether [`Event::Connected`] was reported and the association has not ended since.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// Describes the progress of the association in words, for a console.
    pub fn progress(&self) -> &'static str {
        match self.state {
            State::Idle { .. } => "not started",
            State::AwaitingHello => "waiting for the peer's ClientHello",
            State::Handshake => "handshake under way",
            State::AwaitingFingerprint { .. } => "handshake complete, waiting for the peer's fingerprint",
            State::Connected => "connected",
            State::Ended => "ended",
        }
    }

    /// The length in bytes of an encrypted alert with the negotiated cipher.
    fn shortest_record(&self) -> usize {
        let cipher = self.stream.ssl().current_cipher().map_or("", |cipher| cipher.name());
        if cipher.contains("GCM") { record::GCM_ALERT_LEN } else { record::SHORTEST_ALERT_LEN }
    }

    /// Lets OpenSSL handle the input, and counts the datagram if the handshake got further.
    fn step(&mut self, now: Instant) {
        let place = |stream: &SslStream<Wire>| (stream.ssl().state_string_long(), stream.get_ref().queued());
        let before = place(&self.stream);
        self.advance(now);
        if place(&self.stream) != before {
            self.steps = self.steps.saturating_add(1);
        }
    }

    /// Lets OpenSSL handle the input, and follows the outcome.
    fn advance(&mut self, now: Instant) {
        let queued = self.stream.get_ref().queued();
        let outcome = self.do_handshake();
        self.stream.get_ref().queued_behind(queued).for_each(|datagram| self.guard.note_sent(datagram));
        match outcome {
            Ok(()) => {
                self.last_flight = self.stream.get_ref().queued_behind(queued).map(<[u8]>::to_vec).collect();
                self.complete();
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => self.await_peer(now, queued),
            Err(error) => self.refuse(&error, queued),
        }
    }

    fn do_handshake(&mut self) -> Result<(), openssl::ssl::Error> {
        let Self { stream, context, .. } = self;
        let (mut has_begun, mut outcome) = (false, None);
        context.runner().run(&mut || {
            has_begun = true;
            outcome = Some(stream.do_handshake());
        });
        outcome.unwrap_or_else(|| {
            // Nobody can go on with what a panic has left.
            assert!(!has_begun, "a step of the handshake panicked on the runner's thread");
            stream.do_handshake()
        })
    }

    /// OpenSSL waits for the peer. If it has written something, that is a new flight: it never repeats one on its own.
    fn await_peer(&mut self, now: Instant, queued: usize) {
        let has_sent = self.stream.get_ref().queued() > queued;
        if has_sent {
            self.state = State::Handshake;
        }
        if !libssl::is_flight_outstanding(self.stream.ssl()) {
            self.timers.flight_answered();
        } else if has_sent {
            self.timers.flight_sent(now);
        }
    }

    /// OpenSSL ended the handshake. A server that has not accepted a ClientHello yet waits for another one. Later the
    /// peer is not told, since the message that is to blame may be somebody else's: the alert is behind the `queued`
    /// datagrams.
    fn refuse(&mut self, error: &openssl::ssl::Error, queued: usize) {
        let failure = self.reason(error);
        if !matches!(self.state, State::AwaitingHello) {
            self.stream.get_mut().truncate(queued);
            return self.fail(failure);
        }
        match new_stream(&self.context, self.role) {
            Ok(mut stream) => {
                // The alert that tells the peer is sent from the new stream.
                self.stream.get_mut().hand_over(stream.get_mut());
                self.stream = stream;
                self.guard = Guard::new(self.role, self.context.allows_dtls_1_0());
                if self.events.len() < EVENTS_MAX {
                    self.events.push_back(Event::Refused(failure));
                }
            }
            Err(_) => self.fail(failure),
        }
    }

    /// Finds out why OpenSSL ended the handshake.
    fn reason(&self, error: &openssl::ssl::Error) -> Failure {
        let verified = self.stream.ssl().verify_result();
        if verified != X509VerifyResult::OK && self.context.verify().certificate {
            return Failure::CertificateNotTrusted(verified.error_string().to_owned());
        }
        match error.ssl_error().and_then(|stack| stack.errors().first()) {
            Some(first) => Failure::Handshake(first.reason().unwrap_or("unknown reason").to_owned()),
            None => Failure::Handshake(error.to_string()),
        }
    }

    /// The handshake is complete: exports the keys and checks the certificate.
    fn complete(&mut self) {
        self.timers.stop();
        match self.export_keys() {
            Ok(keys) => self.finish(keys),
            Err(failure) => self.fail_politely(failure),
        }
        if self.is_connected() {
            // Records may follow the last message in its datagram.
            self.read();
        }
    }

    /// Exports the SRTP keys (RFC 5764 §4.2).
    fn export_keys(&self) -> Result<Keys, Failure> {
        let ssl = self.stream.ssl();
        let profile = ssl
            .selected_srtp_profile()
            .and_then(|profile| Profile::from_name(profile.name()))
            .ok_or(Failure::NoProfile)?;
        let mut material = vec![0; profile.material_len()];
        ssl.export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None)
            .map_err(|error| Failure::Handshake(error.to_string()))?;
        Ok(Keys::split(profile, self.role, &mut material))
    }

    /// Reports the keys once the certificate has passed its check. Keys are reported nowhere else.
    fn finish(&mut self, keys: Keys) {
        match self.check_fingerprint() {
            Ok(true) => {
                self.state = State::Connected;
                self.events.push_back(Event::Connected(keys));
            }
            Ok(false) => self.state = State::AwaitingFingerprint { keys },
            Err(failure) => self.fail_politely(failure),
        }
    }

    /// Checks that the peer's certificate is one that its SDP names (RFC 5763 §5). `false` while that is not known.
    fn check_fingerprint(&self) -> Result<bool, Failure> {
        if !self.context.verify().fingerprint {
            return Ok(true);
        }
        let Some(function) = self.remote_fingerprints.strongest() else { return Ok(false) };
        let certificate = self.stream.ssl().peer_certificate().ok_or(Failure::NoCertificate)?;
        let received =
            Fingerprint::of(&certificate, function).map_err(|error| Failure::Handshake(error.to_string()))?;
        let mut expected = self.remote_fingerprints.by(function);
        match expected.clone().any(|expected| expected.matches(&received)) {
            true => Ok(true),
            false if self.more_may_follow => Ok(false),
            false => Err(expected.next().map_or(Failure::NoCertificate, |expected| {
                let expected = expected.clone();
                Failure::FingerprintMismatch { expected, received }
            })),
        }
    }

    /// Reads records after the handshake: a repetition of the peer's last flight, which OpenSSL answers with ours, or
    /// its close_notify.
    fn read(&mut self) {
        let mut ignored = [0; 256];
        loop {
            match self.stream.ssl_read(&mut ignored) {
                Ok(_) => {}
                // Hardly anything follows, so the buffers are not kept.
                Err(error) if error.code() == ErrorCode::WANT_READ => return libssl::free_buffers(self.stream.ssl()),
                // Only an encrypted alert makes this read fail.
                Err(_) => {
                    self.send_close_notify();
                    self.events.push_back(Event::Closed);
                    return self.end();
                }
            }
        }
    }

    /// Fails, and tells the peer.
    fn fail_politely(&mut self, failure: Failure) {
        self.send_close_notify();
        self.fail(failure);
    }

    fn send_close_notify(&mut self) {
        // This fails if OpenSSL has ended the association already; then there is nothing to send.
        let _ = self.stream.shutdown();
    }

    fn fail(&mut self, failure: Failure) {
        self.events.push_back(Event::Failed(failure));
        self.end();
    }

    fn end(&mut self) {
        self.timers.stop();
        self.state = State::Ended;
    }
}

#[cfg(test)]
impl Session {
    /// Creates a client whose ClientHello has about the length of a browser's, which offers X25519MLKEM768: two
    /// datagrams.
    pub(crate) fn with_long_hello(context: &Arc<Context>) -> Self {
        let mut ssl = new_ssl(context, Role::Client).unwrap();
        let protocol = [&[255][..], &[b'x'; 255]].concat();
        ssl.set_alpn_protos(&protocol.repeat(5)).unwrap();
        let stream = SslStream::new(ssl, Wire::default()).unwrap();
        Self { stream, ..Self::new(context, Role::Client).unwrap() }
    }
}

fn new_stream(context: &Context, role: Role) -> Result<SslStream<Wire>, ErrorStack> {
    SslStream::new(new_ssl(context, role)?, Wire::default())
}

fn new_ssl(context: &Context, role: Role) -> Result<Ssl, ErrorStack> {
    let mut ssl = context.ssl()?;
    ssl.set_mtu(context.mtu())?;
    match role {
        Role::Client => ssl.set_connect_state(),
        Role::Server => ssl.set_accept_state(),
    }
    libssl::disarm_timer(&mut ssl);
    Ok(ssl)
}

/// The longest datagram that a session sends, in bytes, whatever its context allows. It passes every path that carries media: IPv6 within a tunnel
/// or two.
pub const MAX_DATAGRAM_LEN: usize = 1200;
/// The number of datagrams that are kept before the handshake begins. A ClientHello with post-quantum key shares takes
/// two, and may be repeated.
const EARLY_MAX: usize = 8;
/// The number of refusals that are kept for a caller that does not poll.
const EVENTS_MAX: usize = 16;
