//! The bodies of the fuzz targets in `tests/fuzz`, kept here so that they always compile. They panic when the crate
//! breaks a promise.

use crate::sdes::{CryptoAttribute, Negotiation, Refusal};
use crate::{MAX_TRAILER_LEN, Policy, Session, Streams, Suite};

/// Packets made without the key are refused as the peer's fault, and the session keeps working.
pub fn unprotect(input: &[u8]) {
    let Some((choice, packet)) = input.split_first() else { return };
    let suite = Suite::ALL[usize::from(*choice) % Suite::ALL.len()];
    let key = [0xa7; 46];
    let session = |streams| {
        let policy = Policy::new(streams, suite, &key[..suite.master_len()]).expect("its length");
        Session::new(&[policy]).expect("a session")
    };
    let mut receiver = session(Streams::AnyInbound);
    for error in [receiver.unprotect_rtp(&mut packet.to_vec()), receiver.unprotect_rtcp(&mut packet.to_vec())] {
        assert!(error.expect_err("without the key").is_peers_fault());
    }
    let mut genuine = [0x80; 40 + MAX_TRAILER_LEN];
    let len = session(Streams::AnyOutbound).protect_rtp(&mut genuine, 40).expect("protected");
    assert_eq!(receiver.unprotect_rtp(&mut genuine[..len]), Ok(40));
}

/// Feeds the peer's lines to a negotiation. An accepted line is answered with its tag and suite, and changes nothing
/// when it is repeated; a refused line changes nothing at all.
pub fn crypto_lines(input: &[u8]) {
    let Ok(lines) = std::str::from_utf8(input) else { return };
    let mut random = 0_u8;
    let mut fill = |key: &mut [u8]| {
        random = random.wrapping_add(1);
        key.fill(random);
    };
    let [mut answerer, mut offerer] = [Negotiation::new(), Negotiation::new()];
    offerer.offer(&[Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm], &mut fill);
    for line in lines.lines().take(100) {
        let read = CryptoAttribute::parse(line);
        if let Ok(read) = &read {
            match CryptoAttribute::parse(&read.to_sdp()) {
                // Base64 padding that the input lacked is added.
                Err(Refusal::TooLong(_)) => assert!(line.len() > 900),
                again => assert_eq!(again.as_ref(), Ok(read)),
            }
        }
        for ours in [&mut answerer, &mut offerer] {
            let before: Vec<_> = ours.lines().collect();
            let Ok(accepted) = ours.consider(line, &mut fill) else {
                assert_eq!(ours.lines().collect::<Vec<_>>(), before);
                continue;
            };
            ours.conclude(accepted);
            let answer: Vec<_> = ours.lines().map(|line| CryptoAttribute::parse(&line).expect("ours")).collect();
            let read = read.as_ref().expect("accepted");
            assert_eq!(answer.iter().map(|line| (line.tag, line.suite)).collect::<Vec<_>>(), [(read.tag, read.suite)]);
            assert!(ours.consider(line, &mut fill).expect("again").keys().is_none());
        }
    }
}
