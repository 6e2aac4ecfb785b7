//! Console commands.

use crate::{Failed, check, sys};

/// Registers a console command. Wraps `ast_cli_register_multiple`.
///
/// # Safety
/// The entry does not move until it is unregistered.
pub unsafe fn register(entry: *mut sys::ast_cli_entry) -> Result<(), Failed> {
    // SAFETY: guaranteed by our caller.
    check(unsafe { sys::ast_cli_register_multiple(entry, 1) })
}
