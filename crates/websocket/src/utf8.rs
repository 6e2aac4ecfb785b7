//! Checks UTF-8 as it arrives (RFC 6455 §8.1). The end of a fragment or of a read may cut a character anywhere. Text
//! that can no longer become valid is refused at once.

/// The text is not UTF-8, whatever may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUtf8;

/// Checks one text piece by piece. Keeps at most three bytes, of an incomplete character.
#[derive(Debug, Clone, Default)]
pub struct Validator {
    begun: [u8; 4],
    len: usize,
}

impl Validator {
    /// Checks the next piece of the text.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.complete_with(byte)?;
        }
        match incomplete_tail(piece)? {
            [] => Ok(()),
            tail => {
                self.len = tail.len();
                self.begun.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
                Ok(())
            }
        }
    }

    /// Whether the text may end here: it does not end within a character.
    pub fn is_complete(&self) -> bool {
        self.len == 0
    }

    fn complete_with(&mut self, byte: u8) -> Result<(), NotUtf8> {
        let slot = self.begun.get_mut(self.len).ok_or(NotUtf8)?;
        *slot = byte;
        self.len += 1;
        if incomplete_tail(self.begun.get(..self.len).ok_or(NotUtf8)?)?.is_empty() {
            self.len = 0;
        }
        Ok(())
    }
}

/// Returns the incomplete character at the end of `piece`; empty if there is none.
fn incomplete_tail(piece: &[u8]) -> Result<&[u8], NotUtf8> {
    match std::str::from_utf8(piece) {
        Ok(_) => Ok(&[]),
        // `error_len` is `None` exactly if the piece ends within a character.
        Err(error) if error.error_len().is_none() => piece.get(error.valid_up_to()..).ok_or(NotUtf8),
        Err(_) => Err(NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pieces: &[&[u8]]) -> Result<bool, NotUtf8> {
        let mut validator = Validator::default();
        for piece in pieces {
            validator.push(piece)?;
        }
        Ok(validator.is_complete())
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        assert_eq!(check(&[b"\xf0", b"\x9f", b"\x98", b"\x80!"]), Ok(true));
        assert_eq!(check(&[b"x\xf0\x9f", b"", b"\x98"]), Ok(false));
    }

    #[test]
    fn section_8_1_refused_as_soon_as_nothing_can_save_it() {
        // An overlong form, a surrogate or a character beyond U+10FFFF is known at its second byte at the latest.
        for head in [&b"\xe0\x80"[..], b"\xed\xa0", b"\xf4\x90", b"\xc0", b"\xff"] {
            assert_eq!(check(&[head]), Err(NotUtf8), "{head:x?}");
            assert_eq!(check(&head.chunks(1).collect::<Vec<_>>()), Err(NotUtf8), "{head:x?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_agree_with_the_whole(
            data in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..12),
                any::<String>().prop_map(String::into_bytes),
            ],
            size in 1usize..5,
        ) {
            let pieces: Vec<&[u8]> = data.chunks(size).collect();
            let whole = std::str::from_utf8(&data);
            prop_assert_eq!(check(&pieces) == Ok(true), whole.is_ok());
        }
    }
}
