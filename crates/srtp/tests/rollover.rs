//! Sources whose rollover counter was lost (RFC 3711 §3.3.1).

use media_srtp::{Error, MAX_TRAILER_LEN, Policy, Session, Streams, Suite};

const SUITES: [Suite; 1] = [Suite::AesCm128HmacSha1_80];

#[test]
fn a_source_is_heard_again_after_any_gap_of_up_to_four_rollovers() {
    for suite in SUITES {
        for (before, gap) in [(10, 40_000), (40_000, 33_000), (65_000, 65_000), (100_000, 70_000), (70_000, 250_000)] {
            let mut call = Call::new(suite);
            call.send_through(before);
            call.lose(gap);
            let refused = call.refused_until_heard();
            assert!(refused <= 8, "{suite:?} {before} {gap}: {refused} refused");
            // The counter goes on by itself.
            call.send_through(70_000);
        }
    }
}

#[test]
fn a_source_that_is_first_heard_after_hours_is_found() {
    for suite in SUITES {
        for sent_before in [65_536, 200_000, 500_000] {
            let mut call = Call::new(suite);
            call.lose(sent_before);
            assert!(call.refused_until_heard() <= 8, "{suite:?} {sent_before}");
            call.send_through(70_000);
        }
    }
}

#[test]
fn forgeries_and_replays_move_no_counter() {
    for suite in SUITES {
        let mut call = Call::new(suite);
        let old = call.protected();
        call.send_through(70_000);
        for number in 0..2_000_u16 {
            let mut forged = plain(number.wrapping_mul(33), 7);
            assert!(call.receiver.unprotect_rtp(&mut forged).is_err());
            let mut unknown = plain(number, u32::from(number) + 100);
            assert_eq!(call.receiver.unprotect_rtp(&mut unknown), Err(Error::Authentication));
            assert!(call.receiver.unprotect_rtp(&mut old.clone()).is_err());
        }
        call.send_through(10);
    }
}

#[test]
fn a_source_is_found_among_forgeries() {
    let mut call = Call::new(Suite::AesCm128HmacSha1_80);
    call.send_through(10);
    call.lose(100_000);
    let heard = (0..200).any(|_| {
        let forged = (0..6).all(|number| call.receiver.unprotect_rtp(&mut plain(number, 7)).is_err());
        let mut genuine = call.protected();
        forged && call.receiver.unprotect_rtp(&mut genuine).is_ok()
    });
    assert!(heard);
}

struct Call {
    sender: Session,
    receiver: Session,
    next: u16,
}

impl Call {
    fn new(suite: Suite) -> Self {
        let key = vec![0x5a; suite.master_len()];
        let session = |streams| Session::new(&[Policy::new(streams, suite, &key).expect("its length")]).expect("made");
        Self { sender: session(Streams::AnyOutbound), receiver: session(Streams::AnyInbound), next: 0 }
    }

    fn protected(&mut self) -> Vec<u8> {
        let mut packet = plain(self.next, 7);
        self.next = self.next.wrapping_add(1);
        let len = self.sender.protect_rtp(&mut packet, 32).expect("protected");
        packet.truncate(len);
        packet
    }

    fn lose(&mut self, packets: u32) {
        (0..packets).for_each(|_| drop(self.protected()));
    }

    fn send_through(&mut self, packets: u32) {
        for _ in 0..packets {
            let mut packet = self.protected();
            assert_eq!(self.receiver.unprotect_rtp(&mut packet), Ok(32), "before {}", self.next);
        }
    }

    /// Sends until a packet is heard; returns how many were refused before it.
    fn refused_until_heard(&mut self) -> usize {
        (0..100)
            .take_while(|_| {
                let mut packet = self.protected();
                self.receiver.unprotect_rtp(&mut packet).is_err()
            })
            .count()
    }
}

/// A packet of 32 bytes in a buffer with room for the trailer.
fn plain(sequence_number: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0xd5; 32 + MAX_TRAILER_LEN];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}
