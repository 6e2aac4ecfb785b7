//! The datagrams of a stranger.

use std::hash::{BuildHasher, RandomState};

use super::Known;

/// Random numbers (xorshift64*), and datagrams made of them.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins somewhere.
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    /// A port above those of the system.
    pub fn port(&mut self) -> u16 {
        1024 + (self.next() >> 48) as u16 / 4
    }

    /// A datagram.
    pub fn datagram(&mut self, known: &Known) -> Vec<u8> {
        match self.below(16) {
            // Checks with a wrong password, of another user, and without integrity.
            0 => self.check(&known.username, 20),
            1 => {
                let username = self.bytes(9);
                self.check(&username, 20)
            }
            2 => self.check(&known.username, 0),
            // Answers that nobody authenticated, also to a check that Asterisk did send.
            3 => self.answer(known, 0x0101, None),
            4 => {
                let code = [400, 401, 403, 437, 438, 487, 500][self.below(7)];
                self.answer(known, 0x0111, Some(code))
            }
            // An indication, and a message whose length is wrong.
            5 => self.stun(0x0011, &[]),
            6 => {
                let len = 20 + self.below(60);
                let mut message = [&[0, 1][..], &self.bytes(len)].concat();
                message[4..8].copy_from_slice(&COOKIE);
                message
            }
            // DTLS: a ClientHello, alerts, records of any epoch, and the peer's own again.
            7 => self.client_hello(),
            8 => {
                let (level, description) = (1 + self.byte() % 2, self.byte());
                self.record(21, 0, &[level, description])
            }
            9 => {
                let (kind, epoch, len) = (20 + self.byte() % 5, u16::from(self.byte() % 4), 1 + self.below(80));
                let body = self.bytes(len);
                self.record(kind, epoch, &body)
            }
            10 => self.one_of(&known.handshake),
            // Noise: any first byte, any length.
            11 => {
                let len = self.below(120);
                self.bytes(len)
            }
            12 => {
                let len = 1 + self.below(1400);
                self.bytes(len)
            }
            13 => self.one_of(&known.media),
            14 => self.media(known),
            _ => self.bye(known),
        }
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn one_of<'a>(&mut self, all: impl IntoIterator<Item = &'a Vec<u8>, IntoIter: ExactSizeIterator>) -> Vec<u8> {
        let mut all = all.into_iter();
        if all.len() == 0 {
            return self.bytes(40);
        }
        let at = self.below(all.len());
        all.nth(at).cloned().unwrap_or_default()
    }

    /// A check (RFC 8445 §7.2) with an integrity of this length: 20 for a wrong one, 0 for none.
    fn check(&mut self, username: &[u8], integrity: usize) -> Vec<u8> {
        let mut attributes = attribute(0x0006, username);
        attributes.extend(attribute(0x0024, &self.bytes(4)));
        attributes.extend(attribute(0x802A, &self.bytes(8)));
        attributes.extend(attribute(0x0025, &[]));
        if integrity > 0 {
            attributes.extend(attribute(0x0008, &self.bytes(integrity)));
        }
        self.stun(0x0001, &attributes)
    }

    fn answer(&mut self, known: &Known, kind: u16, code: Option<u16>) -> Vec<u8> {
        let error = |code: u16| attribute(0x0009, &[0, 0, (code / 100) as u8, (code % 100) as u8]);
        let mut attributes = code.map(error).unwrap_or_default();
        if self.below(2) == 0 {
            attributes.extend(attribute(0x0008, &self.bytes(20)));
        }
        let mut message = self.stun(kind, &attributes);
        if let Some(asked) = known.asked.filter(|_| self.below(2) == 0) {
            message[8..20].copy_from_slice(&asked);
        }
        message
    }

    fn stun(&mut self, kind: u16, attributes: &[u8]) -> Vec<u8> {
        let len = (attributes.len() as u16).to_be_bytes();
        [&kind.to_be_bytes()[..], &len, &COOKIE, &self.bytes(12), attributes].concat()
    }

    fn client_hello(&mut self) -> Vec<u8> {
        // DTLS 1.2, no cookie, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no extension.
        let hello = [&[0xFE, 0xFD][..], &self.bytes(32), &[0, 0, 0, 2, 0xC0, 0x2F, 1, 0]].concat();
        let [.., high, low] = (hello.len() as u32).to_be_bytes();
        let message = [&[1, 0, high, low, 0, 0, 0, 0, 0, 0, high, low], &hello[..]].concat();
        self.record(22, 0, &message)
    }

    fn record(&mut self, kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16).to_be_bytes();
        [&[kind, 0xFE, 0xFD], &epoch.to_be_bytes()[..], &self.bytes(6), &len, body].concat()
    }

    /// A packet that follows one of the peer's.
    fn media(&mut self, known: &Known) -> Vec<u8> {
        let mut packet = known.media.back().cloned().unwrap_or_else(|| self.bytes(182));
        let end = packet.len().min(12);
        if let Some([high, low]) = packet.get_mut(2..4) {
            let number = u16::from_be_bytes([*high, *low]).wrapping_add(1 + u16::from(self.0 as u8 % 8));
            [*high, *low] = number.to_be_bytes();
        }
        packet[end..].iter_mut().for_each(|byte| *byte = self.byte());
        packet
    }

    /// A receiver report and BYE (RFC 3550 §6.6) of the peer's source.
    fn bye(&mut self, known: &Known) -> Vec<u8> {
        let source = known.media.back().and_then(|packet| packet.get(8..12)).unwrap_or(&[1, 2, 3, 4]).to_vec();
        [&[0x80, 201, 0, 1], &source[..], &[0x81, 203, 0, 1], &source].concat()
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

/// USERNAME of a STUN message (RFC 8489 §14.3).
pub fn username(message: &[u8]) -> Option<&[u8]> {
    let mut attributes = message.get(20..)?;
    loop {
        let (&[k1, k0, l1, l0], rest) = attributes.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l1, l0]));
        if [k1, k0] == [0, 6] {
            return rest.get(..len);
        }
        attributes = rest.get(len.next_multiple_of(4)..)?;
    }
}

/// The magic cookie of STUN (RFC 8489 §5).
const COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();

/// A STUN attribute with its padding (RFC 8489 §14).
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = (value.len() as u16).to_be_bytes();
    let padding = value.len().next_multiple_of(4) - value.len();
    [&kind.to_be_bytes()[..], &len, value, &[0; 3][..padding]].concat()
}
