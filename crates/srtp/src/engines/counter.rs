//! AES in counter mode (RFC 3711 §4.1.1, RFC 6188).

use aes::cipher::{
    BlockCipher, BlockEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, StreamCipherSeek, consts::U16,
};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;

use super::abi::{self, CipherType};
use super::cipher::{Engine, Refused, table};
use super::vectors;

pub static AES_128: CipherType = table::<Counter<Aes128>>(abi::AES_ICM_128, c"AES-128 counter mode", &vectors::ICM_128);
pub static AES_256: CipherType = table::<Counter<Aes256>>(abi::AES_ICM_256, c"AES-256 counter mode", &vectors::ICM_256);

/// The key stream of one packet after the other.
pub struct Counter<A> {
    aes: Option<A>,
    /// The salt, moved to the place where it is added to the packet's index.
    salt: [u8; BLOCK],
    counter: [u8; BLOCK],
    /// The bytes of this packet's key stream that have been used.
    used: u64,
}

impl<A> Default for Counter<A> {
    fn default() -> Self {
        Self { aes: None, salt: [0; BLOCK], counter: [0; BLOCK], used: 0 }
    }
}

/// AES with a key of some length, and the table that libsrtp knows it by in this mode.
pub trait Aes: KeyInit + BlockCipher + BlockEncrypt + BlockSizeUser<BlockSize = U16> + 'static {
    /// The length of the key in bytes.
    const LEN: usize;
    /// The table of [`Counter`].
    fn counter() -> &'static CipherType;
    /// The table of [`Galois`](super::galois::Galois).
    fn galois() -> &'static CipherType;
}

impl Aes for Aes128 {
    const LEN: usize = 16;
    fn counter() -> &'static CipherType {
        &AES_128
    }
    fn galois() -> &'static CipherType {
        &super::galois::AES_128
    }
}

impl Aes for Aes256 {
    const LEN: usize = 32;
    fn counter() -> &'static CipherType {
        &AES_256
    }
    fn galois() -> &'static CipherType {
        &super::galois::AES_256
    }
}

impl<A: Aes> Engine for Counter<A> {
    const KEY_LEN: usize = A::LEN + SALT;
    const IV_LEN: usize = BLOCK;

    fn kind() -> &'static CipherType {
        A::counter()
    }

    /// libsrtp passes lengths of tags that another algorithm makes.
    fn set_tag_len(&mut self, _len: usize) -> bool {
        true
    }

    fn set_key(&mut self, key: &[u8]) -> Result<(), Refused> {
        let (key, salt) = key.split_at_checked(A::LEN).ok_or(Refused::State)?;
        self.aes = Some(A::new_from_slice(key).map_err(|_| Refused::State)?);
        self.salt = [0; BLOCK];
        self.salt[..SALT].copy_from_slice(salt.get(..SALT).ok_or(Refused::State)?);
        (self.counter, self.used) = (self.salt, 0);
        Ok(())
    }

    fn set_iv(&mut self, iv: &[u8]) -> Result<(), Refused> {
        self.counter = std::array::from_fn(|at| self.salt[at] ^ iv.get(at).copied().unwrap_or_default());
        self.used = 0;
        Ok(())
    }

    fn add_data(&mut self, _data: &[u8]) -> Result<(), Refused> {
        Err(Refused::State)
    }

    fn encrypt(&mut self, text: &mut [u8]) -> Result<(), Refused> {
        let aes = self.aes.as_ref().ok_or(Refused::State)?;
        let mut stream = Ctr128BE::from_core(ctr::CtrCore::inner_iv_init(aes, &self.counter.into()));
        if self.used > 0 {
            stream.try_seek(self.used).map_err(|_| Refused::State)?;
        }
        self.used += text.len() as u64;
        stream.try_apply_keystream(text).map_err(|_| Refused::State)
    }

    fn decrypt(&mut self, text: &mut [u8]) -> Result<usize, Refused> {
        self.encrypt(text).map(|()| text.len())
    }

    fn tag(&self) -> &[u8] {
        &[]
    }
}

/// The length of a block in bytes.
const BLOCK: usize = 16;
/// The length of the salt in bytes.
const SALT: usize = 14;
