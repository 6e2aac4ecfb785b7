//! Keeps the mapping of a socket in a NAT (RFC 8445 §11) until checks do: while an offer of ours waits for its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::Seed;
use crate::random::Random;

/// The Binding indications of one socket.
#[derive(Debug)]
pub struct Keepalive {
    server: SocketAddr,
    due: Instant,
    random: Random,
}

impl Keepalive {
    /// Begins with a mapping that `server` has confirmed some seconds ago; the first indication is due at once. `seed` is random, and used for nothing else.
    pub fn new(now: Instant, server: SocketAddr, seed: [u8; 32]) -> Self {
        Self { server, due: now, random: Random::from_seed(&Seed(seed)) }
    }

    /// The STUN server. The mapping towards it is the one that peers are told, as most NATs have one for all.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// When [`Self::poll_transmit`] next has something to send.
    pub fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Returns the indication that is due (RFC 8489 §6.3.2). Nobody answers it.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<[u8; 20]> {
        if now < self.due {
            return None;
        }
        self.due = now + INTERVAL;
        let mut indication = [0; 20];
        let (head, id) = indication.split_at_mut(HEAD.len());
        head.copy_from_slice(&HEAD);
        id.copy_from_slice(&self.random.transaction_id().to_be_bytes()[4..]);
        Some(indication)
    }
}

/// RFC 8445 §11: no less than 15 s.
const INTERVAL: Duration = Duration::from_secs(15);
/// Type and length of a Binding indication, and the magic cookie (RFC 8489 §5).
const HEAD: [u8; 8] = [0x00, 0x11, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42];

#[cfg(test)]
mod tests {
    use stun_types::message::{BINDING, Message, MessageClass};

    use super::*;

    #[test]
    fn rfc8445_section_11_an_indication_is_sent_every_15_s() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(start, ([192, 0, 2, 1], 3478).into(), [7; 32]);
        let mut ids = Vec::new();
        for second in 0..=60 {
            let Some(sent) = keepalive.poll_transmit(start + Duration::from_secs(second)) else { continue };
            let message = Message::from_bytes(&sent).unwrap();
            assert_eq!((message.class(), message.method()), (MessageClass::Indication, BINDING));
            ids.push((second, message.transaction_id()));
        }
        assert_eq!(ids.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [0, 15, 30, 45, 60]);
        assert!(ids.windows(2).all(|pair| pair[0].1 != pair[1].1));
    }
}
