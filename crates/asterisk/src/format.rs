//! Media formats as the host names them.

use std::fmt;

pub use crate::host::format::Format;

/// The formats that are dealt with in a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// G.722; 16 kHz, with the 8 kHz clock of RFC 3551 §4.5.2.
    G722,
    /// 16-bit linear at 8 kHz.
    Slinear,
    /// T.140 text.
    T140,
    /// T.140 text with the redundancy of RFC 4103.
    T140Red,
}

/// What a format carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Still pictures.
    Image,
    /// Text.
    Text,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({:?})", self.codec())
    }
}

/// How a format is cut into packets for one call; see [`crate::rtp::Instance::framing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Bytes of one packet.
    pub packet_bytes: u32,
    /// Flags for the smoother.
    pub smoother_flags: u32,
}
