//! Console commands.

use crate::{Failed, check, sys};

/// Wraps `ast_cli_register_multiple`.
///
/// # Safety
/// The entry stays where it is until it is unregistered.
pub unsafe fn register(entry: *mut sys::ast_cli_entry) -> Result<(), Failed> {
    // SAFETY: the caller's word.
    check(unsafe { sys::ast_cli_register_multiple(entry, 1) })
}
