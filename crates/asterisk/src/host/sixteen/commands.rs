//! Console commands.

use crate::{Failed, check, module, sys};

/// Registers a console command. Wraps `__ast_cli_register_multiple`.
///
/// # Safety
/// The entry does not move until it is unregistered.
pub unsafe fn register(entry: *mut sys::ast_cli_entry) -> Result<(), Failed> {
    // SAFETY: guaranteed by our caller; the module is ours.
    check(unsafe { sys::__ast_cli_register_multiple(entry, 1, module::host_module()) })
}
