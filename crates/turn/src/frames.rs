//! Cuts a stream of TCP or TLS into STUN messages and ChannelData messages (RFC 8656 §12.5).
//!
//! ```text
//!   STUN         00 type(14 bits) | length | magic cookie | transaction id | attributes, `length` octets, a multiple of 4
//!   ChannelData  01 number        | length | data, `length` octets | 0 to 3 octets of padding in a stream
//! ```

/// The server's octets that are not cut into frames yet.
#[derive(Debug, Default)]
pub struct Frames {
    octets: Vec<u8>,
    /// The octets before this index have been returned.
    start: usize,
}

/// The stream is not one of STUN messages and ChannelData. Nothing that follows can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's stream is neither STUN nor ChannelData")]
pub struct Garbage;

impl Frames {
    /// Takes in octets of the stream. The caller takes all frames out before it calls again, so that less than one frame is kept.
    pub fn handle_octets(&mut self, octets: &[u8]) {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.extend_from_slice(octets);
    }

    /// Moves the next whole frame into `buffer`, without its padding; returns its length. A frame that is longer than `buffer` is
    /// skipped.
    pub fn poll_frame(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Garbage> {
        loop {
            let waiting = self.octets.get(self.start..).unwrap_or_default();
            let Some((len, padded)) = measure(waiting)? else { return Ok(None) };
            if waiting.len() < padded {
                return Ok(None);
            }
            let frame = waiting.get(..len).unwrap_or_default();
            self.start += padded;
            if let Some(room) = buffer.get_mut(..len) {
                room.copy_from_slice(frame);
                return Ok(Some(len));
            }
        }
    }

    /// Returns the number of octets that are kept.
    pub fn kept(&self) -> usize {
        self.octets.len() - self.start
    }
}

/// Returns the length of the frame that `octets` begin with, without and with its padding; `None` while the header is incomplete.
fn measure(octets: &[u8]) -> Result<Option<(usize, usize)>, Garbage> {
    let &[first, _, high, low, ..] = octets else {
        return if octets.first().is_some_and(|first| first >> 6 > 1) { Err(Garbage) } else { Ok(None) };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match first >> 6 {
        0b01 => Ok(Some((4 + length, 4 + length.next_multiple_of(4)))),
        0b00 if length % 4 == 0 => match octets.get(4..8) {
            Some(cookie) if cookie != MAGIC_COOKIE => Err(Garbage),
            Some(_) => Ok(Some((HEADER + length, HEADER + length))),
            None => Ok(None),
        },
        _ => Err(Garbage),
    }
}

/// RFC 8489 §5.
pub(crate) const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();

/// Octets of a STUN header (RFC 8489 §5).
const HEADER: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stun(attributes: usize) -> Vec<u8> {
        let mut message = vec![0, 1];
        message.extend_from_slice(&(attributes as u16 * 4).to_be_bytes());
        message.extend_from_slice(&MAGIC_COOKIE);
        message.resize(HEADER + attributes * 4, 7);
        message
    }

    fn channel_data(len: usize) -> Vec<u8> {
        let mut message = vec![0x40, 0];
        message.extend_from_slice(&(len as u16).to_be_bytes());
        message.resize(4 + len, 9);
        message
    }

    fn taken(frames: &mut Frames, buffer: &mut [u8]) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| frames.poll_frame(buffer).unwrap().map(|len| buffer[..len].to_vec())).collect()
    }

    proptest! {
        #[test]
        fn frames_are_the_same_however_the_stream_is_cut(
            written in prop::collection::vec((any::<bool>(), 0..40_usize), 1..8),
            cut in 1..50_usize,
        ) {
            let expected: Vec<_> =
                written.iter().map(|&(is_stun, size)| if is_stun { stun(size) } else { channel_data(size) }).collect();
            let mut stream = Vec::new();
            for frame in &expected {
                stream.extend_from_slice(frame);
                stream.resize(stream.len().next_multiple_of(4), 0);
            }
            let (mut frames, mut buffer, mut found) = (Frames::default(), [0; 512], Vec::new());
            for part in stream.chunks(cut) {
                frames.handle_octets(part);
                found.extend(taken(&mut frames, &mut buffer));
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(frames.kept(), 0);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_skipped() {
        let mut frames = Frames::default();
        frames.handle_octets(&channel_data(60));
        frames.handle_octets(&channel_data(4));
        assert_eq!(taken(&mut frames, &mut [0; 32]), [channel_data(4)]);
    }

    #[test]
    fn another_protocol_is_garbage_at_its_first_octets() {
        for garbage in
            [&b"\xff"[..], b"\x80", b"\x00\x01\x00\x03", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\0\0\0\0GET "]
        {
            let mut frames = Frames::default();
            frames.handle_octets(garbage);
            assert_eq!(frames.poll_frame(&mut [0; 32]), Err(Garbage), "{garbage:?}");
        }
    }
}
