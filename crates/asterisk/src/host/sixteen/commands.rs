//! Console commands.

use crate::{Failed, check, module, sys};

/// Wraps `__ast_cli_register_multiple`.
///
/// # Safety
/// The entry stays where it is until it is unregistered.
pub unsafe fn register(entry: *mut sys::ast_cli_entry) -> Result<(), Failed> {
    // SAFETY: the caller's word; the module is ours.
    check(unsafe { sys::__ast_cli_register_multiple(entry, 1, module::host_module()) })
}
