//! Decides when the peer of a session with ICE is gone, and tells the one story of it: consent lost (RFC 7675), a DTLS close_notify, a
//! closed WebSocket.
//!
//! A call ends once consent is lost or the peer has closed its DTLS, and nothing authenticated has come from the peer for
//! `consenttimeout`. Consent is lost 30 s after the peer's last answer, so with the default of 30 s the call ends with it. A closed
//! WebSocket alone ends nothing, because the page may connect again. If no path for media has been found by then either, there is no
//! consent to lose, and the closed WebSocket counts in its place.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use super::drivers;

/// The signs that the peer of a session is gone.
#[derive(Debug, Default)]
pub struct Gone {
    consent_lost: Option<Instant>,
    /// When the peer ended DTLS with a close_notify.
    dtls_closed: Option<Instant>,
    signalling_closed: Option<Instant>,
    /// The host has activated the session: the call is answered, or has early media.
    is_activated: bool,
    /// ICE has selected a pair at least once.
    has_connected: bool,
    /// When the peer's last description arrived, a sign of life too. It may restart ICE, or bring back a stream that was refused.
    described: Option<Instant>,
    is_told: bool,
    /// The deadline at which the call was to be ended, so that it is not ended twice.
    acted_upon: Option<Instant>,
}

/// The time that the peer is given, and its last sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// `consenttimeout` of `rtp.conf`; `None` means that the call does not end by itself.
    pub timeout: Option<Duration>,
    /// When something authenticated was last received from the peer.
    pub last_heard: Option<Instant>,
}

/// The steps that are due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// The log has to be told, once for each absence.
    pub tell: bool,
    /// The call has to be ended.
    pub end: bool,
}

impl Gone {
    /// Records that consent to send media was lost (RFC 7675 §5.1).
    pub fn handle_consent_lost(&mut self, now: Instant) {
        self.consent_lost.get_or_insert(now);
    }

    /// Records that ICE has no pair any more and has found none in time. If it had one, that is as good as a loss of consent.
    pub fn handle_no_pair(&mut self, now: Instant) {
        if self.has_connected {
            self.handle_consent_lost(now);
        }
    }

    /// Records that ICE has selected a pair: the peer answers.
    pub fn handle_pair_selected(&mut self) {
        self.consent_lost = None;
        self.has_connected = true;
        self.forget_if_back();
    }

    /// Records that the peer has sent a close_notify.
    pub fn handle_dtls_closed(&mut self, now: Instant) {
        self.dtls_closed.get_or_insert(now);
    }

    /// Records that a handshake has agreed keys.
    pub fn handle_keys_agreed(&mut self) {
        self.dtls_closed = None;
        self.forget_if_back();
    }

    /// Records that the host has activated the session.
    pub fn handle_activation(&mut self) {
        self.is_activated = true;
    }

    /// Records that the connection of the peer's signalling has closed.
    pub fn handle_signalling_closed(&mut self, now: Instant) {
        self.signalling_closed = Some(now);
    }

    /// Records that a description of the peer has arrived, so that its signalling is there.
    pub fn handle_description(&mut self, now: Instant) {
        self.described = Some(now);
        self.signalling_closed = None;
    }

    /// Returns when [`Self::handle_timeout`] is due next.
    pub fn poll_timeout(&self, patience: Patience) -> Option<Instant> {
        let tell = self.noticed().filter(|_| !self.is_told);
        let end = self.deadline(patience).filter(|deadline| self.acted_upon != Some(*deadline));
        [tell, end].into_iter().flatten().min()
    }

    /// Returns the steps that are due, each once.
    pub fn handle_timeout(&mut self, now: Instant, patience: Patience) -> Due {
        let deadline = self.deadline(patience).filter(|deadline| *deadline <= now);
        let end = deadline.is_some() && self.acted_upon != deadline;
        let tell = !self.is_told && self.noticed().is_some_and(|at| at <= now);
        self.acted_upon = deadline.or(self.acted_upon);
        self.is_told |= tell;
        Due { tell, end }
    }

    /// Returns whether the peer's time is over.
    pub fn is_over(&self, now: Instant, patience: Patience) -> bool {
        self.deadline(patience).is_some_and(|deadline| deadline <= now)
    }

    /// Returns the story so far; `None` if there is no sign that the peer is gone.
    pub fn shown(&self, now: Instant, patience: Patience) -> Option<ShownGone> {
        let ago = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        self.suspected().or(self.signalling_closed)?;
        Some(ShownGone {
            is_suspected: self.suspected().is_some(),
            last_heard: ago(patience.last_heard),
            consent_lost: ago(self.consent_lost),
            dtls_closed: ago(self.dtls_closed),
            signalling_closed: ago(self.signalling_closed),
            ends_in: self.deadline(patience).map(|deadline| deadline.saturating_duration_since(now)),
        })
    }

    fn suspected(&self) -> Option<Instant> {
        [self.consent_lost, self.dtls_closed, self.closed_unconnected()].into_iter().flatten().min()
    }

    /// Returns when the signalling closed of a call that is up and has had no path for media.
    fn closed_unconnected(&self) -> Option<Instant> {
        self.signalling_closed.filter(|_| self.is_activated && !self.has_connected)
    }

    /// Returns when the log is told. A page closes its DTLS at the end of each call too, shortly before or after its BYE arrives.
    fn noticed(&self) -> Option<Instant> {
        let closed = [self.dtls_closed, self.closed_unconnected()].into_iter().flatten().min();
        [self.consent_lost, closed.map(|at| at + BYE_ARRIVES)].into_iter().flatten().min()
    }

    /// Returns when the call ends.
    fn deadline(&self, patience: Patience) -> Option<Instant> {
        let suspected = self.suspected()?;
        // A close_notify is authenticated, so the peer lived when it sent it.
        let heard = patience.last_heard.max(self.dtls_closed).max(self.closed_unconnected()).max(self.described);
        let heard = heard.unwrap_or(suspected);
        Some(suspected.max(heard + patience.timeout?))
    }

    fn forget_if_back(&mut self) {
        if self.suspected().is_none() {
            (self.is_told, self.acted_upon) = (false, None);
        }
    }
}

/// The story of a peer that is gone, for the log and for `rtp show sessions`. Each time is counted back from now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownGone {
    /// Consent is lost, DTLS closed, or the signalling is before there was a path for media. Otherwise only the signalling is closed.
    pub is_suspected: bool,
    /// The time since something authenticated was received.
    pub last_heard: Option<Duration>,
    /// The time since consent was lost.
    pub consent_lost: Option<Duration>,
    /// The time since the peer's close_notify.
    pub dtls_closed: Option<Duration>,
    /// The time since the peer's WebSocket closed.
    pub signalling_closed: Option<Duration>,
    /// The time until the call ends; `None` if it does not end by itself.
    pub ends_in: Option<Duration>,
}

impl ShownGone {
    /// Returns whether the peer is suspected for more than a close_notify of this moment. A page closes its DTLS when it hangs up as well.
    pub fn is_no_hangup(&self) -> bool {
        let is_older = self.dtls_closed.is_none_or(|ago| ago >= BYE_ARRIVES);
        let ends_the_call = self.ends_in == Some(Duration::ZERO);
        self.is_suspected && (self.consent_lost.is_some() || is_older || ends_the_call)
    }

    /// Returns the signs in words, such as "consent lost 2 s ago, its WebSocket closed 32 s ago".
    fn signs(&self) -> String {
        let told = [
            ("consent lost", self.consent_lost),
            ("its DTLS closed (close_notify)", self.dtls_closed),
            ("its WebSocket closed", self.signalling_closed),
            ("last heard", self.last_heard.filter(|_| self.is_suspected)),
        ];
        let signs = told.into_iter().filter_map(|(sign, ago)| Some(format!("{sign} {} s ago", ago?.as_secs())));
        signs.collect::<Vec<_>>().join(", ")
    }
}

impl Display for ShownGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signs = self.signs();
        if !self.is_suspected {
            return f.write_str(&signs);
        }
        write!(f, "the peer is gone: {signs}; ")?;
        match self.ends_in.map(rounded_up) {
            Some(0) => f.write_str("the call ends now (consenttimeout in rtp.conf)"),
            Some(seconds) => write!(f, "the call ends in {seconds} s if it stays away (consenttimeout in rtp.conf)"),
            None => {
                let driver = drivers::of_browsers();
                write!(
                    f,
                    "the call stays up, because consenttimeout is 0 in rtp.conf: only its other end, or {} in {}, ends it",
                    driver.names().timeout,
                    driver.file()
                )
            }
        }
    }
}

fn rounded_up(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000) as u64
}

/// Time for the BYE to arrive after the close_notify of the same call.
const BYE_ARRIVES: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_notify_beside_the_bye_is_a_hangup_and_an_older_one_is_not() {
        let closed = |ago| ShownGone { is_suspected: true, dtls_closed: Some(ago), ..ShownGone::default() };
        assert!(!closed(Duration::ZERO).is_no_hangup() && closed(BYE_ARRIVES).is_no_hangup());
        assert!(ShownGone { consent_lost: Some(Duration::ZERO), ..closed(Duration::ZERO) }.is_no_hangup());
        assert!(ShownGone { ends_in: Some(Duration::ZERO), ..closed(Duration::ZERO) }.is_no_hangup());
        assert!(ShownGone { is_suspected: true, ..ShownGone::default() }.is_no_hangup());
        assert!(!ShownGone { signalling_closed: Some(BYE_ARRIVES), ..ShownGone::default() }.is_no_hangup());
    }

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn patience(last_heard: Instant) -> Patience {
        Patience { timeout: Some(TIMEOUT), last_heard: Some(last_heard) }
    }

    fn clock() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_call_ends_when_consent_is_lost_and_nothing_was_heard_for_the_timeout() {
        let (mut gone, at) = (Gone::default(), clock());
        assert_eq!(gone.poll_timeout(patience(at(0))), None);
        gone.handle_consent_lost(at(30));
        assert_eq!(gone.poll_timeout(patience(at(0))), Some(at(30)));
        assert_eq!(gone.handle_timeout(at(30), patience(at(0))), Due { tell: true, end: true });
        assert_eq!(gone.handle_timeout(at(31), patience(at(0))), Due::default());
        assert_eq!(gone.poll_timeout(patience(at(0))), None);
        assert!(gone.is_over(at(31), patience(at(0))));
    }

    #[test]
    fn a_peer_that_still_sends_is_not_gone_though_it_does_not_answer() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_consent_lost(at(30));
        let patience = patience(at(25));
        assert_eq!(gone.handle_timeout(at(30), patience), Due { tell: true, end: false });
        assert_eq!(gone.poll_timeout(patience), Some(at(55)));
        assert!(!gone.is_over(at(54), patience));
    }

    #[test]
    fn a_peer_that_comes_back_keeps_its_call_and_may_go_again() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_consent_lost(at(30));
        assert!(gone.handle_timeout(at(30), patience(at(10))).tell);
        gone.handle_pair_selected();
        assert!(!gone.is_over(at(100), patience(at(10))));
        assert_eq!(gone.shown(at(40), patience(at(38))), None);
        gone.handle_consent_lost(at(70));
        assert_eq!(gone.handle_timeout(at(70), patience(at(40))), Due { tell: true, end: true });
    }

    #[test]
    fn a_close_notify_gives_the_bye_time_to_arrive_and_then_counts_as_the_last_sign_of_life() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_dtls_closed(at(10));
        assert_eq!(gone.handle_timeout(at(11), patience(at(9))), Due::default());
        assert_eq!(gone.handle_timeout(at(12), patience(at(9))), Due { tell: true, end: false });
        assert_eq!(gone.poll_timeout(patience(at(9))), Some(at(40)));
        gone.handle_keys_agreed();
        assert_eq!(gone.poll_timeout(patience(at(9))), None);
    }

    #[test]
    fn a_call_that_has_lost_its_path_and_found_no_other_ends_like_one_without_consent() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_no_pair(at(35));
        assert_eq!(gone.poll_timeout(patience(at(0))), None, "one that has never had a path is another story");
        gone.handle_pair_selected();
        gone.handle_no_pair(at(100));
        assert_eq!(gone.handle_timeout(at(100), patience(at(60))), Due { tell: true, end: true });
    }

    #[test]
    fn a_peer_that_restarts_ice_has_the_whole_time_to_connect() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_description(at(100));
        gone.handle_consent_lost(at(101));
        assert_eq!(gone.handle_timeout(at(101), patience(at(40))), Due { tell: true, end: false });
        assert_eq!(gone.poll_timeout(patience(at(40))), Some(at(130)));
    }

    #[test]
    fn a_timeout_of_zero_tells_and_does_not_end() {
        let (mut gone, at) = (Gone::default(), clock());
        let never = Patience { timeout: None, last_heard: Some(at(0)) };
        gone.handle_consent_lost(at(30));
        assert_eq!(gone.handle_timeout(at(99), never), Due { tell: true, end: false });
        assert!(!gone.is_over(at(9999), never));
        assert!(gone.shown(at(99), never).unwrap().to_string().contains("consenttimeout is 0"));
    }

    #[test]
    fn a_closed_websocket_is_told_and_ends_nothing() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_signalling_closed(at(7));
        assert_eq!(gone.poll_timeout(patience(at(10))), None);
        assert_eq!(gone.shown(at(10), patience(at(10))).unwrap().to_string(), "its WebSocket closed 3 s ago");
        gone.handle_description(at(10));
        assert_eq!(gone.shown(at(10), patience(at(10))), None);
    }

    #[test]
    fn a_peer_whose_websocket_closes_before_there_is_a_path_is_gone() {
        let (mut gone, at) = (Gone::default(), clock());
        let unheard = Patience { timeout: Some(TIMEOUT), last_heard: None };
        gone.handle_description(at(0));
        gone.handle_signalling_closed(at(5));
        assert_eq!(gone.poll_timeout(unheard), None, "nobody has answered yet");
        gone.handle_activation();
        assert_eq!(gone.handle_timeout(at(7), unheard), Due { tell: true, end: false });
        assert_eq!(gone.poll_timeout(unheard), Some(at(35)));
        let story = "the peer is gone: its WebSocket closed 30 s ago; the call ends now (consenttimeout in rtp.conf)";
        assert_eq!(gone.shown(at(35), unheard).unwrap().to_string(), story);
        gone.handle_pair_selected();
        assert_eq!(gone.poll_timeout(patience(at(0))), None, "it has come back");
    }

    #[test]
    fn the_story_says_what_happened_and_what_happens_next() {
        let (mut gone, at) = (Gone::default(), clock());
        gone.handle_signalling_closed(at(1));
        gone.handle_consent_lost(at(31));
        let long = Patience { timeout: Some(Duration::from_secs(60)), last_heard: Some(at(1)) };
        assert_eq!(
            gone.shown(at(43), long).unwrap().to_string(),
            "the peer is gone: consent lost 12 s ago, its WebSocket closed 42 s ago, last heard 42 s ago; \
             the call ends in 18 s if it stays away (consenttimeout in rtp.conf)"
        );
    }
}
