//! Keeps octets that are no UTF-8 from those who take text for text (RFC 3629 §10).

use std::ops::Range;

/// Puts U+FFFD in the place of octets that are no UTF-8 (Unicode, 3.9: one for each part that begins a character well). The text in
/// `range` of `buffer` grows behind its end; what would not fit into `buffer` is cut off. Returns the new range. RFC 4103 §4 has whole
/// characters only in a packet, so a character that is cut by the end of one is no character.
///
/// # Panics
/// When `range` is not within `buffer`.
pub fn mend(buffer: &mut [u8], range: Range<usize>) -> Range<usize> {
    if str::from_utf8(&buffer[range.clone()]).is_ok() {
        return range;
    }
    let text = String::from_utf8_lossy(&buffer[range.clone()]).into_owned();
    let room = buffer.len() - range.start;
    let length = text.floor_char_boundary(room.min(text.len()));
    let end = range.start + length;
    buffer[range.start..end].copy_from_slice(&text.as_bytes()[..length]);
    range.start..end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mended(room: usize, text: &[u8]) -> String {
        let mut buffer = vec![b'#'; 3];
        buffer.extend_from_slice(text);
        buffer.resize(3 + text.len() + room, b'#');
        let range = mend(&mut buffer, 3..3 + text.len());
        assert_eq!((range.start, &buffer[..3]), (3, &b"###"[..]));
        String::from_utf8(buffer[range].to_vec()).unwrap()
    }

    #[test]
    fn text_stays_and_other_octets_become_one_sign_each() {
        assert_eq!(mended(0, "gr\u{fc}n \u{1F600}".as_bytes()), "gr\u{fc}n \u{1F600}");
        assert_eq!(mended(10, b"a\xFFb\xC3"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(mended(100, b"\xED\xA0\x80"), "\u{FFFD}\u{FFFD}\u{FFFD}", "a surrogate");
        assert_eq!(mended(100, b"\xE2\x82x"), "\u{FFFD}x", "the beginning of a character");
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_character() {
        assert_eq!(mended(2, b"\xFF\xFF\xFF"), "\u{FFFD}");
        assert_eq!(mended(0, b"\xFF"), "");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_text_afterwards(text in prop::collection::vec(any::<u8>(), 0..64), room in 0usize..200) {
            let expected = String::from_utf8_lossy(&text).into_owned();
            let mended = mended(room, &text);
            prop_assert!(expected.starts_with(&mended));
            prop_assert!(mended == expected || expected.len() > text.len() + room);
        }
    }
}
