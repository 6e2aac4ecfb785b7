//! The SRTP keys that a handshake exports (RFC 5764 §4.2).
//!
//! ```text
//!   exporter "EXTRACTOR-dtls_srtp":
//!   | client master key | server master key | client master salt | server master salt |
//! ```

use std::fmt;

use crate::role::Role;

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// AES-128 in counter mode with an 80-bit tag. Every peer implements it.
    Aes128CmSha1_80,
    /// AES-128 in counter mode with a 32-bit tag on RTP, and an 80-bit tag on RTCP.
    Aes128CmSha1_32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714).
    AeadAes256Gcm,
}

impl Profile {
    /// The length of a master key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// The length of a master salt in bytes.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// OpenSSL's name of the profile.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "SRTP_AES128_CM_SHA1_80",
            Self::Aes128CmSha1_32 => "SRTP_AES128_CM_SHA1_32",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Aes128CmSha1_80, Self::Aes128CmSha1_32, Self::AeadAes128Gcm, Self::AeadAes256Gcm]
            .into_iter()
            .find(|profile| profile.name() == name)
    }

    /// The number of bytes that the exporter has to give: key and salt for both directions.
    pub(crate) const fn material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

/// Master key and master salt of one direction. They are overwritten when they are dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// [`Profile::key_len`] bytes.
    pub key: Vec<u8>,
    /// [`Profile::salt_len`] bytes.
    pub salt: Vec<u8>,
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.salt);
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys do not belong into a log.
        formatter.debug_struct("MasterKey").finish_non_exhaustive()
    }
}

/// The SRTP keys that a handshake gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The algorithms that packets are protected with.
    pub profile: Profile,
    /// Protects what we send.
    pub local: MasterKey,
    /// Protects what the peer sends.
    pub remote: MasterKey,
}

impl Keys {
    /// Splits the bytes that the exporter gave, in the order shown above. `material` is overwritten afterwards.
    pub(crate) fn split(profile: Profile, role: Role, material: &mut [u8]) -> Self {
        let (keys, salts) = material.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        let client = MasterKey { key: client_key.to_vec(), salt: client_salt.to_vec() };
        let server = MasterKey { key: server_key.to_vec(), salt: server_salt.to_vec() };
        wipe(material);
        match role {
            Role::Client => Self { profile, local: client, remote: server },
            Role::Server => Self { profile, local: server, remote: client },
        }
    }
}

/// Overwrites a secret with zeros.
pub(crate) fn wipe(secret: &mut [u8]) {
    for byte in secret {
        // SAFETY: `byte` is a mutable borrow, so it is valid for a write. The compiler may not leave a volatile one
        // out.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_5764_4_2_order_of_the_material() {
        let profile = Profile::AeadAes128Gcm;
        let material: Vec<u8> = [[1; 16], [2; 16]].concat().into_iter().chain([3; 12]).chain([4; 12]).collect();
        assert_eq!(material.len(), profile.material_len());
        let client = Keys::split(profile, Role::Client, &mut material.clone());
        assert_eq!((&client.local.key[..], &client.local.salt[..]), (&[1; 16][..], &[3; 12][..]));
        let server = Keys::split(profile, Role::Server, &mut material.clone());
        assert_eq!((server.local, server.remote), (client.remote, client.local));
    }

    #[test]
    fn debug_output_keeps_the_key_out() {
        let key = MasterKey { key: vec![0xee; 16], salt: vec![0xee; 14] };
        assert!(!format!("{key:?}").contains("238"));
    }
}
