//! permessage-deflate (RFC 7692): the negotiation, and the compression of each message on its own.
//!
//! Our answer always demands "no context takeover" in both directions (§7.1.1), so a connection keeps no window between
//! messages. An idle connection costs no memory, and the memory for a message is bounded and freed with the message. A
//! client that wants a smaller window from us gets it (§7.1.2.1); its own window may have any size.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::FrameError;
use crate::extension::Offered;

/// The parameters of permessage-deflate that both ends agreed on (RFC 7692 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// The base-2 logarithm of the window that we compress with, 9 to 15.
    window_bits: u8,
    /// The client asked for the size of our window, so the answer has to name it (§7.1.2.1).
    wants_window: bool,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { window_bits: MAX_WINDOW_BITS, wants_window: false }
    }
}

const NAME: &str = "permessage-deflate";

const MAX_WINDOW_BITS: u8 = 15;

/// The smallest window that can be promised. zlib uses 9 bits when asked for 8.
const MIN_WINDOW_BITS: u8 = 9;

/// Messages shorter than this, in bytes, are not compressed.
const WORTHWHILE_LEN: usize = 64;

/// The end of every compressed message. It is removed before sending (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Chooses the first of a client's offers that we can accept (RFC 7692 §5.1, §7.1), while the offers are read.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    chosen: Option<Deflate>,
    /// The offer that is being read; `None` if it is of another extension or has to be declined.
    offer: Option<Offer>,
}

#[derive(Debug, Default)]
struct Offer {
    deflate: Deflate,
    /// Which of [`PARAMETERS`] the offer has.
    seen: [bool; PARAMETERS.len()],
}

const PARAMETERS: [&str; 4] =
    ["server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits", "server_max_window_bits"];

impl Choice {
    pub(crate) fn handle(&mut self, offered: Offered<'_>) {
        let offer = self.offer.take();
        match offered {
            Offered::Extension(name) => {
                self.chosen = self.chosen.or(offer.map(|offer| offer.deflate));
                self.offer = (name == NAME).then(Offer::default);
            }
            Offered::Parameter(name, value) => {
                self.offer = offer.and_then(|offer| offer.with(name, value.as_deref()));
            }
        }
    }

    pub(crate) fn made(self) -> Option<Deflate> {
        self.chosen.or(self.offer.map(|offer| offer.deflate))
    }
}

impl Offer {
    /// Adds a parameter to the offer. `None` declines the offer: the parameter is unknown, repeated or invalid (RFC
    /// 7692 §7.1).
    fn with(mut self, name: &str, value: Option<&str>) -> Option<Self> {
        let known = PARAMETERS.iter().position(|known| *known == name)?;
        if std::mem::replace(self.seen.get_mut(known)?, true) {
            return None;
        }
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            ("client_max_window_bits", bits) => drop(bits.map_or(Some(15), window_bits)?),
            ("server_max_window_bits", Some(bits)) => {
                let bits = window_bits(bits).filter(|bits| *bits >= MIN_WINDOW_BITS)?;
                self.deflate = Deflate { window_bits: bits, wants_window: true };
            }
            _ => return None,
        }
        Some(self)
    }
}

impl Deflate {
    /// Returns the value of `Sec-WebSocket-Extensions` in the answer.
    pub(crate) fn answer(self) -> String {
        let window =
            if self.wants_window { format!("; server_max_window_bits={}", self.window_bits) } else { String::new() };
        format!("{NAME}; server_no_context_takeover; client_no_context_takeover{window}")
    }

    /// Compresses a message (RFC 7692 §7.2.1). `None` if the message is better sent uncompressed, which §6 allows for
    /// each message.
    pub(crate) fn compress(self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() < WORTHWHILE_LEN {
            return None;
        }
        // A window larger than the message would waste memory.
        let enough = (usize::BITS - payload.len().leading_zeros()) as u8;
        let bits = self.window_bits.min(enough.max(MIN_WINDOW_BITS));
        let mut compress = Compress::new_with_window_bits(Compression::default(), false, bits);
        // A result that is longer than the message is not used.
        let mut compressed = Vec::with_capacity(payload.len());
        let status = compress.compress_vec(payload, &mut compressed, FlushCompress::Sync).ok()?;
        let is_whole = status == Status::Ok && compress.total_in() == payload.len() as u64;
        let len = compressed.len().checked_sub(TAIL.len()).filter(|_| compressed.ends_with(&TAIL))?;
        // Room that is left proves that the flush is complete.
        let has_room = compressed.len() < compressed.capacity();
        compressed.truncate(len);
        (is_whole && has_room).then_some(compressed)
    }
}

/// Reads a window size: a number from 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window_bits(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|bits| is_plain && (8..=MAX_WINDOW_BITS).contains(bits))
}

/// Decompresses one message (RFC 7692 §7.2.2) piece by piece, and never to more than the accepted length.
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// Decompresses `data` and appends the result to `to`. Fails if `to` would become longer than `max` bytes.
    pub(crate) fn inflate(&mut self, mut data: &[u8], to: &mut Vec<u8>, max: usize) -> Result<(), FrameError> {
        let mut room = [0; 4096];
        loop {
            let (taken, given) = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(data, &mut room, FlushDecompress::Sync).map_err(|_| FrameError::Deflate)?;
            // The casts are exact: neither number exceeds the length of its buffer.
            let (taken, given) = ((self.0.total_in() - taken) as usize, (self.0.total_out() - given) as usize);
            data = data.get(taken..).unwrap_or_default();
            let len = to.len() + given;
            if len > max {
                return Err(FrameError::TooBig { len: len as u64, max: max as u64 });
            }
            to.extend_from_slice(room.get(..given).unwrap_or_default());
            if status == Status::StreamEnd {
                // A final block does not end the message (RFC 7692 §7.2.3.4).
                self.0.reset(false);
            } else if taken == 0 && given == 0 {
                // zlib makes no progress: that is an error unless the input is used up.
                return if data.is_empty() { Ok(()) } else { Err(FrameError::Deflate) };
            }
            if data.is_empty() && given < room.len() {
                return Ok(());
            }
        }
    }

    /// Ends the message after its last piece.
    pub(crate) fn finish(&mut self, to: &mut Vec<u8>, max: usize) -> Result<(), FrameError> {
        self.inflate(&TAIL, to, max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(header: &str) -> Option<Deflate> {
        let mut choice = Choice::default();
        crate::extension::parse(header, |offered| choice.handle(offered)).expect("well-formed");
        choice.made()
    }

    fn inflated(pieces: &[&[u8]], max: usize) -> Result<Vec<u8>, FrameError> {
        let (mut inflater, mut to) = (Inflater::new(), Vec::new());
        for piece in pieces {
            inflater.inflate(piece, &mut to, max)?;
        }
        inflater.finish(&mut to, max)?;
        Ok(to)
    }

    #[test]
    fn section_7_1_3_offers_are_answered() {
        let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10; client_no_context_takeover",
            "x-other, permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate, permessage-deflate; server_max_window_bits=10, x-other; unknown",
        ] {
            assert_eq!(chosen(offer).map(Deflate::answer).as_deref(), Some(plain), "{offer}");
        }
        let small = chosen("permessage-deflate; server_max_window_bits=\"10\"").expect("can be kept");
        assert_eq!(small.answer(), format!("{plain}; server_max_window_bits=10"));
    }

    #[test]
    fn section_7_1_offers_that_are_declined() {
        for offer in [
            "permessage-deflat",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=+9",
        ] {
            assert_eq!(chosen(offer), None, "{offer}");
        }
    }

    #[test]
    fn section_7_2_3_examples() {
        let hello = Ok(b"Hello".to_vec());
        assert_eq!(inflated(&[&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]], 5), hello, "7.2.3.1");
        assert_eq!(inflated(&[&[0xf2, 0x48, 0xcd], &[0xc9, 0xc9, 0x07, 0x00]], 5), hello, "7.2.3.1, in two frames");
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(inflated(&[&stored], 5), hello, "7.2.3.3");
        assert_eq!(inflated(&[&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]], 5), hello, "7.2.3.4");
        let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflated(&[&two], 5), hello, "7.2.3.5");
        assert_eq!(inflated(&[&[0x00]], 5), Ok(Vec::new()), "7.2.3.6");
        assert_eq!(inflated(&[&[0xff; 20]], 5), Err(FrameError::Deflate));
    }

    #[test]
    fn a_bomb_goes_off_at_the_limit() {
        let bomb = Deflate::default().compress(&vec![b'x'; 16 << 20]).expect("compresses well");
        assert!(bomb.len() < 20_000);
        let (mut inflater, mut to) = (Inflater::new(), Vec::new());
        assert!(matches!(inflater.inflate(&bomb, &mut to, 1000), Err(FrameError::TooBig { max: 1000, .. })));
        assert!(to.capacity() <= 8192);
    }

    #[test]
    fn what_does_not_shrink_goes_as_it_is() {
        assert_eq!(Deflate::default().compress(b"short"), None);
        // A generator of bytes that do not compress.
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        })
        .take(5000)
        .collect();
        assert_eq!(Deflate::default().compress(&noise), None);
    }

    proptest! {
        #[test]
        fn inflate_undoes_compress(
            text in "[a-d ]{64,3000}", window_bits in MIN_WINDOW_BITS..=MAX_WINDOW_BITS, cut in 0usize..3000,
        ) {
            let deflate = Deflate { window_bits, wants_window: true };
            if let Some(compressed) = deflate.compress(text.as_bytes()) {
                let (head, tail) = compressed.split_at(cut.min(compressed.len()));
                prop_assert_eq!(inflated(&[head, tail], text.len()), Ok(text.into_bytes()));
            }
        }

        #[test]
        fn rubbish_is_refused_or_bounded(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(out) = inflated(&[&data], 1000) {
                prop_assert!(out.len() <= 1000);
            }
        }
    }
}
