//! How a stream is to be protected: for whom, with which transforms, with which key (RFC 3711 §3.2).

use libsrtp2_sys as sys;

use crate::error::Error;
use crate::master::MasterKey;

/// Which streams a [`Policy`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// The one with this SSRC.
    Ssrc(u32),
    /// Every SSRC that is received and has no policy of its own; each gets its own replay list and rollover counter.
    AnyInbound,
    /// Every SSRC that is sent and has no policy of its own.
    AnyOutbound,
}

/// The transforms of RTP and RTCP, named as in RFC 4568 §6.2, RFC 6188 and RFC 7714.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES-128 counter mode, 80-bit tag: what everybody implements.
    AesCm128HmacSha1_80,
    /// The same with a 32-bit tag on RTP. RTCP keeps 80 bits.
    AesCm128HmacSha1_32,
    /// AES-256 counter mode, 80-bit tag (RFC 6188).
    AesCm256HmacSha1_80,
    /// The same with a 32-bit tag on RTP. RTCP keeps 80 bits.
    AesCm256HmacSha1_32,
    /// AES-128 GCM with the 16-byte tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 GCM with the 16-byte tag (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of both together.
    pub const fn master_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    /// Bytes that protecting an RTP packet adds.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the tag of an RTCP packet, to which the index of four bytes is added (RFC 3711 §3.4).
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    const fn is_aead(self) -> bool {
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
        // SAFETY: it writes the fields of the struct that we borrow mutably, and nothing else.
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
    /// Takes master key and master salt in one piece, as SDP's `inline:` has them (RFC 4568 §6.1).
    pub fn new(streams: Streams, suite: Suite, key_and_salt: &[u8]) -> Result<Self, Error> {
        Ok(Self { streams, suite, master: MasterKey::new(suite, key_and_salt)?, window: REPLAY_WINDOW })
    }

    /// The same key for other streams.
    pub fn for_streams(&self, streams: Streams) -> Self {
        Self { streams, ..self.clone() }
    }

    /// Which streams it is for.
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// How they are protected.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Lends the policy to libsrtp, which copies what it needs.
    pub(crate) fn with_raw<R>(&self, body: impl FnOnce(&sys::srtp_policy_t) -> R) -> R {
        let mut master = self.master.clone();
        let (type_, value) = match self.streams {
            Streams::Ssrc(ssrc) => (sys::srtp_ssrc_type_t_ssrc_specific, ssrc),
            Streams::AnyInbound => (sys::srtp_ssrc_type_t_ssrc_any_inbound, 0),
            Streams::AnyOutbound => (sys::srtp_ssrc_type_t_ssrc_any_outbound, 0),
        };
        // SAFETY: a C struct of integers and pointers, for all of which zero is the documented "not used".
        let mut raw: sys::srtp_policy_t = unsafe { std::mem::zeroed() };
        raw.ssrc = sys::srtp_ssrc_t { type_, value };
        self.suite.set_rtp(&mut raw.rtp);
        self.suite.set_rtcp(&mut raw.rtcp);
        raw.key = master.as_mut_ptr();
        raw.window_size = self.window.into();
        body(&raw)
    }
}

/// Packets that may arrive behind the newest one. RFC 3711 §3.3.2 asks for 64 at least; one video picture and its
/// retransmissions are more than that.
const REPLAY_WINDOW: u16 = 1024;
