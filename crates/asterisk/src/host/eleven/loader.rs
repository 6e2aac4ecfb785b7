//! The loader: which hosts these modules are for, and their use counts.

use crate::sys;

/// For the line that another host is declined with.
pub const MADE_FOR: &str = "Asterisk 11";

/// Whether a release, without the word before it, is one of ours.
pub const RELEASES: [&str; 3] = ["11.", "GIT-11-", "SVN-branch-11-"];

/// What this host's declaration has beside the fields that all have.
pub const fn complete(info: sys::ast_module_info) -> sys::ast_module_info {
    info
}

/// One use more, by the unprefixed function that every release has. Wraps `ast_module_ref`.
///
/// # Safety
/// Null, or the loader's entry of a module that is registered.
pub unsafe fn take_use(module: *mut sys::ast_module) {
    // SAFETY: the caller's word.
    unsafe { sys::ast_module_ref(module) };
}

/// One use less. Wraps `ast_module_unref`.
///
/// # Safety
/// As for [`take_use`], which was called once more than this.
pub unsafe fn release_use(module: *mut sys::ast_module) {
    // SAFETY: the caller's word.
    unsafe { sys::ast_module_unref(module) };
}
