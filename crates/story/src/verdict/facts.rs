//! The facts that a verdict stands on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::event::{By, Certificate, Handshake, Lacks, Unbound};

/// The facts about one call.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The SIP of the call; `None` if it did not cross a WebSocket of ours.
    pub signalling: Option<Signalling>,
    /// The RTP session of the call's audio; `None` if there was none.
    pub media: Option<Media>,
    /// The sockets that the call did not get; `None` if it got them.
    pub no_socket: Option<NoSocket>,
    /// The trouble with the STUN server of `rtp.conf`.
    pub stun: Option<String>,
    /// The trouble with the TURN server of `rtp.conf`.
    pub turn: Option<String>,
    /// The account's settings.
    pub account: Account,
}

impl Facts {
    /// Returns the facts without the settings of the account and the state of the servers for STUN and TURN.
    pub fn of_call_alone(&self) -> Self {
        Self { account: Account::default(), stun: None, turn: None, ..self.clone() }
    }
}

/// Sockets that a session did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSocket {
    /// The reason.
    pub why: Unbound,
    /// The address that they were to be bound to; unspecified for all of its family.
    pub ip: IpAddr,
    /// The range of ports, from `rtpstart` to `rtpend` of `rtp.conf`.
    pub ports: (u16, u16),
}

impl NoSocket {
    /// Returns the key to change, and why there are no sockets with what to change, as the end of a sentence.
    pub fn advice(&self) -> (&'static str, String) {
        let Self { why, ip, ports: (first, last) } = self;
        match why {
            Unbound::PortsInUse => (
                "rtpend",
                format!(
                    "all UDP ports from rtpstart = {first} to rtpend = {last} are in use; widen the range in rtp.conf"
                ),
            ),
            Unbound::NoDescriptors => (
                "maxfiles",
                format!("{why}; raise maxfiles in asterisk.conf, or fs.file-max if the whole machine has none left"),
            ),
            Unbound::NoAddress => (
                "bindaddr",
                format!(
                    "{ip} is no address of this machine; correct bindaddr in sip.conf, or media_address in pjsip.conf"
                ),
            ),
            Unbound::Forbidden => (
                "rtpstart",
                format!(
                    "{why} from rtpstart = {first} to rtpend = {last}; choose others in rtp.conf, or see the rules of SELinux or AppArmor"
                ),
            ),
            Unbound::Other(_) => ("", format!("{why}; see the log")),
        }
    }
}

/// The SIP of a call.
#[derive(Debug, Clone, Default)]
pub struct Signalling {
    /// The end that called.
    pub offered_by: Option<By>,
    /// The lines that the first offer lacked.
    pub offer: Option<Lacks>,
    /// The lines that the answer to it lacked.
    pub answer: Option<Lacks>,
    /// The names of the formats that were offered.
    pub formats: String,
    /// The end that refused, and the status.
    pub refusal: Option<(By, u16)>,
    /// Requests with credentials that were challenged again.
    pub wrong_credentials: u32,
    /// The end that sent BYE, and the time since the answer.
    pub bye: Option<(By, Duration)>,
    /// The Q.850 cause or SIP status of the BYE.
    pub cause: u16,
    /// The end that cancelled.
    pub cancel: Option<By>,
    /// The origin of the page, as its WebSocket's handshake named it.
    pub origin: Option<String>,
}

/// The RTP session of a call.
#[derive(Debug, Clone, Default)]
pub struct Media {
    /// Our addresses that the peer was told, and how it reaches us.
    pub candidates: Vec<SocketAddr>,
    /// The peer's candidates.
    pub peer_candidates: Vec<SocketAddr>,
    /// `icesupport` of `rtp.conf`.
    pub ice_wanted: bool,
    /// ICE is in use.
    pub ice: Option<Ice>,
    /// The host turned ICE off in this session.
    pub ice_off: bool,
    /// DTLS is configured.
    pub dtls: Option<Dtls>,
    /// The fault of our certificate, if any.
    pub certificate: Option<Certificate>,
    /// Media is, or will be, encrypted.
    pub is_encrypted: bool,
    /// Media waits for keys.
    pub keys_due: bool,
    /// Packets of media received and used, and the time since the last one.
    pub received: (u64, Option<Duration>),
    /// Packets of media sent, and the time since the last one.
    pub sent: (u64, Option<Duration>),
    /// Packets that were refused because of their source.
    pub refused_source: u64,
    /// Packets that failed authentication.
    pub refused_srtp: u64,
    /// Packets that came without encryption, or before the keys.
    pub refused_keys: u64,
    /// Packets of a payload type that was not agreed.
    pub refused_type: u64,
    /// Media is sent where it comes from (`nat` in `sip.conf`).
    pub follows: bool,
    /// The address of the peer's description, the last one if the call is over.
    pub signalled: Option<SocketAddr>,
    /// The address that media comes from.
    pub heard_from: Option<SocketAddr>,
    /// The host has stopped media.
    pub is_stopped: bool,
    /// The sentence about a peer that is gone.
    pub gone: Option<String>,
    /// The peer's last report: the fraction of our stream that it lost, and how many reports arrived.
    pub reported_loss: Option<f64>,
    /// The first and last port of `rtp.conf`.
    pub ports: (u16, u16),
}

/// ICE in a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ice {
    /// The peer's description uses ICE.
    pub is_active: bool,
    /// A pair has been selected at least once.
    pub has_selected: bool,
    /// Checks of the peer received.
    pub requests: u64,
    /// Answers to our checks received.
    pub responses: u64,
    /// Checks with a wrong password.
    pub wrong_password: u64,
    /// Every pair has failed.
    pub has_failed: bool,
    /// Names of candidates that nobody answers for (RFC 6762).
    pub unanswered_names: u64,
}

/// DTLS in a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dtls {
    /// A record of the peer has arrived.
    pub has_heard: bool,
    /// A handshake has been completed.
    pub is_connected: bool,
    /// The reason why the last handshake failed.
    pub failure: Option<Handshake>,
}

/// The settings of an account in `sip.conf`; `None` where they are not known.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The name of its section.
    pub name: Option<String>,
    /// The settings as they are written, those of `[general]` included.
    pub settings: Vec<(String, String)>,
}

impl Account {
    /// Returns the setting as it is written.
    pub fn get(&self, key: &str) -> Option<&str> {
        let own = self.settings.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key));
        own.map(|(_, value)| value.as_str())
    }

    /// Returns whether the account is known, and the setting is off or not there.
    pub fn lacks(&self, key: &str) -> bool {
        self.name.is_some() && !self.get(key).is_some_and(is_yes)
    }

    pub(super) fn section(&self) -> String {
        match &self.name {
            Some(name) => format!("[{name}] of sip.conf"),
            None => "the account's section of sip.conf".to_owned(),
        }
    }
}

pub(super) fn is_yes(value: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes))
}
