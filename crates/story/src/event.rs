//! The events of a call.

use std::fmt::{self, Display};

/// One end of a call's signalling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The client at the other end of the WebSocket.
    Client,
    /// Asterisk.
    Host,
    /// Our module in place of Asterisk, because the host takes no new calls (`webrtc drain`).
    Drain,
}

/// Why a session got no sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    /// Every pair of ports is in use (`EADDRINUSE`).
    PortsInUse,
    /// The process or the machine has no file descriptors left (`EMFILE`, `ENFILE`).
    NoDescriptors,
    /// The address is none of this machine (`EADDRNOTAVAIL`).
    NoAddress,
    /// The process may bind no port of the range (`EACCES`).
    Forbidden,
    /// Another error of the system, by its number.
    Other(u16),
}

/// The parts that a session description lacks, as bits (RFC 8829, RFC 8866).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacks(pub u16);

impl Lacks {
    /// No `a=rtcp-mux` (RFC 5761).
    pub const MUX: Self = Self(1);
    /// No `a=fingerprint` (RFC 8122).
    pub const FINGERPRINT: Self = Self(1 << 1);
    /// No `a=ice-ufrag` or no `a=ice-pwd` (RFC 8839).
    pub const ICE: Self = Self(1 << 2);
    /// No `a=candidate`.
    pub const CANDIDATES: Self = Self(1 << 3);
    /// An unspecified address in `c=`.
    pub const ADDRESS: Self = Self(1 << 4);
    /// Port 0: the stream is refused.
    pub const PORT: Self = Self(1 << 5);
    /// A profile without SRTP.
    pub const SECURITY: Self = Self(1 << 6);
    /// A profile without feedback (RFC 4585).
    pub const FEEDBACK: Self = Self(1 << 7);
    /// No description of audio at all.
    pub const AUDIO: Self = Self(1 << 8);

    /// Returns whether any part of `other` is lacking.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds `other` if `is_lacking`.
    #[must_use]
    pub fn with(self, other: Self, is_lacking: bool) -> Self {
        if is_lacking { Self(self.0 | other.0) } else { self }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let named = [
            (Self::AUDIO, "no audio"),
            (Self::PORT, "port 0: refused"),
            (Self::SECURITY, "no SRTP in the profile"),
            (Self::FEEDBACK, "no feedback (AVPF)"),
            (Self::FINGERPRINT, "no a=fingerprint"),
            (Self::ICE, "no a=ice-ufrag"),
            (Self::CANDIDATES, "no a=candidate"),
            (Self::MUX, "no a=rtcp-mux"),
            (Self::ADDRESS, "c=0.0.0.0"),
        ];
        named.into_iter().filter(move |(lack, _)| self.any(*lack)).map(|(_, name)| name)
    }
}

impl Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}

/// The type of a candidate (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// An address of the machine itself.
    Host,
    /// An address as a STUN server sees it.
    ServerReflexive,
    /// An address as the peer sees it.
    PeerReflexive,
    /// An address of a TURN server.
    Relayed,
}

impl Candidate {
    /// Returns the type as `a=candidate` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

/// The reason why DTLS could not be configured: what is wrong with the certificate of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// A file is missing or not readable.
    Unreadable,
    /// The file has no certificate in it.
    NoCertificate,
    /// The file has no private key in it, or one with a passphrase.
    NoKey,
    /// The private key belongs to another certificate.
    OtherKey,
    /// The certificate has expired, or is not valid yet. Handshakes still work with it.
    OutOfDate,
    /// Anything else: ciphers, authorities.
    Other,
}

/// The reason why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The certificate is not that of the description.
    Fingerprint,
    /// The chain ends at no authority that we trust.
    NotTrusted,
    /// The peer showed no certificate.
    NoCertificate,
    /// No SRTP profile in common.
    NoProfile,
    /// The peer stopped answering.
    TimedOut,
    /// The peer sent this alert (RFC 5246 §7.2) and stopped answering.
    Alert(u8),
    /// The SRTP module refuses the keys.
    KeysRefused,
    /// Anything else that OpenSSL refuses.
    Other,
}

/// One event. Addresses are beside it, see [`crate::Timeline::note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The RTP session began, at the first address.
    Began,
    /// The WebSocket of the call's signalling had been accepted, from the second address.
    WebSocket {
        /// Whether it is inside TLS.
        is_secure: bool,
    },
    /// The WebSocket closed.
    WebSocketClosed,
    /// A description was offered.
    Offer(By, Lacks),
    /// A description was answered.
    Answer(By, Lacks),
    /// An INVITE was refused with this status.
    Refusal(By, u16),
    /// An INVITE was cancelled before it was answered.
    Cancel(By),
    /// The call was ended, with the Q.850 cause or the SIP status of the BYE's reason (RFC 3326), or 0.
    Bye(By, u16),
    /// The host configured DTLS for the session.
    DtlsOn,
    /// A fault of our certificate.
    Certificate(Certificate),
    /// The host has turned ICE off for the session.
    IceOff,
    /// A candidate of ours, at the first address.
    OurCandidate(Candidate),
    /// A candidate of the peer, at the second address.
    PeerCandidate(Candidate),
    /// Connectivity checks began.
    ChecksBegan,
    /// The first authenticated check of the peer arrived.
    FirstCheck,
    /// The peer's checks fail authentication.
    WrongPassword,
    /// The pair of the two addresses failed: no answer in time.
    PairFailed(u8),
    /// A component selected the pair of the two addresses.
    Selected(u8),
    /// No pair of the component works.
    ComponentFailed(u8),
    /// The peer stopped answering consent checks of a component (RFC 7675).
    ConsentLost(u8),
    /// The first DTLS record of the peer arrived, from the second address.
    FirstDtls,
    /// The handshake is complete and the certificate is that of the description; the number is the SRTP profile's (RFC 5764 §4.1.2).
    Keys(u16),
    /// The handshake failed.
    HandshakeFailed(Handshake),
    /// The peer closed DTLS (close_notify).
    DtlsClosed,
    /// The first media packet from the second address, with this payload type.
    FirstReceived(u8),
    /// The first media packet to the second address, with this payload type.
    FirstSent(u8),
    /// The peer sends another payload type.
    ReceivesNow(u8),
    /// We send another payload type.
    SendsNow(u8),
    /// The host stopped media: a hold, or the end.
    Stopped,
    /// The host resumed media.
    Resumed,
    /// The first packet that was refused for this reason, by the number of the caller's list.
    Refused(u8),
    /// The peer's report: the loss of our stream in 256ths, and its jitter and the round trip in milliseconds.
    Report {
        /// Fraction lost, in 256ths.
        lost: u8,
        /// Jitter in milliseconds.
        jitter: u16,
        /// Round trip in milliseconds; 0 if unknown.
        round_trip: u16,
    },
    /// The session got no sockets.
    NoSocket(Unbound),
    /// The RTP session ended.
    Ended,
}

impl Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortsInUse => "all ports are in use",
            Self::NoDescriptors => "no file descriptors are left",
            Self::NoAddress => "this machine has no such address",
            Self::Forbidden => "the system permits none of the ports",
            Self::Other(error) => return write!(f, "error {error} of the system"),
        })
    }
}

impl Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the client",
            Self::Host => "Asterisk",
            Self::Drain => "webrtc drain",
        })
    }
}

impl Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "a file of our certificate is missing or not readable",
            Self::NoCertificate => "the file has no certificate in PEM form",
            Self::NoKey => "the file has no private key in PEM form, or one with a passphrase",
            Self::OtherKey => "the private key does not belong to the certificate",
            Self::OutOfDate => "our certificate has expired, or is not valid yet",
            Self::Other => "our certificate, ciphers or authorities cannot be used",
        })
    }
}

impl Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fingerprint => "the peer's certificate is not the one that its description names",
            Self::NotTrusted => "the peer's certificate is not trusted",
            Self::NoCertificate => "the peer showed no certificate",
            Self::NoProfile => "no SRTP profile in common",
            Self::TimedOut => "no answer in time",
            Self::Alert(alert) => return write!(f, "no answer after alert {alert} ({})", alert_name(*alert)),
            Self::KeysRefused => "the SRTP module refuses the keys",
            Self::Other => "OpenSSL refused it, see the log",
        })
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description = |f: &mut fmt::Formatter<'_>, kind: &str, by: &By, lacks: &Lacks| match lacks.0 {
            0 => write!(f, "SDP: {kind} by {by}"),
            _ => write!(f, "SDP: {kind} by {by}: {lacks}"),
        };
        match self {
            Self::Began => f.write_str("RTP: session made"),
            Self::WebSocket { is_secure } => {
                write!(f, "WebSocket: accepted{}", if *is_secure { " (wss)" } else { " (ws)" })
            }
            Self::WebSocketClosed => f.write_str("WebSocket: closed"),
            Self::Offer(by, lacks) => description(f, "offer", by, lacks),
            Self::Answer(by, lacks) => description(f, "answer", by, lacks),
            Self::Refusal(by, status) => write!(f, "SIP: refused with {status} by {by}"),
            Self::Cancel(by) => write!(f, "SIP: CANCEL by {by}"),
            Self::Bye(by, 0) => write!(f, "SIP: BYE by {by}"),
            Self::Bye(by, cause) => write!(f, "SIP: BYE by {by}, reason {cause}"),
            Self::DtlsOn => f.write_str("DTLS: configured"),
            Self::Certificate(problem) => write!(f, "DTLS: {problem}"),
            Self::IceOff => f.write_str("ICE: turned off by Asterisk"),
            Self::OurCandidate(kind) => write!(f, "ICE: our candidate, {}", kind.name()),
            Self::PeerCandidate(kind) => write!(f, "ICE: candidate of the peer, {}", kind.name()),
            Self::ChecksBegan => f.write_str("ICE: checks begin"),
            Self::FirstCheck => f.write_str("ICE: first check of the peer"),
            Self::WrongPassword => f.write_str("ICE: a check with a wrong password"),
            Self::PairFailed(component) => write!(f, "ICE: component {component}: no answer in time on the pair"),
            Self::Selected(component) => write!(f, "ICE: component {component} selected the pair"),
            Self::ComponentFailed(component) => write!(f, "ICE: component {component} has no working pair"),
            Self::ConsentLost(component) => write!(f, "ICE: component {component}: consent lost"),
            Self::FirstDtls => f.write_str("DTLS: first record of the peer"),
            Self::Keys(profile) => write!(f, "DTLS: connected, fingerprint matches, {}", profile_name(*profile)),
            Self::HandshakeFailed(why) => write!(f, "DTLS: handshake failed: {why}"),
            Self::DtlsClosed => f.write_str("DTLS: closed by the peer"),
            Self::FirstReceived(payload_type) => write!(f, "RTP: first packet received, payload type {payload_type}"),
            Self::FirstSent(payload_type) => write!(f, "RTP: first packet sent, payload type {payload_type}"),
            Self::ReceivesNow(payload_type) => write!(f, "RTP: the peer sends payload type {payload_type} now"),
            Self::SendsNow(payload_type) => write!(f, "RTP: we send payload type {payload_type} now"),
            Self::Stopped => f.write_str("RTP: media stopped by Asterisk (hold or end)"),
            Self::Resumed => f.write_str("RTP: media activated by Asterisk"),
            Self::Refused(reason) => write!(f, "RTP: first packet refused, reason {reason}"),
            Self::Report { lost, jitter, round_trip } => {
                let lost = f64::from(*lost) * 100.0 / 256.0;
                write!(f, "RTCP: the peer reports {lost:.1} % lost, jitter {jitter} ms, round trip {round_trip} ms")
            }
            Self::NoSocket(why) => write!(f, "RTP: no socket: {why}"),
            Self::Ended => f.write_str("RTP: session ended"),
        }
    }
}

/// Names the SRTP profiles of RFC 5764 §4.1.2 and RFC 7714 §14.2.
pub fn profile_name(profile: u16) -> &'static str {
    match profile {
        0x0001 => "SRTP_AES128_CM_HMAC_SHA1_80",
        0x0002 => "SRTP_AES128_CM_HMAC_SHA1_32",
        0x0007 => "SRTP_AEAD_AES_128_GCM",
        0x0008 => "SRTP_AEAD_AES_256_GCM",
        _ => "an unknown SRTP profile",
    }
}

/// Names the alerts that a handshake meets (RFC 5246 §7.2).
pub fn alert_name(alert: u8) -> &'static str {
    match alert {
        10 => "unexpected message",
        20 => "bad record MAC",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown authority",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        _ => "unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_what_it_lacks() {
        let lacks = Lacks::default().with(Lacks::MUX, true).with(Lacks::FINGERPRINT, true).with(Lacks::ICE, false);
        let text = Event::Offer(By::Client, lacks).to_string();
        assert_eq!(text, "SDP: offer by the client: no a=fingerprint, no a=rtcp-mux");
        assert_eq!(Event::Answer(By::Host, Lacks::default()).to_string(), "SDP: answer by Asterisk");
    }

    #[test]
    fn an_alert_has_its_meaning() {
        let text = Event::HandshakeFailed(Handshake::Alert(42)).to_string();
        assert_eq!(text, "DTLS: handshake failed: no answer after alert 42 (bad certificate)");
    }
}
