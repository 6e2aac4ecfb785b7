//! Body of the fuzz target, here so that it keeps compiling; `tests/fuzz` calls it. It panics when a promise of the crate is
//! broken.

use crate::{MAX_TRAILER_LEN, Policy, Session, Streams, Suite};

/// Whatever comes from somebody without the key is refused, by the peer's fault, and the session goes on.
pub fn unprotect(input: &[u8]) {
    let Some((choice, packet)) = input.split_first() else { return };
    let suite =
        [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32, Suite::AesCm256HmacSha1_80, Suite::AeadAes128Gcm]
            [usize::from(choice & 3)];
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
