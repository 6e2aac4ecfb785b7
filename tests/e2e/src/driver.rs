//! The SIP channel drivers of the hosts.

use crate::prefix::Version;

/// The SIP channel driver of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `chan_sip`, on hosts that have it.
    ChanSip,
    /// `chan_pjsip`, the only one of Asterisk 22.
    ChanPjsip,
}

impl Driver {
    /// The driver that we use with this version of Asterisk.
    pub fn of(version: Version) -> Self {
        match version {
            Version::Eleven | Version::Sixteen => Self::ChanSip,
            Version::TwentyTwo => Self::ChanPjsip,
        }
    }

    /// The technology in its channels' names, before the slash.
    pub fn technology(self) -> &'static str {
        match self {
            Self::ChanSip => "SIP",
            Self::ChanPjsip => "PJSIP",
        }
    }

    /// The configuration file of its accounts.
    pub fn configuration(self) -> &'static str {
        match self {
            Self::ChanSip => "sip.conf",
            Self::ChanPjsip => "pjsip.conf",
        }
    }

    /// The module that serves SIP on `/ws`, and keeps `res_http_websocket` loaded.
    pub fn user_of_the_websocket(self) -> &'static str {
        match self {
            Self::ChanSip => "chan_sip.so",
            Self::ChanPjsip => "res_pjsip_transport_websocket.so",
        }
    }

    /// Modules that use the WebSocket for other things and would keep `res_http_websocket` from being unloaded. In an
    /// Asterisk with both drivers, the first to register serves SIP there.
    pub fn left_out(self) -> &'static [&'static str] {
        match self {
            Self::ChanSip => &["res_ari.so", "res_pjsip_transport_websocket.so"],
            Self::ChanPjsip => &["res_aeap.so", "res_ari.so", "res_websocket_client.so"],
        }
    }
}
