//! The protection of a stream: which packets, with which transforms, with which key (RFC 3711 §3.2).

use libsrtp2_sys as sys;

use crate::error::Error;
use crate::master::MasterKey;

/// The streams that a [`Policy`] applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// The stream with this SSRC.
    Ssrc(u32),
    /// Every received SSRC without its own policy; each gets its own replay list and rollover counter.
    AnyInbound,
    /// Every sent SSRC without its own policy.
    AnyOutbound,
}

/// The transforms of RTP and RTCP, named as in RFC 4568 §6.2, RFC 6188 and RFC 7714.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES-128 counter mode with an 80-bit tag: every implementation has it.
    AesCm128HmacSha1_80,
    /// AES-128 counter mode with a 32-bit tag on RTP and an 80-bit tag on RTCP.
    AesCm128HmacSha1_32,
    /// AES-256 counter mode with an 80-bit tag (RFC 6188).
    AesCm256HmacSha1_80,
    /// AES-256 counter mode with a 32-bit tag on RTP and an 80-bit tag on RTCP (RFC 6188).
    AesCm256HmacSha1_32,
    /// AES-128 GCM with the 16-byte tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 GCM with the 16-byte tag (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// The length of the master key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// The length of the master salt in bytes.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// The length of master key and salt together in bytes.
    pub const fn master_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    /// The number of bytes that protection adds to an RTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// The length of an RTCP packet's tag in bytes; the index of four bytes comes on top (RFC 3711 §3.4).
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    pub(crate) const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// Fills in the transforms of RTP. Wraps `srtp_crypto_policy_set_*`.
    fn set_rtp(self, policy: &mut sys::srtp_crypto_policy_t) {
        let set = match self {
            Self::AesCm128HmacSha1_80 => sys::srtp_crypto_policy_set_rtp_default,
            Self::AesCm128HmacSha1_32 => sys::srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
            Self::AesCm256HmacSha1_80 => sys::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
            Self::AesCm256HmacSha1_32 => sys::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
            Self::AeadAes128Gcm => sys::srtp_crypto_policy_set_aes_gcm_128_16_auth,
            Self::AeadAes256Gcm => sys::srtp_crypto_policy_set_aes_gcm_256_16_auth,
        };
        // SAFETY: it only writes the fields of the struct that we borrow mutably.
        unsafe { set(policy) }
    }

    /// Fills in the transforms of RTCP.
    fn set_rtcp(self, policy: &mut sys::srtp_crypto_policy_t) {
        match self {
            Self::AesCm128HmacSha1_32 => Self::AesCm128HmacSha1_80.set_rtp(policy),
            Self::AesCm256HmacSha1_32 => Self::AesCm256HmacSha1_80.set_rtp(policy),
            same => same.set_rtp(policy),
        }
    }
}

/// One entry of a session's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    streams: Streams,
    suite: Suite,
    master: MasterKey,
    window: u16,
}

impl Policy {
    /// Creates a policy. Master key and salt are concatenated, as in SDP's `inline:` (RFC 4568 §6.1).
    pub fn new(streams: Streams, suite: Suite, key_and_salt: &[u8]) -> Result<Self, Error> {
        Ok(Self { streams, suite, master: MasterKey::new(suite, key_and_salt)?, window: REPLAY_WINDOW })
    }

    /// A copy of the policy for other streams, with the same key.
    pub fn for_streams(&self, streams: Streams) -> Self {
        Self { streams, ..self.clone() }
    }

    /// The streams that it applies to.
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// The suite that protects them.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Calls `body` with the policy in libsrtp's format. libsrtp copies what it needs.
    pub(crate) fn with_raw<R>(&self, body: impl FnOnce(&sys::srtp_policy_t) -> R) -> R {
        let mut master = self.master.clone();
        let (type_, value) = match self.streams {
            Streams::Ssrc(ssrc) => (sys::srtp_ssrc_type_t_ssrc_specific, ssrc),
            Streams::AnyInbound => (sys::srtp_ssrc_type_t_ssrc_any_inbound, 0),
            Streams::AnyOutbound => (sys::srtp_ssrc_type_t_ssrc_any_outbound, 0),
        };
        // SAFETY: a C struct of integers and pointers; zero is documented as "not used" for all of them.
        let mut raw: sys::srtp_policy_t = unsafe { std::mem::zeroed() };
        raw.ssrc = sys::srtp_ssrc_t { type_, value };
        self.suite.set_rtp(&mut raw.rtp);
        self.suite.set_rtcp(&mut raw.rtcp);
        raw.key = master.as_mut_ptr();
        raw.window_size = self.window.into();
        body(&raw)
    }
}

/// The size of the replay window in packets. RFC 3711 §3.3.2 requires at least 64; one video frame with its
/// retransmissions has more.
const REPLAY_WINDOW: u16 = 1024;
