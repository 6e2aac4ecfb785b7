//! The header of a frame (RFC 6455 §5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//! |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//! |N|V|V|V|       |S|             |   (if payload len==126/127)   |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |                  masking key (if MASK is set)                 |
//! +---------------------------------------------------------------+
//! ```

use crate::error::FrameError;

/// The longest header: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER_LEN: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_LEN: usize = 125;

/// The opcode of a frame (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A message of UTF-8 text, or its first fragment.
    Text = 0x1,
    /// A message of bytes, or its first fragment.
    Binary = 0x2,
    /// The connection is being closed.
    Close = 0x8,
    /// Asks the other end for a PONG.
    Ping = 0x9,
    /// Answers a PING.
    Pong = 0xA,
}

impl Opcode {
    /// Reads the four bits on the wire.
    pub fn from_wire(bits: u8) -> Result<Self, FrameError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            unknown => return Err(FrameError::UnknownOpcode(unknown)),
        })
    }

    /// Whether the opcode is Close, PING or PONG. Control frames are short, not fragmented, and allowed between the
    /// fragments of a message (RFC 6455 §5.5).
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// This is the last fragment of its message.
    pub fin: bool,
    /// RSV1: the message that begins here is compressed (RFC 7692 §6).
    pub compressed: bool,
    /// The kind of frame.
    pub opcode: Opcode,
    /// The masking key, which every frame of a client has and no frame of a server (RFC 6455 §5.1).
    pub masking_key: Option<[u8; 4]>,
    /// The number of payload bytes that follow the header.
    pub payload_len: u64,
}

impl Header {
    /// The length in bytes of the header that begins with `prefix`, as far as it can be told: call again with that many
    /// bytes.
    pub fn len_from(prefix: &[u8]) -> usize {
        let Some(second) = prefix.get(1) else { return 2 };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if second & 0x80 != 0 { 4 } else { 0 }
    }

    /// Checks the first two bytes, so that a wrong frame is refused before the rest has arrived. The connection decides
    /// whether a message may be compressed.
    fn check_start(first: u8, second: u8) -> Result<Opcode, FrameError> {
        let reserved = first >> 4 & 0b111;
        if reserved & 0b011 != 0 {
            return Err(FrameError::ReservedBits(reserved));
        }
        let opcode = Opcode::from_wire(first & 0xf)?;
        // Only the first frame of a message may have RSV1 set (RFC 7692 §6.1).
        if reserved != 0 && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(FrameError::ReservedBits(reserved));
        }
        if opcode.is_control() {
            if first & 0x80 == 0 {
                return Err(FrameError::ControlFragmented);
            }
            if usize::from(second & 0x7f) > MAX_CONTROL_LEN {
                return Err(FrameError::ControlTooLong(u64::from(second & 0x7f)));
            }
        }
        Ok(opcode)
    }

    /// Reads a header; `None` while there are fewer bytes than [`Header::len_from`] says.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let opcode = Self::check_start(first, second)?;
        let (payload_len, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (minimal(u16::from_be_bytes(*len).into(), 126)?, rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (minimal(u64::from_be_bytes(*len), 1 << 16)?, rest),
                None => return Ok(None),
            },
            len => (len.into(), rest),
        };
        let masking_key = match (second & 0x80 != 0, rest.first_chunk::<4>()) {
            (false, _) => None,
            (true, Some(key)) => Some(*key),
            (true, None) => return Ok(None),
        };
        Ok(Some(Self { fin: first & 0x80 != 0, compressed: first & 0x40 != 0, opcode, masking_key, payload_len }))
    }

    /// Appends the header to `to`, with the length in the minimal number of bytes (RFC 6455 §5.2).
    pub fn write(&self, to: &mut Vec<u8>) {
        to.push(if self.fin { 0x80 } else { 0 } | if self.compressed { 0x40 } else { 0 } | self.opcode as u8);
        let mask = if self.masking_key.is_some() { 0x80 } else { 0 };
        // The casts are exact within the ranges of their patterns.
        match self.payload_len {
            len @ 0..126 => to.push(mask | len as u8),
            len @ 126..0x1_0000 => {
                to.push(mask | 126);
                to.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                to.push(mask | 127);
                to.extend_from_slice(&len.to_be_bytes());
            }
        }
        to.extend(self.masking_key.iter().flatten());
    }
}

fn minimal(len: u64, least: u64) -> Result<u64, FrameError> {
    match len {
        _ if len < least => Err(FrameError::LengthNotMinimal(len)),
        _ if len >> 63 != 0 => Err(FrameError::LengthTooLarge),
        _ => Ok(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
        Header::parse(bytes)
    }

    #[test]
    fn section_5_7_examples() {
        let header =
            |fin, opcode, masking_key, payload_len| Header { fin, compressed: false, opcode, masking_key, payload_len };
        let cases: [(&[u8], Header); 7] = [
            (&[0x81, 0x05], header(true, Opcode::Text, None, 5)),
            (&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Opcode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), 5)),
            (&[0x01, 0x03], header(false, Opcode::Text, None, 3)),
            (&[0x80, 0x02], header(true, Opcode::Continuation, None, 2)),
            (&[0x89, 0x05], header(true, Opcode::Ping, None, 5)),
            (&[0x82, 0x7e, 0x01, 0x00], header(true, Opcode::Binary, None, 256)),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], header(true, Opcode::Binary, None, 65536)),
        ];
        for (wire, header) in cases {
            assert_eq!(parse(wire), Ok(Some(header)));
            let mut written = Vec::new();
            header.write(&mut written);
            assert_eq!(written, wire);
        }
    }

    #[test]
    fn section_5_2_refusals() {
        assert_eq!(parse(&[0xa1, 0x00]), Err(FrameError::ReservedBits(0b010)));
        assert_eq!(parse(&[0xf1, 0x00]), Err(FrameError::ReservedBits(0b111)));
        assert_eq!(parse(&[0x83, 0x00]), Err(FrameError::UnknownOpcode(3)));
        assert_eq!(parse(&[0x82, 0x7e, 0, 125]), Err(FrameError::LengthNotMinimal(125)));
        assert_eq!(parse(&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Err(FrameError::LengthNotMinimal(65535)));
        assert_eq!(parse(&[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(FrameError::LengthTooLarge));
    }

    #[test]
    fn rfc_7692_section_6_1_the_first_frame_of_a_message_says_that_it_is_compressed() {
        assert!(parse(&[0xc1, 0x00]).unwrap().unwrap().compressed);
        assert!(parse(&[0x42, 0x00]).unwrap().unwrap().compressed);
        assert_eq!(parse(&[0xc0, 0x00]), Err(FrameError::ReservedBits(0b100)));
        assert_eq!(parse(&[0xc9, 0x00]), Err(FrameError::ReservedBits(0b100)));
    }

    #[test]
    fn section_5_4_and_5_5_control_frames_are_short_and_whole() {
        assert_eq!(parse(&[0x09, 0x00]), Err(FrameError::ControlFragmented));
        assert_eq!(parse(&[0x89, 0x7e]), Err(FrameError::ControlTooLong(126)));
    }

    fn opcodes() -> impl Strategy<Value = Opcode> {
        prop::sample::select(vec![Opcode::Continuation, Opcode::Text, Opcode::Binary])
    }

    proptest! {
        #[test]
        fn parse_undoes_write(
            fin: bool, compressed: bool, opcode in opcodes(), masking_key: Option<[u8; 4]>,
            payload_len in prop_oneof![0u64..200, 65000u64..66000, 0..=u64::MAX >> 1],
        ) {
            let compressed = compressed && opcode != Opcode::Continuation;
            let header = Header { fin, compressed, opcode, masking_key, payload_len };
            let mut wire = Vec::new();
            header.write(&mut wire);
            prop_assert_eq!(Header::len_from(&wire), wire.len());
            prop_assert_eq!(parse(&wire), Ok(Some(header)));
            for cut in 0..wire.len() {
                prop_assert_eq!(parse(&wire[..cut]), Ok(None));
                prop_assert!(Header::len_from(&wire[..cut]) > cut);
            }
        }
    }
}
