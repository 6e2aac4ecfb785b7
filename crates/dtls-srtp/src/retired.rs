//! An association whose handshake is over, without OpenSSL.
//!
//! OpenSSL keeps more than 100 KiB for an association: buffers of 16 KiB for records and messages, the last flight with the record
//! layer that sent it, the peer's certificates. Once the keys of media are exported, three things are left to do: to repeat our
//! last flight when the peer repeats its own (RFC 6347 §4.2.4), to notice that the peer ends the association (RFC 5246 §7.2),
//! and to answer that with a close_notify. They need the key for the peer's records, and a few datagrams.
//!
//! Only AES-GCM (RFC 5288) is known here, which everybody negotiates who can. With other ciphers OpenSSL stays.

use std::collections::VecDeque;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::ssl::SslRef;
use openssl::symm::{Cipher, decrypt_aead};

use crate::keys::wipe;
use crate::record;
use crate::role::Role;

/// The rest of an association that has its keys: enough to end it, and to repeat the last flight.
#[derive(Debug)]
pub(crate) struct Retired {
    opener: Opener,
    /// The number of the newest record that authenticated. Those that are not newer are dropped, as repetitions by the network.
    newest: Option<u64>,
    /// A server's last flight, which the client may miss.
    flight: Vec<Vec<u8>>,
    /// Our close_notify, until it is sent.
    farewell: Option<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
    closing: Closing,
}

/// Whether the peer has ended the association.
#[derive(Debug, PartialEq, Eq)]
enum Closing {
    Open,
    /// It has, and [`Retired::poll_closed`] has not said so yet.
    Closed,
    Told,
}

impl Retired {
    /// Takes over from OpenSSL: `farewell` is the close_notify that it has made.
    pub(crate) fn new(opener: Opener, flight: Vec<Vec<u8>>, farewell: Vec<u8>) -> Self {
        let outbound = VecDeque::new();
        Self { opener, newest: None, flight, farewell: Some(farewell), outbound, closing: Closing::Open }
    }

    /// Takes in one datagram. Records that do not authenticate change nothing.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8]) {
        if self.closing != Closing::Open {
            return;
        }
        for (record, _) in record::split(datagram) {
            match self.open(record).as_deref() {
                Some([FINISHED, ..]) if record.first() == Some(&record::HANDSHAKE) => self.repeat_flight(),
                Some(&[level, description])
                    if record.first() == Some(&record::ALERT)
                        && (level == record::FATAL || description == CLOSE_NOTIFY) =>
                {
                    self.outbound.extend(self.farewell.take());
                    self.closing = Closing::Closed;
                }
                _ => {}
            }
        }
    }

    /// Whether the peer has ended the association; true once.
    pub(crate) fn poll_closed(&mut self) -> bool {
        let closed = self.closing == Closing::Closed;
        if closed {
            self.closing = Closing::Told;
        }
        closed
    }

    /// Returns the next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbound.pop_front()
    }

    /// Sends the last flight again, in the records that it had: the peer drops those that it has received.
    fn repeat_flight(&mut self) {
        if self.outbound.is_empty() {
            self.outbound.extend(self.flight.iter().cloned());
        }
    }

    /// Decrypts a record that is newer than those before.
    fn open(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let number = u64::from_be_bytes(*record.get(EPOCH_AND_NUMBER)?.first_chunk()?);
        if self.newest.is_some_and(|newest| number <= newest) {
            return None;
        }
        let plaintext = self.opener.open(record)?;
        self.newest = Some(number);
        Some(plaintext)
    }
}

/// The key for the peer's records.
pub(crate) struct Opener {
    cipher: Cipher,
    key: Vec<u8>,
    salt: [u8; SALT_LEN],
}

impl Opener {
    /// Derives the key from a handshake that is complete (RFC 5246 §6.3). `None` for other ciphers than AES-GCM.
    pub(crate) fn new(ssl: &SslRef, local: Role) -> Option<Self> {
        let name = ssl.current_cipher()?.name();
        let cipher = match () {
            () if name.contains("AES128-GCM") => Cipher::aes_128_gcm(),
            () if name.contains("AES256-GCM") => Cipher::aes_256_gcm(),
            () => return None,
        };
        let digest = if name.ends_with("SHA384") { MessageDigest::sha384() } else { MessageDigest::sha256() };
        let mut block = key_block(ssl, digest, 2 * (cipher.key_len() + SALT_LEN))?;
        // client_write_key, server_write_key, client_write_IV, server_write_IV.
        let (keys, salts) = block.split_at(2 * cipher.key_len());
        let peer = if local == Role::Server { 0 } else { 1 };
        let key = keys.chunks_exact(cipher.key_len()).nth(peer).map(<[u8]>::to_vec);
        let salt = salts.chunks_exact(SALT_LEN).nth(peer).and_then(|salt| salt.first_chunk().copied());
        wipe(&mut block);
        Some(Self { cipher, key: key?, salt: salt? })
    }

    /// Decrypts a record (RFC 5288 §3); `None` if it does not authenticate.
    fn open(&self, record: &[u8]) -> Option<Vec<u8>> {
        let (header, body) = record.split_at_checked(record::HEADER_LEN)?;
        let (explicit, rest) = body.split_at_checked(EXPLICIT_NONCE_LEN)?;
        let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_LEN)?)?;
        let len = u16::try_from(ciphertext.len()).ok()?.to_be_bytes();
        let nonce = [&self.salt, explicit].concat();
        // seq_num + type + version + length (RFC 5246 §6.2.3.3).
        let data = [header.get(EPOCH_AND_NUMBER)?, header.get(..3)?, &len].concat();
        decrypt_aead(self.cipher, &self.key, Some(&nonce), &data, ciphertext, tag).ok()
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        wipe(&mut self.key);
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

/// The first `len` octets of the key block.
fn key_block(ssl: &SslRef, digest: MessageDigest, len: usize) -> Option<Vec<u8>> {
    let mut master = [0; MASTER_SECRET_LEN];
    let (mut client, mut server) = ([0; RANDOM_LEN], [0; RANDOM_LEN]);
    let is_whole = ssl.session()?.master_key(&mut master) == master.len()
        && ssl.client_random(&mut client) == client.len()
        && ssl.server_random(&mut server) == server.len();
    let seed = [KEY_EXPANSION, &server, &client].concat();
    let block = is_whole.then(|| p_hash(digest, &master, &seed, len).ok());
    wipe(&mut master);
    block?
}

/// The function P_hash of RFC 5246 §5.
fn p_hash(digest: MessageDigest, secret: &[u8], seed: &[u8], len: usize) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(secret)?;
    let hmac = |data: &[u8]| Signer::new(digest, &key)?.sign_oneshot_to_vec(data);
    let (mut chain, mut output) = (seed.to_vec(), Vec::new());
    while output.len() < len {
        chain = hmac(&chain)?;
        output.extend(hmac(&[&chain, seed].concat())?);
    }
    output.truncate(len);
    Ok(output)
}

/// The place of epoch and sequence number in a record's header.
const EPOCH_AND_NUMBER: std::ops::Range<usize> = 3..11;
const FINISHED: u8 = 20;
const CLOSE_NOTIFY: u8 = 0;
const KEY_EXPANSION: &[u8] = b"key expansion";
const MASTER_SECRET_LEN: usize = 48;
const RANDOM_LEN: usize = 32;
const SALT_LEN: usize = 4;
const EXPLICIT_NONCE_LEN: usize = 8;
const TAG_LEN: usize = 16;
