//! Opus in frames of G.719. Asterisk 11 does not know Opus; the WebSocket's module renames it in the descriptions of a browser's call
//! and says so ([`Fact::Opus`](asterisk::signalling::Fact)). The host counts the samples of G.719 by its octets, those of Opus are
//! in the packet.

use asterisk::Format;
use asterisk::format::Codec;
use rtp::opus::{self, Malformed};

/// Whether the G.719 of a call is Opus.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carried {
    opus: bool,
}

impl Carried {
    /// Notes that it is.
    pub fn note_opus(&mut self) {
        self.opus = true;
    }

    /// Returns the samples of a packet or frame of `format` if it is Opus; `None` if the host counts them.
    pub fn samples(self, format: &Format, payload: &[u8]) -> Option<Result<u32, Malformed>> {
        (self.opus && format.codec() == Some(Codec::G719)).then(|| opus::samples(payload))
    }
}
