//! The module loader: the supported versions of the host, and use counts.

use crate::{module, sys};

/// The name of the supported host, for the log line on any other.
#[cfg(feature = "host-16")]
pub const MADE_FOR: &str = "Asterisk 16";
/// The beginnings of supported version strings, after the word "Asterisk".
#[cfg(feature = "host-16")]
pub const RELEASES: [&str; 2] = ["16.", "GIT-16-"];

/// The name of the supported host, for the log line on any other.
#[cfg(feature = "host-22")]
pub const MADE_FOR: &str = "Asterisk 22";
/// The beginnings of supported version strings, after the word "Asterisk".
#[cfg(feature = "host-22")]
pub const RELEASES: [&str; 2] = ["22.", "GIT-22-"];

/// Fills in the field of the declaration that only this host has: the support level shown by `module show`.
pub const fn complete(info: sys::ast_module_info) -> sys::ast_module_info {
    sys::ast_module_info { support_level: sys::AST_MODULE_SUPPORT_EXTENDED, ..info }
}

/// Adds one to a module's use count. Wraps `__ast_module_ref`.
///
/// # Safety
/// `entry` is null or the loader's entry of a registered module.
pub unsafe fn take_use(entry: *mut sys::ast_module) {
    let us = module::name().as_ptr();
    // SAFETY: guaranteed by our caller; the strings are static.
    unsafe { sys::__ast_module_ref(entry, us, 0, us) };
}

/// Subtracts one from a module's use count. Wraps `__ast_module_unref`.
///
/// # Safety
/// As for [`take_use`], which has been called for this use.
pub unsafe fn release_use(entry: *mut sys::ast_module) {
    let us = module::name().as_ptr();
    // SAFETY: guaranteed by our caller; the strings are static.
    unsafe { sys::__ast_module_unref(entry, us, 0, us) };
}
