//! The loader: which hosts these modules are for, and their use counts.

use crate::{module, sys};

/// For the line that another host is declined with.
#[cfg(feature = "host-16")]
pub const MADE_FOR: &str = "Asterisk 16";
/// Whether a release, without the word before it, is one of ours.
#[cfg(feature = "host-16")]
pub const RELEASES: [&str; 2] = ["16.", "GIT-16-"];

/// For the line that another host is declined with.
#[cfg(feature = "host-22")]
pub const MADE_FOR: &str = "Asterisk 22";
/// Whether a release, without the word before it, is one of ours.
#[cfg(feature = "host-22")]
pub const RELEASES: [&str; 2] = ["22.", "GIT-22-"];

/// What this host's declaration has beside the fields that all have: `module show` says who looks after a module.
pub const fn complete(info: sys::ast_module_info) -> sys::ast_module_info {
    sys::ast_module_info { support_level: sys::AST_MODULE_SUPPORT_EXTENDED, ..info }
}

/// One use more. Wraps `__ast_module_ref`.
///
/// # Safety
/// Null, or the loader's entry of a module that is registered.
pub unsafe fn take_use(entry: *mut sys::ast_module) {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ast_module_ref(entry, us, 0, us) };
}

/// One use less. Wraps `__ast_module_unref`.
///
/// # Safety
/// As for [`take_use`], which was called once more than this.
pub unsafe fn release_use(entry: *mut sys::ast_module) {
    let us = module::name().as_ptr();
    // SAFETY: the caller's word; the strings are static.
    unsafe { sys::__ast_module_unref(entry, us, 0, us) };
}
