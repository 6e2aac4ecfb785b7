//! C's `ast_srtp_policy`: filled in piece by piece, in any order, then copied by whoever uses it.

use media_srtp::{MasterKey, Streams, Suite};

use asterisk::{Failed, error, rtp, sys};

/// Suite, key and streams, as far as they have been said.
pub struct Policy {
    suite: Option<Suite>,
    key_and_salt: Vec<u8>,
    streams: Streams,
}

impl Policy {
    pub fn new() -> Self {
        Self { suite: None, key_and_salt: Vec::new(), streams: Streams::AnyOutbound }
    }

    /// All at once.
    #[allow(dead_code, reason = "not every host leaves SDP to us")]
    pub fn with_key(suite: Suite, master: &MasterKey, streams: Streams) -> Self {
        Self { suite: Some(suite), key_and_salt: master.as_bytes().to_vec(), streams }
    }

    pub fn set_suite(&mut self, suite: sys::ast_srtp_suite) -> Result<(), Failed> {
        self.suite = Some(match suite {
            sys::AST_AES_CM_128_HMAC_SHA1_80 => Suite::AesCm128HmacSha1_80,
            sys::AST_AES_CM_128_HMAC_SHA1_32 => Suite::AesCm128HmacSha1_32,
            rtp::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
            rtp::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
            other => {
                error!("SRTP: suite {other} is not one we have");
                return Err(Failed);
            }
        });
        Ok(())
    }

    pub fn set_master_key(&mut self, key: &[u8], salt: &[u8]) {
        self.wipe();
        self.key_and_salt = [key, salt].concat();
    }

    /// SSRC 0 stands for any.
    pub fn set_ssrc(&mut self, ssrc: u32, inbound: bool) {
        self.streams = match (ssrc, inbound) {
            (0, true) => Streams::AnyInbound,
            (0, false) => Streams::AnyOutbound,
            (ssrc, _) => Streams::Ssrc(ssrc),
        };
    }

    /// A copy of what has been said, once it is enough.
    pub fn complete(&self) -> Result<media_srtp::Policy, Failed> {
        let suite = self.suite.ok_or(Failed).inspect_err(|_| error!("SRTP: a policy without a suite"))?;
        media_srtp::Policy::new(self.streams, suite, &self.key_and_salt).map_err(|error| {
            error!("SRTP: {error}");
            Failed
        })
    }

    /// Keys do not stay behind in freed memory.
    fn wipe(&mut self) {
        for byte in &mut self.key_and_salt {
            // SAFETY: a byte of ours. A volatile write is one that the compiler may not leave out.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.wipe();
    }
}
