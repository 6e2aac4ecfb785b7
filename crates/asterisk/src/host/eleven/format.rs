//! Formats of Asterisk 11, passed by value: a number and attributes.

use std::ffi::CStr;
use std::mem;

use crate::format::{Codec, Kind};
use crate::sys;

/// A format with its attributes, by value. Most properties follow from its number.
#[derive(Clone)]
#[repr(transparent)]
pub struct Format(pub(crate) sys::ast_format);

impl Format {
    /// The host's format of that codec, without attributes.
    pub fn of(codec: Codec) -> Option<Self> {
        // SAFETY: all zero is "no attributes".
        let mut format: sys::ast_format = unsafe { mem::zeroed() };
        format.id = CODECS.iter().find(|(known, _)| *known == codec)?.1 as _;
        Some(Self(format))
    }

    /// The codec, if it is one that the engine treats specially; `None` for any other.
    pub fn codec(&self) -> Option<Codec> {
        CODECS.iter().find(|(_, id)| *id == self.id()).map(|(codec, _)| *codec)
    }

    /// The kind of media; `None` if there is no format. The kind is the number's multiple of 100000.
    pub fn kind(&self) -> Option<Kind> {
        match self.id() / 100_000 {
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

    /// The host's name for it. Wraps `ast_getformatname`.
    pub fn name(&self) -> &CStr {
        // SAFETY: the host only reads the format, and returns a name from a static table.
        unsafe {
            let name = sys::ast_getformatname(&raw const self.0);
            if name.is_null() { c"unknown" } else { CStr::from_ptr(name) }
        }
    }

    /// Whether both formats are equal, including their attributes. Wraps `ast_format_cmp`.
    pub fn same_as(&self, other: &Self) -> bool {
        // SAFETY: the host only reads the two.
        unsafe { sys::ast_format_cmp(&raw const self.0, &raw const other.0) == sys::AST_FORMAT_CMP_EQUAL }
    }

    pub(crate) fn id(&self) -> sys::ast_format_id {
        self.0.id
    }
}

const CODECS: [(Codec, sys::ast_format_id); 7] = [
    (Codec::Ulaw, sys::AST_FORMAT_ULAW),
    (Codec::Alaw, sys::AST_FORMAT_ALAW),
    (Codec::G722, sys::AST_FORMAT_G722),
    (Codec::G719, sys::AST_FORMAT_G719),
    (Codec::Slinear, sys::AST_FORMAT_SLINEAR),
    (Codec::T140, sys::AST_FORMAT_T140),
    (Codec::T140Red, sys::AST_FORMAT_T140RED),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_in_the_number() {
        let kind = |id| {
            let mut format = Format::of(Codec::Ulaw).unwrap();
            format.0.id = id;
            format.kind()
        };
        assert_eq!(kind(sys::AST_FORMAT_G722), Some(Kind::Audio));
        assert_eq!(kind(sys::AST_FORMAT_H264), Some(Kind::Video));
        assert_eq!(kind(sys::AST_FORMAT_T140), Some(Kind::Text));
        assert_eq!(kind(0), None);
    }
}
