//! The choices of a test with a phone, and what a phone measures.

use serde_json::{Value, json};

/// The transport of SIP.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// `ws://`
    Plain,
    /// `wss://`, with a self-signed certificate.
    Tls,
    /// `wss://` to a proxy in front of Asterisk.
    Proxied,
}

/// `rtcpMuxPolicy` of RTCPeerConnection.
#[derive(Clone, Copy, Debug)]
pub enum RtcpMux {
    /// The browsers' default.
    Require,
    /// Accepts calls without rtcp-mux.
    Negotiate,
}

impl RtcpMux {
    pub(super) fn configuration(self) -> Value {
        match self {
            // With E2E_BASELINE the same calls measure the original modules, which fail with the browsers' defaults.
            Self::Require if std::env::var_os("E2E_BASELINE").is_none() => json!({}),
            _ => json!({ "pc": { "rtcpMuxPolicy": "negotiate" } }),
        }
    }
}

/// A SIP library that the page can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// JsSIP.
    JsSip,
    /// SIP.js, by its `UserAgent` and sessions.
    SipJs,
    /// SIP.js, by its `SimpleUser` on its defaults.
    SimpleUser,
    /// sipML5, in Chromium.
    SipMl,
}

impl Library {
    /// Its name for the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsSip => "jssip",
            Self::SipJs => "sipjs",
            Self::SimpleUser => "simpleuser",
            Self::SipMl => "sipml",
        }
    }
}

/// The direction of a stream (RFC 8866 §6.7), as the page sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the RFC")]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// Its name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// The side that sends the connectivity checks that can find a path (RFC 8445 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Page and host.
    OfBoth,
    /// The host alone: the page does not know the host's candidates.
    OfTheHost,
}

/// The colours, in CSS notation, of the left and right half of the picture that a phone sends.
pub type Colours = [&'static str; 2];

/// A measurement of received audio.
#[derive(Debug)]
pub struct Heard {
    /// The loudness (RMS); 1 is the maximum.
    pub rms: f64,
    /// The share of each requested frequency in the power.
    pub shares: Vec<f64>,
}
