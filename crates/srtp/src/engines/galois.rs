//! AES-GCM (NIST SP 800-38D, RFC 7714).

use aes::cipher::{InnerIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::Ctr32BE;
use ghash::GHash;
use ghash::universal_hash::{KeyInit, UniversalHash};

use super::abi::{self, CipherType};
use super::cipher::{Engine, Refused, table};
use super::counter::Aes;
use super::vectors;

pub static AES_128: CipherType = table::<Galois<Aes128>>(abi::AES_GCM_128, c"AES-128 GCM", &vectors::GCM_128);
pub static AES_256: CipherType = table::<Galois<Aes256>>(abi::AES_GCM_256, c"AES-256 GCM", &vectors::GCM_256);

/// Encrypts and authenticates one packet after the other.
pub struct Galois<A> {
    key: Option<(A, GHash)>,
    iv: [u8; IV],
    /// The additional data of this packet. Its memory is used again for the next.
    data: Vec<u8>,
    tag: [u8; TAG],
    tag_len: usize,
}

impl<A> Default for Galois<A> {
    fn default() -> Self {
        Self { key: None, iv: [0; IV], data: Vec::new(), tag: [0; TAG], tag_len: 0 }
    }
}

impl<A: Aes> Galois<A> {
    /// The key stream of this packet, and the tag of `ciphertext` and the additional data (SP 800-38D §7.1).
    fn begin(&self) -> Result<(impl StreamCipher + use<'_, A>, Tagger), Refused> {
        let (aes, hash) = self.key.as_ref().ok_or(Refused::State)?;
        let mut first = [0; TAG];
        first[..IV].copy_from_slice(&self.iv);
        first[TAG - 1] = 1;
        let mut stream = Ctr32BE::from_core(ctr::CtrCore::inner_iv_init(aes, &first.into()));
        let mut mask = [0; TAG];
        stream.try_apply_keystream(&mut mask).map_err(|_| Refused::State)?;
        Ok((stream, Tagger { hash: hash.clone(), mask }))
    }
}

/// Makes the tag from the key stream's first block and the hash.
struct Tagger {
    hash: GHash,
    mask: [u8; TAG],
}

impl Tagger {
    fn tag(mut self, data: &[u8], ciphertext: &[u8]) -> [u8; TAG] {
        self.hash.update_padded(data);
        self.hash.update_padded(ciphertext);
        let mut lengths = [0; TAG];
        lengths[..8].copy_from_slice(&(8 * data.len() as u64).to_be_bytes());
        lengths[8..].copy_from_slice(&(8 * ciphertext.len() as u64).to_be_bytes());
        self.hash.update(&[lengths.into()]);
        let hash = self.hash.finalize();
        std::array::from_fn(|at| hash[at] ^ self.mask[at])
    }
}

impl<A: Aes> Engine for Galois<A> {
    const KEY_LEN: usize = A::LEN + SALT;
    const IV_LEN: usize = IV;

    fn kind() -> &'static CipherType {
        A::galois()
    }

    /// RFC 7714 §14.2 has the full tag alone. libsrtp's own test has the half.
    fn set_tag_len(&mut self, len: usize) -> bool {
        self.tag_len = len;
        matches!(len, TAG | HALF_TAG)
    }

    /// The salt behind the key is libsrtp's, which mixes it into the IV.
    fn set_key(&mut self, key: &[u8]) -> Result<(), Refused> {
        let aes = A::new_from_slice(key.get(..A::LEN).ok_or(Refused::State)?).map_err(|_| Refused::State)?;
        let mut hash_key = [0; TAG].into();
        aes.encrypt_block(&mut hash_key);
        self.key = Some((aes, GHash::new(&hash_key)));
        Ok(())
    }

    fn set_iv(&mut self, iv: &[u8]) -> Result<(), Refused> {
        self.iv = *iv.first_chunk().ok_or(Refused::State)?;
        self.data.clear();
        Ok(())
    }

    fn add_data(&mut self, data: &[u8]) -> Result<(), Refused> {
        self.data.extend_from_slice(data);
        Ok(())
    }

    fn encrypt(&mut self, text: &mut [u8]) -> Result<(), Refused> {
        let (mut stream, tagger) = self.begin()?;
        stream.try_apply_keystream(text).map_err(|_| Refused::State)?;
        drop(stream);
        self.tag = tagger.tag(&self.data, text);
        Ok(())
    }

    fn decrypt(&mut self, text: &mut [u8]) -> Result<usize, Refused> {
        let len = text.len().checked_sub(self.tag_len).ok_or(Refused::State)?;
        let (text, tag) = text.split_at_mut(len);
        let (mut stream, tagger) = self.begin()?;
        if !is_equal(&tagger.tag(&self.data, text)[..self.tag_len], tag) {
            return Err(Refused::Tag);
        }
        stream.try_apply_keystream(text).map_err(|_| Refused::State)?;
        Ok(len)
    }

    fn tag(&self) -> &[u8] {
        &self.tag[..self.tag_len]
    }
}

/// Compares two tags of the same length in a time that does not depend on them.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).fold(0, |differences, (one, other)| std::hint::black_box(differences | one ^ other)) == 0
}

/// The length of the IV in bytes.
const IV: usize = 12;
/// The length of the salt in bytes.
const SALT: usize = 12;
/// The length of a tag, and of a block, in bytes.
const TAG: usize = 16;
/// The length in bytes of the short tag that libsrtp's test has.
const HALF_TAG: usize = 8;
