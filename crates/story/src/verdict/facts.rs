//! The facts that a verdict stands on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::driver::{Driver, Names};
use crate::event::{By, Certificate, Handshake, Lacks, Unbound};

/// The facts about one call.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The channel driver of the call.
    pub driver: Driver,
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

    /// Returns the names of the settings of the call's driver.
    pub(super) fn names(&self) -> &'static Names {
        self.driver.names()
    }

    /// Returns the section with the account's settings, and its file.
    pub(super) fn section(&self) -> String {
        match &self.account.name {
            Some(name) => format!("[{name}] of {}", self.driver.file()),
            None => self.names().section.to_owned(),
        }
    }

    /// Returns whether the account is known, and does not encrypt media.
    pub(super) fn lacks_encryption(&self) -> bool {
        self.account.name.is_some() && !self.has_encryption()
    }

    /// Returns whether the account is known to encrypt media.
    pub(super) fn has_encryption(&self) -> bool {
        match self.driver {
            Driver::ChanSip => self.account.is_on("encryption"),
            Driver::ChanPjsip => {
                let way = self.account.get("media_encryption");
                self.account.is_on("webrtc") || way.is_some_and(|way| !way.eq_ignore_ascii_case("no"))
            }
        }
    }

    /// Returns whether the session has DTLS. chan_pjsip makes none for a call that it refuses, so the settings tell it there.
    pub(super) fn has_dtls(&self) -> bool {
        let has_session = self.media.as_ref().is_some_and(|media| media.dtls.is_some());
        match self.driver {
            Driver::ChanSip => has_session,
            Driver::ChanPjsip => {
                let way = self.account.get("media_encryption");
                has_session || self.account.is_on("webrtc") || way.is_some_and(|way| way.eq_ignore_ascii_case("dtls"))
            }
        }
    }

    /// Returns whether the account is known, and refuses descriptions with feedback (RFC 4585).
    pub(super) fn lacks_feedback(&self) -> bool {
        match self.driver {
            Driver::ChanSip => self.account.lacks("avpf"),
            Driver::ChanPjsip => {
                ["webrtc", "use_avpf", "media_use_received_transport"].iter().all(|key| self.account.lacks(key))
            }
        }
    }

    /// Returns whether the account refuses descriptions without feedback (RFC 4585), as only chan_pjsip does.
    pub(super) fn wants_feedback(&self) -> bool {
        let account = &self.account;
        self.driver == Driver::ChanPjsip
            && account.is_on("use_avpf")
            && account.lacks("webrtc")
            && account.lacks("media_use_received_transport")
    }

    /// Returns the fault of our certificate. chan_pjsip refuses a call whose certificate cannot be used without telling which session it
    /// was, so the settings tell it there.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let refusal = self.signalling.as_ref().and_then(|signalling| signalling.refusal);
        let of_account = self.account.certificate.filter(|fault| match refusal {
            Some((By::Host, 488 | 500)) => true,
            // There is no endpoint: chan_pjsip does not take its section.
            Some((By::Host, 401 | 407)) => *fault == Certificate::Unreadable,
            _ => false,
        });
        self.media.as_ref().and_then(|media| media.certificate).or(of_account)
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
    /// Returns the key to change for this driver, and why there are no sockets with what to change, as the end of a sentence.
    pub fn advice(&self, driver: Driver) -> (&'static str, String) {
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
            Unbound::NoAddress => {
                let bound = driver.names().bound;
                (bound.key, format!("{ip} is no address of this machine; correct {}", bound.line))
            }
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
    /// It is a registration, not a call.
    pub is_registration: bool,
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
    /// Media is sent where it comes from (`nat` in `sip.conf`, `rtp_symmetric` in `pjsip.conf`).
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

/// The settings of an account in `sip.conf`, or of an endpoint in `pjsip.conf`; `None` where they are not known.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The name of its section.
    pub name: Option<String>,
    /// The settings as they are written, those of `[general]` included.
    pub settings: Vec<(String, String)>,
    /// The fault of the certificate that the settings name, if any.
    pub certificate: Option<Certificate>,
}

impl Account {
    /// Returns the setting as it is written.
    pub fn get(&self, key: &str) -> Option<&str> {
        let own = self.settings.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key));
        own.map(|(_, value)| value.as_str())
    }

    /// Returns whether the account is known, and the setting is off or not there.
    pub fn lacks(&self, key: &str) -> bool {
        self.name.is_some() && !self.is_on(key)
    }

    fn is_on(&self, key: &str) -> bool {
        self.get(key).is_some_and(is_yes)
    }
}

fn is_yes(value: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes))
}
