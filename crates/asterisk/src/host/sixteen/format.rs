//! Formats of Asterisk 16 and later, which are reference-counted objects.

use std::ffi::CStr;
use std::ptr::{self, NonNull};

use crate::format::{Codec, Kind};
use crate::{Ao2, module, sys};

/// A format with its attributes: a reference to one of the host's.
#[derive(Clone)]
pub struct Format(Ao2<sys::ast_format>);

impl Format {
    /// The host's format of that codec, without attributes. Wraps `ast_format_cache_get`.
    pub fn of(codec: Codec) -> Option<Self> {
        let (_, name) = CODECS.iter().find(|(known, _)| *known == codec)?;
        let us = module::name().as_ptr();
        // SAFETY: NUL-terminated strings; the result comes with a reference for us.
        unsafe { Self::adopt(sys::__ast_format_cache_get(name.as_ptr(), ptr::null(), us, 0, us)) }
    }

    /// # Safety
    /// `format` is null, or one reference to it is ours.
    pub(crate) unsafe fn adopt(format: *mut sys::ast_format) -> Option<Self> {
        // SAFETY: guaranteed by our caller.
        NonNull::new(format).map(|format| Self(unsafe { Ao2::adopt(format) }))
    }

    /// # Safety
    /// `format` is null or live during this call.
    pub(crate) unsafe fn share(format: *mut sys::ast_format) -> Option<Self> {
        // SAFETY: guaranteed by our caller.
        NonNull::new(format).map(|format| Self(unsafe { Ao2::share(format) }))
    }

    /// The codec, if it is one that the engine treats specially; `None` for any other.
    pub fn codec(&self) -> Option<Codec> {
        CODECS.iter().find(|(_, name)| *name == self.name()).map(|(codec, _)| *codec)
    }

    /// The kind of media. Wraps `ast_format_get_type`.
    pub fn kind(&self) -> Option<Kind> {
        // SAFETY: our reference keeps it alive.
        match unsafe { sys::ast_format_get_type(self.as_ptr()) } {
            sys::AST_MEDIA_TYPE_AUDIO => Some(Kind::Audio),
            sys::AST_MEDIA_TYPE_VIDEO => Some(Kind::Video),
            sys::AST_MEDIA_TYPE_IMAGE => Some(Kind::Image),
            sys::AST_MEDIA_TYPE_TEXT => Some(Kind::Text),
            _ => None,
        }
    }

    /// Samples per second. Wraps `ast_format_get_sample_rate`.
    pub fn rate(&self) -> u32 {
        // SAFETY: our reference keeps it alive.
        unsafe { sys::ast_format_get_sample_rate(self.as_ptr()) }
    }

    /// Whether the samples are 16-bit linear, in the byte order of the machine. Wraps `ast_format_cache_is_slinear`.
    pub fn is_slinear(&self) -> bool {
        // SAFETY: our reference keeps it alive; the host compares it with its own formats.
        unsafe { sys::ast_format_cache_is_slinear(self.as_ptr()) != 0 }
    }

    /// The host's name for it. Wraps `ast_format_get_name`.
    pub fn name(&self) -> &CStr {
        // SAFETY: our reference keeps it alive, and so its name.
        unsafe {
            let name = sys::ast_format_get_name(self.as_ptr());
            if name.is_null() { c"unknown" } else { CStr::from_ptr(name) }
        }
    }

    /// Whether both formats are equal, including their attributes. Wraps `ast_format_cmp`.
    pub fn same_as(&self, other: &Self) -> bool {
        // SAFETY: our references keep both alive.
        unsafe { sys::ast_format_cmp(self.as_ptr(), other.as_ptr()) == sys::AST_FORMAT_CMP_EQUAL }
    }

    /// The pointer for C; valid as long as `self` lives.
    pub(crate) fn as_ptr(&self) -> *mut sys::ast_format {
        self.0.as_ptr()
    }
}

const CODECS: [(Codec, &CStr); 6] = [
    (Codec::Ulaw, c"ulaw"),
    (Codec::Alaw, c"alaw"),
    (Codec::G722, c"g722"),
    (Codec::Slinear, c"slin"),
    (Codec::T140, c"t140"),
    (Codec::T140Red, c"red"),
];
