//! C's `ast_srtp_policy`: its fields are set one by one, in any order, and then it is copied.

use media_srtp::{MasterKey, Streams, Suite};

use asterisk::{Failed, error, rtp, sys};

/// Suite, key and streams; `None` for those not set yet.
#[repr(C)]
pub struct Policy {
    /// Tells our RTP engine that this module is ours ([`rtp::srtp_is_ours`]).
    mark: u64,
    suite: Option<Suite>,
    key_and_salt: Vec<u8>,
    streams: Streams,
}

impl Policy {
    pub fn new() -> Self {
        Self { mark: rtp::POLICY_MARK, suite: None, key_and_salt: Vec::new(), streams: Streams::AnyOutbound }
    }

    /// A policy with all fields set.
    #[allow(dead_code, reason = "only some hosts leave SDP to us")]
    pub fn with_key(suite: Suite, master: &MasterKey, streams: Streams) -> Self {
        Self { suite: Some(suite), key_and_salt: master.as_bytes().to_vec(), streams, ..Self::new() }
    }

    pub fn set_suite(&mut self, suite: sys::ast_srtp_suite) -> Result<(), Failed> {
        self.suite = Some(match suite {
            sys::AST_AES_CM_128_HMAC_SHA1_80 => Suite::AesCm128HmacSha1_80,
            sys::AST_AES_CM_128_HMAC_SHA1_32 => Suite::AesCm128HmacSha1_32,
            rtp::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
            rtp::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
            other => {
                error!("SRTP: crypto suite {other} is not supported");
                return Err(Failed);
            }
        });
        Ok(())
    }

    pub fn set_master_key(&mut self, key: &[u8], salt: &[u8]) {
        self.wipe();
        self.key_and_salt = [key, salt].concat();
    }

    /// Sets the streams that the policy applies to. SSRC 0 stands for any.
    pub fn set_ssrc(&mut self, ssrc: u32, inbound: bool) {
        self.streams = match (ssrc, inbound) {
            (0, true) => Streams::AnyInbound,
            (0, false) => Streams::AnyOutbound,
            (ssrc, _) => Streams::Ssrc(ssrc),
        };
    }

    /// The complete policy. Fails, with a log line, if a field is missing or invalid.
    pub fn complete(&self) -> Result<media_srtp::Policy, Failed> {
        let suite = self.suite.ok_or(Failed).inspect_err(|_| error!("SRTP: a policy has no crypto suite"))?;
        media_srtp::Policy::new(self.streams, suite, &self.key_and_salt).map_err(|error| {
            error!("SRTP: {error}");
            Failed
        })
    }

    /// Overwrites the key before its memory is freed.
    fn wipe(&mut self) {
        for byte in &mut self.key_and_salt {
            // SAFETY: a byte of ours. The compiler must not omit a volatile write.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.wipe();
    }
}
