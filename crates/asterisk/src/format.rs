//! The host's media formats.

use std::fmt;

pub use crate::host::format::Format;

/// The formats that the engine treats specially.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// G.722: sampled at 16 kHz, but with an RTP clock of 8 kHz (RFC 3551 §4.5.2).
    G722,
    /// G.719, which carries Opus on hosts that do not know Opus.
    G719,
    /// 16-bit linear at 8 kHz.
    Slinear,
    /// T.140 text.
    T140,
    /// T.140 text with redundancy (RFC 4103).
    T140Red,
}

/// The kind of media that a format carries.
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

/// How media of a format is split into packets in one call; see [`crate::rtp::Instance::framing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// The payload of one packet in bytes.
    pub packet_bytes: u32,
    /// Flags for [`crate::Smoother::set_flags`].
    pub smoother_flags: u32,
}
