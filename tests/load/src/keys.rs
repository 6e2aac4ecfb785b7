//! SRTP of a leg, with keys from its description or from DTLS.

use dtls_srtp::{Keys as DtlsKeys, Profile};
use e2e::failure::{Failure, Result};
use media_srtp::sdes::Negotiation;
use media_srtp::{Policy, Session, Streams, Suite};

/// The two directions of a leg.
pub struct Keys {
    outbound: Session,
    inbound: Session,
}

impl Keys {
    /// From key and salt of each direction.
    pub fn new(suite: Suite, local: &[u8], remote: &[u8]) -> Result<Self> {
        let session = |streams, key: &[u8]| -> Result<Session> {
            let policy = Policy::new(streams, suite, key).map_err(|error| Failure::new(error.to_string()))?;
            Session::new(&[policy]).map_err(|error| Failure::new(error.to_string()))
        };
        Ok(Self { outbound: session(Streams::AnyOutbound, local)?, inbound: session(Streams::AnyInbound, remote)? })
    }

    /// From a handshake.
    pub fn of_dtls(keys: &DtlsKeys) -> Result<Self> {
        let suite = match keys.profile {
            Profile::Aes128CmSha1_80 => Suite::AesCm128HmacSha1_80,
            Profile::Aes128CmSha1_32 => Suite::AesCm128HmacSha1_32,
            Profile::AeadAes128Gcm => Suite::AeadAes128Gcm,
            Profile::AeadAes256Gcm => Suite::AeadAes256Gcm,
        };
        let [local, remote] = [&keys.local, &keys.remote].map(|master| [&master.key[..], &master.salt].concat());
        Self::new(suite, &local, &remote)
    }

    /// From the answer's `a=crypto` to our offer (RFC 4568).
    pub fn of_answer(offer: &Negotiation, line: &str) -> Result<Self> {
        let accepted = offer.consider(line, |_| {}).map_err(|error| Failure::new(format!("{line}: {error}")))?;
        let keys = accepted.keys().ok_or_else(|| Failure::new("the answer changes no keys"))?;
        Self::new(keys.suite, keys.local.as_bytes(), keys.remote.as_bytes())
    }

    /// Protects the packet in the first `len` octets of `buffer` in place; its new length.
    pub fn protect(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        self.outbound.protect_rtp(buffer, len).ok()
    }

    /// Authenticates and decrypts a packet in place; its new length.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Option<usize> {
        self.inbound.unprotect_rtp(packet).ok()
    }
}
