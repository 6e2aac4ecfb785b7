//! The channel drivers of Asterisk for SIP, and in one table for each the names of an account's settings.

use std::ffi::CStr;

/// A channel driver of Asterisk for SIP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Driver {
    /// `chan_sip`, which reads `sip.conf`.
    #[default]
    ChanSip,
    /// `chan_pjsip`, which reads `pjsip.conf`.
    ChanPjsip,
}

/// A setting, and the line that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// The key with the value that is wanted, and what goes with it.
    pub line: &'static str,
}

/// The names of a driver's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// The module.
    pub module: &'static CStr,
    /// The other module that the driver needs to serve WebSockets; the driver's own if it needs none.
    pub websocket: &'static CStr,
    /// The beginning of the names of the driver's channels.
    pub channels: &'static str,
    /// The configuration file.
    pub file: &'static CStr,
    /// A client with its settings.
    pub account: &'static str,
    /// The section of an account whose name is not known.
    pub section: &'static str,
    /// The file of the certificate of DTLS.
    pub certificate: &'static str,
    /// The file of the certificate's private key.
    pub private_key: &'static str,
    /// The ciphers of DTLS.
    pub cipher: &'static str,
    /// The file of the certificate's authorities.
    pub authorities: &'static str,
    /// The comparison of the peer's certificate.
    pub verify: Setting,
    /// The role in DTLS.
    pub setup: &'static str,
    /// DTLS-SRTP.
    pub dtls: Setting,
    /// SRTP.
    pub srtp: Setting,
    /// Media without SRTP.
    pub clear: Setting,
    /// The keys that switch on SRTP and DTLS-SRTP.
    pub encryption: &'static str,
    /// The profile with feedback (RFC 4585).
    pub feedback: Setting,
    /// ICE.
    pub ice: Setting,
    /// Media to a phone behind a NAT.
    pub nat: Setting,
    /// Media that passes Asterisk.
    pub direct_media: Setting,
    /// The address that media is bound to.
    pub bound: Setting,
    /// The time without media after which a call is ended.
    pub timeout: &'static str,
}

impl Driver {
    /// Both drivers.
    pub const ALL: [Self; 2] = [Self::ChanSip, Self::ChanPjsip];

    /// Returns the names of the driver's settings.
    pub fn names(self) -> &'static Names {
        match self {
            Self::ChanSip => &CHAN_SIP,
            Self::ChanPjsip => &CHAN_PJSIP,
        }
    }

    /// Returns the driver of the channel with this name, such as `SIP/1001-00000001`.
    pub fn of_channel(name: &str) -> Option<Self> {
        let channels = name.split_once('/')?.0;
        Self::ALL.into_iter().find(|driver| driver.names().channels == channels)
    }

    /// Returns the driver that a module for SIP over WebSocket belongs to, by the name of its file.
    pub fn of_module(file: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|driver| driver.names().websocket.to_bytes() == file.as_bytes())
    }

    /// Returns the name of the configuration file.
    pub fn file(self) -> &'static str {
        self.names().file.to_str().unwrap_or_default()
    }
}

static CHAN_SIP: Names = Names {
    module: c"chan_sip.so",
    websocket: c"chan_sip.so",
    channels: "SIP",
    file: c"sip.conf",
    account: "account",
    section: "the account's section of sip.conf",
    certificate: "dtlscertfile",
    private_key: "dtlsprivatekey",
    cipher: "dtlscipher",
    authorities: "dtlscafile",
    verify: Setting { key: "dtlsverify", line: "dtlsverify = fingerprint" },
    setup: "dtlssetup",
    dtls: Setting { key: "dtlsenable", line: "dtlsenable = yes (and dtlscertfile)" },
    srtp: Setting { key: "encryption", line: "encryption = yes" },
    clear: Setting { key: "encryption", line: "encryption = no" },
    encryption: "encryption and dtlsenable",
    feedback: Setting { key: "avpf", line: "avpf = yes" },
    ice: Setting { key: "icesupport", line: "icesupport = yes" },
    nat: Setting { key: "nat", line: "nat = force_rport,comedia" },
    direct_media: Setting { key: "directmedia", line: "directmedia = no" },
    bound: Setting { key: "bindaddr", line: "bindaddr in sip.conf" },
    timeout: "rtptimeout",
};

/// `webrtc = yes` switches on DTLS-SRTP, feedback, ICE and rtcp-mux at once.
static CHAN_PJSIP: Names = Names {
    module: c"chan_pjsip.so",
    websocket: c"res_pjsip_transport_websocket.so",
    channels: "PJSIP",
    file: c"pjsip.conf",
    account: "endpoint",
    section: "the endpoint's section of pjsip.conf",
    certificate: "dtls_cert_file",
    private_key: "dtls_private_key",
    cipher: "dtls_cipher",
    authorities: "dtls_ca_file",
    verify: Setting { key: "dtls_verify", line: "dtls_verify = fingerprint" },
    setup: "dtls_setup",
    dtls: Setting {
        key: "media_encryption",
        line: "media_encryption = dtls and dtls_cert_file (or webrtc = yes, which is all that a browser needs)",
    },
    srtp: Setting { key: "media_encryption", line: "media_encryption = sdes (for a browser webrtc = yes)" },
    clear: Setting { key: "media_encryption", line: "media_encryption = no (and webrtc = no)" },
    encryption: "media_encryption and webrtc",
    feedback: Setting { key: "use_avpf", line: "use_avpf = yes (or webrtc = yes)" },
    ice: Setting { key: "ice_support", line: "ice_support = yes (or webrtc = yes)" },
    nat: Setting { key: "rtp_symmetric", line: "rtp_symmetric = yes, force_rport = yes and rewrite_contact = yes" },
    direct_media: Setting { key: "direct_media", line: "direct_media = no" },
    bound: Setting {
        key: "bind",
        line: "bind of the transport (type = transport), or media_address with bind_rtp_to_media_address = yes, in pjsip.conf",
    },
    timeout: "rtp_timeout",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_and_a_module_tell_their_driver() {
        assert_eq!(Driver::of_channel("SIP/1001-00000001"), Some(Driver::ChanSip));
        assert_eq!(Driver::of_channel("PJSIP/1001-00000001"), Some(Driver::ChanPjsip));
        assert_eq!(Driver::of_channel("IAX2/SIP/1"), None);
        assert_eq!(Driver::of_module("chan_sip.so"), Some(Driver::ChanSip));
        assert_eq!(Driver::of_module("res_pjsip_transport_websocket.so"), Some(Driver::ChanPjsip));
        assert_eq!(Driver::of_module("res_ari.so"), None);
    }

    #[test]
    fn no_driver_is_told_the_keys_of_another() {
        for setting in settings(&CHAN_PJSIP) {
            assert!(setting.line.contains(setting.key), "{setting:?}");
            assert!(!setting.line.contains("sip.conf") || setting.line.contains("pjsip.conf"), "{setting:?}");
            assert!(settings(&CHAN_SIP).iter().all(|other| other.key != setting.key), "{setting:?}");
        }
    }

    fn settings(names: &Names) -> [Setting; 9] {
        let Names { verify, dtls, srtp, clear, feedback, ice, nat, direct_media, bound, .. } = *names;
        [verify, dtls, srtp, clear, feedback, ice, nat, direct_media, bound]
    }
}
