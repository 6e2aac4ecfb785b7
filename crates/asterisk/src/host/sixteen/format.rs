//! Formats as counted objects.

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
        // SAFETY: NUL-terminated strings; what is found comes with a reference for us.
        unsafe { Self::adopt(sys::__ast_format_cache_get(name.as_ptr(), ptr::null(), us, 0, us)) }
    }

    /// # Safety
    /// Null, or a format of which one reference is ours.
    pub(crate) unsafe fn adopt(format: *mut sys::ast_format) -> Option<Self> {
        // SAFETY: the caller's word.
        NonNull::new(format).map(|format| Self(unsafe { Ao2::adopt(format) }))
    }

    /// # Safety
    /// Null, or a format that is live for the length of this call.
    pub(crate) unsafe fn share(format: *mut sys::ast_format) -> Option<Self> {
        // SAFETY: the caller's word.
        NonNull::new(format).map(|format| Self(unsafe { Ao2::share(format) }))
    }

    /// Which of those it is that are dealt with in a way of their own; `None` for any other.
    pub fn codec(&self) -> Option<Codec> {
        CODECS.iter().find(|(_, name)| *name == self.name()).map(|(codec, _)| *codec)
    }

    /// Wraps `ast_format_get_type`.
    pub fn kind(&self) -> Option<Kind> {
        // SAFETY: our reference keeps it.
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
        // SAFETY: our reference keeps it.
        unsafe { sys::ast_format_get_sample_rate(self.as_ptr()) }
    }

    /// Whether the samples are 16-bit linear, in the byte order of the machine. Wraps `ast_format_cache_is_slinear`.
    pub fn is_slinear(&self) -> bool {
        // SAFETY: our reference keeps it; the host compares it with those it has.
        unsafe { sys::ast_format_cache_is_slinear(self.as_ptr()) != 0 }
    }

    /// The host's name for it. Wraps `ast_format_get_name`.
    pub fn name(&self) -> &CStr {
        // SAFETY: our reference keeps it, and with it its name.
        unsafe {
            let name = sys::ast_format_get_name(self.as_ptr());
            if name.is_null() { c"unknown" } else { CStr::from_ptr(name) }
        }
    }

    /// Whether both are the same, attributes included. Wraps `ast_format_cmp`.
    pub fn same_as(&self, other: &Self) -> bool {
        // SAFETY: our references keep them.
        unsafe { sys::ast_format_cmp(self.as_ptr(), other.as_ptr()) == sys::AST_FORMAT_CMP_EQUAL }
    }

    /// What C calls it; live for as long as `self` is.
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
