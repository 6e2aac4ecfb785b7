//! The module loader: the supported versions of the host, and use counts.

use crate::sys;

/// The name of the supported host, for the log line on any other.
pub const MADE_FOR: &str = "Asterisk 11";

/// The beginnings of supported version strings, after the word "Asterisk".
pub const RELEASES: [&str; 3] = ["11.", "GIT-11-", "SVN-branch-11-"];

/// Fills in the fields of the declaration that only this host has: none.
pub const fn complete(info: sys::ast_module_info) -> sys::ast_module_info {
    info
}

/// Adds one to a module's use count, with the unprefixed function that every release has. Wraps `ast_module_ref`.
///
/// # Safety
/// `module` is null or the loader's entry of a registered module.
pub unsafe fn take_use(module: *mut sys::ast_module) {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_module_ref(module) };
}

/// Subtracts one from a module's use count. Wraps `ast_module_unref`.
///
/// # Safety
/// As for [`take_use`], which has been called for this use.
pub unsafe fn release_use(module: *mut sys::ast_module) {
    // SAFETY: guaranteed by our caller.
    unsafe { sys::ast_module_unref(module) };
}
