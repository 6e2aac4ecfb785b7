//! Masking (RFC 6455 §5.3): byte `i` of the payload is combined with byte `i mod 4` of the key.

/// Masks or unmasks `data`, which begins `offset` bytes into the payload. Masking twice restores the data.
pub fn apply(key: [u8; 4], offset: usize, data: &mut [u8]) {
    let mut key = key;
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = data.chunks_exact_mut(8);
    for bytes in &mut words {
        // unwrap: `chunks_exact_mut(8)` yields eight bytes.
        let plain = u64::from_ne_bytes((&*bytes).try_into().unwrap()) ^ word;
        bytes.copy_from_slice(&plain.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn section_5_7_masked_hello() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut payload);
        assert_eq!(&payload, b"Hello");
    }

    proptest! {
        #[test]
        fn words_agree_with_bytes_at_every_length_and_split(
            key: [u8; 4], data in proptest::collection::vec(any::<u8>(), 0..70), split in 0usize..70,
        ) {
            let slow: Vec<u8> = data.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let mut fast = data;
            let split = split.min(fast.len());
            let (head, tail) = fast.split_at_mut(split);
            apply(key, 0, head);
            apply(key, split, tail);
            prop_assert_eq!(fast, slow);
        }
    }
}
