//! Media formats as the host names them.

use std::ffi::CStr;
use std::mem;

use crate::sys;

/// A format with its attributes, by value. Nearly everything about it is its [`id`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Format(pub sys::ast_format);

/// The numbers of the formats; the kind is the hundred thousand.
pub mod id {
    use crate::sys;
    /// What identifies a format.
    pub type FormatId = u32;
    /// G.723.1
    pub const G723_1: FormatId = sys::AST_FORMAT_G723_1 as FormatId;
    /// GSM full rate
    pub const GSM: FormatId = sys::AST_FORMAT_GSM as FormatId;
    /// G.711 µ-law
    pub const ULAW: FormatId = sys::AST_FORMAT_ULAW as FormatId;
    /// G.711 A-law
    pub const ALAW: FormatId = sys::AST_FORMAT_ALAW as FormatId;
    /// G.726 packed as AAL2 does
    pub const G726_AAL2: FormatId = sys::AST_FORMAT_G726_AAL2 as FormatId;
    /// G.726 packed as RFC 3551 does
    pub const G726: FormatId = sys::AST_FORMAT_G726 as FormatId;
    /// G.722; 16 kHz, with the 8 kHz clock of RFC 3551 §4.5.2
    pub const G722: FormatId = sys::AST_FORMAT_G722 as FormatId;
    /// G.729 A
    pub const G729A: FormatId = sys::AST_FORMAT_G729A as FormatId;
    /// Speex, narrow band
    pub const SPEEX: FormatId = sys::AST_FORMAT_SPEEX as FormatId;
    /// Speex, wide band
    pub const SPEEX16: FormatId = sys::AST_FORMAT_SPEEX16 as FormatId;
    /// Speex, ultra-wide band
    pub const SPEEX32: FormatId = sys::AST_FORMAT_SPEEX32 as FormatId;
    /// iLBC
    pub const ILBC: FormatId = sys::AST_FORMAT_ILBC as FormatId;
    /// G.722.1 at 7 kHz
    pub const SIREN7: FormatId = sys::AST_FORMAT_SIREN7 as FormatId;
    /// G.722.1 annex C
    pub const SIREN14: FormatId = sys::AST_FORMAT_SIREN14 as FormatId;
    /// G.719
    pub const G719: FormatId = sys::AST_FORMAT_G719 as FormatId;
    /// SILK
    pub const SILK: FormatId = sys::AST_FORMAT_SILK as FormatId;
    /// CELT
    pub const CELT: FormatId = sys::AST_FORMAT_CELT as FormatId;
    /// 16-bit linear at 8 kHz
    pub const SLINEAR: FormatId = sys::AST_FORMAT_SLINEAR as FormatId;
    /// 16-bit linear at 16 kHz
    pub const SLINEAR16: FormatId = sys::AST_FORMAT_SLINEAR16 as FormatId;
    /// H.261 video
    pub const H261: FormatId = sys::AST_FORMAT_H261 as FormatId;
    /// H.263 video
    pub const H263: FormatId = sys::AST_FORMAT_H263 as FormatId;
    /// H.263+ video
    pub const H263_PLUS: FormatId = sys::AST_FORMAT_H263_PLUS as FormatId;
    /// H.264 video
    pub const H264: FormatId = sys::AST_FORMAT_H264 as FormatId;
    /// T.140 text
    pub const T140: FormatId = sys::AST_FORMAT_T140 as FormatId;
    /// T.140 text with the redundancy of RFC 4103
    pub const T140RED: FormatId = sys::AST_FORMAT_T140RED as FormatId;
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

impl Format {
    /// The format with this number, without attributes.
    pub fn of(id: id::FormatId) -> Self {
        // SAFETY: all zero is "no attributes".
        let mut format: sys::ast_format = unsafe { mem::zeroed() };
        format.id = id as _;
        Self(format)
    }

    /// Which one it is; see [`id`].
    pub fn id(&self) -> id::FormatId {
        self.0.id as id::FormatId
    }

    /// `None` for no format at all.
    pub fn kind(&self) -> Option<Kind> {
        match self.id() / KIND_STEP {
            1 => Some(Kind::Audio),
            2 => Some(Kind::Video),
            3 => Some(Kind::Image),
            4 => Some(Kind::Text),
            _ => None,
        }
    }

    /// Samples per second. Wraps `ast_format_rate`.
    pub fn rate(&self) -> u32 {
        // SAFETY: the host only reads the format.
        u32::try_from(unsafe { sys::ast_format_rate(&raw const self.0) }).unwrap_or(0)
    }

    /// Whether the samples are 16-bit linear, in the byte order of the machine. Wraps `ast_format_is_slinear`.
    pub fn is_slinear(&self) -> bool {
        // SAFETY: the host only reads the format.
        unsafe { sys::ast_format_is_slinear(&raw const self.0) != 0 }
    }

    /// The RTP marker bit of a video frame, which rides in the format. Wraps `ast_format_get_video_mark`.
    pub fn video_mark(&self) -> bool {
        // SAFETY: the host only reads the format.
        unsafe { sys::ast_format_get_video_mark(&raw const self.0) != 0 }
    }

    /// Wraps `ast_format_set_video_mark`.
    pub fn set_video_mark(&mut self) {
        // SAFETY: the format is ours to write.
        unsafe { sys::ast_format_set_video_mark(&raw mut self.0) };
    }

    /// The host's name for it. Wraps `ast_getformatname`.
    pub fn name(&self) -> &'static CStr {
        // SAFETY: the host only reads the format, and answers a name from a table that stays.
        unsafe {
            let name = sys::ast_getformatname(&raw const self.0);
            if name.is_null() { c"unknown" } else { CStr::from_ptr(name) }
        }
    }

    /// Whether both are the same, attributes included. Wraps `ast_format_cmp`.
    pub fn same_as(&self, other: &Self) -> bool {
        // SAFETY: the host only reads the two.
        unsafe { sys::ast_format_cmp(&raw const self.0, &raw const other.0) == sys::AST_FORMAT_CMP_EQUAL }
    }
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Format({})", self.id())
    }
}

const KIND_STEP: u32 = 100_000;

/// How a format is cut into packets for one call; see [`crate::rtp::Instance::framing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// What one packet carries, as negotiated.
    pub current_ms: u32,
    /// What one packet carries unless something else was negotiated.
    pub default_ms: u32,
    /// By what a packet may grow.
    pub increment_ms: u32,
    /// Bytes of one increment; 0 when this format is not to be cut anew.
    pub frame_bytes: u32,
    /// Flags for the smoother.
    pub smoother_flags: u32,
}

impl Framing {
    pub(crate) fn from_host(list: &sys::ast_format_list) -> Self {
        let positive = |value: std::ffi::c_int| u32::try_from(value).unwrap_or(0);
        Self {
            current_ms: positive(list.cur_ms),
            default_ms: positive(list.def_ms),
            increment_ms: positive(list.inc_ms),
            frame_bytes: positive(list.fr_len),
            smoother_flags: list.flags,
        }
    }

    /// Bytes of one packet; `None` when packets leave as they come.
    pub fn packet_bytes(&self) -> Option<u32> {
        if self.frame_bytes == 0 || self.increment_ms == 0 {
            return None;
        }
        Some(self.current_ms / self.increment_ms * self.frame_bytes).filter(|bytes| *bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_in_the_number() {
        assert_eq!(Format::of(id::ULAW).kind(), Some(Kind::Audio));
        assert_eq!(Format::of(id::H264).kind(), Some(Kind::Video));
        assert_eq!(Format::of(id::T140).kind(), Some(Kind::Text));
        assert_eq!(Format::of(0).kind(), None);
    }

    #[test]
    fn forty_milliseconds_of_ulaw_are_320_bytes() {
        let framing = Framing { current_ms: 40, default_ms: 20, increment_ms: 10, frame_bytes: 80, smoother_flags: 0 };
        assert_eq!(framing.packet_bytes(), Some(320));
        assert_eq!(Framing { frame_bytes: 0, ..framing }.packet_bytes(), None);
    }
}
